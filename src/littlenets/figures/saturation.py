"""Compute the share of units whose gradient is close to zero. This module does not import matplotlib."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from .tracing import Layer

#: A unit is saturated on a sample if its gradient is below this share of the largest gradient that it can have.
SATURATED = 0.05

# Gradient as a share of the largest possible gradient, as a function of the output.
_GRADIENTS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda y: (y > 0).float(),
    nn.Tanh: lambda y: 1 - y * y,
    nn.Sigmoid: lambda y: 4 * y * (1 - y),
}


def activations(layers: Sequence[Layer]) -> list[Layer]:
    """Return the hidden ReLU, tanh and sigmoid layers: all but one at the very end, which gives the output."""
    return [layer for layer in layers[:-1] if type(layer.module) in _GRADIENTS and layer.output is not None]


def saturated_shares(layers: Sequence[Layer]) -> dict[str, float]:
    """Return the share of saturated units over all units and samples, for each hidden activation by number and kind."""
    shares = {}
    for number, layer in enumerate(activations(layers), start=1):
        gradient = _GRADIENTS[type(layer.module)](layer.output)
        shares[f"layer {number} ({type(layer.module).__name__})"] = (gradient < SATURATED).float().mean().item()
    return shares
