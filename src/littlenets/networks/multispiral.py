"""Three or more spiral arms: a logit for each.

Shapes: N batch, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from .layers import Activation, linear_stack


class MultiSpiralNet(nn.Module):
    """Linear layers 2-64-64-K."""

    def __init__(self, classes: Count = 3, hidden: Sequence[Count] = (64, 64), activation: Activation = "relu") -> None:
        super().__init__()
        self.layers = nn.Sequential(*linear_stack([2, *hidden, classes], activation))

    def forward(self, x: Tensor) -> Tensor:
        """Points, float32 (N, 2), to logits, float32 (N, K)."""
        return self.layers(x)
