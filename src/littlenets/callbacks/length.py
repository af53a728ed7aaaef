"""How long a run is going to be."""

import math

from pytorch_lightning import Trainer


def planned_epochs(trainer: Trainer) -> int | None:
    """Return the number of epochs that ``max_epochs`` and ``max_steps`` allow; None where neither is a limit."""
    limits = [] if trainer.max_epochs in (None, -1) else [trainer.max_epochs]
    batches = trainer.num_training_batches
    if trainer.max_steps != -1 and 0 < batches < math.inf:
        limits.append(math.ceil(trainer.max_steps / batches))
    return min(limits, default=None)
