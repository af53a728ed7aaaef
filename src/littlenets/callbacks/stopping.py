"""Ctrl-C and SIGTERM: what is under way is finished, and what was reached is kept."""

import signal
import threading
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def early_end(trainer: Trainer) -> str | None:
    """Return why a training that is over has not come to its planned end; None where it has."""
    epochs, steps = trainer.current_epoch, trainer.global_step
    planned = (trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs) or steps == trainer.max_steps
    if planned or not trainer.should_stop:
        return None
    for callback in trainer.callbacks:
        if isinstance(callback, EarlyStopping) and (reason := _reason(callback, trainer)):
            return f"{type(callback).__name__}: {callback.monitor} {reason}, after epoch {epochs:,}"
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            return f"the time was up (trainer.max_time), after {steps:,} steps"
    return f"a callback, or the module, asked to stop (should_stop), after {steps:,} steps"


def _reason(callback: EarlyStopping, trainer: Trainer) -> str | None:
    """Return what `EarlyStopping` stops at, in the order in which it looks; None where it goes on.

    What it says of an earlier stop, it keeps when the run is gone on with.
    """
    value = trainer.callback_metrics.get(callback.monitor)
    if value is not None:
        beyond, value = callback.monitor_op, value.squeeze()
        if callback.check_finite and not value.isfinite():
            return "was not finite"
        if callback.stopping_threshold is not None and beyond(value, callback.stopping_threshold):
            return f"reached stopping_threshold={callback.stopping_threshold:g}"
        if callback.divergence_threshold is not None and beyond(-value, -callback.divergence_threshold):
            return f"went beyond divergence_threshold={callback.divergence_threshold:g}"
    # With a patience of 0, one check without an improvement is enough.
    if callback.wait_count >= max(1, callback.patience):
        return f"was no better for {callback.wait_count:,} check{'s' * (callback.wait_count > 1)}"
    return None


class Stopping(Callback):
    """The first signal ends the training; a second one is the process's own affair.

    It ends after the batches that the module trains on before Lightning has its turn: a quarter of a second of them, or
    one that takes longer.

    Lightning is told between two batches, when the checkpoint callback still sees where in the epoch it is.
    """

    def __init__(self) -> None:
        #: The signal that came, if any.
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Lightning has its turn as soon as a signal has come."""
        return None if self.received is None else 0

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            # Only now, since Lightning puts handlers of its own in place just before.
            self._before = {number: signal.signal(number, self._stop) for number in SIGNALS}

    def _stop(self, number: int, frame: Any) -> None:
        self.received = number
        self._give_back()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self.received is not None
        if trainer.world_size > 1:
            # Whichever process heard of it, all of them take their last step together.
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            self.received = self.received or signal.SIGTERM
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
