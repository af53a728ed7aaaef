"""Build optimizers and learning rate schedules for Lightning's ``configure_optimizers``."""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..errors import SettingError

FUSED_DEVICES = {"cpu", "cuda", "mps"}


def make_optimizer(make: Callable[..., Optimizer], parameters: Iterable[Tensor], device: torch.device) -> Optimizer:
    """Build the optimizer for those parameters that require a gradient.

    It uses one kernel for all parameters (``fused``, the same formula) if it supports that and none of
    ``fused``, ``foreach`` and ``differentiable`` is configured.

    Args:
        make: builds the optimizer from parameters.
        parameters: the parameters of the module.
        device: the device of the parameters.

    Raises:
        SettingError: the optimizer rejects one of its settings.
    """
    chosen = {"fused", "foreach", "differentiable"} & set(getattr(make, "keywords", {}))
    possible = "fused" in inspect.signature(make).parameters and device.type in FUSED_DEVICES
    fused = {"fused": True} if possible and not chosen else {}
    try:
        return make([parameter for parameter in parameters if parameter.requires_grad], **fused)
    except ValueError as error:
        raise SettingError(f"optimizer: {error}") from error


class Schedule:
    """A learning rate scheduler with the settings that determine when Lightning steps it.

    Args:
        make: builds the scheduler from the optimizer. If it has a parameter ``total_steps``, the number of steps of the
            run is filled in.
        interval: whether it is stepped after every epoch or every optimizer step; None is every step if it has a
            parameter ``total_steps``, and every epoch otherwise.
        frequency: number of epochs or steps between two steps of the scheduler.
        monitor: the metric that `ReduceLROnPlateau` uses; None is ``val/loss`` if there is a validation, and
            ``train/loss`` otherwise.
    """

    # Not a dataclass, since Hydra would convert it into a configuration node.
    def __init__(
        self,
        make: Callable[..., LRScheduler],
        interval: Literal["epoch", "step"] | None = None,
        frequency: int = 1,
        monitor: str | None = None,
    ) -> None:
        self.make, self.interval, self.frequency, self.monitor = make, interval, frequency, monitor

    def __call__(self, optimizer: Optimizer, **arguments: Any) -> LRScheduler:
        """Build the scheduler, for a module with its own ``configure_optimizers``."""
        return self._made(self.make, optimizer, **arguments)

    def configuration(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """Return the entry ``lr_scheduler`` for the result of ``configure_optimizers``.

        Raises:
            SettingError: the scheduler rejects one of its settings, or needs a run with an end.
        """
        counts_steps = "total_steps" in inspect.signature(self.make).parameters
        total = {}
        if counts_steps:
            steps = trainer.estimated_stepping_batches
            if math.isinf(steps):
                raise SettingError("This scheduler needs an end: set trainer.max_epochs or trainer.max_steps.")
            total = {"total_steps": int(steps)}
        try:
            scheduler = self._made(self.make, optimizer, **total)
        except ValueError as error:
            raise SettingError(f"scheduler: {error}") from error
        interval = self.interval or ("step" if counts_steps else "epoch")
        found = {"scheduler": scheduler, "interval": interval, "frequency": self.frequency}
        if isinstance(scheduler, ReduceLROnPlateau):
            found["monitor"] = self.monitor or ("val/loss" if trainer.enable_validation else "train/loss")
        return found

    def _made(self, make: Callable[..., LRScheduler], optimizer: Optimizer, **arguments: Any) -> LRScheduler:
        """Build the scheduler, after the schedulers that it consists of, such as those of `SequentialLR`."""
        for name, parts in getattr(make, "keywords", {}).items():
            if isinstance(parts, Sequence) and not isinstance(parts, str) and any(map(callable, parts)):
                arguments[name] = [self._made(part, optimizer) for part in parts]
        # Passed by name, since it is not the first parameter of every scheduler.
        if "optimizer" in inspect.signature(make).parameters:
            return make(optimizer=optimizer, **arguments)
        return make(optimizer, **arguments)
