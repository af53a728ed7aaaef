"""Weight the loss of each process when the parts of a batch differ in size."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ..modules import SupervisedModule


class Shares(Callback):
    """Callback that gives every sample of a batch the same weight.

    The gradients of all processes are averaged, so the loss of a larger part needs a larger weight.
    """

    def __init__(self) -> None:
        self._weight = 1.0

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None (no limit): several processes never run ahead."""

    batches_until_due = epochs_until_due

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._weight = 1.0
        if trainer.world_size > 1:
            weight = getattr(getattr(trainer.train_dataloader, "sampler", None), "weight_of_batch", None)
            self._weight = 1.0 if weight is None else weight(batch_idx)
            if isinstance(pl_module, SupervisedModule):
                pl_module.records.counts = self._weight > 0

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self._weight != 1 and loss.requires_grad:
            loss.register_hook(self._weigh)

    def _weigh(self, gradient: Tensor) -> Tensor:
        return gradient * self._weight
