"""Linear regression: y = weight * x + bias.

Shapes: N batch.
"""

from torch import Tensor, nn


class LinearRegression(nn.Module):
    """Linear regression with one weight and one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions, float32 (N, 1), for inputs, float32 (N, 1)."""
        return self.linear(x)

    def watched(self) -> dict[str, Tensor]:
        """Return the tensors of one element to record in the history after every epoch, by name."""
        return {"weight": self.linear.weight, "bias": self.linear.bias}
