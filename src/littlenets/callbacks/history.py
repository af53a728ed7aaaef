"""The per-epoch record: history.csv, and the curves that loggers draw."""

import csv
import os
from pathlib import Path
from typing import IO, Literal

from pytorch_lightning import Callback, LightningModule, Trainer

from ..errors import DivergedError
from ..modules import SupervisedModule
from ..ranges import Count

# A curve of this many points looks the same as one of ten thousand, and TensorBoard stays quick.
POINTS_A_CURVE = 1000


class History(Callback):
    """Writes one row an epoch to ``history.csv`` in the run folder, and the same numbers to the loggers.

    The module keeps the rows of several epochs until Lightning hears of an epoch's end; they are written then, all at
    once. Validation metrics stand in the row of the epoch after which they were measured; elsewhere the cell is empty.

    Args:
        log_every: epochs between two points of a logger's curves; ``auto`` gives at most about 1,000 points. The first
            and the last epoch, and those with a validation, are always logged.
    """

    def __init__(self, log_every: Count | Literal["auto"] = "auto") -> None:
        self.log_every = log_every
        self._epoch = 0  # of the last row written
        self._file: IO[str] | None = None
        self._writer: csv.DictWriter | None = None
        self._validation: dict[str, float] = {}  # measured after the epoch that is just ending
        #: The last row, by metric name.
        self.latest: dict[str, float] = {}

    def epochs_until_due(self, trainer: Trainer) -> None:
        """The module keeps the rows for as long as need be."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch = trainer.current_epoch
        self._every = self.log_every
        if self._every == "auto":
            self._every = max(1, (trainer.max_epochs or 0) // POINTS_A_CURVE)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self._validation = {name: value.item() for name, value in metrics if name.startswith("val/")}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: SupervisedModule) -> None:
        self._record(trainer, pl_module)

    def _record(self, trainer: Trainer, pl_module: SupervisedModule) -> None:
        rows, pl_module.finished = pl_module.finished, []
        rows[-1].update(self._validation)
        if self._writer is None:
            columns = [name for name in rows[-1] if name not in self._validation]
            self._open(trainer, [*columns, *(pl_module.validation_names() if trainer.enable_validation else [])])
        for row in rows:
            self._epoch += 1
            # Nine digits give a float32 back exactly.
            self._writer.writerow({"epoch": self._epoch, **{name: f"{value:.9g}" for name, value in row.items()}})
            if (
                self._epoch % self._every == 0
                or self._epoch in (1, trainer.max_epochs)
                or (row is rows[-1] and self._validation)
            ):
                for logger in trainer.loggers:
                    # Not followed by logger.save(), which would flush TensorBoard's file every time.
                    logger.log_metrics(row, step=self._epoch)
        self._file.flush()
        self.latest, self._validation = rows[-1], {}

    def _open(self, trainer: Trainer, columns: list[str]) -> None:
        path = Path(trainer.default_root_dir) / "history.csv" if trainer.is_global_zero else Path(os.devnull)
        self._file = path.open("w", newline="")
        self._writer = csv.DictWriter(self._file, ["epoch", *columns], lineterminator="\n")
        self._writer.writeheader()

    def on_exception(self, trainer: Trainer, pl_module: SupervisedModule, exception: BaseException) -> None:
        if isinstance(exception, DivergedError):
            # The rows that lead there are the ones to look at.
            self._record(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = self._writer = None
