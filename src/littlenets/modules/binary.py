"""Binary classification with one probability for each sample.

Shapes: N batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .base import SupervisedModule
from .optimization import Schedule


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross entropy of probabilities and labels, both float (N, 1); NaN if an output is not finite.

    Diverged weights are not a program error. torch's own function raises an error for values that are not
    probabilities; on a GPU the kernel fails with an assertion, after which the process cannot use the device again.

    Raises:
        RuntimeError: an output is finite but not between 0 and 1.
    """
    if not output.is_cpu:
        # Without conditions on tensor values, since evaluating those would wait for the device.
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
    """Binary classification for networks that return the probability of class 1, float32 (N, 1).

    Labels are int64 (N,), 0 or 1.

    Args:
        network: maps inputs (N, ...) to probabilities (N, 1).
        optimizer: builds the optimizer from parameters.
        scheduler: builds the learning rate scheduler from the optimizer, stepped every epoch; or a `Schedule`.
        loss: ``bce`` is binary cross entropy; ``mse`` is the mean squared difference of probability and label, which
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
