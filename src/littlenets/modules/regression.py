"""Regression with mean squared error.

Shapes: N batch.
"""

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError

from .base import SupervisedModule


class Regression(SupervisedModule):
    """Regression: the loss is the mean squared error; the metric ``mae`` is the mean absolute error, in units of y."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(output, target)

    def metrics(self) -> dict[str, nn.Module]:
        return {"mae": MeanAbsoluteError()}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        return {"y": output}

    def check(self, output: Tensor, classes: int | None) -> str | None:
        return None if classes is None else f"it predicts a number, the data has {classes} classes"
