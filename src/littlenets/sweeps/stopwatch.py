"""Callback that measures the duration of an epoch at the beginning of a run."""

import json
import math
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

FILE = "stopwatch.json"


class Stopwatch(Callback):
    """Stop a training after a short time, and write the duration of an epoch to stopwatch.json in the run folder.

    Args:
        seconds: duration of the measurement.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: the time is checked after each training step, however many batches and epochs it contains."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = self._began = time.perf_counter()
        self._steps_before = trainer.global_step
        self._warm = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        # The first steps are left out because they allocate memory.
        if not self._warm:
            self._warm, self._first = True, (now - self._started, trainer.global_step)
            self._began, self._steps_before = now, trainer.global_step
        elif now - self._started > self._seconds:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds, steps = time.perf_counter() - self._began, trainer.global_step - self._steps_before
        if not steps:
            # The first training step contained all batches.
            seconds, steps = self._first
        batches = trainer.num_training_batches
        if batches == math.inf:
            # The number of batches in the last epoch so far; it is too small if the epoch has not ended.
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        epoch = seconds / steps * batches
        (Path(trainer.default_root_dir) / FILE).write_text(json.dumps({"epoch": epoch}))
