"""Figures of a linear regression with one input: parameters, fitted line and loss surface.

Shapes: N points, E epochs.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .style import BLACK, BLUE, GREY, ORANGE, VERMILLION, Values, epoch_axis, label, legend, new_figure, numbers, title


def parameters(epochs: Values, weight: Values, bias: Values, best_weight: float, best_bias: float) -> Figure:
    """Draw weight and bias (E,) during training, and mark their least squares values."""
    figure = new_figure(3.6)
    ax = figure.subplots()
    series = (("weight", weight, best_weight, BLUE), ("bias", bias, best_bias, ORANGE))
    for name, values, best, colour in series:
        ax.axhline(best, color=colour, linestyle=":", linewidth=1.4)
        ax.plot(numbers(epochs), numbers(values), color=colour, linewidth=1.8, label=name)
        ax.annotate(
            f"best: {_short(best)}",
            (1, best),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=BLACK,
            annotation_clip=False,
        )
    label(ax, "epoch", "value")
    epoch_axis(ax, epochs)
    ax.margins(y=0.12)
    legend(ax)
    title(ax, "Weight and bias during training")
    return figure


def fit(
    x: Values, y: Values, line_x: Values, line_y: Values, test_x: Values, test_y: Values, predicted: Values
) -> Figure:
    """Draw the training points (N,), the network's output along x, and its predictions for the test points."""
    figure = new_figure(4.0)
    ax = figure.subplots()
    test_x, test_y, predicted = numbers(test_x), numbers(test_y), numbers(predicted)
    ax.plot(numbers(line_x), numbers(line_y), color=BLUE, linewidth=1.8, label="network")
    ax.plot(numbers(x), numbers(y), color=BLACK, linestyle="", marker="o", markersize=5, label="trained on")
    ax.plot(test_x, test_y, color=BLACK, linestyle="", marker="o", markersize=9, markerfacecolor="none", label="truth")
    ax.plot(test_x, predicted, color=VERMILLION, linestyle="", marker="x", markersize=7, label="prediction")
    if len(test_x) <= 3:
        for at, true, value in zip(test_x, test_y, predicted, strict=True):
            right = at > np.mean(ax.get_xlim())
            ax.annotate(
                f"f({_short(at)}) = {value:.6g}, truth {_short(true)}",
                (at, value),
                xytext=(-12 if right else 12, 0),
                textcoords="offset points",
                ha="right" if right else "left",
                va="center",
                fontsize=9.5,
            )
    label(ax, "x", "y")
    legend(ax)
    title(ax, "Data and fit")
    return figure


def surface(x: Values, y: Values, weights: Values, biases: Values) -> Figure:
    """Draw the mean squared error of weight * x + bias on points (N,) as contours, with the path (E,) of training."""
    figure = new_figure(4.4)
    ax = figure.subplots()
    x, y, weights, biases = numbers(x), numbers(y), numbers(weights), numbers(biases)
    finite = np.isfinite(weights) & np.isfinite(biases)
    weights, biases = weights[finite], biases[finite]
    best = least_squares(x, y)
    (left, right), (bottom, top) = _around([*weights, best[0]]), _around([*biases, best[1]])
    across, up = np.linspace(left, right, 150), np.linspace(bottom, top, 150)
    # mean((w x + b - y)^2) is expanded, so that no array (150, 150, N) is needed.
    w, b = np.meshgrid(across, up)
    error = (
        w**2 * np.mean(x * x) + b**2 + np.mean(y * y) + 2 * (w * b * np.mean(x) - w * np.mean(x * y) - b * np.mean(y))
    )
    least = np.mean((best[0] * x + best[1] - y) ** 2)
    levels = np.geomspace(max(least * 1.01, error.max() * 1e-6), error.max(), 14)
    shades = ax.contourf(w, b, np.maximum(error, levels[0]), levels=levels, norm="log", cmap="Blues_r")
    ax.contour(w, b, error, levels=levels, colors="white", linewidths=0.5)
    ax.plot(weights, biases, color=VERMILLION, linewidth=1.6, label="path of training")
    ax.plot(weights[:1], biases[:1], color=VERMILLION, marker="o", markersize=7, linestyle="", label="start")
    ax.plot(weights[-1:], biases[-1:], color=VERMILLION, marker="s", markersize=6, linestyle="", label="end")
    ax.plot(*best, color=BLACK, marker="*", markersize=12, linestyle="", label="least loss")
    bar = figure.colorbar(shades, ax=ax, pad=0.02)
    bar.set_label("mean squared error (logarithmic)", fontsize=10)
    bar.ax.yaxis.set_major_locator(LogLocator())
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=9)
    label(ax, "weight", "bias")
    ax.legend(fontsize=9, loc="best", framealpha=0.9, edgecolor=GREY)
    title(ax, "The way down the loss surface")
    return figure


def least_squares(x: Values, y: Values) -> tuple[float, float]:
    """Return weight and bias of the line with the least mean squared error on points (N,)."""
    x, y = numbers(x), numbers(y)
    spread = np.mean((x - x.mean()) ** 2)
    weight = float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else 0.0
    return weight, float(y.mean() - weight * x.mean())


def _around(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.15 * (high - low) or 1.0
    return low - margin, high + margin


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:g}"
