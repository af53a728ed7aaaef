"""Callback that saves last.ckpt and best.ckpt; `runs.checkpoints` writes and reads the files."""

import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Predicate
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from ..ranges import Count
from ..runs.checkpoints import read_checkpoint
from ..runs.files import copy_atomically
from ..trainer_attributes import declared
from .epoch_counts import planned_epochs

# Saving one takes 5 ms; ten of them take about one percent of a run of 4 seconds.
CHECKPOINTS_A_RUN = 10

_UNITS = re.compile(r"([1-9]\d*) ?(epoch|batch|minute)(?:s|es)?")


def is_interval(text: str) -> bool:
    """a text such as "200 batches" or "5 minutes"."""  # noqa: D401, D403 (the docstring is part of an error message)
    return _UNITS.fullmatch(text) is not None


Interval = Count | Literal["auto"] | Annotated[str, Predicate(is_interval)]


def _is_own(callback: Callback) -> bool:
    return type(callback).__module__.startswith("littlenets.")


class Checkpoints(Checkpoint):
    """Save ``last.ckpt`` at regular intervals and at the end, and ``best.ckpt`` whenever the loss is the lowest so far.

    The best checkpoint is chosen by ``val/loss`` if there is a validation set. Without one it is chosen by
    ``train/loss``, which is measured on the training data. If the module logs no such loss (``val_loss`` and
    ``train_loss`` are accepted as well), no ``best.ckpt`` is saved.

    Args:
        every: epochs between two checkpoints, or an interval such as "200 batches" or "5 minutes". ``auto`` saves about
            10 checkpoints in a run, and one per minute in a run of unknown length.
    """

    def __init__(self, every: Interval = "auto") -> None:
        self.every = every
        self.best = float("inf")
        self._saved_step = self._epoch_step = self._epoch_batches = -1
        self._validated = self._improved = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._folder = Path(trainer.default_root_dir) / "checkpoints"
        self._monitor = "val/loss" if trainer.enable_validation else "train/loss"
        self._unit = "epoch"
        if self.every == "auto":
            epochs = planned_epochs(trainer)
            self._every = max(1, (epochs or 0) // CHECKPOINTS_A_RUN)
            if epochs is None:
                # Writing a checkpoint can take longer than an epoch.
                self._unit = "minute"
        elif isinstance(self.every, str):
            ((number, self._unit),) = _UNITS.findall(self.every)
            self._every = int(number)
        else:
            self._every = self.every
        self._saved_at = time.monotonic()
        self._epoch_step, self._epoch_batches = trainer.global_step, _batches(trainer)
        if self._improved and trainer.is_global_zero:
            # The resumed last.ckpt is also the best one; the run may have been killed before best.ckpt was written.
            copy_atomically(self._folder / "last.ckpt", self._folder / "best.ckpt")

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Return how many epochs after the current one can be trained without this callback; None: any number."""
        if self._unit == "minute":
            return 0 if self._time_is_up(trainer) else None
        if self._unit == "batch":
            # A checkpoint due within an epoch is saved if Lightning's hooks run for that epoch.
            past = _batches(trainer) % self._every
            return (self._every - past) // int(trainer.num_training_batches) if past else 0
        return -(trainer.current_epoch + 1) % self._every

    def batches_until_due(self, trainer: Trainer) -> int | None:
        """Return how many batches after the current one can be trained without this callback; None: any number."""
        if self._unit == "batch":
            return -_batches(trainer) % self._every
        return 0 if self._unit == "minute" and self._time_is_up(trainer) else None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_last_batch:
            return  # on_train_epoch_end follows immediately
        last = trainer.should_stop or trainer.global_step == trainer.max_steps
        due = _batches(trainer) % self._every == 0 if self._unit == "batch" else self._unit == "minute"
        # Gradients that are still being accumulated are not saved, so wait for the optimizer step.
        due = due and (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # Here Lightning's loop state still contains the number of batches done in this epoch; after the loop it does
        # not.
        if last or (due and (self._unit == "batch" or self._time_is_up(trainer))):
            self._save(trainer, improved=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking
        if self._validated and self._monitor == "val/loss" and not trainer.is_last_batch and self._improves(trainer):
            self._save(trainer, improved=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_last_batch:
            return  # training was stopped within the epoch
        due = self._due_at_epoch_end(trainer)
        # A loss is valid only for the weights it was measured with: use val/loss only directly after a validation.
        improved = (self._validated if self._monitor == "val/loss" else due) and self._improves(trainer)
        self._validated = False
        self._epoch_step, self._epoch_batches = trainer.global_step, _batches(trainer)
        if due or improved:
            self._save(trainer, improved)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            whole_epoch = trainer.global_step == self._epoch_step
            self._save(trainer, whole_epoch and self._monitor == "train/loss" and self._improves(trainer))
        elif not declared(trainer).fast_dev_run and not self._has_last(trainer, pl_module):
            self._save(trainer, improved=False)

    def _has_last(self, trainer: Trainer, module: LightningModule) -> bool:
        """Return whether last.ckpt has the weights that will be tested; a callback may just have averaged them."""
        if all(
            type(callback).on_train_end is Callback.on_train_end or _is_own(callback)
            for callback in declared(trainer).callbacks
        ):
            return True
        same = False
        if trainer.is_global_zero:
            saved = read_checkpoint(self._folder / "last.ckpt")["state_dict"]
            # A module may save only a part of its state, and values other than tensors.
            weights = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
            same = all(torch.equal(saved[name], value.cpu()) for name, value in weights.items() if name in saved)
        # All processes must take part in saving.
        return trainer.strategy.broadcast(same) if trainer.world_size > 1 else same

    def _due_at_epoch_end(self, trainer: Trainer) -> bool:
        if self._unit == "minute":
            return self._time_is_up(trainer)
        if self._unit == "batch":
            return _batches(trainer) // self._every > self._epoch_batches // self._every
        return (trainer.current_epoch + 1) % self._every == 0

    def _time_is_up(self, trainer: Trainer) -> bool:
        up = time.monotonic() - self._saved_at >= 60 * self._every
        # All processes must take part in saving.
        return trainer.strategy.broadcast(up) if trainer.world_size > 1 else up

    def _improves(self, trainer: Trainer) -> bool:
        metrics = trainer.callback_metrics
        # Other modules name the loss val_loss or train_loss. With several validation sets, use the first.
        names = [self._monitor, self._monitor.replace("/", "_")]
        names += [f"{name}/dataloader_idx_0" for name in names]
        metric = next((metrics[name] for name in names if name in metrics), None)
        if metric is None:
            return False
        value = metric.item()
        improved = value < self.best
        self.best = min(value, self.best)
        return improved

    def _save(self, trainer: Trainer, improved: bool) -> None:
        if declared(trainer).fast_dev_run:
            return  # a fast_dev_run writes no files
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._improved = improved
        trainer.save_checkpoint(self._folder / "last.ckpt")
        if improved and trainer.is_global_zero:
            copy_atomically(self._folder / "last.ckpt", self._folder / "best.ckpt")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "improved": self._improved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self._improved = state_dict["best"], state_dict["improved"]


def _batches(trainer: Trainer) -> int:
    """Return the number of batches trained so far, including the current one; a batch may have several steps."""
    return trainer.fit_loop.epoch_loop.batch_progress.total.ready
