"""Connect the processes of a run, and configure whether Lightning starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning_fabric.plugins.environments import (
    LightningEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import Trainer

StartMethod = Literal["spawn", "fork"]

# Environment variables that a process group, and Lightning, leave set in the process.
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")


class OwnProcesses(LightningEnvironment):
    """Lightning's default environment, except that the run itself starts the other processes of this machine."""

    @property
    def creates_processes_externally(self) -> bool:
        """Return True, so that Lightning does not start processes."""
        return True


def own_processes(settings: DictConfig) -> list[OwnProcesses]:
    """Return the plugin for a Trainer with several processes; empty for one process or if a launcher starts them."""
    managers = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    one = settings.get("devices", 1) in (1, "1") and settings.get("num_nodes", 1) == 1
    if (one and settings.get("strategy", "auto") == "auto") or "LOCAL_RANK" in os.environ:
        return []
    return [] if any(manager.detect() for manager in managers) else [OwnProcesses()]


def take_start_method(settings: DictConfig) -> StartMethod:
    """Return the start method of the other processes of a run, and remove it from the Trainer's settings.

    It is given by the name of Lightning's strategy (``ddp_fork``), or by a strategy's argument ``start_method``.
    ``ddp``, for which Lightning would run the command again, is treated like ``ddp_spawn``.
    """
    strategy, method = settings.get("strategy"), "spawn"
    with open_dict(settings):
        if OmegaConf.is_dict(strategy):
            method = strategy.pop("start_method", method)
        elif isinstance(strategy, str):
            for name in ("fork", "notebook", "spawn"):
                if strategy.startswith(f"ddp_{name}"):
                    settings.strategy, method = strategy.replace(f"_{name}", "", 1), name
    return "fork" if method in ("fork", "notebook") else "spawn"


def starts_others(trainer: Trainer) -> bool:
    """Return whether the run starts the other processes of this machine."""
    return isinstance(getattr(trainer.strategy, "cluster_environment", None), OwnProcesses)


def meeting_point(trainer: Trainer) -> dict[str, str]:
    """Return the environment variables with which the other processes of this machine connect to the first."""
    place: Any = getattr(trainer.strategy, "cluster_environment", None)
    return {"MASTER_ADDR": place.main_address, "MASTER_PORT": str(place.main_port), "NODE_RANK": str(place.node_rank())}


@contextmanager
def process_group() -> Iterator[None]:
    """End a process group created in the block, and restore the environment variables."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        leave_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def leave_group() -> None:
    """End the process group, if there is one; otherwise metrics would wait for processes that have ended."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
