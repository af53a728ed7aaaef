"""Stop training gracefully at Ctrl-C or SIGTERM, and find out why a training ended early.

`trainers.fit` turns the signal into `StoppedError`, and `cli.command.job` that into a message and an exit code.
"""

import signal
import threading
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer

from ..trainer_attributes import declared

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def early_end(trainer: Trainer) -> str | None:
    """Return why a finished training ended before its planned end, as a message; None if it did not."""
    epochs, steps = trainer.current_epoch, trainer.global_step
    planned = (trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs) or steps == trainer.max_steps
    if planned or not trainer.should_stop:
        return None
    for callback in declared(trainer).callbacks:
        if isinstance(callback, EarlyStopping) and (reason := _reason(callback, trainer)):
            return f"{type(callback).__name__}: {callback.monitor} {reason}, after epoch {epochs:,}"
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            return f"the time was up (trainer.max_time), after {steps:,} steps"
    return f"a callback, or the module, asked to stop (should_stop), after {steps:,} steps"


def _reason(callback: EarlyStopping, trainer: Trainer) -> str | None:
    """Return the condition by which `EarlyStopping` stopped, as a message; None if no condition is met.

    The conditions are tested in the order in which `EarlyStopping` tests them. Its attributes about an earlier stop are
    not used, because they are restored when a run is resumed.
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
    # With patience=0, one check without improvement is enough.
    if callback.wait_count >= max(1, callback.patience):
        return f"was no better for {callback.wait_count:,} check{'s' * (callback.wait_count > 1)}"
    return None


class Stopping(Callback):
    """Stop training gracefully at the first SIGINT or SIGTERM and restore the previous handlers.

    A second signal is handled by these previous handlers.

    On the fast path, training stops after the current group of batches: a quarter of a second of them, or one batch if
    that takes longer. `Trainer.should_stop` is set between two batches, while the checkpoint callback can still read
    the position within the epoch.
    """

    def __init__(self) -> None:
        #: Number of the received signal; None if there was none.
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Return 0 after a signal, so that the fast path ends and Lightning's hooks run; otherwise None."""
        return None if self.received is None else 0

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            # Not earlier, because Lightning installs its own handlers just before this hook.
            self._before = {number: signal.signal(number, self._stop) for number in SIGNALS}

    def _stop(self, number: int, frame: Any) -> None:
        self.received = number
        self._give_back()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self.received is not None
        if trainer.world_size > 1:
            # All processes must stop after the same step, whichever of them received the signal.
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
