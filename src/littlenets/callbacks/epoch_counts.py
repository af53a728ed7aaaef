"""Number of planned and finished epochs of a run."""

import math
from typing import Any

from pytorch_lightning import Trainer


def planned_epochs(trainer: Trainer) -> int | None:
    """Return the number of epochs that ``max_epochs`` and ``max_steps`` allow; None if neither is a limit."""
    limits = [] if trainer.max_epochs in (None, -1) else [trainer.max_epochs]
    batches = trainer.num_training_batches
    if trainer.max_steps != -1 and 0 < batches < math.inf:
        limits.append(math.ceil(trainer.max_steps / batches))
    return min(limits, default=None)


def finished_epochs(trainer: Trainer) -> int:
    """Return the number of completed epochs, also if the number of batches per epoch is unknown."""
    # Declared as a class without some of its counters.
    epochs: Any = trainer.fit_loop.epoch_progress.current
    # Lightning also counts an epoch in which training was stopped before its last batch.
    batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    within = epochs.processed == epochs.ready and batches > 0 and not trainer.is_last_batch
    return epochs.processed - within


def ends_epoch(trainer: Trainer) -> bool:
    """Return whether the current batch is the last of its epoch or the last of the run."""
    return trainer.is_last_batch or trainer.global_step == trainer.max_steps
