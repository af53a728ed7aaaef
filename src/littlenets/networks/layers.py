"""What several networks are built of."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

Activation = Literal["relu", "tanh", "sigmoid"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place, since nothing needs what went into it: a twentieth off a step of `spiral`.
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def linear_stack(sizes: Sequence[int], activation: Activation) -> list[nn.Module]:
    """Linear layers from ``sizes[0]`` inputs to ``sizes[-1]`` outputs, with ``activation`` between them (not after)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        if inputs < outputs:
            # The same numbers in the other order in memory: the gradient of a weight for few inputs is then a matrix
            # product of a shape that the library is four times as fast at, which is a tenth of a step of `spiral`.
            linear.weight.data = linear.weight.data.t().contiguous().t()
        layers += [linear, ACTIVATIONS[activation]()]
    return layers[:-1]
