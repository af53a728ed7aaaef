"""Two spiral arms: the probability that a point belongs to the second.

Shapes: N batch.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from .layers import Activation, linear_stack


class SpiralNet(nn.Module):
    """Linear layers 2-64-64-1 with a sigmoid at the end."""

    def __init__(self, hidden: Sequence[Count] = (64, 64), activation: Activation = "relu") -> None:
        super().__init__()
        self.layers = nn.Sequential(*linear_stack([2, *hidden, 1], activation), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Points, float32 (N, 2), to probabilities, float32 (N, 1)."""
        return self.layers(x)
