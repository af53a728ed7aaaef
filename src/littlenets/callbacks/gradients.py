"""Callback that records the gradient norm and histograms of weights and gradients."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn.utils import get_total_norm

from ..errors import SettingError
from ..trainer_attributes import declared
from .epoch_counts import planned_epochs

# A histogram takes about 1 ms per weight matrix, and TensorBoard does not show more of them well.
HISTOGRAMS_A_RUN = 12
# For runs of unknown length.
EPOCHS_BETWEEN_HISTOGRAMS = 100


class Gradients(Callback):
    """Record the gradient norm, and log histograms of weights and gradients to TensorBoard. Both are off by default.

    The gradients are those of the last batch of an epoch.

    Args:
        norm: whether to record ``gradient_norm``, the Euclidean norm of all gradients together, in the history.
        histograms: whether to log to TensorBoard the weights before training, and weights and gradients about 12
            times in a run.
    """

    def __init__(self, norm: bool = False, histograms: bool = False) -> None:
        self.norm, self.histograms = norm, histograms
        self._every: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self._loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if self.histograms and not self._loggers and not declared(trainer).fast_dev_run:
            raise SettingError("histograms=true: histograms are for TensorBoard, so set logger=tensorboard as well.")

    def watched(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Tensor]:
        """Return the quantities to record at the end of an epoch: ``gradient_norm`` if `norm` is set."""
        return {"gradient_norm": _norm(pl_module)} if self.norm else {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.histograms:
            return
        epochs = planned_epochs(trainer)
        self._every = EPOCHS_BETWEEN_HISTOGRAMS if epochs is None else max(1, epochs // HISTOGRAMS_A_RUN)
        if trainer.current_epoch == 0:
            self._draw(0, pl_module)

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Return how many epochs after the current one can be trained without this callback; None: any number."""
        return None if self._every is None else -(trainer.current_epoch + 1) % self._every

    def batches_until_due(self, trainer: Trainer) -> None:
        """Return None: the fast path for batches never includes the last batch of an epoch, which is the one needed."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Not in on_train_epoch_end: a validation runs before it and clears the gradients.
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
                # NaN and infinity cannot be counted in a histogram.
                finite = tensor.detach()[tensor.isfinite()]
                if len(finite):
                    logger.experiment.add_histogram(tag, finite.float(), epoch)


def _norm(module: LightningModule) -> Tensor:
    gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
    return get_total_norm(gradients) if gradients else torch.zeros((), device=module.device)
