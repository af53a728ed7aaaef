"""Declare the attributes that Lightning adds to a Trainer without declaring them in its class."""

from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, Trainer
    from pytorch_lightning.profilers import Profiler


class Attributes(Protocol):
    """Attributes of a Trainer for type checkers."""

    callbacks: "list[Callback]"
    datamodule: "LightningDataModule | None"
    fast_dev_run: bool | int
    profiler: "Profiler"


def declared(trainer: "Trainer") -> Attributes:
    """Return the trainer as an object whose type has these attributes."""
    return cast(Attributes, trainer)
