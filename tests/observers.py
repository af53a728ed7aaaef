"""Callbacks as a user may write them, which know nothing of the package: named by ``_target_`` in a run's settings."""

import logging
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

#: What the observers of the latest run saw, in order.
seen: list[Any] = []


class Observer(Callback):
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            seen.clear()


class EpochObserver(Observer):
    """Has the hook of an epoch's end and nothing else, so it must see every single one.

    Args:
        fail_after: this many epochs it raises an error, of the kind ``error``.
        stop_after: this many epochs it asks the trainer to stop.
    """

    def __init__(
        self, fail_after: int | None = None, error: str = "RuntimeError", stop_after: int | None = None
    ) -> None:
        self.fail_after, self.stop_after = fail_after, stop_after
        self.error = {"RuntimeError": RuntimeError, "KeyboardInterrupt": KeyboardInterrupt}[error]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen.append((trainer.current_epoch, trainer.global_step))
        if len(seen) == self.fail_after:
            raise self.error("the observer had enough")
        if len(seen) == self.stop_after:
            trainer.should_stop = True


class EpochStartObserver(Observer):
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen.append((trainer.current_epoch, trainer.global_step))


class BatchObserver(Observer):
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        seen.append((trainer.current_epoch, batch_idx, trainer.global_step))


class GradientObserver(Observer):
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen.append([parameter.grad.clone() for parameter in pl_module.network.parameters()])


class DueObserver(Observer):
    """Acts on every few epochs and says so."""

    def __init__(self, every: int) -> None:
        self.every = every

    def epochs_until_due(self, trainer: Trainer) -> int:
        return -(trainer.current_epoch + 1) % self.every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen.append(trainer.current_epoch)


class DueBatchObserver(Observer):
    """Acts on every few batches and says so."""

    def __init__(self, every: int) -> None:
        self.every = every

    def epochs_until_due(self, trainer: Trainer) -> int:
        return 0

    def batches_until_due(self, trainer: Trainer) -> int:
        return -(trainer.global_step + 1) % self.every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        seen.append((trainer.current_epoch, trainer.global_step))


class ValidationObserver(Observer):
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen.append((trainer.current_epoch, trainer.global_step))


class Talker(Observer):
    """Logs a line after every epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logging.getLogger(__name__).info("said after epoch %d", trainer.current_epoch)


class Signaller(Callback):
    """Sends a signal to its own process, as somebody else would.

    Args:
        name: such as SIGTERM.
        when: ``setup``, as soon as it is made, or ``test``.
    """

    def __init__(self, name: str, when: str) -> None:
        self.number, self.when = signal.Signals[name], when
        if when == "setup":
            os.kill(os.getpid(), self.number)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.when == "test":
            os.kill(os.getpid(), self.number)


class Remover(Callback):
    """Does to its own run folder what somebody else might do.

    Args:
        what: ``removed``, ``moved`` to a folder beside it, or ``replaced`` by another run after that; or the name of a
            file in it that is removed.
        when: ``setup``, ``train``, in the third epoch, ``test``, or ``also_test``, of other data.
    """

    def __init__(self, what: str, when: str) -> None:
        self.what, self.when = what, when
        self.tests = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._act("setup", trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 2:
            self._act("train", trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tests += 1
        self._act("test" if self.tests == 1 else "also_test", trainer)

    def _act(self, when: str, trainer: Trainer) -> None:
        if when != self.when:
            return
        folder = Path(trainer.default_root_dir)
        if self.what == "removed":
            shutil.rmtree(folder)
        elif self.what in ("moved", "replaced"):
            folder.rename(folder.with_name("moved"))
            if self.what == "replaced":
                folder.mkdir()
                (folder / "config.yaml").write_text("of another run")
        else:
            (folder / self.what).unlink()
