"""Common style of the figures, and helper functions.

The figures are legible when shown 600 pixels wide or printed 15 cm wide, and can be read without distinguishing red
from green.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

# Width in inches: about the width of a page's text, and 600 pixels at 100 dots per inch.
WIDTH = 6.0
# Dots per inch: sharp on a high-resolution screen, and sufficient on paper.
DPI = 150

# Okabe and Ito 2008, Color Universal Design: colours that colour-blind readers can distinguish too.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#6E6E6E", "#D9D9D9"
PALE_GREY, PALE_BLUE, PALE_ORANGE = "#E6E6E6", "#CFE3F1", "#FAE7BF"

# Neighbouring colours also differ in brightness, for printing without colours.
_CLASSES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, BLACK)
_MARKERS = "os^Dv<>P"

#: Colour map from negative over zero to positive numbers; NaN is grey, because zero is white.
DIVERGING = LinearSegmentedColormap.from_list("diverging", [VERMILLION, "#FFFFFF", BLUE]).with_extremes(bad="#8C8C8C")

Values = Sequence[float] | Tensor


def class_colour(label: int, classes: int) -> tuple[float, float, float]:
    """Return red, green and blue, in 0..1, of one of ``classes`` classes."""
    if classes <= len(_CLASSES):
        return to_rgb(_CLASSES[label])
    return to_rgb(matplotlib.colormaps["viridis"](label / (classes - 1)))


def class_marker(label: int) -> str:
    """Return the marker of a class; the first eight classes have different markers."""
    return _MARKERS[label % len(_MARKERS)]


def new_figure(height: float, constrained: bool = True) -> Figure:
    """Return a white figure, ``WIDTH`` inches wide and ``height`` inches high."""
    return Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout="constrained" if constrained else None)


def title(ax: Axes, text: str) -> None:
    """Set the title of the axes."""
    ax.set_title(text, fontsize=10.5, loc="left")


def heading(figure: Figure, text: str, left: float = 0.1, above: float = 0.1) -> None:
    """Write a title for all axes at the top left, ``left`` and ``above`` inches from the edges."""
    figure.text(left / WIDTH, 1 - above / figure.get_figheight(), text, fontsize=10.5, va="top")


def label(ax: Axes, x: str, y: str) -> None:
    """Label both axes, reduce the size of the tick labels and hide the top and right borders."""
    ax.set_xlabel(x, fontsize=10)
    ax.set_ylabel(y, fontsize=10)
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def legend(ax: Axes) -> None:
    """Draw the legend beside the title, where it hides nothing.

    Searching for free space among many points would take seconds.
    """
    columns = len(ax.get_legend_handles_labels()[0])
    ax.legend(
        fontsize=9.5,
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 0.99),
        borderaxespad=0,
        ncols=columns,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def epoch_axis(ax: Axes, epochs: Values) -> None:
    """Format an axis of epochs: whole numbers with thousands separators."""
    ax.set_xlabel("epoch", fontsize=10)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    first, last = min(numbers(epochs)), max(numbers(epochs))
    margin = 0.02 * (last - first) or 0.5
    ax.set_xlim(first - margin, last + margin)


def logarithmic_epochs(ax: Axes, first: float, last: float) -> None:
    """Make an axis of epochs logarithmic; linear below 1, if it begins before that."""
    if first > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=1)
    ax.set_xlim(first, last)
    ax.set_xlabel("epoch (logarithmic)", fontsize=10)
    ax.xaxis.set_major_formatter("{x:,.0f}")


def grid(ax: Axes, axis: str = "y") -> None:
    """Draw pale grid lines behind everything else."""
    ax.grid(axis=axis, color=PALE_GREY, linewidth=0.8)
    ax.set_axisbelow(True)


def arrow(ax: Axes, x: float, start: float, end: float, coordinates: str = "data") -> None:
    """Draw a vertical arrow."""
    style = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    places = {"xycoords": coordinates, "textcoords": coordinates, "annotation_clip": False}
    ax.annotate("", (x, end), (x, start), arrowprops=style, **places)


def frame_without_ticks(ax: Axes) -> None:
    """Remove the ticks and draw a thin grey frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_edgecolor(GREY)
        spine.set_linewidth(0.6)


def numbers(values: Values) -> np.ndarray:
    """Return the values as a float64 array on the CPU."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    return np.asarray(torch.as_tensor(values, dtype=torch.float64))


def mosaic(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Arrange tiles (n, h, w) row by row in one picture; gaps and missing tiles of the last row are NaN."""
    count, height, width = tiles.shape
    rows = -(-count // columns)
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture
