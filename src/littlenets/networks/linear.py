"""Linear regression: y = weight * x + bias.

Shapes: N batch.
"""

from torch import Tensor, nn


class LinearRegression(nn.Module):
    """One weight and one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 1) to float32 (N, 1)."""
        return self.linear(x)

    def watched(self) -> dict[str, Tensor]:
        """What the history records of this network after every epoch, by name: tensors of one element."""
        return {"weight": self.linear.weight, "bias": self.linear.bias}
