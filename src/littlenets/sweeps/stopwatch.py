"""How long the epochs of a run take, from its first ones."""

import json
import math
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

FILE = "stopwatch.json"


class Stopwatch(Callback):
    """Ends a training after a moment, and leaves what an epoch took in the run folder.

    Args:
        seconds: how long to look.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def epochs_until_due(self, trainer: Trainer) -> None:
        """It looks at the clock whenever Lightning has its turn."""

    batches_until_due = epochs_until_due

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = self._began = time.perf_counter()
        self._steps_before = trainer.global_step
        self._warm = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        # The first steps allocate memory.
        if not self._warm:
            self._warm, self._first = True, (now - self._started, trainer.global_step)
            self._began, self._steps_before = now, trainer.global_step
        elif now - self._started > self._seconds:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds, steps = time.perf_counter() - self._began, trainer.global_step - self._steps_before
        if not steps:
            # All of it ran in one go.
            seconds, steps = self._first
        batches = trainer.num_training_batches
        if batches == math.inf:
            # As many as there were in an epoch that ended; one that did not has more.
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        epoch = seconds / steps * batches
        (Path(trainer.default_root_dir) / FILE).write_text(json.dumps({"epoch": epoch}))
