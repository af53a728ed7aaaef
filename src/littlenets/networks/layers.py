"""What several networks are built of."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "tanh", "sigmoid"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place, since nothing needs what went into it: a twentieth off a step of `spiral`.
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Linear(nn.Linear):
    """`torch.nn.Linear`, faster to train where it has fewer inputs than outputs.

    It computes with a copy of the weight in the other order in memory. The gradient of that is a matrix product of a
    shape that the library is four times as fast at, which is a tenth of a step of `spiral`.
    """

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.t().contiguous().t() if self.in_features < self.out_features else self.weight
        return F.linear(x, weight, self.bias)


def linear_stack(sizes: Sequence[int], activation: Activation) -> list[nn.Module]:
    """Linear layers from ``sizes[0]`` inputs to ``sizes[-1]`` outputs, with ``activation`` between them (not after)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Linear(inputs, outputs), ACTIVATIONS[activation]()]
    return layers[:-1]
