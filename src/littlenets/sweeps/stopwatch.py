"""Callback that measures the duration of an epoch at the beginning of a run."""

import json
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class Stopwatch(Callback):
    """Stop a training after a short time, and write the duration of an epoch to a file.

    Args:
        seconds: duration of the measurement.
        path: path of the file, which will contain a number of seconds as JSON.
    """

    def __init__(self, seconds: float, path: str) -> None:
        self._seconds, self._path = seconds, Path(path)

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: the time is checked after each training step, however many batches and epochs it contains."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._marks = [(time.perf_counter(), trainer.global_step)]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if len(self._marks) == 1:
            self._marks.append((now, trainer.global_step))
        elif now - self._marks[0][0] > self._seconds:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now, steps = time.perf_counter(), trainer.global_step
        # Without the first step, which allocates memory, unless it contained all batches.
        began, before = max((mark for mark in self._marks if mark[1] < steps), default=(now, steps - 1))
        epoch = (now - began) / (steps - before) * trainer.num_training_batches
        self._path.write_text(json.dumps(epoch))
