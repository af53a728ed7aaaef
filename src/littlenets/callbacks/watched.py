"""Quantities that are recorded as they are at the end of an epoch, such as a weight."""

from collections.abc import Callable

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor


def watched_by(trainer: Trainer, module: LightningModule) -> Callable[[], dict[str, Tensor]]:
    """Return a function that returns them by name, each detached and of one element.

    The network gives its own by a method ``watched()``, a callback by ``watched(trainer, pl_module)``.
    """
    sources = [watched] if (watched := getattr(getattr(module, "network", None), "watched", None)) else []
    sources += [
        lambda watch=callback.watched: watch(trainer, module)
        for callback in trainer.callbacks
        if hasattr(callback, "watched")
    ]
    return lambda: {name: value.detach() for source in sources for name, value in source().items()}
