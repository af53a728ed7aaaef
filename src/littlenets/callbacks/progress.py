"""What a person sees while a network trains."""

import logging
import sys
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

log = logging.getLogger(__name__)

# Nobody reads faster, and drawing at every batch would cost more than a small network.
SECONDS_BETWEEN_DRAWS = 0.1
LINES_A_RUN = 10
# Shorter epochs are over before anybody could read a batch number.
LONG_EPOCH = 20


class Progress(ProgressBar):
    """One bar for the whole run on a terminal, and about ten lines for the whole run where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Bar | None = None

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Drawn by time, whatever the epoch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epochs = None if trainer.max_epochs in (None, -1) else trainer.max_epochs
        self._batches = trainer.num_training_batches
        self._line_every = max(1, (self._epochs or 0) // LINES_A_RUN)
        self._last_line = trainer.current_epoch
        self._drawn = 0.0
        self._readings = ""
        if self._enabled and trainer.is_global_zero and sys.stdout.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[readings]}"),
                TimeElapsedColumn(),
                TextColumn("<"),
                TimeRemainingColumn(),
                console=Console(file=sys.stdout),
                expand=True,
                # No thread of its own: it would take turns with the training loop.
                auto_refresh=False,
            )
            self._task = self._bar.add_task("", total=self._epochs, readings="")
            self._bar.start()
            self._draw(trainer.current_epoch, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._due():
            self._draw(trainer.current_epoch, batch_idx + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1  # ended ones
        due_line = epoch // self._line_every > self._last_line // self._line_every or epoch == self._epochs
        if self._bar is None and not (self._enabled and trainer.is_global_zero and due_line):
            return
        metrics = trainer.callback_metrics.items()
        self._readings = "  ".join(f"{name} {value:.4g}" for name, value in metrics if name.endswith(("loss", "acc")))
        if self._bar is None:
            log.info("epoch %s  %s", self._count(epoch), self._readings)
            self._last_line = epoch
        elif self._due():
            self._draw(epoch, 0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None:
            self._draw(trainer.current_epoch, 0)
            self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _due(self) -> bool:
        return self._bar is not None and time.monotonic() - self._drawn >= SECONDS_BETWEEN_DRAWS

    def _draw(self, epoch: int, batch: int) -> None:
        self._drawn = time.monotonic()
        done = epoch + batch / self._batches
        description = f"epoch {self._count(epoch)}"
        if self._batches >= LONG_EPOCH and batch:
            description = f"epoch {self._count(epoch + 1)} batch {batch}/{self._batches}"
        self._bar.update(self._task, completed=done, description=description, readings=self._readings, refresh=True)

    def _count(self, epoch: int) -> str:
        return f"{epoch:,}" if self._epochs is None else f"{epoch:,}/{self._epochs:,}"

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
