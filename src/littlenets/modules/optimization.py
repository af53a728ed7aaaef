"""From what a configuration names to what Lightning's ``configure_optimizers`` returns."""

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
    """Return the optimizer for those of the parameters that are to be trained.

    It is told to use one kernel for all parameters (``fused``, the same formula) where it can and nothing else is said.

    Raises:
        SettingError: it refuses one of its settings.
    """
    chosen = {"fused", "foreach", "differentiable"} & set(getattr(make, "keywords", {}))
    possible = "fused" in inspect.signature(make).parameters and device.type in FUSED_DEVICES
    fused = {"fused": True} if possible and not chosen else {}
    try:
        return make([parameter for parameter in parameters if parameter.requires_grad], **fused)
    except ValueError as error:
        raise SettingError(f"optimizer: {error}") from error


class Schedule:
    """A schedule of learning rates, with when Lightning takes its steps.

    Args:
        make: makes it from the optimizer. If it has a parameter ``total_steps``, the number of steps of the run is
            filled in.
        interval: whether it takes its steps after every epoch or every optimizer step; None is every step if it counts
            ``total_steps``, and every epoch otherwise.
        frequency: of how many of them it counts one.
        monitor: the metric that `ReduceLROnPlateau` looks at; None is ``val/loss`` where there is a validation, and
            ``train/loss`` otherwise.
    """

    # No dataclass: Hydra would make a configuration of it.
    def __init__(
        self,
        make: Callable[..., LRScheduler],
        interval: Literal["epoch", "step"] | None = None,
        frequency: int = 1,
        monitor: str | None = None,
    ) -> None:
        self.make, self.interval, self.frequency, self.monitor = make, interval, frequency, monitor

    def __call__(self, optimizer: Optimizer, **arguments: Any) -> LRScheduler:
        """Make the schedule, for a module that makes what Lightning takes by itself."""
        return self._made(self.make, optimizer, **arguments)

    def configuration(self, optimizer: Optimizer, trainer: Trainer) -> dict[str, Any]:
        """Return what ``configure_optimizers`` returns under ``lr_scheduler``.

        Raises:
            SettingError: the schedule refuses one of its settings, or needs a run that has an end.
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
        """Return the schedule, after those that it is made of, such as those of `SequentialLR`."""
        for name, parts in getattr(make, "keywords", {}).items():
            if isinstance(parts, Sequence) and not isinstance(parts, str) and any(map(callable, parts)):
                arguments[name] = [self._made(part, optimizer) for part in parts]
        # Not everywhere the first parameter.
        if "optimizer" in inspect.signature(make).parameters:
            return make(optimizer=optimizer, **arguments)
        return make(optimizer, **arguments)
