"""Figures of the metric reached by the runs of a sweep, over the swept settings.

Each list has one value per run.
"""

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
from matplotlib.patches import Rectangle

from .sweep_axes import (
    GREY,
    NAMED,
    Levels,
    Scale,
    canvas,
    caption,
    end_of_scale,
    legend,
    set_heights,
    spans_decades,
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
    """Draw a metric over one setting: one point per run, and a line through the means.

    Args:
        values: value of the setting in each run: numbers, or anything with a name.
        metrics: metric of each run; None for a run that diverged. Diverged runs, and runs with a metric beyond
            `end_of_scale`, are marked at the edge.
        setting: name of the setting.
        metric: name of the metric.
        rising: whether a higher metric is better, so that diverged runs are marked at the bottom.
        lines: value of another setting in each run; each of its values gets its own line.
        line_setting: name of this other setting.
        averaged: settings that differ between the runs of one mean. If it is the seed alone, the sample standard
            deviation is drawn as well.
    """
    figure, axes = canvas()
    scale, levels = Scale(values), Levels(lines if lines is not None else [None])
    colours = [levels.colour(level) for level in levels.values] if lines is not None else [NAMED[0]]
    of_seeds = list(averaged) == ["seed"]
    # Shift the lines horizontally if there is space, so that the bars do not hide each other.
    apart = 0.1 if scale.in_places and of_seeds else 0.0
    reached = [value for value in metrics if value is not None]
    end = max(reached) if rising else end_of_scale(reached)
    heights = [value for value in reached if value <= end]
    logarithmic = spans_decades(heights)
    beyond: list[tuple[float, int]] = []
    for index, (colour, marker) in enumerate(zip(colours, itertools.cycle(MARKERS), strict=False)):
        shift = apart * (index - (len(levels) - 1) / 2)
        mine = [run for run in range(len(values)) if lines is None or levels.place(lines[run]) == index]
        places = {run: scale.at(values[run]) + shift for run in mine}
        beyond += [(places[run], index) for run in mine if metrics[run] is None or metrics[run] > end]
        groups: dict[float, list[float]] = {}
        for run in sorted(mine, key=places.__getitem__):
            if metrics[run] is not None:
                groups.setdefault(places[run], []).append(metrics[run])
        points = [(x, height) for x, group in groups.items() for height in group]
        _draw_points(axes, points, len(values), colour, marker, faint=bool(averaged))
        means = {x: mean for x, group in groups.items() if (mean := statistics.fmean(group)) <= end}
        if scale.levels.numeric:
            axes.plot(list(means), list(means.values()), color=colour, lw=1.6, label="means")
        elif averaged:
            # Values that are not numbers have no order, so do not connect them by a line.
            axes.plot(list(means), list(means.values()), "_", color=colour, ms=14, markeredgewidth=2, label="means")
        several = [x for x in means if of_seeds and len(groups[x]) > 1]
        spreads = {x: statistics.stdev(groups[x]) for x in several}
        heights += _draw_spreads(axes, {x: means[x] for x in spreads}, spreads, colour)
    ends = [height for height in heights if height <= end + 0.5 * abs(end) and (height > 0 or not logarithmic)]
    # On a logarithmic axis, a deviation as large as the mean has no lower end to show.
    low = min(reached) / 1.5 if logarithmic else min(ends)
    room = 0.05 * (len({index for _, index in beyond}) + 1.4) if beyond else 0.05
    set_heights(axes, low, max(ends), logarithmic, **{"below" if rising else "above": room})
    scale.apply(axes.xaxis)
    _mark_at_edge(axes, beyond, colours, rising)
    axes.set_xlabel(setting)
    axes.set_ylabel(metric)
    mark, spread = "line" if scale.levels.numeric else "bar", " ± standard deviation" if of_seeds else ""
    caption(axes, f"{mark}: mean{spread} over {', '.join(averaged)}" if averaged else "", _beyond(metrics, end))
    if lines is not None:
        shown = zip(colours, itertools.cycle(MARKERS), levels.labels, strict=False)
        handles = [Line2D([], [], color=colour, marker=marker, label=text) for colour, marker, text in shown]
        legend(figure, line_setting, handles)
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
    best: int | None = None,
) -> Figure:
    """Draw a heat map of a metric over two settings, with a frame around the best pair.

    Args:
        x: value of the first setting in each run.
        y: value of the second setting in each run.
        metrics: metric of each run; None for a run that diverged. Cells in which all runs diverged are hatched; cells
            without a run stay white.
        x_setting: name of the first setting.
        y_setting: name of the second setting.
        metric: name of the metric.
        rising: whether a higher metric is better. Better cells are brighter.
        averaged: settings that differ between the runs of one cell.
        best: position of a run of the best pair; None uses the pair with the best mean.
    """
    columns, rows = Scale(x, places=True), Scale(y, places=True)
    wide, high = len(columns.levels), len(rows.levels)
    figure, axes = canvas(height=max(3.0, min(7.0, 1.3 + 0.5 * high)))
    cells: dict[tuple[int, int], list[float | None]] = {}
    for across, up, value in zip(x, y, metrics, strict=True):
        cells.setdefault((columns.levels.place(across), rows.levels.place(up)), []).append(value)
    reached = {place: [value for value in values if value is not None] for place, values in cells.items()}
    means = {place: statistics.fmean(values) for place, values in reached.items() if values}
    worst = max(means.values()) if rising else end_of_scale(list(means.values()))
    shown = [mean for mean in means.values() if mean <= worst]
    norm = (LogNorm if spans_decades(shown) else Normalize)(min(shown), worst, clip=True)
    picture = [[means.get((column, row), math.nan) for column in range(wide)] for row in range(high)]
    colours = colormaps["viridis" if rising else "viridis_r"]
    image = axes.imshow(picture, colours, norm, aspect="auto", origin="lower", interpolation="nearest")
    for axis_line, count in ((axes.axvline, wide), (axes.axhline, high)):
        for edge in range(1, count):
            axis_line(edge - 0.5, color="white", lw=1)
    # Three digits fit into a cell if the figure has up to six columns, and small digits if it has up to twelve.
    roomy, with_numbers = wide <= 6 and high <= 12, wide <= 12 and high <= 20
    for (column, row), values in cells.items():
        text, colour = "diverged" if roomy else "", GREY
        if (column, row) in means:
            text, colour = _short(means[column, row]), _readable_on(image.to_rgba(means[column, row]))
            if roomy and None in values:
                text += f"\n{values.count(None)} diverged"
        if means.get((column, row), math.inf) > worst:
            colour = GREY
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **HATCHED))
        if with_numbers:
            axes.text(column, row, text, ha="center", va="center", fontsize=9 if roomy else 6.5, color=colour)
    if best is None:
        across, up = (max if rising else min)(means, key=means.__getitem__)
    else:
        across, up = columns.levels.place(x[best]), rows.levels.place(y[best])
    axes.add_patch(
        Rectangle((across - 0.5, up - 0.5), 1, 1, fill=False, edgecolor=FRAME, lw=2.5, zorder=3, clip_on=False)
    )
    columns.apply(axes.xaxis)
    rows.apply(axes.yaxis)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(x_setting)
    axes.set_ylabel(y_setting)
    name = f"mean of {metric} over {', '.join(averaged)}" if averaged else metric
    wish = "higher" if rising else "lower"
    bar = figure.colorbar(image, label=f"{name}\n({wish} is better)", pad=0.02)
    bar.outline.set_visible(False)
    caption(axes, "frame: the best", "hatched: diverged" if len(means) < len(cells) and not roomy else "")
    return figure


def sweep_seeds(seeds: Sequence[Any], metrics: Sequence[float | None], *, metric: str, rising: bool = False) -> Figure:
    """Draw the metric for each seed of one setting: one point per run, their mean and sample standard deviation.

    Args:
        seeds: seed of each run.
        metrics: metric of each run; None for a run that diverged, which is marked at the edge.
        metric: name of the metric.
        rising: whether a higher metric is better, so that diverged runs are marked at the bottom.
    """
    figure, axes = canvas()
    scale = Scale(seeds, places=True)
    points = [(scale.at(seed), value) for seed, value in zip(seeds, metrics, strict=True) if value is not None]
    values = [value for _, value in points]
    mean = statistics.fmean(values)
    axes.axhline(mean, color=NAMED[1], lw=1.4, label="mean")
    notes = [f"line: mean {_short(mean)}"]
    heights = list(values)
    if len(values) > 1:
        deviation = statistics.stdev(values)
        axes.axhspan(mean - deviation, mean + deviation, color=NAMED[1], alpha=0.15, lw=0, label="deviation")
        notes.append(f"band: ± standard deviation {_short(deviation)}")
        heights += [mean - deviation, mean + deviation]
    _draw_points(axes, points, len(seeds), NAMED[0], "o")
    lost = [(scale.at(seed), 0) for seed, value in zip(seeds, metrics, strict=True) if value is None]
    room = {"below" if rising else "above": 0.12 if lost else 0.05}
    set_heights(axes, min(heights), max(heights), False, **room)
    scale.apply(axes.xaxis)
    _mark_at_edge(axes, lost, [NAMED[0]], rising)
    axes.set_xlabel("seed")
    axes.set_ylabel(metric)
    caption(axes, *notes, _beyond(metrics, math.inf))
    return figure


def _draw_points(
    axes: Axes, points: Sequence[tuple[float, float]], runs: int, colour: str, marker: str, faint: bool = False
) -> None:
    size = 6 if runs <= 60 else 4 if runs <= 200 else 3
    x, y = [x for x, _ in points], [y for _, y in points]
    axes.plot(x, y, marker, color=colour, alpha=0.4 if faint else 1, ms=size, markeredgewidth=0, label="runs")


def _draw_spreads(axes: Axes, means: dict[float, float], spreads: dict[float, float], colour: str) -> list[float]:
    """Draw a deviation on both sides of each mean, as bars or, if there are many, as a band; return its ends."""
    if not spreads:
        return []
    lower = [means[x] - spreads[x] for x in spreads]
    upper = [means[x] + spreads[x] for x in spreads]
    if len(spreads) > 20:
        axes.fill_between(list(spreads), lower, upper, color=colour, alpha=0.15, lw=0, label="deviations")
    else:
        bars = list(spreads), list(means.values()), list(spreads.values())
        axes.errorbar(*bars, fmt="none", ecolor=colour, elinewidth=1.4, capsize=3, label="deviations")
    return lower + upper


def _beyond(metrics: Sequence[float | None], end: float) -> str:
    """Return the explanation of the crosses; an empty string if there are none."""
    far = any(value is not None and value > end for value in metrics)
    return ("×: diverged, or off the scale" if far else "×: diverged") if far or None in metrics else ""


def _mark_at_edge(axes: Axes, beyond: Sequence[tuple[float, int]], colours: Sequence[str], rising: bool) -> None:
    """Draw crosses at the edge where the metric is worst.

    Args:
        axes: axes to draw into.
        beyond: position, and number of the line, of each run that is marked; each line has its own height.
        colours: colour of each line.
        rising: whether a higher metric is better, so that the crosses are at the bottom.
    """
    rows = sorted({index for _, index in beyond})
    for row, index in enumerate(rows):
        height = 0.04 * (row + 0.6)
        positions = [x for x, other in beyond if other == index]
        axes.plot(
            positions,
            [height if rising else 1 - height] * len(positions),
            "x",
            color=colours[index],
            transform=axes.get_xaxis_transform(),
            markersize=6,
            markeredgewidth=1.8,
            label="beyond",
        )


def _short(value: float) -> str:
    return f"{value:.3g}"


def _readable_on(colour: Sequence[float]) -> str:
    red, green, blue, _ = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
