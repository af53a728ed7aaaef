"""Callback that ends the training when the loss is NaN or infinite."""

import math
from collections.abc import Sequence

from pytorch_lightning import Callback, LightningModule, Trainer

from ..errors import DivergedError

COARSE = (
    "The likely reason is trainer.precision={}, whose numbers end at 65,504 and 0.00000006: try 32-true, or bf16-mixed."
)


class Divergence(Callback):
    """End the training as soon as ``train/loss``, the mean over an epoch, is not finite.

    Raises:
        DivergedError: ``train/loss`` is not finite.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: epochs trained on the fast path are checked by `check`."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None:
            coarse = trainer.precision in ("16-true", "16-mixed")
            advice = COARSE.format(trainer.precision) if coarse else "Lower optimizer.lr."
            self.check([loss.item()], trainer.current_epoch + 1, advice)

    @staticmethod
    def whole_rows(losses: Sequence[float]) -> int:
        """Return the number of epochs to record: all up to and including the first whose loss is not finite."""
        return next((index + 1 for index, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))

    def check(self, losses: Sequence[float], first_epoch: int, advice: str = "Lower optimizer.lr.") -> None:
        """Raise an error if a loss is not finite.

        Args:
            losses: one loss per epoch.
            first_epoch: the number of the first of these epochs.
            advice: a sentence on what to do, for the error message.

        Raises:
            DivergedError: a loss is not finite.
        """
        for epoch, loss in enumerate(losses, first_epoch):
            if not math.isfinite(loss):
                raise DivergedError(epoch, self._last, advice)
            self._last = loss
