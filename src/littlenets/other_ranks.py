"""Train in a process other than the first of a run.

Such a process writes and prints nothing, and tests only if the first process cannot test alone (`tests_alone`).
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from .callbacks import Beginning
from .config.check import check
from .config.origin import Origin
from .errors import StoppedError
from .evaluation import test
from .instantiation import build_module
from .parallel.processes import ProcessError, Task
from .parallel.ranks import rank_variable
from .parallel.rendezvous import process_group
from .run_setup import (
    accelerates,
    build_data,
    build_other_data,
    build_threads,
    build_trainer,
    prepare_trainer,
    start_others,
    tests_alone,
)
from .runs import resolvers
from .runs.resuming import Resumed
from .trainers import fit


def follow(task: Task, say: Callable[[None], None], wait: Callable[[], object]) -> None:
    """Train in a process that was started by the first process on this machine.

    Args:
        task: the run to take part in.
        say: called with None to report that this process is ready.
        wait: blocks until the first process no longer needs this one.
    """
    resolvers.register()
    if task.origin.hydra is not None:
        # For classes of the user that read it.
        HydraConfig.instance().set_config(task.origin.hydra)
    config = OmegaConf.create(task.config)
    os.environ["OMP_NUM_THREADS"] = str(task.threads)
    trainer = _build_trainer(config, Path(task.folder))
    datamodule, _ = build_data(config, "data", task.origin.folders)
    module = _build_module(config, trainer, datamodule, task.before)
    torch.set_num_threads(task.threads)
    say(None)
    _train_along(config, task.origin, trainer, module, datamodule, task.before)
    wait()


def follow_from_outside(config: DictConfig, folder: Path, origin: Origin, before: Resumed | None) -> None:
    """Train in a process that was started with the same command as the first, on this machine or another.

    Args:
        config: the configuration as composed in this process.
        folder: a folder for code that writes files without checking the rank.
        origin: how the configuration was composed.
        before: the run to resume; None for a new run.

    Raises:
        SettingError: a setting is wrong; the first process reports it too.
        ProcessError: there is no first process, or a process that was started here failed.
    """
    if before is None:
        check(config, origin)
    trainer = _build_trainer(config, folder)
    if trainer.world_size == 1:
        raise ProcessError(
            f"{rank_variable()} says that this is one of several processes of a run, whose settings ask for one. "
            "Set trainer.devices=N, or unset the variable."
        )
    with process_group(), start_others(config, trainer) as others:
        datamodule, _ = build_data(config, "data", origin.folders)
        module = _build_module(config, trainer, datamodule, before)
        threads = build_threads(config, module, datamodule, trainer)
        resolved = OmegaConf.to_container(config, resolve=True)
        others.begin(Task(resolved, origin, str(folder), before, threads))
        _train_along(config, origin, trainer, module, datamodule, before)
        others.end()


def _build_trainer(config: DictConfig, folder: Path) -> Trainer:
    # Lightning's loggers write nothing in a process whose rank is not 0.
    return build_trainer(config, folder, None, Beginning(_nothing))


def _build_module(
    config: DictConfig, trainer: Trainer, datamodule: LightningDataModule, before: Resumed | None
) -> LightningModule:
    module = build_module(config)
    if config.compile:
        getattr(module, "network", module).compile()
    prepare_trainer(trainer, datamodule, config.seed, before)
    return module


def _train_along(
    config: DictConfig,
    origin: Origin,
    trainer: Trainer,
    module: LightningModule,
    datamodule: LightningDataModule,
    before: Resumed | None,
) -> None:
    try:
        checkpoint = before.checkpoint if before else None
        fit(trainer, module, datamodule, checkpoint, lambda: True, accelerates(config))
    except StoppedError:
        return
    if not tests_alone(trainer):
        for data in (datamodule, *build_other_data(config, origin.folders).values()):
            test(trainer, module, data)


def _nothing() -> None:
    pass
