"""Show training progress: a bar on a terminal, log lines elsewhere."""

import logging
import math
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ..console.terminal import terminal
from .epoch_counts import ends_epoch, planned_epochs

log = logging.getLogger(__name__)

# Faster updates cannot be read, and drawing at every batch would take longer than training a small network.
SECONDS_BETWEEN_DRAWS = 0.1
LINES_A_RUN = 10
# Batches in an epoch from which the bar shows the batch number; shorter epochs end too soon to read it.
LONG_EPOCH = 20
# Width of the times, "0:00:12 < 00:34", including the gaps between all columns.
TIMES_WIDTH = 19
SHORTEST_BAR = 10


class Progress(ProgressBar):
    """Progress bar on a terminal, and about ten log lines per run. Both cover the whole run, not one epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Bar | None = None

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: the bar is redrawn every `SECONDS_BETWEEN_DRAWS` seconds, independent of epochs and batches."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epochs = planned_epochs(trainer) if trainer.max_epochs in (None, -1) else trainer.max_epochs
        self._batches = trainer.num_training_batches
        self._line_every = max(1, (self._epochs or 0) // LINES_A_RUN)
        self._last_line = trainer.current_epoch
        self._drawn = 0.0
        self._readings: list[str] = []
        self._console = terminal() if self._enabled and trainer.is_global_zero else None
        if self._console is not None:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("", total=self._epochs, readings="")
            self._bar.start()
            self._draw(trainer.current_epoch, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._due():
            self._draw(trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not (self._enabled and trainer.is_global_zero and ends_epoch(trainer)):
            return
        epoch = trainer.current_epoch + 1  # number of finished epochs
        if self._line_is_due(epoch) or self._due():
            self._read(trainer)
        if self._line_is_due(epoch):
            log.info("epoch %s  %s", self._count(epoch), "  ".join(self._readings), extra={"in_bar": True})
            self._last_line = epoch
        if self._due():
            self._draw(epoch, 0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None:
            self._read(trainer)
            self._draw(trainer.current_epoch, 0)
            self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _read(self, trainer: Trainer) -> None:
        # Also metrics that a module logs with ``prog_bar=True``.
        shown = trainer.progress_bar_metrics
        names = [name for name in trainer.callback_metrics if name.endswith(("loss", "acc")) or name in shown]
        names.sort(key=lambda name: not name.startswith("train/"))
        self._readings = [f"{name} {trainer.callback_metrics[name]:.4g}" for name in names]

    def _line_is_due(self, epoch: int) -> bool:
        return epoch // self._line_every > self._last_line // self._line_every or epoch == self._epochs

    def _due(self) -> bool:
        return self._bar is not None and time.monotonic() - self._drawn >= SECONDS_BETWEEN_DRAWS

    def _draw(self, epoch: int, batch: int) -> None:
        if self._bar is None:
            return
        self._drawn = time.monotonic()
        done = epoch + batch / self._batches
        description = f"epoch {self._count(epoch)}"
        if self._batches >= LONG_EPOCH and batch:
            total = "" if self._batches == math.inf else f"/{self._batches}"
            description = f"epoch {self._count(epoch + 1)} batch {batch}{total}"
        readings = fit_readings(self._readings, self._bar.console.width - len(description) - SHORTEST_BAR - TIMES_WIDTH)
        self._bar.update(self._task, completed=done, description=description, readings=readings, refresh=True)

    def _count(self, epoch: int) -> str:
        return f"{epoch:,}" if self._epochs is None else f"{epoch:,}/{self._epochs:,}"

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def fit_readings(readings: list[str], width: int) -> str:
    """Return the first readings that fit on one line, without the prefix ``train/`` if they do not all fit with it.

    Args:
        readings: texts such as "train/loss 0.1234".
        width: number of terminal columns.
    """
    for chosen in (readings, [reading.removeprefix("train/") for reading in readings]):
        if len(text := "  ".join(chosen)) <= width:
            return text
    while chosen and len("  ".join(chosen)) > width:
        chosen = chosen[:-1]
    return "  ".join(chosen)


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[readings]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(compact=True),
        console=console,
        expand=True,
        # A refresh thread would compete with the training loop for Python's interpreter lock.
        auto_refresh=False,
    )
