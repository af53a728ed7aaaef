"""When the training state is saved: checkpoints/last.ckpt and checkpoints/best.ckpt."""

import os
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from ..ranges import Count

# Each takes 5 ms, and none of them may cost a run of 4 seconds a hundredth.
CHECKPOINTS_A_RUN = 10


class Checkpoints(Checkpoint):
    """Saves ``last.ckpt`` every few epochs and at the end, and ``best.ckpt`` where the loss is the lowest so far.

    Best is by ``val/loss`` where there is a validation set. Without one it is by ``train/loss``, which is measured on
    the data that the network is trained on.

    Args:
        every: epochs between two checkpoints; ``auto`` makes about 10 in a run.
    """

    def __init__(self, every: Count | Literal["auto"] = "auto") -> None:
        self.every = every
        self.best = float("inf")
        self._saved_step = self._epoch_step = -1
        self._validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._folder = Path(trainer.default_root_dir) / "checkpoints"
        self._monitor = "val/loss" if trainer.enable_validation else "train/loss"
        self._every = self.every
        if self._every == "auto":
            self._every = max(1, (trainer.max_epochs or 0) // CHECKPOINTS_A_RUN)

    def epochs_until_due(self, trainer: Trainer) -> int:
        return -(trainer.current_epoch + 1) % self._every

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        due = (trainer.current_epoch + 1) % self._every == 0
        # A loss belongs to the weights that it was measured with: val/loss counts right after a validation alone.
        improved = (self._validated if self._monitor == "val/loss" else due) and self._improves(trainer)
        self._validated = False
        self._epoch_step = trainer.global_step
        if due or improved:
            self._save(trainer, improved)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            whole_epoch = trainer.global_step == self._epoch_step
            self._save(trainer, whole_epoch and self._monitor == "train/loss" and self._improves(trainer))

    def _improves(self, trainer: Trainer) -> bool:
        value = trainer.callback_metrics[self._monitor].item()
        improved = value < self.best
        self.best = min(value, self.best)
        return improved

    def _save(self, trainer: Trainer, improved: bool) -> None:
        if trainer.fast_dev_run:
            return  # Lightning's word for: leave nothing behind
        self._saved_step = trainer.global_step
        trainer.save_checkpoint(self._folder / "last.ckpt")
        if improved and trainer.is_global_zero:
            _copy(self._folder / "last.ckpt", self._folder / "best.ckpt")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


def _copy(source: Path, target: Path) -> None:
    """Gives a file, which is never written in place, a second name at no cost where the disk can do that."""
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        os.link(source, temporary)
    except OSError:
        temporary.write_bytes(source.read_bytes())
    os.replace(temporary, target)
