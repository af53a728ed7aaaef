"""The per-epoch record: history.csv, and the curves that loggers draw."""

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
from .epoch_counts import ends_epoch, planned_epochs
from .watched import watched_by

log = logging.getLogger(__name__)

# A curve of this many points looks like one of ten thousand. Each costs 0.1 ms, mostly for checksums in Python.
POINTS_A_CURVE = 500
# With fewer batches an epoch, the curve over epochs tells as much as one over steps.
MANY_BATCHES = 20
# A name with a comma in it would be two columns.
_IN_A_CELL = str.maketrans({",": ";", "\n": " ", "\r": " "})


class History(Callback):
    """Write one row an epoch to ``history.csv`` in the run folder, and the same numbers to the loggers.

    A row has what the module and callbacks logged in the epoch (``self.log``), the learning rate ``lr``, and what is
    watched (`watched_by`). Validation metrics stand in the row of the epoch after which they were measured; elsewhere
    the cell is empty. Of several validations in one epoch the row has the last; ``validations.csv`` has them all.
    Loggers get what Lightning does not give them itself, as it does where a metric is logged with ``logger=True``.

    Where an epoch has many batches, TensorBoard also gets ``train/batch_loss``, the loss of single batches over steps.

    Args:
        log_every: epochs between two points of a logger's curves; ``auto`` gives at most about 500 points. The first
            and the last epoch, and those with a validation, are always logged.
    """

    def __init__(self, log_every: Count | Literal["auto"] = "auto") -> None:
        self.log_every = log_every
        self._file: IO[str] | None = None
        self._columns: list[str] = []  # of history.csv, without epoch
        self._row: dict[str, float] = {}  # of the epoch under way
        self._ended = False  # whether its row can be written
        self._validated = False
        self._known: dict[str, Tensor] = {}  # what was logged last
        self._lrs: dict[str, Tensor] = {}
        #: The last row that was written.
        self.latest: dict[str, float] = {}

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: what was measured in epochs that pass comes by `record_epochs`."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch = trainer.current_epoch  # of the last row written
        self._folder = Path(trainer.default_root_dir) if trainer.is_global_zero else None
        self._path = self._folder / "history.csv" if self._folder else Path(os.devnull)
        if self._path.is_file():
            # Rows beyond the checkpoint that a resumed run starts from are made again.
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
        self._every = self.log_every
        if self._every == "auto":
            self._every = max(1, -(-(self._epochs or 0) // POINTS_A_CURVE))
        batches = trainer.num_training_batches
        # Of which the loggers have heard: those of whole epochs, also where a run goes on within one.
        self._steps = self._epoch * batches if self._epoch and batches < math.inf else 0
        self._steps_every = None
        if MANY_BATCHES <= batches < math.inf:
            self._steps_every = -(-(self._epochs or 1) * batches // POINTS_A_CURVE)
        self._batch_losses: list[Tensor] = []
        self._watched = watched_by(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # What was logged at the very end of the epoch before is there by now.
        self._write(trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        # Later the schedule has taken its step.
        place = next(index for index, one in enumerate(trainer.optimizers) if one is optimizer)
        # As the float64 that it is, where that can be kept.
        lr = torch.tensor(float(optimizer.param_groups[0]["lr"]), dtype=wide_dtype(pl_module.device))
        self._lrs["lr" if not place else f"lr_{place + 1}"] = lr

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._steps_every is not None and not isinstance(pl_module, SupervisedModule):
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            self._batch_losses.append(loss if isinstance(loss, Tensor) else torch.tensor(math.nan))
        if ends_epoch(trainer):
            # Before a validation, which takes gradients away.
            # As Lightning's LearningRateMonitor does: self.log takes longer than a small network's epoch.
            watched = {name: value.clone().view(()) for name, value in self._watched().items()}
            trainer.callback_metrics.update(watched | self._lrs)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # What is new afterwards was measured in the validation.
        self._collect(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            self._known = dict(trainer.callback_metrics)
            return
        measured = self._collect(trainer)
        self._validated = True
        if self._folder and (self._several_validations(trainer)):
            self._record_validation(trainer, measured)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = ends_epoch(trainer)
        if isinstance(pl_module, SupervisedModule):
            self._batch_losses = list(pl_module.records.batch_losses)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A run that goes on from it finds the rows up to there.
        self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # The rows that lead there are the ones to look at.
        self._write(trainer)
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def record_epochs(self, trainer: Trainer, columns: dict[str, list[float]], batch_losses: Sequence[float]) -> None:
        """Record what was measured in epochs of which no hook was called, one number each in every column."""
        self._write(trainer)
        self._write_rows(trainer, columns)
        self._log_steps(trainer, batch_losses)

    def _collect(self, trainer: Trainer) -> dict[str, float]:
        """Return what was logged since the last call, and add it to the row of the epoch under way."""
        metrics = trainer.callback_metrics
        # Lightning keeps what is not logged again; it makes a new tensor of what is.
        new = {name: value for name, value in metrics.items() if self._known.get(name) is not value}
        self._known = dict(metrics)
        # A metric logged for steps and epochs is there under three names.
        doubled = {f"{name}_{kind}" for name in new for kind in ("step", "epoch")}
        found = {name.translate(_IN_A_CELL): value.item() for name, value in new.items() if name not in doubled}
        self._row.update(found)
        return found

    def _write(self, trainer: Trainer) -> None:
        """Write the row of the epoch that has ended, if it has not been written."""
        if not self._ended:
            return
        self._ended = False
        self._collect(trainer)
        row, self._row = self._row, {}
        # As for epochs that pass: what the module measured, what is watched, the learning rate, then validations.
        last = [*self._lrs, *(name for name in row if name.startswith("val"))]
        row = {name: row[name] for name in [*(name for name in row if name not in last), *last] if name in row}
        self._write_rows(trainer, {name: [value] for name, value in row.items()}, self._validated)
        self._validated = False
        self._log_steps(trainer, [float(loss) for loss in self._batch_losses])
        self._batch_losses = []

    def _write_rows(self, trainer: Trainer, columns: dict[str, list[float]], validated: bool = False) -> None:
        count = max(map(len, columns.values()), default=1)
        new = [name for name in columns if name not in self._columns]
        if self._file is None or new:
            self._open(trainer, new)
        # Writing to a file that was removed succeeds, and leaves nothing.
        self._presence.check()
        # Nine digits give a float32 back exactly.
        cells = [
            [f"{value:.9g}" for value in columns[name]] if name in columns else [""] * count for name in self._columns
        ]
        numbers = range(self._epoch + 1, self._epoch + 1 + count)
        self._file.write("".join(",".join(row) + "\n" for row in zip(map(str, numbers), *cells, strict=True)))
        self._file.flush()
        monitors = [callback for callback in trainer.callbacks if isinstance(callback, LearningRateMonitor)]
        logged = {*trainer.logged_metrics, *(name for monitor in monitors for name in monitor.lrs)}
        ours = [name for name in columns if name not in logged]
        for number, row in zip(numbers, zip(*(columns[name] for name in ours), strict=True), strict=False):
            if number % self._every == 0 or number in (1, self._epochs) or validated:
                for logger in trainer.loggers:
                    log_point(logger, number, dict(zip(ours, row, strict=True)))
        self._epoch += count
        self.latest = {name: cells[-1] for name, cells in columns.items()}

    def _open(self, trainer: Trainer, new: Sequence[str]) -> None:
        """Open the file, with a column for each new name, which is empty in the rows so far."""
        self._close()
        if self._folder:
            self._columns = _add_columns(self._path, ["epoch"], new)
        self._file = self._path.open("a")
        self._presence = Presence(self._path)
        for logger in trainer.loggers:
            log_layout(logger, [name for name in self._columns if name not in trainer.logged_metrics])

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _several_validations(self, trainer: Trainer) -> bool:
        return trainer.check_val_every_n_epoch is None or trainer.val_check_interval != 1.0

    def _record_validation(self, trainer: Trainer, measured: dict[str, float]) -> None:
        path = self._folder / "validations.csv"
        columns = _add_columns(path, ["epoch", "step"], measured)
        cells = [f"{measured[name]:.9g}" if name in measured else "" for name in columns]
        with path.open("a") as file:
            file.write(",".join([str(trainer.current_epoch + 1), str(trainer.global_step), *cells]) + "\n")

    def _log_steps(self, trainer: Trainer, losses: Sequence[float]) -> None:
        if self._steps_every is not None:
            # Others have one axis for all curves, which is that of the epochs.
            loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
            for step, loss in enumerate(losses, self._steps + 1):
                if step % self._steps_every == 0:
                    for logger in loggers:
                        log_point(logger, step, {BATCH_LOSS: loss})
        self._steps += len(losses)


def _add_columns(path: Path, first: Sequence[str], names: Iterable[str]) -> list[str]:
    """Give a CSV file a column for each new name, which is empty in the rows so far.

    Args:
        path: to the file, which is made where there is none.
        first: its first columns.
        names: of columns that it is to have after these.

    Returns:
        All columns after the first.
    """
    header, *rows = (path.read_text().splitlines() if path.is_file() else None) or [",".join(first)]
    there = header.split(",")[len(first) :]
    columns = [*there, *(name for name in names if name not in there)]
    if columns != there or not path.is_file():
        empty = "," * (len(columns) - len(there))
        write_atomically(path, "\n".join([",".join([*first, *columns]), *(row + empty for row in rows)]) + "\n")
    return columns


def keep_rows(path: Path, epochs: int) -> None:
    """Cuts a history.csv after the row of an epoch.

    Raises:
        SettingError: it has no row for each of the epochs up to there.
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
