"""Compute the layers of a network faster; outputs and gradients differ only by rounding.

Shapes: N batch, C channels, H W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .convolutions import convolve, is_plain_convolution, pooled_convolution
from .hooks import FasterForward, has_hooks, is_replaced

# Elementwise functions that never decrease, so that the maximum can be taken before or after them.
_MONOTONIC = {nn.ReLU, nn.Tanh, nn.Sigmoid}
# Layers that compute the same in any memory layout of their input (N, C, H, W).
_IN_ANY_LAYOUT = {nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d, nn.Flatten, nn.Identity}
_IN_ANY_LAYOUT |= {*_MONOTONIC, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU}
# Layers whose output is new memory that the backward pass does not need, so that ReLU can overwrite it.
_NEW_OUTPUT = {nn.Linear, nn.Conv2d, nn.MaxPool2d}


@contextmanager
def accelerated(network: nn.Module) -> Iterator[None]:
    """Compute layers of a network faster within the context.

    - In ``nn.Sequential``, convolutions use the memory layout channels last, max pooling comes before ReLU, tanh or
      sigmoid, the backward pass of a convolution with max pooling skips zero gradients, and ReLU works in place. Layers
      with hooks or a ``forward`` of their own, and traced or compiled networks, are computed layer by layer.
    - ``nn.Linear`` with fewer inputs than outputs uses a transposed copy of its weight.

    Subclasses are computed as usual. Parameters, state and classes of the layers stay the same; a layer only gets an
    attribute ``forward``, which is removed at the end.

    Args:
        network: the network, or a module that contains it.
    """
    changed = {}
    for layer in network.modules():
        forward = _FORWARDS.get(type(layer))
        # One that somebody else has set is kept.
        if forward is not None and "forward" not in vars(layer):
            layer.forward = changed[layer] = FasterForward(forward, layer)
    try:
        yield
    finally:
        for layer, forward in changed.items():
            # Somebody else may have replaced it meanwhile.
            if vars(layer).get("forward") is forward:
                del layer.forward


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    # For a weight that lies in memory in the other order, PyTorch computes the gradient by another matrix product, in a
    # quarter of the time for these shapes. This saves a tenth of a step of `spiral`.
    weight = layer.weight.t().contiguous().t() if layer.in_features < layer.out_features else layer.weight
    return F.linear(x, weight, layer.bias)


def _sequential(network: nn.Sequential, x: Any) -> Any:
    if not _runs_eagerly(x):
        return nn.Sequential.forward(network, x)
    layers, changed_layout = list(network), False
    while layers:
        if changed_layout and not _is(_IN_ANY_LAYOUT, layers, 0):
            # An unknown layer may need the layout that it would have had, to call `view` for example.
            x, changed_layout = x.contiguous(), False
        first = layers[0]
        if is_plain_convolution(first) and type(x) is Tensor and x.dim() == 4:
            # An input that is not contiguous is channels last already, and so would be the usual output.
            changed_layout = changed_layout or x.is_contiguous()
            x, count = _convolution(x, first, layers)
        else:
            x, count = first(x), 1
        if _is(_NEW_OUTPUT, layers, count - 1) and _is({nn.ReLU}, layers, count):
            x, count = x.relu_(), count + 1
        del layers[:count]
    return x.contiguous() if changed_layout else x


_FORWARDS: dict[type, Callable[..., Any]] = {nn.Linear: _linear, nn.Sequential: _sequential}


def _runs_eagerly(x: Any) -> bool:
    """Return whether x is a plain tensor, and the network is not traced, compiled or transformed."""
    return (
        type(x) is Tensor
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        # There is no public way to ask for torch.func's transformations.
        and not torch._C._are_functorch_transforms_active()
    )


def _convolution(x: Tensor, convolution: nn.Conv2d, layers: Sequence[nn.Module]) -> tuple[Tensor, int]:
    """Compute the first layer, ``convolution``, and the max pooling and activation after it, in either order.

    Returns:
        The output, and the number of layers that were computed.
    """
    activation = layers[1] if _is(_MONOTONIC, layers, 1) else None
    count = 2 if activation is None else 3
    pooling = layers[count - 1] if _is({nn.MaxPool2d}, layers, count - 1) else None
    if not isinstance(pooling, nn.MaxPool2d) or pooling.return_indices:
        return convolve(convolution, x), 1
    if activation is None and _is({nn.ReLU}, layers, count):
        activation, count = layers[count], count + 1
    relu = type(activation) is nn.ReLU
    x = pooled_convolution(x, convolution, pooling, relu)
    return x if relu or activation is None else activation(x), count


def _is(kinds: set[type], layers: Sequence[nn.Module], index: int) -> bool:
    """Return whether the layer at an index exists and computes, unobserved, what one of the classes computes."""
    if index >= len(layers) or type(layers[index]) not in kinds:
        return False
    return not (has_hooks(layers[index]) or is_replaced(layers[index]))
