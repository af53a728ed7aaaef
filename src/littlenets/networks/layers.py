"""Layers and activation functions used by several networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

Activation = Literal["relu", "tanh", "sigmoid"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def linear_stack(sizes: Sequence[int], activation: Activation) -> list[nn.Module]:
    """Return linear layers from ``sizes[0]`` inputs to ``sizes[-1]`` outputs, with ``activation`` between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    return layers[:-1]
