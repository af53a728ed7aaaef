"""Diagram of a network's layers with their input and output shapes and numbers of parameters."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import nn

from .style import GREY, PALE_BLUE, PALE_GREY, PALE_ORANGE, WIDTH, arrow, new_figure
from .tracing import Layer

# Maximum number of layers in a diagram that fits on a page; of more layers, the middle ones are left out.
MOST = 40
_BOX, _GAP = 0.36, 0.24


def diagram(name: str, input_shape: Sequence[int], layers: Sequence[Layer], total: int) -> Figure:
    """Draw, from top to bottom, the input, each layer in the order of calls, and the output.

    An arrow leads to a layer only if its input is the output of the layer above it.

    Args:
        name: name of the network.
        input_shape: shape of one sample.
        layers: layers as returned by ``tracing.trace``.
        total: number of the network's parameters; the diagram states how many of them do not belong to any layer.
    """
    shown: list[Layer | int] = list(layers)
    if len(layers) > MOST:
        shown = [*layers[: MOST // 2], len(layers) - MOST, *layers[len(layers) - MOST // 2 :]]
    elsewhere = total - sum(layer.parameters for layer in layers)
    notes = [f"{name}: {total:,} parameter{'s' * (total != 1)}"]
    if elsewhere:
        notes.append(f"{elsewhere:,} of them outside of the layers below")
    height = 0.67 + 0.2 * (len(notes) - 1) + len(shown) * (_BOX + _GAP) + 0.3
    figure = new_figure(height, constrained=False)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(0, height)
    ax.axis("off")
    for index, note in enumerate(notes):
        ax.text(0.15, height - 0.12 - 0.2 * index, note, fontsize=10.5 if not index else 9.5, va="top")
    left, wide = 0.3, 3.6
    middle = left + wide / 2
    at = height - 0.55 - 0.2 * (len(notes) - 1)
    ax.text(middle, at, f"input: {_shape(input_shape)}", ha="center", va="center", fontsize=9.5)
    at -= 0.12
    for layer in shown:
        if isinstance(layer, int) or layer.follows:
            arrow(ax, middle, at, at - _GAP)
        at -= _GAP + _BOX
        if isinstance(layer, int):
            ax.text(middle, at + _BOX / 2, f"… {layer} more layers …", ha="center", va="center", fontsize=9.5)
            continue
        ax.add_patch(
            FancyBboxPatch(
                *((left, at), wide, _BOX),
                boxstyle="round,pad=0,rounding_size=0.07",
                facecolor=_fill(layer.module),
                edgecolor=GREY,
                linewidth=0.8,
            )
        )
        ax.text(middle, at + _BOX / 2, describe(layer.module), ha="center", va="center", fontsize=9.5)
        if layer.again:
            ax.text(left + wide + 0.15, at + _BOX / 2, "used again", va="center", fontsize=9.5)
        elif layer.parameters:
            text = f"{layer.parameters:,} parameter{'s' * (layer.parameters != 1)}"
            ax.text(left + wide + 0.15, at + _BOX / 2, text, va="center", fontsize=9.5)
        shape = "no tensor" if layer.output is None else _shape(layer.output.shape[1:])
        if layer is shown[-1]:
            ax.text(middle, at - 0.14, f"output: {shape}", ha="center", va="center", fontsize=9.5)
        else:
            ax.text(middle + 0.1, at - 0.14, shape, ha="left", va="center", fontsize=9)
    return figure


def describe(module: nn.Module) -> str:
    """Return a description of a layer in one line of at most 44 characters."""
    kind = type(module).__name__
    if isinstance(module, nn.Linear):
        return f"{kind} {module.in_features:,} → {module.out_features:,}"
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        kernel = " × ".join(map(str, module.kernel_size))
        return f"{kind} {module.in_channels} → {module.out_channels}, {kernel}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        size = module.kernel_size
        return f"{kind} {' × '.join(map(str, size if isinstance(size, tuple) else (size, size)))}"
    settings = module.extra_repr().replace("inplace=True", "").replace("\n", " ")
    text = f"{kind} ({settings})" if settings and not isinstance(module, nn.Flatten) else kind
    return text if len(text) <= 44 else f"{text[:43]}…"


def _fill(module: nn.Module) -> str:
    if next(module.parameters(), None) is not None:
        return PALE_BLUE
    if type(module).__module__ == "torch.nn.modules.activation":
        return PALE_ORANGE
    return PALE_GREY


def _shape(shape: Sequence[int]) -> str:
    if len(shape) > 1:
        return " × ".join(f"{size:,}" for size in shape)
    count = shape[0] if shape else 1
    return f"{count:,} number{'s' * (count != 1)}"
