"""Figure of the loss curves of all runs of a sweep."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from .sweep_axes import GREY, LEVELS, NAMED, Levels, canvas, caption, legend, level_bar, set_heights, spans_decades

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
# If there are more curves than this, they are drawn thin and without a dot at their ends.
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
    """Draw the loss curves of all runs, coloured by a setting.

    Diverged runs do not stretch the vertical axis: their curves are shown up to where they leave it.

    Args:
        curves: for each run, the epochs in ascending order, and the loss after each of them.
        loss: name of the loss, the label of the vertical axis.
        diverged: for each run, whether it diverged.
        colours: for each run, the value of the setting shown by colour; if None, all curves look alike and their median
            is highlighted.
        colour_setting: name of this setting.
        dashes: for each run, the value of another setting, shown by dashes; it has at most three levels.
        dash_setting: name of this other setting.
    """
    figure, axes = canvas()
    levels, dash_levels = Levels(colours or [None]), Levels(dashes or [None])
    few = len(curves) <= FEW and colours is not None
    # Also treat runs as leaving the axis that were about to diverge when training ended.
    leaving = [
        lost or (len(values) > 1 and not values[-1] <= 100 * values[0])
        for (_, values), lost in zip(curves, diverged, strict=True)
    ]
    logarithmic = _set_losses(axes, curves, leaving)
    high = axes.get_ylim()[1]
    shown: list[tuple[Points, str, Any]] = []
    for run, (epochs, values) in enumerate(curves):
        points = _until_it_leaves(epochs, values, high, logarithmic)
        if not points:
            continue
        colour = levels.colour(colours[run]) if colours else NAMED[0]
        shown.append((points, colour, DASHES[dash_levels.place(dashes[run]) % len(DASHES)] if dashes else "-"))
        if leaving[run]:
            axes.plot(*points[-1], "x", color=colour, markersize=7, markeredgewidth=1.8, clip_on=False, zorder=4)
        elif few:
            axes.plot(*points[-1], "o", color=colour, markersize=4, clip_on=False, zorder=3)
    axes.add_collection(
        LineCollection(
            [points for points, _, _ in shown],
            colors=[colour for _, colour, _ in shown],
            linestyles=[dash for _, _, dash in shown],
            linewidths=(1.6 if len(curves) <= 12 else 1.1) if few else 0.8,
            alpha=1 if few else 0.5,
            joinstyle="round",
        )
    )
    lengths = [epochs[-1] for (epochs, _), lost in zip(curves, leaving, strict=True) if epochs and not lost]
    _set_epochs(axes, lengths or [epochs[-1] for epochs, _ in curves if epochs])
    axes.set_ylabel(loss)
    notes = ["dot: the end of a run"] if few and not all(leaving) else []
    handles = []
    if colours is None:
        notes = [f"thin: {len(shown):,} run{'s' * (len(shown) != 1)}"]
        if _draw_median(axes, [curve for curve, lost in zip(curves, leaving, strict=True) if not lost]):
            notes.append("thick: their median")
    elif len(levels) <= LEVELS:
        for level, text in zip(levels.values, levels.labels, strict=True):
            handles.append(
                Line2D([], [], color=levels.colour(level), label=f"{colour_setting}={text}" if dashes else text)
            )
    elif levels.numeric:
        level_bar(figure, axes, levels, colour_setting)
    if dashes:
        named = zip(dash_levels.labels, DASHES, strict=False)
        handles += [Line2D([], [], color=GREY, linestyle=dash, label=f"{dash_setting}={text}") for text, dash in named]
    caption(axes, *notes, "×: diverges" if any(leaving) else "")
    if handles:
        legend(figure, "" if dashes else colour_setting, handles)
    return figure


def _set_losses(axes: Axes, curves: Sequence[tuple[Sequence[int], Sequence[float]]], leaving: Sequence[bool]) -> bool:
    """Set the vertical axis to the range of the runs that stay on it; return whether it is logarithmic."""
    kept = [values for (_, values), lost in zip(curves, leaving, strict=True) if not lost]
    # If all runs leave the axis, use the beginning of each.
    kept = kept or [values[:3] for _, values in curves]
    values = [value for values in kept for value in values if math.isfinite(value)] or [1.0]
    logarithmic = spans_decades(values)
    # Leave space above to show curves that leave the axis.
    set_heights(axes, min(values), max(values), logarithmic, above=0.2 if any(leaving) else 0.05)
    return logarithmic


def _until_it_leaves(epochs: Sequence[int], values: Sequence[float], high: float, logarithmic: bool) -> Points:
    """Return the points of a curve up to where it crosses the upper end of the axis or becomes NaN."""
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
    # On a linear axis, a short run beside a long one, and the first epochs of a long run, would hardly be visible.
    if longest >= 2000 or longest >= max(50, 5 * shortest):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:,.0f}"))
    axes.set_xlim(1 if axes.get_xscale() == "log" else 0, max(longest, 2))
    axes.set_xlabel("epoch")


def _draw_median(axes: Axes, curves: Sequence[tuple[Sequence[int], Sequence[float]]]) -> bool:
    """Draw the median of three or more curves measured at the same epochs; return whether it was drawn."""
    if len(curves) < 3 or any(list(epochs) != list(curves[0][0]) for epochs, _ in curves):
        return False
    middle = [statistics.median(values) for values in zip(*(values for _, values in curves), strict=True)]
    axes.plot(curves[0][0], middle, color=NAMED[1], lw=2, zorder=3, label="median")
    return True
