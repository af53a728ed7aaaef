"""The loss curves of all runs of a sweep in one picture."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from .sweep_axes import GREY, LEVELS, NAMED, Levels, canvas, cross, legend, level_bar, spans_decades, use_logarithm

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
# More curves than these are drawn thin, and without a dot at their ends.
FEW = 40

Points = list[tuple[float, float]]


def sweep_curves(
    curves: Sequence[tuple[Sequence[int], Sequence[float]]],
    *,
    loss: str,
    diverged: Sequence[bool],
    colours: Sequence[Any] | None = None,
    colour_setting: str = "",
    dashes: Sequence[Any] | None = None,
    dash_setting: str = "",
) -> Figure:
    """All curves together, coloured by a setting.

    Runs that diverged do not stretch the axis: their curves are shown until they leave it.

    Args:
        curves: of each run its epochs, ascending, and the losses after them.
        diverged: of each run whether it did.
        colours: the values of a setting; without one all curves look alike, and their median stands out.
        dashes: the values of another setting, of at most three levels.
    """
    figure, axes = canvas()
    levels, dash_levels = Levels(colours or [None]), Levels(dashes or [None])
    few = len(curves) <= FEW and colours is not None
    low, high, logarithmic = _range(curves, diverged)
    axes.set_ylim(low, high)
    if logarithmic:
        use_logarithm(axes)
    shown: list[tuple[Points, str, Any]] = []
    for run, (epochs, values) in enumerate(curves):
        points = _until_it_leaves(epochs, values, high, logarithmic)
        if not points:
            continue
        colour = levels.colour(colours[run]) if colours else NAMED[0]
        shown.append((points, colour, DASHES[dash_levels.place(dashes[run]) % len(DASHES)] if dashes else "-"))
        if diverged[run]:
            axes.plot(*points[-1], "x", color=colour, markersize=7, markeredgewidth=1.8, clip_on=False, zorder=4)
        elif few:
            axes.plot(*points[-1], "o", color=colour, markersize=4, clip_on=False, zorder=3)
    axes.add_collection(
        LineCollection(
            [points for points, _, _ in shown],
            colors=[colour for _, colour, _ in shown],
            linestyles=[dash for _, _, dash in shown],
            linewidths=1.6 if few else 0.8,
            alpha=1 if few else 0.5,
        )
    )
    _set_epochs(axes, [epochs[-1] for epochs, _ in curves if epochs])
    axes.set_ylabel(loss)
    handles = []
    if colours is None:
        handles.append(Line2D([], [], color=NAMED[0], lw=0.8, label=f"{len(shown):,} runs"))
        handles += _median(axes, [curve for curve, lost in zip(curves, diverged, strict=True) if not lost])
    elif len(levels) <= LEVELS:
        handles += [
            Line2D([], [], color=levels.colour(level), label=f"{colour_setting}={text}")
            for level, text in zip(levels.values, levels.labels, strict=True)
        ]
    elif levels.numeric:
        level_bar(figure, axes, levels, colour_setting)
    if dashes:
        handles += [
            Line2D([], [], color=GREY, linestyle=dash, label=f"{dash_setting}={text}")
            for dash, text in zip(DASHES, dash_levels.labels, strict=False)
        ]
    legend(figure, [*handles, *([cross("diverges")] if any(diverged) else [])])
    return figure


def _range(
    curves: Sequence[tuple[Sequence[int], Sequence[float]]], diverged: Sequence[bool]
) -> tuple[float, float, bool]:
    """The ends of the axis of losses, and whether it is logarithmic: what the runs that did not diverge need."""
    kept = [values for (_, values), lost in zip(curves, diverged, strict=True) if not lost]
    # Where all diverged, what they began with.
    kept = kept or [values[:3] for _, values in curves]
    values = [value for values in kept for value in values if math.isfinite(value)] or [1.0]
    low, high = min(values), max(values)
    if spans_decades(values):
        # Half a decade more lets one see diverging curves leave.
        return low / 1.5, high * (5 if any(diverged) else 1.5), True
    margin = 0.05 * ((high - low) or abs(high) or 1)
    return low - margin, high + margin * (8 if any(diverged) else 1), False


def _until_it_leaves(epochs: Sequence[int], values: Sequence[float], high: float, logarithmic: bool) -> Points:
    """The points of a curve, up to where it crosses the upper end of the axis or is no number any more."""
    points: Points = []
    for epoch, value in zip(epochs, values, strict=True):
        if not value <= high:
            if points and math.isfinite(value):
                before, last = points[-1]
                heights = [math.log(height) if logarithmic else height for height in (last, high, value)]
                share = (heights[1] - heights[0]) / (heights[2] - heights[0])
                points.append((before + share * (epoch - before), high))
            elif points or value == math.inf:
                points.append((epoch, high))
            break
        if value > 0 or not logarithmic:
            points.append((float(epoch), value))
    return points


def _set_epochs(axes: Axes, lengths: Sequence[int]) -> None:
    longest, shortest = max(lengths, default=1), min(lengths, default=1)
    # A short run is to be seen beside a long one, and so are the first steps of a long one.
    if longest >= 2000 or longest >= max(50, 5 * shortest):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:,.0f}"))
    axes.set_xlim(1 if longest > 1 else 0, max(longest, 2))
    axes.set_xlabel("epoch")


def _median(axes: Axes, curves: Sequence[tuple[Sequence[int], Sequence[float]]]) -> list[Line2D]:
    """Draws the median of curves that were measured at the same epochs; nothing for two, or for others."""
    if len(curves) < 3 or any(list(epochs) != list(curves[0][0]) for epochs, _ in curves):
        return []
    middle = [statistics.median(values) for values in zip(*(values for _, values in curves), strict=True)]
    return axes.plot(curves[0][0], middle, color=NAMED[1], lw=2, zorder=3, label="their median")
