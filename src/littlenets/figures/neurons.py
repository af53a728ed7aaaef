"""Figure of each hidden neuron's output over the plane, as in TensorFlow's Playground.

https://playground.tensorflow.org
"""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from .plane import Extent
from .style import DIVERGING, WIDTH, frame_without_ticks, heading, mosaic, new_figure, numbers

# Maximum number of neurons in a figure; more would be too small to see.
MOST = 128


def neurons(responses: Tensor, extent: Extent, layer: str) -> Figure:
    """Draw the output of each neuron of a layer over the plane, scaled by the neuron's largest absolute output.

    Args:
        responses: outputs (n, H, W) of the n neurons; the first of the H rows is the lowest.
        extent: region of the plane that the responses cover.
        layer: name of the layer.
    """
    count = len(responses)
    shown = numbers(responses[:MOST])
    largest = np.abs(shown).max(axis=(1, 2), keepdims=True)
    silent = int((largest == 0).sum())
    tiles = np.divide(shown, largest, out=np.zeros_like(shown), where=largest > 0)
    columns = 8 if len(shown) <= 64 else 16
    columns = min(columns, len(shown))
    # Reverse the rows, since the first row of a picture is the highest.
    picture = np.ma.masked_invalid(mosaic(tiles[:, ::-1], columns, gap=max(2, tiles.shape[2] // 16)))
    rows, wide = picture.shape
    side = WIDTH - 0.2
    height = side * rows / wide + 0.85
    figure = new_figure(height, constrained=False)
    ax = figure.add_axes((0.1 / WIDTH, 0.38 / height, side / WIDTH, (height - 0.85) / height))
    shades = ax.imshow(picture, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    frame_without_ticks(ax)
    text = f"{layer}: what each of {count:,} neurons responds to"
    if silent:
        text += f" ({silent} to nothing here)"
    if count > len(shown):
        text += f"; the first {len(shown)}"
    heading(figure, text)
    left, right, bottom, top = extent
    figure.text(
        0.1 / WIDTH,
        0.12 / height,
        f"Each tile: x {left:.0f} to {right:.0f}, y {bottom:.0f} to {top:.0f}",
        fontsize=9,
    )
    scale = figure.add_axes((3.75 / WIDTH, 0.2 / height, 1.0 / WIDTH, 0.1 / height))
    bar = figure.colorbar(shades, cax=scale, orientation="horizontal", ticks=[])
    bar.outline.set_linewidth(0.5)
    figure.text(3.7 / WIDTH, 0.16 / height, "negative", fontsize=9, ha="right")
    figure.text(4.8 / WIDTH, 0.16 / height, "own maximum", fontsize=9)
    return figure
