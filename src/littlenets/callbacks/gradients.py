"""What gradients and weights look like while a network trains, for those who ask."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn.utils import get_total_norm

from ..errors import SettingError
from .epoch_counts import planned_epochs

# Each takes about 1 ms a weight matrix, and TensorBoard shows no more of them well.
HISTOGRAMS_A_RUN = 12
# Where nobody knows how long a run will be.
EPOCHS_BETWEEN_HISTOGRAMS = 100


class Gradients(Callback):
    """Records the size of the gradients, or shows weights and gradients as histograms in TensorBoard; else nothing.

    The gradients are those of an epoch's last batch.

    Args:
        norm: whether ``gradient_norm``, the Euclidean length of all gradients together, becomes part of the history.
        histograms: whether TensorBoard gets the weights before training, and about 12 times both.
    """

    def __init__(self, norm: bool = False, histograms: bool = False) -> None:
        self.norm, self.histograms = norm, histograms
        self._every: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self._loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if self.histograms and not self._loggers and not trainer.fast_dev_run:
            raise SettingError("histograms=true: histograms are for TensorBoard, so set logger=tensorboard as well.")

    def watched(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Tensor]:
        """Return what is recorded at the end of an epoch."""
        return {"gradient_norm": _norm(pl_module)} if self.norm else {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.histograms:
            return
        epochs = planned_epochs(trainer)
        self._every = EPOCHS_BETWEEN_HISTOGRAMS if epochs is None else max(1, epochs // HISTOGRAMS_A_RUN)
        if trainer.current_epoch == 0:
            self._draw(0, pl_module)

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        return None if self._every is None else -(trainer.current_epoch + 1) % self._every

    def batches_until_due(self, trainer: Trainer) -> None:
        """An epoch's last batch comes by in any case."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Not at the epoch's end: a validation before it takes the gradients away.
        epoch = trainer.current_epoch + 1
        if self._every is not None and trainer.is_last_batch and epoch % self._every == 0:
            self._draw(epoch, pl_module)

    def _draw(self, epoch: int, module: LightningModule) -> None:
        tensors = {}
        for name, weight in getattr(module, "network", module).named_parameters():
            tensors[f"weights/{name}"] = weight
            if weight.grad is not None:
                tensors[f"gradients/{name}"] = weight.grad
        for logger in self._loggers:
            for tag, tensor in tensors.items():
                # What is infinite has no place in a histogram.
                finite = tensor.detach()[tensor.isfinite()]
                if len(finite):
                    logger.experiment.add_histogram(tag, finite.float(), epoch)


def _norm(module: LightningModule) -> Tensor:
    gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
    return get_total_norm(gradients) if gradients else torch.zeros((), device=module.device)
