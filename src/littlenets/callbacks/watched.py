"""Watched quantities, such as a weight: values that are recorded at the end of each epoch."""

from collections.abc import Callable

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from ..trainer_attributes import declared


def watched_by(trainer: Trainer, module: LightningModule) -> Callable[[], dict[str, Tensor]]:
    """Return a function that returns the watched quantities by name, each a detached tensor of one element.

    They are collected from the method ``watched()`` of the network and the method ``watched(trainer, pl_module)`` of
    callbacks, where these exist.
    """
    sources = [watched] if (watched := getattr(getattr(module, "network", None), "watched", None)) else []
    sources += [
        lambda watch=callback.watched: watch(trainer, module)
        for callback in declared(trainer).callbacks
        if hasattr(callback, "watched")
    ]
    return lambda: {name: value.detach() for source in sources for name, value in source().items()}
