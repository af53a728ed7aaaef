"""Figures of a convolutional network: the kernels of its first layer, and the feature maps of one picture.

Shapes: C channels, H W pixels, K classes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from .images import picture, shortened
from .style import (
    BLUE,
    DIVERGING,
    LIGHT_GREY,
    WIDTH,
    arrow,
    frame_without_ticks,
    heading,
    mosaic,
    new_figure,
    numbers,
)

# Maximum number of kernels or maps in a figure; more would be too small to see.
MOST = 128


def kernels(weight: Tensor) -> Figure:
    """Draw the kernels (n, 1, H, W) of a convolution of one channel, or (n, 3, H, W) of red, green and blue."""
    values = numbers(weight[:MOST])
    count, channels = values.shape[:2]
    columns = min(8, count)
    rows = -(-count // columns)
    tile = (WIDTH - 0.2) / columns
    height = rows * tile + 0.85
    figure = new_figure(height, constrained=False)
    ax = figure.add_axes((0.1 / WIDTH, 0.45 / height, (WIDTH - 0.2) / WIDTH, rows * tile / height))
    # Draw each weight as a block of pixels, so that the gap between kernels can be narrower than a weight.
    blocks = values.repeat(6, axis=2).repeat(6, axis=3)
    pictures = [mosaic(blocks[:, channel], columns, gap=2) for channel in range(channels)]
    largest = np.abs(values).max() or 1.0
    if channels == 1:
        shades = ax.imshow(np.ma.masked_invalid(pictures[0]), cmap=DIVERGING, vmin=-largest, vmax=largest)
        scale = figure.add_axes((0.35 / WIDTH, 0.25 / height, 2.0 / WIDTH, 0.12 / height))
        bar = figure.colorbar(
            shades, cax=scale, orientation="horizontal", ticks=[-largest, 0, largest], format="{x:.2g}"
        )
        bar.ax.tick_params(labelsize=8, pad=1, length=2)
        bar.outline.set_linewidth(0.5)
        figure.text(2.6 / WIDTH, 0.25 / height, "weight", fontsize=9.5)
    else:
        ax.imshow(np.nan_to_num((np.stack(pictures, axis=2) / largest + 1) / 2, nan=0.55))
    frame_without_ticks(ax)
    shown = f"{len(weight):,} kernels" if len(weight) == count else f"first {count} of {len(weight):,} kernels"
    heading(figure, f"The {shown} of the first layer, {values.shape[2]} × {values.shape[3]} weights each")
    return figure


def feature_maps(
    image: Tensor,
    steps: Sequence[tuple[str, Tensor]],
    probabilities: Tensor,
    names: Sequence[str] | None = None,
) -> Figure:
    """Draw a picture, the output of each layer for it, and the probabilities of the classes.

    Args:
        image: picture (C, H, W).
        steps: name of each layer and its output: maps (C, H, W) or a row of numbers (n,).
        probabilities: probability of each class, (K,).
        names: names of the classes; None if they have only numbers.
    """
    indent, inner = 1.62, WIDTH - 1.72
    rows: list[tuple[str, np.ndarray | None, float]] = []
    for name, output in steps:
        values = numbers(output)
        if values.ndim == 3:
            text = f"{name}\n{len(values)} maps of {values.shape[1]} × {values.shape[2]}"
            shown = mosaic(values[:MOST], min(16, len(values)), gap=1)
        else:
            values = values.reshape(-1)
            text = f"{name}\n{len(values):,} numbers"
            shown = mosaic(values[: 4 * MOST].reshape(-1, 1, 1), min(32, len(values)), gap=0)
        rows.append((text, shown, min(inner * shown.shape[0] / shown.shape[1], 1.6)))
    gap, top = 0.2, 0.38
    height = top + 0.85 + sum(high for *_, high in rows) + 0.85 + gap * (len(rows) + 2)
    figure = new_figure(height, constrained=False)
    at = height - top - 0.85
    ax = figure.add_axes((indent / WIDTH, at / height, 0.85 / WIDTH, 0.85 / height))
    ax.imshow(picture(image), cmap="gray_r", interpolation="nearest")
    frame_without_ticks(ax)
    size = f"{image.shape[1]} × {image.shape[2]} pixels"
    figure.text(0.1 / WIDTH, (at + 0.425) / height, f"input\n{size}", fontsize=9, va="center")
    for text, shown, high in rows:
        arrow(figure.axes[0], (indent + 0.425) / WIDTH, at / height, (at - gap) / height, "figure fraction")
        at -= gap + high
        wide = high * shown.shape[1] / shown.shape[0]
        ax = figure.add_axes((indent / WIDTH, at / height, min(wide, inner) / WIDTH, high / height))
        ax.imshow(np.ma.masked_invalid(shown), cmap="viridis", interpolation="nearest", aspect="auto")
        frame_without_ticks(ax)
        figure.text(0.1 / WIDTH, (at + high / 2) / height, text, fontsize=9, va="center")
    arrow(figure.axes[0], (indent + 0.425) / WIDTH, at / height, (at - gap) / height, "figure fraction")
    at -= gap + 0.6
    ax = figure.add_axes((indent / WIDTH, at / height, inner / WIDTH, 0.6 / height))
    classes = len(probabilities)
    values = numbers(probabilities)
    ax.bar(range(classes), values, color=BLUE, width=0.7)
    for k, value in enumerate(values):
        if value >= 0.01:
            ax.annotate(
                f"{100 * value:.0f}%", (k, value), ha="center", va="bottom", fontsize=8.5, annotation_clip=False
            )
    ax.set_ylim(0, 1.3)
    ax.set_xlim(-0.6, classes - 0.4)
    ax.set_yticks([])
    ax.set_xticks(range(classes) if classes <= 20 else [])
    ax.tick_params(labelsize=9, length=0)
    if names is not None and classes <= 20:
        ax.set_xticks(range(classes), map(shortened, names), fontsize=6.5, rotation=20, ha="right")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(LIGHT_GREY)
    figure.text(0.1 / WIDTH, (at + 0.3) / height, f"probabilities of\n{classes} classes", fontsize=9, va="center")
    heading(figure, "One picture, step by step through the network")
    return figure
