"""The per-epoch record: history.csv, and the curves that loggers draw."""

import logging
import os
from pathlib import Path
from typing import IO, Literal

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from ..board.forgetting import BATCH_LOSS
from ..errors import DivergedError, SettingError
from ..loggers import log_layout, log_point
from ..modules import SupervisedModule
from ..ranges import Count
from ..runs.files import Presence, write_atomically
from ..runs.history import MOST_ROWS
from ..runs.reading import damaged
from .length import planned_epochs

log = logging.getLogger(__name__)

# A curve of this many points looks like one of ten thousand. Each costs 0.1 ms, mostly for checksums in Python.
POINTS_A_CURVE = 500
# With fewer batches an epoch, the curve over epochs tells as much as one over steps.
MANY_BATCHES = 20


class History(Callback):
    """Writes one row an epoch to ``history.csv`` in the run folder, and the same numbers to the loggers.

    The module keeps what several epochs measured until Lightning hears of an epoch's end; it is written then, all at
    once. Validation metrics stand in the row of the epoch after which they were measured; elsewhere the cell is empty.

    Where an epoch has many batches, TensorBoard also gets ``train/batch_loss``, the loss of single batches over steps.

    Args:
        log_every: epochs between two points of a logger's curves; ``auto`` gives at most about 500 points. The first
            and the last epoch, and those with a validation, are always logged.
    """

    def __init__(self, log_every: Count | Literal["auto"] = "auto") -> None:
        self.log_every = log_every
        self._file: IO[str] | None = None
        self._validation: dict[str, float] = {}  # measured after the epoch that is just ending

    def epochs_until_due(self, trainer: Trainer) -> None:
        """The module keeps what was measured for as long as need be."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch = trainer.current_epoch  # of the last row written
        self._path = Path(trainer.default_root_dir) / "history.csv" if trainer.is_global_zero else Path(os.devnull)
        if self._path.is_file():
            # Rows beyond the checkpoint that a resumed run starts from are made again.
            keep_rows(self._path, self._epoch)
        elif self._epoch:
            log.warning("%s is missing; it begins anew, with epoch %d.", self._path, self._epoch + 1)
        self._epochs = planned_epochs(trainer)
        self._every = self.log_every
        if self._every == "auto":
            self._every = max(1, -(-(self._epochs or 0) // POINTS_A_CURVE))
        # Of which the loggers have heard: those of whole epochs, also where a run goes on within one.
        self._steps = trainer.current_epoch * trainer.num_training_batches if trainer.current_epoch else 0
        self._steps_every = None
        if trainer.num_training_batches >= MANY_BATCHES:
            self._steps_every = -(-(self._epochs or 1) * trainer.num_training_batches // POINTS_A_CURVE)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics.items()
        self._validation = {name: value.item() for name, value in metrics if name.startswith("val/")}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: SupervisedModule) -> None:
        self._record(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: SupervisedModule, exception: BaseException) -> None:
        if isinstance(exception, DivergedError):
            # The rows that lead there are the ones to look at.
            self._record(trainer, pl_module)
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def _open(self, header: str) -> IO[str]:
        if self._path.is_file() and self._path.stat().st_size:
            with self._path.open() as file:
                if file.readline() != header:
                    raise SettingError(
                        f"{self._path} has other columns than {header.strip()}. Move it away to go on without it."
                    )
            return self._path.open("a")
        file = self._path.open("w")
        file.write(header)
        return file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, trainer: Trainer, pl_module: SupervisedModule) -> None:
        columns, pl_module.finished = pl_module.finished, {}
        if not columns:
            return  # stopped before the epoch ended
        measured = pl_module.validation_names() if trainer.enable_validation else []
        if self._file is None:
            self._file = self._open(",".join(["epoch", *columns, *measured]) + "\n")
            self._presence = Presence(self._path)
            for logger in trainer.loggers:
                log_layout(logger, [*columns, *measured])
        # Writing to a file that was removed succeeds, and leaves nothing.
        self._presence.check()
        rows = list(zip(*columns.values(), strict=True))
        # Nine digits give a float32 back exactly.
        line = "%d" + ",%.9g" * len(columns)
        validation = [f"{self._validation[name]:.9g}" if name in self._validation else "" for name in measured]
        lines = [line % (epoch, *row) + "," * len(measured) for epoch, row in enumerate(rows, self._epoch + 1)]
        lines[-1] = ",".join([line % (self._epoch + len(rows), *rows[-1]), *validation])
        self._file.write("\n".join(lines) + "\n")
        self._file.flush()

        self._log_steps(trainer, pl_module.records.batch_losses.tolist())
        for logger in trainer.loggers:
            for epoch, row in enumerate(rows, self._epoch + 1):
                if epoch % self._every == 0 or epoch in (1, self._epochs):
                    log_point(logger, epoch, dict(zip(columns, row, strict=True)))
            if self._validation:
                log_point(logger, self._epoch + len(rows), self._validation)
        self._epoch += len(rows)
        self._validation = {}

    def _log_steps(self, trainer: Trainer, losses: list[float]) -> None:
        if self._steps_every is not None:
            # Others have one axis for all curves, which is that of the epochs.
            loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
            for step, loss in enumerate(losses, self._steps + 1):
                if step % self._steps_every == 0:
                    for logger in loggers:
                        log_point(logger, step, {BATCH_LOSS: loss})
        self._steps += len(losses)


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
