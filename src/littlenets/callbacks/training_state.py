"""Callback that adds state to checkpoints so that a resumed run gives the same result as an uninterrupted one."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ..errors import SettingError
from ..modules import SupervisedModule
from ..randomness import random_states, restore_random_states, set_apart
from .logged_means import LoggedSoFar

_NOT_LOGGED: dict[str, dict[str, Any]] = {"means": {}, "metrics": {}}
_NO_RECORDS = {"names": [], "sizes": [], "measured": torch.empty(0, dtype=torch.float64)}


class TrainingState(Callback):
    """Save and restore random states, the position in the current epoch, and the metrics measured in it so far.

    It must come after the other callbacks, because they may draw random numbers when training starts.

    Raises:
        SettingError: a run that was interrupted within an epoch is resumed with another number of devices.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None
        self._logged = LoggedSoFar()
        self._goes_on = self._plateau_due = False
        #: The metrics stored in the checkpoint, by name.
        self.latest: dict[str, float] = {}

    def batches_until_due(self, trainer: Trainer) -> int | None:
        """Return 0 while restored metrics must still be added to those of the next batches; otherwise None."""
        return 0 if self._logged.waiting else None

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Return the same as `batches_until_due`."""
        return self.batches_until_due(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        loop = checkpoint["loops"]["fit_loop"]
        under_way = not trainer.is_last_batch
        records = pl_module.records.state_dict() if isinstance(pl_module, SupervisedModule) else _NO_RECORDS
        own = {
            "records": records if under_way else _NO_RECORDS,
            "logged": self._logged.state_dict(trainer, pl_module) if under_way else _NOT_LOGGED,
            "random": random_states(all_gpus=trainer.world_size == 1),
        }
        processes = _of_all(own, trainer)
        checkpoint["littlenets"] = {
            "finished_epochs": loop["epoch_progress"]["current"]["processed"],
            "batches": loop["epoch_loop.batch_progress"]["current"]["ready"] if under_way else 0,
            **processes[0],
            # Curves whose x axis is Lightning's step counter; the x axis of the others is the epoch.
            "lightnings": ["epoch", *trainer.logged_metrics],
            "latest": {name: value.item() for name, value in trainer.callback_metrics.items()},
            # The states of ranks 1 and above if several processes train together.
            "others": processes[1:],
            "optimizer_entries": sum(len(state["state"]) for state in checkpoint.get("optimizer_states", [])),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "littlenets" not in checkpoint:
            return
        self._restored = checkpoint["littlenets"]
        others = self._restored.get("others", [])
        if self._restored["batches"] and len(others) != trainer.world_size - 1:
            raise SettingError(
                f"trainer.devices: this run was stopped within an epoch, which {len(others) + 1} devices share. Go on "
                "with as many; between two epochs their number can be changed."
            )
        if 0 < trainer.global_rank <= len(others):
            self._restored = self._restored | others[trainer.global_rank - 1]
        # Here and not in on_train_start, which is not called if the run was killed after its last epoch.
        self.latest = self._restored["latest"]
        loop = checkpoint["loops"]["fit_loop"]
        epochs, batches = loop["epoch_progress"], loop["epoch_loop.batch_progress"]
        # At the end of an epoch, Lightning saves before schedulers such as ReduceLROnPlateau take their step.
        self._plateau_due = epochs["current"]["processed"] > epochs["current"]["completed"]
        if not self._restored["batches"] and epochs["current"]["processed"] == epochs["current"]["ready"]:
            # The checkpoint is from the end of an epoch. With max_steps, Lightning would treat the epoch as unfinished.
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
        if isinstance(pl_module, SupervisedModule):
            pl_module.records.load_state_dict(restored["records"], pl_module.device)
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if restored["batches"] and sampler is not None and hasattr(sampler, "skip"):
            sampler.skip = restored["batches"]
        self._goes_on = True
        if self._plateau_due and pl_module.automatic_optimization:
            self._step_plateaus(trainer, pl_module)
        self._logged.load_state_dict(restored.get("logged", _NOT_LOGGED), pl_module)
        if trainer.global_rank > len(restored.get("others", [])):
            set_apart(trainer.global_rank)  # this rank is new: the run had fewer devices before
        else:
            restore_random_states(restored["random"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._goes_on:
            # Otherwise Lightning would also skip the step of schedulers such as ReduceLROnPlateau after this epoch.
            self._goes_on = trainer.fit_loop.restarting = False
        if self._logged.waiting:
            self._logged.add(trainer)

    def _step_plateaus(self, trainer: Trainer, module: LightningModule) -> None:
        for config in trainer.lr_scheduler_configs:
            due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
            if config.reduce_on_plateau and due and config.monitor in self.latest:
                module.lr_scheduler_step(config.scheduler, torch.tensor(self.latest[config.monitor]))


def _of_all(state: dict[str, Any], trainer: Trainer) -> list[dict[str, Any]]:
    """Gather the states of all processes; return them in the order of ranks."""
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states
