"""Figures about the saturation of activations: the functions with their gradients, and saturated units in training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from .saturation import SATURATED
from .style import (
    BLUE,
    ORANGE,
    PALE_GREY,
    Values,
    class_colour,
    class_marker,
    epoch_axis,
    grid,
    label,
    logarithmic_epochs,
    new_figure,
    numbers,
    title,
)


def functions() -> Figure:
    """Draw ReLU, tanh and sigmoid with their gradients; shade the ranges where the gradient is close to zero."""
    x = np.linspace(-6, 6, 601)
    sigmoid = 1 / (1 + np.exp(-x))
    curves = {
        "ReLU": (np.maximum(x, 0), (x > 0).astype(float)),
        "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
        "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
    }
    figure = new_figure(2.9)
    for ax, (name, (value, gradient)) in zip(figure.subplots(1, 3), curves.items(), strict=True):
        saturated = gradient < SATURATED * gradient.max()
        ax.fill_between(x, -1.2, 2.2, where=saturated, color=PALE_GREY, linewidth=0, label="saturated")
        ax.plot(x, value, color=BLUE, linewidth=1.8, label="function")
        ax.plot(x, gradient, color=ORANGE, linewidth=1.8, linestyle="--", label="gradient")
        label(ax, "input", "output" if name == "ReLU" else "")
        ax.set_xlim(-6, 6)
        ax.set_ylim(-1.2, 2.2)
        ax.set_xticks([-5, 0, 5])
        ax.set_yticks([-1, 0, 1, 2])
        grid(ax, axis="both")
        title(ax, name)
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9.5, frameon=False)
    return figure


def saturation(epochs: Values, shares: Mapping[str, Values]) -> Figure:
    """Draw the share of saturated units of each layer during training.

    A unit counts once for each sample on which its gradient is below a twentieth of the largest gradient that it can
    have.

    Args:
        epochs: numbers of epochs after which the shares were measured.
        shares: for each layer by name, the share 0..1 of units that are saturated after each of these numbers of
            epochs.
    """
    figure = new_figure(3.9)
    ax = figure.subplots()
    for index, (name, values) in enumerate(shares.items()):
        ax.plot(
            *(numbers(epochs), 100 * numbers(values)),
            color=class_colour(index, len(shares)),
            marker=class_marker(index),
            markersize=4.5,
            linewidth=1.5,
            label=name,
        )
    label(ax, "epoch", "units with no gradient to speak of (%)")
    epoch_axis(ax, epochs)
    if max(epochs) > 20:
        logarithmic_epochs(ax, -0.2, 1.3 * max(epochs))
    ax.set_ylim(-3, 103)
    grid(ax)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9.5, frameon=False)
    title(ax, "Saturated units during training")
    return figure
