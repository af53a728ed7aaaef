"""Two classes: one probability.

Shapes: N batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..sharing import sample_by_sample
from .base import SupervisedModule
from .optimization import Schedule


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of probabilities and labels, both float (N, 1); NaN where an output is NaN or infinite.

    Weights that have left all bounds are no fault of the program but a divergence like any other, and torch's own
    function, which refuses what is no probability, would make an error of it; on a GPU an assertion in the kernel,
    after which the process cannot use the device again.

    Raises:
        RuntimeError: an output is a number beyond 0 and 1.
    """
    if not output.is_cpu:
        # Nothing here waits for the device.
        lost = ~output.isfinite()
        return F.binary_cross_entropy(output.masked_fill(lost, 0.5), target) + (0 * output).sum()
    try:
        return F.binary_cross_entropy(output, target)
    except RuntimeError:
        if output.isfinite().all():
            raise
        return output.sum() * torch.nan


LOSSES = {"bce": cross_entropy, "mse": F.mse_loss}


class BinaryClassification(SupervisedModule):
    """For networks that give the probability of class 1, float32 (N, 1); labels are int64 (N,), 0 or 1.

    Args:
        loss: ``bce`` is binary cross entropy; ``mse`` the mean squared difference of probability and label, which
            learns slower where the sigmoid is saturated.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | Schedule | None = None,
        loss: Literal["bce", "mse"] = "bce",
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        self._loss = LOSSES[loss]

    def target(self, y: Tensor) -> Tensor:
        return y.to(torch.promote_types(self.dtype, torch.float32)).unsqueeze(1)  # (N, 1)

    @sample_by_sample
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return self._loss(output, target)

    def measure(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"acc": (output.round() == target).count_nonzero()}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        one = output.flatten()  # (N,)
        return {"class": one.round().long(), "probabilities": torch.stack([1 - one, one], dim=1)}

    def check(self, output: Tensor, classes: int | None) -> str | None:
        if classes != 2:
            return f"it tells two classes apart, the data has {classes or 'no'} classes"
        if output.shape[1:] != (1,):
            return f"one probability a sample is needed, it gives {tuple(output.shape[1:])}"
        return None
