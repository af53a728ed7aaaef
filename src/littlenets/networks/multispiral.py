"""Classify points of three or more spiral arms, with one logit for each arm.

Shapes: N batch, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from .layers import Activation, linear_stack


class MultiSpiralNet(nn.Module):
    """Linear layers, by default 2-64-64-K.

    Args:
        classes: number of classes K.
        hidden: sizes of the hidden layers.
        activation: activation function between the layers.
    """

    def __init__(self, classes: Count = 3, hidden: Sequence[Count] = (64, 64), activation: Activation = "relu") -> None:
        super().__init__()
        self.layers = nn.Sequential(*linear_stack([2, *hidden, classes], activation))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, float32 (N, K), for points, float32 (N, 2)."""
        return self.layers(x)
