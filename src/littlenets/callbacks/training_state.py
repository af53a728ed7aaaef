"""What a checkpoint needs besides what Lightning saves, so that a resumed run ends as if it had never been stopped."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ..errors import SettingError
from ..modules import SupervisedModule
from ..randomness import random_states, restore_random_states, set_apart

_NO_RECORDS = {"names": [], "sizes": [], "measured": torch.empty(0, dtype=torch.float64)}


class TrainingState(Callback):
    """Save and restore random states, the place in the epoch under way, and what was measured in it.

    It belongs after the other callbacks, which may draw random numbers when training starts.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None
        # Whole epochs before this part of the run, and batches in them: their number may have changed since.
        self._epochs_before = self._batches_before = 0
        #: The metrics that the checkpoint was saved with, by name.
        self.latest: dict[str, float] = {}

    def finished_epochs(self, trainer: Trainer) -> int:
        """Return how many epochs have come to their end."""
        trained = trainer.fit_loop.epoch_loop.batch_progress.total.processed - self._batches_before
        return self._epochs_before + trained // trainer.num_training_batches

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        loop = checkpoint["loops"]["fit_loop"]
        under_way = not trainer.is_last_batch
        records = pl_module.records.state_dict() if isinstance(pl_module, SupervisedModule) else _NO_RECORDS
        several = trainer.world_size > 1
        own = {"records": records if under_way else _NO_RECORDS, "random": random_states(all_gpus=not several)}
        all_processes = [own] * trainer.world_size
        if several:
            torch.distributed.all_gather_object(all_processes, own)
        checkpoint["littlenets"] = {
            "finished_epochs": loop["epoch_progress"]["current"]["processed"],
            "batches": loop["epoch_loop.batch_progress"]["current"]["ready"] if under_way else 0,
            **all_processes[0],
            # Of the other processes, by rank.
            "others": all_processes[1:],
            "latest": {name: value.item() for name, value in trainer.callback_metrics.items()},
            "optimizer_entries": sum(len(state["state"]) for state in checkpoint.get("optimizer_states", [])),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "littlenets" not in checkpoint:
            return
        self._restored = checkpoint["littlenets"]
        # At once: where all epochs were done when the run was killed, there is no start.
        self.latest = self._restored["latest"]
        loop = checkpoint["loops"]["fit_loop"]
        epochs, batches = loop["epoch_progress"], loop["epoch_loop.batch_progress"]
        self._epochs_before = self._restored["finished_epochs"]
        self._batches_before = batches["total"]["processed"] - self._restored["batches"]
        if not self._restored["batches"] and epochs["current"]["processed"] == epochs["current"]["ready"]:
            # Saved at the end of an epoch. With max_steps, Lightning would take that epoch for unfinished.
            for counter in epochs.values():
                counter["completed"] = counter["processed"]
            batches["current"] = dict.fromkeys(batches["current"], 0)
            batches["is_last_batch"] = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, SupervisedModule):
            pl_module.records.clear()
        if self._restored is None:
            set_apart(trainer.global_rank)
            return
        restored, self._restored = self._restored, None
        every_process = [restored, *restored.get("others", [])]
        batches = restored["batches"]
        if batches and len(every_process) != trainer.world_size:
            raise SettingError(
                f"trainer.devices: this run was stopped within an epoch, which {len(every_process)} devices share. "
                f"Go on with as many; between two epochs their number can be changed."
            )
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if batches and hasattr(sampler, "skip"):
            sampler.skip = batches
        if trainer.global_rank >= len(every_process):
            set_apart(trainer.global_rank)
            return
        own = every_process[trainer.global_rank]
        if isinstance(pl_module, SupervisedModule):
            pl_module.records.load_state_dict(own["records"], pl_module.device)
        restore_random_states(own["random"])
