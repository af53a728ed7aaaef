"""Convert the values of swept settings to positions, colours and labels; helpers for all figures of a sweep.

The colours can be distinguished by readers of any colour vision and in greyscale print: viridis for numbers, the
palette of Okabe and Ito (https://jfly.uni-koeln.de/color/) for other values.
"""

import math
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

# Size in inches: in a figure shown 600 pixels wide, letters are 14 pixels high.
WIDTH, HEIGHT = 6.0, 4.0
DPI = 200
NAMED = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
# Viridis without the yellow at its end, which is too faint for a line on white.
NUMBERED = ListedColormap(colormaps["viridis"].colors[:225])
GREY = "#666666"
#: More levels than this are shown by a colour bar, or on an axis that does not label every level.
LEVELS = 8


class Levels:
    """The distinct values of a setting: numbers sorted, other values in order of appearance."""

    def __init__(self, values: Iterable[Any]) -> None:
        distinct = list({repr(value): value for value in values}.values())
        self.numeric = all(_is_number(value) for value in distinct)
        self.values = sorted(distinct) if self.numeric else distinct
        self.labels = [label(value) for value in self.values]
        self.logarithmic = self.numeric and _are_geometric(self.values)
        self._places = {repr(value): place for place, value in enumerate(self.values)}

    def __len__(self) -> int:
        return len(self.values)

    def place(self, value: Any) -> int:
        """Return the position of a value among the levels, from 0."""
        return self._places[repr(value)]

    @property
    def norm(self) -> Normalize:
        """The normalization of numbers to 0..1 for a colour map."""
        return (LogNorm if self.logarithmic else Normalize)(self.values[0], self.values[-1])

    def colour(self, value: Any) -> str:
        if not self.numeric:
            return NAMED[self.place(value) % len(NAMED)]
        # A few levels are spread evenly over the colours, so that neighbours differ; with more levels the colour bar's
        # scale is used.
        share = self.place(value) / max(1, len(self) - 1) if len(self) <= LEVELS else float(self.norm(value))
        return to_hex(NUMBERED(share))


class Scale:
    """An axis for the values of a setting: linear, logarithmic, or with evenly spaced positions.

    Args:
        values: values of the setting, one per run.
        places: whether to use evenly spaced positions, whatever the values are.
    """

    def __init__(self, values: Iterable[Any], places: bool = False) -> None:
        self.levels = Levels(values)
        # A linear axis would squeeze a zero and the smallest of geometrically spaced values together.
        with_zero = self.levels.numeric and self.levels.values[0] == 0 and _are_geometric(self.levels.values[1:])
        self.in_places = places or not self.levels.numeric or with_zero
        self.logarithmic = self.levels.logarithmic and not self.in_places

    def at(self, value: Any) -> float:
        return float(self.levels.place(value) if self.in_places else value)

    def apply(self, axis: Axis) -> None:
        """Set the scale and the ticks of an axis; ticks are at the values themselves if there is space for them."""
        set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
        if self.logarithmic:
            set_scale("log")
            axis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))
        if self.in_places:
            step = -(-len(self.levels) // (12 if axis.axis_name == "x" else 20))
            shown = range(0, len(self.levels), step)
            axis.set_ticks(list(shown), [self.levels.labels[place] for place in shown])
            (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(-0.5, len(self.levels) - 0.5)
            if axis.axis_name == "x" and sum(len(self.levels.labels[place]) + 2 for place in shown) > 60:
                for text in axis.get_ticklabels():
                    text.set(rotation=25, size=8, ha="right", rotation_mode="anchor")
        elif len(self.levels) <= LEVELS and not self._is_crowded():
            axis.set_ticks(self.levels.values, self.levels.labels)
            axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())

    def _is_crowded(self) -> bool:
        points = [math.log(value) if self.logarithmic else value for value in self.levels.values]
        return any(after - before < 0.07 * (points[-1] - points[0]) for before, after in pairwise(points))


def label(value: Any) -> str:
    """Return a short text for a value, as typed in an override: ``0.001``, ``1e-05``, ``[16,16]``, ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e7 else f"{value:.6g}"
    if isinstance(value, list | tuple):
        value = f"[{','.join(map(label, value))}]"
    text = str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"


def canvas(height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Return a new figure with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend(figure: Figure, title: str, handles: Sequence[Any]) -> None:
    """Draw a legend above the picture, where it hides nothing."""
    widest = max(len(handle.get_label()) for handle in handles)
    across = max(1, min(len(handles), int(figure.get_figwidth() * 13 / (widest + 5))))
    figure.legend(
        handles=handles,
        title=title or None,
        alignment="left",
        loc="outside upper left",
        ncols=across,
        frameon=False,
        fontsize=9,
        title_fontsize=9,
        handlelength=1.8,
        columnspacing=1.4,
    )


def caption(axes: Axes, *notes: str) -> None:
    """Write notes on the meaning of the marks above the picture, in grey."""
    text = textwrap.fill("; ".join(note for note in notes if note), width=int(15 * axes.figure.get_figwidth()))
    axes.set_title(text, loc="left", fontsize=8.5, color=GREY, pad=8)


def spans_decades(values: Iterable[float]) -> bool:
    """Return whether values are all positive and span a factor of 30 or more, so that a logarithmic axis is better."""
    values = list(values)
    return bool(values) and min(values) > 0 and max(values) >= 30 * min(values)


def end_of_scale(values: Sequence[float]) -> float:
    """Return the largest value to show on an axis; exclude values more than 10,000 times larger than most others.

    Excluded values belong to runs that were about to diverge when training ended.
    """
    ascending = sorted(values)
    for place, (lower, higher) in enumerate(pairwise(ascending)):
        if place >= 2 and 2 * place >= len(ascending) - 2 and higher > 10_000 * lower > 0:
            return lower
    return ascending[-1]


def set_heights(
    axes: Axes, low: float, high: float, logarithmic: bool, above: float = 0.05, below: float = 0.05
) -> None:
    """Set the vertical axis to ``low`` .. ``high`` with margins.

    A logarithmic axis that spans few powers of ten gets labels between them.

    Args:
        axes: axes to change.
        low: smallest value to show.
        high: largest value to show.
        logarithmic: whether the axis is logarithmic.
        above: margin above ``high``, as a fraction of the length from ``low`` to ``high``.
        below: margin below ``low``, as a fraction of the same length.
    """
    if logarithmic:
        axes.set_yscale("log")
        reach = math.log(high / low) or 1.0
        low, high = low * math.exp(-below * reach), high * math.exp(above * reach)
        if high < 2000 * low:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        reach = (high - low) or abs(high) or 1.0
        low, high = low - below * reach, high + above * reach
    axes.set_ylim(low, high)


def level_bar(figure: Figure, axes: Axes, levels: Levels, title: str) -> None:
    """Draw a colour bar for a setting with many numeric levels."""
    bar = figure.colorbar(ScalarMappable(levels.norm, NUMBERED), ax=axes, label=title, pad=0.02)
    bar.outline.set_visible(False)
    if levels.logarithmic:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_geometric(values: Sequence[float]) -> bool:
    """Return whether numbers in ascending order are spaced more evenly on a logarithmic axis."""
    if len(values) < 2 or values[0] <= 0 or values[-1] < 4 * values[0]:
        return False
    if len(values) == 2:
        return values[1] >= 10 * values[0]
    linear = [after - before for before, after in pairwise(values)]
    logarithmic = [math.log(after / before) for before, after in pairwise(values)]
    return _unevenness(logarithmic) < _unevenness(linear)


def _unevenness(steps: Sequence[float]) -> float:
    return statistics.pstdev(steps) / statistics.fmean(steps)
