"""Classify points of two spiral arms, with the probability that a point belongs to the second.

Shapes: N batch.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from .layers import Activation, linear_stack


class SpiralNet(nn.Module):
    """Linear layers with a sigmoid at the end, by default 2-64-64-1.

    Args:
        hidden: sizes of the hidden layers.
        activation: activation function between the layers.
    """

    def __init__(self, hidden: Sequence[Count] = (64, 64), activation: Activation = "relu") -> None:
        super().__init__()
        self.layers = nn.Sequential(*linear_stack([2, *hidden, 1], activation), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, float32 (N, 1), for points, float32 (N, 2)."""
        return self.layers(x)
