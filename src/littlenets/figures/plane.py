"""Figures of points in the plane, and of the class that a network predicts at each position.

Shapes: N points, H W pixels of a picture of the plane (the first row is the lowest), K classes.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from .style import (
    BLACK,
    WIDTH,
    class_colour,
    class_marker,
    frame_without_ticks,
    heading,
    label,
    new_figure,
    numbers,
    title,
)

#: Left, right, bottom and top of a region, in the units of the points.
Extent = tuple[float, float, float, float]

# Opacity of a class's colour in a region, at the lowest and at the highest confidence. Below 1, so that the points
# remain visible.
_PALEST, _STRONGEST = 0.08, 0.62


def extent_around(x: Tensor, margin: float = 0.15) -> Extent:
    """Return a square around points (N, 2), with a margin that is a fraction of its side."""
    low, high = x.amin(dim=0), x.amax(dim=0)
    middle, half = ((low + high) / 2).tolist(), (high - low).max().item() / 2 * (1 + margin)
    return (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)


def widened(extent: Extent, times: float) -> Extent:
    """Return the region with the same centre and with each side multiplied by ``times``."""
    left, right, bottom, top = extent
    across, up = (right - left) * (times - 1) / 2, (top - bottom) * (times - 1) / 2
    return (left - across, right + across, bottom - up, top + up)


def grid(extent: Extent, side: int) -> Tensor:
    """Return the centres of side x side pixels, float32 (side, side, 2)."""
    left, right, bottom, top = extent
    steps = (torch.arange(side) + 0.5) / side
    x, y = left + (right - left) * steps, bottom + (top - bottom) * steps
    return torch.stack([x.expand(side, side), y[:, None].expand(side, side)], dim=2)


def points(x: Tensor, y: Tensor, classes: int, extent: Extent, text: str) -> Figure:
    """Draw points (N, 2) with labels int64 (N,); each class has its own colour and marker."""
    figure = new_figure(5.4)
    ax = figure.subplots()
    _plot_points(ax, x, y, classes, size=3.0)
    _plane(ax, extent)
    ax.legend(fontsize=9.5, loc="upper right", markerscale=2, framealpha=0.9)
    title(ax, text)
    return figure


def regions(
    probabilities: Tensor, extent: Extent, x: Tensor, y: Tensor, text: str, data_extent: Extent | None = None
) -> Figure:
    """Draw the most probable class at each position, with more colour for more confidence, and points on top.

    Args:
        probabilities: probabilities (H, W, K) of the classes at each pixel.
        extent: region of the plane that the pixels cover.
        x: points (N, 2).
        y: labels of the points, int64 (N,).
        text: title of the figure.
        data_extent: region of the training data, drawn as a frame to show how far outside the rest lies; None: no
            frame.
    """
    # Set the positions of the axes explicitly: computing a layout takes as long as drawing, and an animation has a
    # dozen of these figures.
    height = 5.1
    figure = new_figure(height, constrained=False)
    ax = figure.add_axes((0.58 / WIDTH, 0.46 / height, 4.36 / WIDTH, 4.36 / height))
    scale = figure.add_axes((5.08 / WIDTH, 0.46 / height, 0.36 / WIDTH, 4.36 / height))
    classes = probabilities.shape[2]
    ax.imshow(region_colours(probabilities), extent=extent, origin="lower", interpolation="nearest")
    _plot_points(ax, x, y, classes, size=2.6 if data_extent is None else 1.2)
    if data_extent is not None:
        left, right, bottom, top = data_extent
        ax.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor=BLACK, linewidth=1.2))
        ax.text(left, top, "trained inside ", fontsize=9.5, va="bottom", ha="left")
    _plane(ax, extent)
    _confidence_scale(scale, classes)
    title(ax, text)
    return figure


def moments(epochs: Sequence[int], probabilities: Sequence[Tensor], extent: Extent, x: Tensor, y: Tensor) -> Figure:
    """Draw the regions after several numbers of epochs side by side, with few and small points for orientation.

    Args:
        epochs: numbers of epochs; 0 is before training.
        probabilities: for each of them, the probabilities (H, W, K) of the classes at each pixel.
        extent: region of the plane that the pixels cover.
        x: points (N, 2).
        y: labels of the points, int64 (N,).
    """
    columns = min(4, len(epochs))
    rows = -(-len(epochs) // columns)
    gap, top = 0.22, 0.3
    cell = (WIDTH - 0.1) / columns - 0.08
    height = top + rows * (cell + gap) + 0.05
    figure = new_figure(height, constrained=False)
    few = slice(None, None, max(1, len(x) // 400))
    for index, (epoch, values) in enumerate(zip(epochs, probabilities, strict=True)):
        row, column = divmod(index, columns)
        left, bottom = 0.09 + column * (cell + 0.08), height - top - (row + 1) * (cell + gap)
        ax = figure.add_axes((left / WIDTH, bottom / height, cell / WIDTH, cell / height))
        ax.imshow(region_colours(values), extent=extent, origin="lower", interpolation="nearest")
        _plot_points(ax, x[few], y[few], values.shape[2], size=0.9)
        ax.set_xlim(extent[:2])
        ax.set_ylim(extent[2:])
        frame_without_ticks(ax)
        ax.set_title(_after(epoch), fontsize=9, pad=3)
    heading(figure, "The regions during training", left=0.09, above=0.08)
    return figure


def region_colours(probabilities: Tensor) -> np.ndarray:
    """Return red, green and blue (H, W, 3): the colour of the most probable of K classes.

    The colour is paler where the class is less probable.
    """
    classes = probabilities.shape[-1]
    confidence, winner = probabilities.max(dim=-1)
    palette = np.array([class_colour(k, classes) for k in range(classes)])  # (K, 3)
    return _shaded(palette[winner.cpu().numpy()], numbers(confidence)[..., None], classes)


def _shaded(colour: np.ndarray, confidence: np.ndarray, classes: int) -> np.ndarray:
    certainty = (confidence - 1 / classes) / (1 - 1 / classes)  # 0: all classes are equally probable; 1: certainty
    amount = _PALEST + (_STRONGEST - _PALEST) * np.clip(certainty, 0, 1)
    return 1 - amount * (1 - colour)


def _after(epoch: int) -> str:
    return f"epoch {epoch:,}" if epoch else "before training"


def _plot_points(ax: Axes, x: Tensor, y: Tensor, classes: int, size: float) -> None:
    for k in range(classes):
        of_class = numbers(x[y == k])
        ax.plot(
            *(of_class[:, 0], of_class[:, 1]),
            color=np.array(class_colour(k, classes)) * 0.8,
            linestyle="",
            marker=class_marker(k),
            markersize=size,
            markeredgewidth=0,
            label=f"class {k}",
        )


def _plane(ax: Axes, extent: Extent) -> None:
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    ax.set_aspect("equal")
    label(ax, "x", "y")


def _confidence_scale(ax: Axes, classes: int) -> None:
    """Draw one column per class, from equal probabilities at the bottom to certainty at the top."""
    levels = np.linspace(1 / classes, 1, 100)
    picture = np.empty((100, classes, 3))
    for row, k in product(range(100), range(classes)):
        picture[row, k] = _shaded(np.array(class_colour(k, classes)), levels[row], classes)
    ax.imshow(picture, extent=(-0.5, classes - 0.5, 100 / classes, 100), origin="lower", aspect="auto")
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    label(ax, "class", "probability of the class shown (%)")
    ax.spines[:].set_visible(False)
    ax.set_xticks(range(classes) if classes <= 4 else [])
