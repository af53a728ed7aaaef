"""How the processes of a run find each other, and which of them Lightning need not start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

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

# What a process group, and Lightning, leave behind in the process.
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")


class OwnProcesses(LightningEnvironment):
    """Lightning's default, but for the other processes of this machine, which the run starts itself."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def own_processes(settings: DictConfig) -> list[OwnProcesses]:
    """Return the plugin for a Trainer that may have several processes; none where somebody else starts them."""
    managers = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    one = settings.get("devices", 1) in (1, "1") and settings.get("num_nodes", 1) == 1
    if (one and settings.get("strategy", "auto") == "auto") or "LOCAL_RANK" in os.environ:
        return []
    return [] if any(manager.detect() for manager in managers) else [OwnProcesses()]


def take_start_method(settings: DictConfig) -> StartMethod:
    """Return how the other processes of a run are to be started, and take that out of the Trainer's settings.

    The names of Lightning's strategies say it (``ddp_fork``), or the argument ``start_method`` of one. Of a new process
    and one that runs the command again (``ddp``) the run sees no difference.
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
    """Return the variables by which the other processes of this machine find the first."""
    place = trainer.strategy.cluster_environment
    return {"MASTER_ADDR": place.main_address, "MASTER_PORT": str(place.main_port), "NODE_RANK": str(place.node_rank())}


@contextmanager
def process_group() -> Iterator[None]:
    """End the process group that is made in the block, and give back the environment variables."""
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
    """End the process group, where there is one: metrics would wait for processes that have ended."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
