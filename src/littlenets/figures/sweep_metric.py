"""What the runs of a sweep reached, over what was swept. Each list has one value a run."""

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from .sweep_axes import (
    GREY,
    NAMED,
    SIZE,
    Levels,
    Scale,
    canvas,
    colour_bar,
    cross,
    legend,
    spans_decades,
    use_logarithm,
)

MARKERS = "os^Dv<>P"
FRAME = "#d55e00"
HATCHED = {"facecolor": "#eeeeee", "edgecolor": "#bbbbbb", "hatch": "////", "lw": 0}


def sweep_setting(
    values: Sequence[Any],
    metrics: Sequence[float | None],
    *,
    setting: str,
    metric: str,
    rising: bool = False,
    lines: Sequence[Any] | None = None,
    line_setting: str = "",
    averaged: Sequence[str] = (),
) -> Figure:
    """A metric over one setting: a point a run, a line through the means.

    Args:
        values: of the setting: numbers, or anything with a name.
        metrics: None for a run that diverged, which is marked at the edge.
        rising: whether more is better, so that diverged runs stand at the bottom.
        lines: the values of another setting; each gets a line of its own.
        averaged: settings in which the runs of one mean differ. Where it is the seed alone, the sample standard
            deviation is drawn as well.
    """
    figure, axes = canvas()
    scale, levels = Scale(values), Levels(lines if lines is not None else [None])
    colours = [levels.colour(level) for level in levels.values] if lines is not None else [NAMED[0]]
    of_seeds = list(averaged) == ["seed"]
    # Side by side, where there is room, so that bars do not hide each other.
    apart = 0.1 if scale.in_places and of_seeds else 0.0
    lost: list[tuple[float, int]] = []
    for index, (colour, marker) in enumerate(zip(colours, itertools.cycle(MARKERS), strict=False)):
        shift = apart * (index - (len(levels) - 1) / 2)
        reached: dict[float, list[float]] = {}
        for run, value in enumerate(values):
            if lines is not None and levels.place(lines[run]) != index:
                continue
            x = scale.at(value) + shift
            if metrics[run] is None:
                lost.append((x, index))
            else:
                reached.setdefault(x, []).append(metrics[run])
        reached = dict(sorted(reached.items()))
        axes.plot(
            [x for x, group in reached.items() for _ in group],
            [value for group in reached.values() for value in group],
            marker,
            color=colour,
            alpha=0.4 if averaged else 1,
            markersize=_marker_size(len(values)),
            markeredgewidth=0,
            label="runs",
        )
        axes.plot(list(reached), list(map(statistics.fmean, reached.values())), color=colour, lw=1.6, label="means")
        several = {x: group for x, group in reached.items() if len(group) > 1}
        if of_seeds and several:
            means, deviations = (list(map(of, several.values())) for of in (statistics.fmean, statistics.stdev))
            axes.errorbar(list(several), means, deviations, fmt="none", ecolor=colour, elinewidth=1.4, capsize=3)
    if spans_decades(value for value in metrics if value is not None):
        use_logarithm(axes)
    scale.apply(axes.xaxis)
    _mark_at_edge(
        axes, lost, [levels.colour(level) if lines is not None else NAMED[0] for level in levels.values], rising
    )
    axes.set_xlabel(setting)
    axes.set_ylabel(metric)
    handles = []
    if lines is not None:
        for colour, marker, text in zip(colours, itertools.cycle(MARKERS), levels.labels, strict=False):
            handles.append(Line2D([], [], color=colour, marker=marker, label=f"{line_setting}={text}"))
    if averaged:
        spread = " ± standard deviation" if of_seeds else ""
        handles.append(Line2D([], [], color=GREY, label=f"mean{spread} over {', '.join(averaged)}"))
    legend(figure, [*handles, *([cross("diverged")] if lost else [])])
    return figure


def sweep_pair(
    x: Sequence[Any],
    y: Sequence[Any],
    metrics: Sequence[float | None],
    *,
    x_setting: str,
    y_setting: str,
    metric: str,
    rising: bool = False,
    averaged: Sequence[str] = (),
) -> Figure:
    """A heat map: a metric over two settings, the best pair framed.

    Args:
        metrics: None for a run that diverged. Cells in which all did are hatched; cells without a run stay white.
        rising: whether more is better. The better, the brighter.
        averaged: settings in which the runs of one cell differ.
    """
    columns, rows = Scale(x, places=True), Scale(y, places=True)
    wide, high = len(columns.levels), len(rows.levels)
    figure, axes = canvas(width=max(SIZE[0], min(10, 1.6 + 0.75 * wide)), height=max(3.0, min(9, 1.3 + 0.55 * high)))
    cells: dict[tuple[int, int], list[float | None]] = {}
    for across, up, value in zip(x, y, metrics, strict=True):
        cells.setdefault((columns.levels.place(across), rows.levels.place(up)), []).append(value)
    reached = {place: [value for value in values if value is not None] for place, values in cells.items()}
    means = {place: statistics.fmean(values) for place, values in reached.items() if values}
    norm = (LogNorm if spans_decades(means.values()) else Normalize)(min(means.values()), max(means.values()))
    picture = [[means.get((column, row), math.nan) for column in range(wide)] for row in range(high)]
    colours = colormaps["viridis" if rising else "viridis_r"]
    image = axes.imshow(picture, colours, norm, aspect="auto", origin="lower", interpolation="nearest")
    roomy = wide <= 9 and high <= 14
    for (column, row), values in cells.items():
        text, colour = "diverged" if roomy else "", GREY
        if (column, row) in means:
            text, colour = _short(means[column, row]), _readable_on(image.to_rgba(means[column, row]))
            if roomy and None in values:
                text += f"\n{values.count(None)} diverged"
        else:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **HATCHED))
        if wide * high <= 200:
            axes.text(column, row, text, ha="center", va="center", fontsize=9 if roomy else 6.5, color=colour)
    best = (max if rising else min)(means, key=means.__getitem__)
    axes.add_patch(
        Rectangle((best[0] - 0.5, best[1] - 0.5), 1, 1, fill=False, edgecolor=FRAME, lw=2.5, zorder=3, clip_on=False)
    )
    columns.apply(axes.xaxis)
    rows.apply(axes.yaxis)
    axes.set_xlim(-0.5, wide - 0.5)
    axes.set_ylim(-0.5, high - 0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(x_setting)
    axes.set_ylabel(y_setting)
    name = f"mean of {metric} over {', '.join(averaged)}" if averaged else metric
    colour_bar(figure, image, f"{name}\n({'higher' if rising else 'lower'} is better)")
    handles = [Patch(fill=False, edgecolor=FRAME, lw=2, label="best")]
    if len(means) < len(cells) and not roomy:
        handles.append(Patch(**HATCHED, label="diverged"))
    legend(figure, handles)
    return figure


def sweep_seeds(seeds: Sequence[Any], metrics: Sequence[float | None], *, metric: str, rising: bool = False) -> Figure:
    """What chance alone makes of one setting: a point a run, their mean and sample standard deviation.

    Args:
        metrics: None for a run that diverged, which is marked at the edge.
        rising: whether more is better, so that diverged runs stand at the bottom.
    """
    figure, axes = canvas()
    scale = Scale(seeds, places=True)
    points = [(scale.at(seed), value) for seed, value in zip(seeds, metrics, strict=True) if value is not None]
    values = [value for _, value in points]
    mean = statistics.fmean(values)
    handles = [axes.axhline(mean, color=NAMED[1], lw=1.4, label=f"mean {_short(mean)}")]
    if len(values) > 1:
        deviation = statistics.stdev(values)
        text = f"± standard deviation {_short(deviation)}"
        handles.append(axes.axhspan(mean - deviation, mean + deviation, color=NAMED[1], alpha=0.15, lw=0, label=text))
    axes.plot(*zip(*points, strict=True), "o", color=NAMED[0], markersize=_marker_size(len(seeds)), label="runs")
    scale.apply(axes.xaxis)
    lost = [(scale.at(seed), 0) for seed, value in zip(seeds, metrics, strict=True) if value is None]
    _mark_at_edge(axes, lost, [NAMED[0]], rising)
    axes.set_xlabel("seed")
    axes.set_ylabel(metric)
    legend(figure, [*handles, *([cross("diverged")] if lost else [])])
    return figure


def _mark_at_edge(axes: Axes, lost: Sequence[tuple[float, int]], colours: Sequence[str], rising: bool) -> None:
    """Crosses where a metric is worst, above one another for several lines: positions, and numbers of the lines."""
    if not lost:
        return
    rows = sorted({index for _, index in lost})
    room = 0.05 * (len(rows) + 1)
    low, high = (axes.transScale.transform((1, value))[1] for value in axes.get_ylim())
    # So that no point of a run lies among them.
    low, high = (low - room * (high - low), high) if rising else (low, high + room * (high - low))
    axes.set_ylim(*(axes.transScale.inverted().transform((0, value))[1] for value in (low, high)))
    for index in rows:
        height = 0.045 * (rows.index(index) + 0.5)
        positions = [x for x, other in lost if other == index]
        axes.plot(
            positions,
            [height if rising else 1 - height] * len(positions),
            "x",
            color=colours[index],
            transform=axes.get_xaxis_transform(),
            markersize=6,
            markeredgewidth=1.8,
            label="diverged",
        )


def _marker_size(runs: int) -> float:
    return 6 if runs <= 60 else 4 if runs <= 200 else 3


def _short(value: float) -> str:
    return f"{value:.3g}"


def _readable_on(colour: Sequence[float]) -> str:
    red, green, blue, _ = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
