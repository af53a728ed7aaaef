"""Multiclass classification with one logit for each class.

Shapes: N batch, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

from .base import SupervisedModule


class MulticlassClassification(SupervisedModule):
    """Multiclass classification: cross entropy of logits, float32 (N, K), and labels, int64 (N,)."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if output.is_cpu:
            # A softmax over rows of three numbers is computed number by number, over columns it is vectorized, which
            # saves a twentieth of a step of `multispiral`. Otherwise this is the same as F.cross_entropy.
            return F.nll_loss(output.t().contiguous().log_softmax(dim=0).t(), target)
        return F.cross_entropy(output, target)

    def measure(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"acc": (output.argmax(dim=1) == target).count_nonzero()}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        return {"class": output.argmax(dim=1), "probabilities": output.softmax(dim=1)}

    def check(self, output: Tensor, classes: int | None) -> str | None:
        if classes is None:
            return "it tells classes apart, the data has numbers to predict"
        if output.shape[1:] != (classes,):
            return f"it gives {tuple(output.shape[1:])} a sample, the data has {classes} classes"
        return None
