"""Callback that writes one row per epoch to history.csv and to the loggers."""

import logging
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.optim import Optimizer

from ..errors import SettingError
from ..loggers import log_layout, log_point
from ..loggers.rewinding import BATCH_LOSS
from ..modules import SupervisedModule
from ..modules.records import wide_dtype
from ..ranges import Count
from ..runs.files import Presence, write_atomically
from ..runs.history import MOST_ROWS
from ..runs.reading import damaged
from ..trainer_attributes import declared
from .epoch_counts import ends_epoch, planned_epochs
from .watched import watched_by

log = logging.getLogger(__name__)

# A curve of 500 points looks the same as one of 10,000. A point costs 0.1 ms, mostly for checksums in Python.
POINTS_A_CURVE = 500
# With fewer batches per epoch, a curve over steps shows no more than the curve over epochs.
MANY_BATCHES = 20
# A comma in a name would split it into two columns.
_IN_A_CELL = str.maketrans({",": ";", "\n": " ", "\r": " "})


class History(Callback):
    """Write one row per epoch to ``history.csv`` in the run folder, and the same numbers to the loggers.

    A row contains the metrics that the module and callbacks logged in the epoch (``self.log``), the learning rate
    ``lr``, and the watched quantities (`watched_by`). Validation metrics are in the row of the epoch after which they
    were measured; in other rows the cell is empty. If there are several validations in one epoch, the row contains the
    last; ``validations.csv`` contains all. Metrics logged with ``logger=True`` are not sent to the loggers again,
    because Lightning does so itself.

    If an epoch has many batches, ``train/batch_loss``, the loss of single batches over steps, is also logged to
    TensorBoard.

    Args:
        log_every: epochs between two points of a logger's curves; ``auto`` gives at most about 500 points. The first
            and the last epoch, and those with a validation, are always logged.
    """

    def __init__(self, log_every: Count | Literal["auto"] = "auto") -> None:
        self.log_every = log_every
        self._file: IO[str] | None = None
        self._columns: list[str] = []  # of history.csv, without epoch
        self._row: dict[str, float] = {}  # of the current epoch
        self._ended = False  # whether the current epoch has ended, so that its row can be written
        self._validated = False
        self._known: dict[str, Tensor] = {}  # trainer.callback_metrics at the last call of `_collect`
        self._lrs: dict[str, Tensor] = {}
        self._validation_columns: list[str] = []  # of validations.csv, without epoch and step
        #: The last row that was written, by column.
        self.latest: dict[str, float] = {}

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: the metrics of epochs trained on the fast path arrive through `record_epochs`."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch = trainer.current_epoch  # of the last row written
        self._folder = Path(trainer.default_root_dir) if trainer.is_global_zero else None
        self._path = self._folder / "history.csv" if self._folder else Path(os.devnull)
        if self._path.is_file():
            # Rows after the checkpoint from which a run is resumed will be written again.
            keep_rows(self._path, self._epoch)
        elif self._epoch and self._folder:
            log.warning("%s is missing; it begins anew, with epoch %d.", self._path, self._epoch + 1)
        validations = self._path.with_name("validations.csv")
        if self._folder and validations.is_file():
            header, *rows = validations.read_text().splitlines(keepends=True)
            kept = [row for row in rows if int(row.split(",")[1]) <= trainer.global_step]
            write_atomically(validations, "".join([header, *kept]))
        self._known = dict(trainer.callback_metrics)
        self._epochs = planned_epochs(trainer)
        automatic = max(1, -(-(self._epochs or 0) // POINTS_A_CURVE))
        self._every = automatic if self.log_every == "auto" else self.log_every
        batches = trainer.num_training_batches
        # Steps logged so far: those of whole epochs, also if the run is resumed within an epoch.
        self._steps = self._epoch * int(batches) if self._epoch and batches < math.inf else 0
        self._steps_every: int | None = None
        if MANY_BATCHES <= batches < math.inf:
            self._steps_every = -(-(self._epochs or 1) * int(batches) // POINTS_A_CURVE)
        self._batch_losses: list[Tensor] = []
        self._watched = watched_by(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Only now are the metrics available that were logged at the very end of the previous epoch.
        self._write(trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        # Read the learning rate before the scheduler takes its step.
        place = next(index for index, one in enumerate(trainer.optimizers) if one is optimizer)
        # As float64, as it is in Python, if the device supports that.
        lr = torch.tensor(float(optimizer.param_groups[0]["lr"]), dtype=wide_dtype(pl_module.device))
        self._lrs["lr" if not place else f"lr_{place + 1}"] = lr

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._steps_every is not None and not isinstance(pl_module, SupervisedModule):
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            self._batch_losses.append(loss if isinstance(loss, Tensor) else torch.tensor(math.nan))
        if ends_epoch(trainer):
            # Here, because a validation clears the gradients. Like Lightning's LearningRateMonitor, write to
            # callback_metrics directly: self.log takes longer than an epoch of a small network.
            watched = {name: value.clone().view(()) for name, value in self._watched().items()}
            trainer.callback_metrics.update(watched | self._lrs)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # After this, new metrics are those of the validation.
        self._collect(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            self._known = dict(trainer.callback_metrics)
            return
        measured = self._collect(trainer)
        self._validated = True
        if self._folder and self._several_validations(trainer):
            self._record_validation(self._folder, trainer, measured)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = ends_epoch(trainer)
        if isinstance(pl_module, SupervisedModule):
            self._batch_losses = list(pl_module.records.batch_losses)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A run resumed from this checkpoint needs all rows up to it.
        self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # The last rows before the exception help to find its cause.
        self._write(trainer)
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def record_epochs(self, trainer: Trainer, columns: dict[str, list[float]], batch_losses: Sequence[float]) -> None:
        """Record the metrics of epochs trained on the fast path, without hooks.

        Args:
            trainer: the trainer of the run.
            columns: by name, one number per epoch.
            batch_losses: one loss per batch.
        """
        self._write(trainer)
        self._write_rows(trainer, columns)
        self._log_steps(trainer, batch_losses)

    def _collect(self, trainer: Trainer) -> dict[str, float]:
        """Return the metrics logged since the last call, and add them to the row of the current epoch."""
        metrics = trainer.callback_metrics
        # Lightning keeps the tensor of a metric that is not logged again, and makes a new one if it is.
        new = {name: value for name, value in metrics.items() if self._known.get(name) is not value}
        self._known = dict(metrics)
        # A metric logged for both steps and epochs appears under three names: NAME, NAME_step and NAME_epoch.
        doubled = {f"{name}_{kind}" for name in new for kind in ("step", "epoch")}
        found = {name: value.item() for name, value in new.items() if name not in doubled}
        self._row.update(found)
        return found

    def _write(self, trainer: Trainer) -> None:
        """Write the row of the epoch that has ended, unless it has been written."""
        if not self._ended:
            return
        self._ended = False
        self._collect(trainer)
        row, self._row = self._row, {}
        # The same order as on the fast path: metrics of the module, watched quantities, learning rate, validations.
        last = [*self._lrs, *(name for name in row if name.startswith("val"))]
        row = {name: row[name] for name in [*(name for name in row if name not in last), *last] if name in row}
        self._write_rows(trainer, {name: [value] for name, value in row.items()}, self._validated)
        self._validated = False
        self._log_steps(trainer, [float(loss) for loss in self._batch_losses])
        self._batch_losses = []

    def _write_rows(self, trainer: Trainer, columns: dict[str, list[float]], validated: bool = False) -> None:
        count = max(map(len, columns.values()), default=1)
        texts = _cells(columns)
        new = [name for name in texts if name not in self._columns]
        file = self._open(trainer, new) if self._file is None or new else self._file
        # Writing to an open file that was removed would succeed without leaving a file.
        self._presence.check()
        cells = [texts.get(name, [""] * count) for name in self._columns]
        numbers = range(self._epoch + 1, self._epoch + 1 + count)
        file.write("".join(",".join(row) + "\n" for row in zip(map(str, numbers), *cells, strict=True)))
        file.flush()
        points = [number for number in numbers if number % self._every == 0 or number in (1, self._epochs) or validated]
        if points and trainer.loggers:
            self._log_rows(trainer, columns, points)
        self._epoch += count
        self.latest = {name: cells[-1] for name, cells in columns.items()}

    def _log_rows(self, trainer: Trainer, columns: dict[str, list[float]], epochs: Sequence[int]) -> None:
        """Log some epochs of new rows, which begin after `_epoch`, without what Lightning logs by itself."""
        monitors = [callback for callback in declared(trainer).callbacks if isinstance(callback, LearningRateMonitor)]
        logged = {*trainer.logged_metrics, *(name for monitor in monitors for name in monitor.lrs)}
        ours = [name for name in columns if name not in logged]
        for epoch in epochs:
            row = {name: columns[name][epoch - self._epoch - 1] for name in ours}
            for logger in trainer.loggers if row else ():
                log_point(logger, epoch, row)

    def _open(self, trainer: Trainer, new: Sequence[str]) -> IO[str]:
        """Open and return the file, after adding a column for each new name; its cells in existing rows are empty."""
        self._close()
        if self._folder:
            self._columns = _add_columns(self._path, ["epoch"], new)
        self._file = self._path.open("a")
        self._presence = Presence(self._path)
        for logger in trainer.loggers:
            log_layout(logger, [name for name in self._columns if name not in trainer.logged_metrics])
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _several_validations(self, trainer: Trainer) -> bool:
        return trainer.check_val_every_n_epoch is None or trainer.val_check_interval != 1.0

    def _record_validation(self, folder: Path, trainer: Trainer, measured: dict[str, float]) -> None:
        path = folder / "validations.csv"
        texts = _cells({name: [value] for name, value in measured.items()})
        if not (path.is_file() and texts.keys() <= set(self._validation_columns)):
            self._validation_columns = _add_columns(path, ["epoch", "step"], texts)
        cells = [texts.get(name, [""])[0] for name in self._validation_columns]
        with path.open("a") as file:
            file.write(",".join([str(trainer.current_epoch + 1), str(trainer.global_step), *cells]) + "\n")

    def _log_steps(self, trainer: Trainer, losses: Sequence[float]) -> None:
        if self._steps_every is not None:
            # Other loggers have one x axis for all curves, the epochs.
            loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
            for step, loss in enumerate(losses, self._steps + 1):
                if step % self._steps_every == 0:
                    for logger in loggers:
                        log_point(logger, step, {BATCH_LOSS: loss})
        self._steps += len(losses)


def _cells(columns: dict[str, list[float]]) -> dict[str, list[str]]:
    """Return columns as text for a CSV file; nine digits are enough to restore a float32 exactly."""
    return {name.translate(_IN_A_CELL): [f"{value:.9g}" for value in values] for name, values in columns.items()}


def _add_columns(path: Path, first: Sequence[str], names: Iterable[str]) -> list[str]:
    """Add a column to a CSV file for each new name; the cells in existing rows are empty.

    Args:
        path: path of the file; it is created if it does not exist.
        first: the first columns of the file, which exist or are created.
        names: columns that the file must have after these.

    Returns:
        All columns except those of ``first``.
    """
    header, *rows = (path.read_text().splitlines() if path.is_file() else None) or [",".join(first)]
    there = header.split(",")[len(first) :]
    columns = [*there, *(name for name in names if name not in there)]
    if columns != there or not path.is_file():
        empty = "," * (len(columns) - len(there))
        write_atomically(path, "\n".join([",".join([*first, *columns]), *(row + empty for row in rows)]) + "\n")
    return columns


def keep_rows(path: Path, epochs: int) -> None:
    """Remove the rows of a history.csv after a given epoch.

    Args:
        path: path of the file.
        epochs: the number of epochs whose rows are kept.

    Raises:
        SettingError: a row of these epochs is missing or damaged, or the file has too many rows.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.count("\n") > MOST_ROWS:
        raise damaged(path, f"it has more than {MOST_ROWS:,} rows")
    header, *rows = text.splitlines(keepends=True) or [""]
    kept = rows[:epochs]
    columns = header.count(",")
    for epoch, row in enumerate([*kept, ""] if len(kept) < epochs else kept, 1):
        if not (row.startswith(f"{epoch},") and row.endswith("\n") and row.count(",") == columns):
            raise SettingError(
                f"{path} is damaged: it has no whole row for epoch {epoch}, and the run goes on after {epochs}. "
                "Restore it, or move it away to go on without the rows so far."
            )
    if len(kept) < len(rows):
        write_atomically(path, "".join([header, *kept] if kept else []))
