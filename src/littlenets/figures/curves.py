"""Figures of loss and accuracy over the epochs of a run.

Shapes: E epochs.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Values,
    class_colour,
    class_marker,
    epoch_axis,
    grid,
    label,
    legend,
    logarithmic_epochs,
    new_figure,
    numbers,
    title,
)

# A curve with at most this many points has a marker at each point.
FEW = 30


def loss(epochs: Values, train: Values, val: Values | None = None, test: float | None = None) -> Figure:
    """Draw the loss of training (E,) and validation (E,; NaN where there was none), and of the test after training.

    The scale is logarithmic if the loss spans a decade or more. Where the loss becomes infinite or NaN, the curve ends
    and the epoch is marked.
    """
    figure = new_figure(3.6)
    ax = figure.subplots()
    train = numbers(train)
    _curves(ax, numbers(epochs), train, val, test)
    shown = np.concatenate([line.get_ydata() for line in ax.lines])
    label(ax, "epoch", "loss")
    epoch_axis(ax, epochs)
    if len(shown) and shown.min() > 0 and shown.max() / shown.min() >= 10:
        ax.set_yscale("log")
        ax.set_ylabel("loss (logarithmic)", fontsize=10)
    _show_a_fast_start(ax, np.log(train) if ax.get_yscale() == "log" else train)
    diverged = np.flatnonzero(~np.isfinite(train))
    if len(diverged):
        epoch = numbers(epochs)[diverged[0]]
        ax.axvline(epoch, color=BLACK, linestyle=":", linewidth=1.2)
        ax.annotate(
            f"diverged in epoch {epoch:,.0f} ",
            (epoch, 0.5),
            xycoords=("data", "axes fraction"),
            ha="right",
            fontsize=9.5,
        )
    title(ax, "Loss")
    return figure


def accuracy(epochs: Values, train: Values, val: Values | None = None, test: float | None = None) -> Figure:
    """Draw the accuracy, 0..1, of training (E,), validation (E,; NaN where there was none) and test."""
    figure = new_figure(3.6)
    ax = figure.subplots()
    train, val = (None if values is None else 100 * numbers(values) for values in (train, val))
    _curves(ax, numbers(epochs), train, val, None if test is None else 100 * test)
    label(ax, "epoch", "right answers (%)")
    epoch_axis(ax, epochs)
    shown = np.concatenate([line.get_ydata() for line in ax.lines])
    lowest = shown.min() if len(shown) else 0.0
    _show_a_fast_start(ax, train)
    ax.set_ylim(lowest - 0.05 * (100 - lowest) - 0.2, 100 + 0.05 * (100 - lowest) + 0.2)
    ax.axhline(100, color=GREY, linewidth=0.6, zorder=0)
    title(ax, "Accuracy")
    return figure


def losses(epochs: Values, columns: Mapping[str, Values]) -> Figure:
    """Draw several losses by name, each (E,), NaN where there was none."""
    figure = new_figure(3.6)
    ax = figure.subplots()
    for index, (name, values) in enumerate(columns.items()):
        values = numbers(values)
        there = np.isfinite(values)
        marker = class_marker(index) if there.sum() <= FEW else None
        colour = class_colour(index, len(columns))
        ax.plot(numbers(epochs)[there], values[there], color=colour, marker=marker, markersize=4, label=name)
    label(ax, "epoch", "loss")
    epoch_axis(ax, epochs)
    grid(ax)
    legend(ax)
    title(ax, "Losses")
    return figure


def _show_a_fast_start(ax: Axes, values: np.ndarray) -> None:
    """Make the axis of epochs logarithmic if, in a long run, most of the change happens in the first few epochs."""
    start = len(values) // 25
    if len(values) >= 200 and np.isfinite(values).all() and np.ptp(values[:start]) > 0.9 * np.ptp(values):
        logarithmic_epochs(ax, 1, 1.1 * ax.lines[0].get_xdata()[-1])


def _curves(ax: Axes, epochs: np.ndarray, train: np.ndarray, val: Values | None, test: float | None) -> None:
    marker = "o" if len(epochs) <= FEW else None
    train = train if np.isfinite(train).all() else train[: np.flatnonzero(~np.isfinite(train))[0]]
    ax.plot(epochs[: len(train)], train, color=BLUE, linewidth=1.4, marker=marker, markersize=4, label="training")
    if val is not None and np.isfinite(val := numbers(val)).any():
        there = np.isfinite(val)
        marker = "s" if there.sum() <= FEW else None
        ax.plot(
            *(epochs[there], val[there]),
            color=ORANGE,
            linewidth=1.4,
            linestyle="--",
            marker=marker,
            markersize=4,
            label="validation",
        )
    if test is not None and np.isfinite(test):
        ax.plot(epochs[-1:], [test], color=BLACK, linestyle="", marker="D", markersize=6, label="test, at the end")
    grid(ax)
    legend(ax)
