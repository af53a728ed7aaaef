"""Build what a run needs from its configuration: data, threads, Trainer, and the processes of other devices."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.plugins import Precision
from pytorch_lightning.strategies import DDPStrategy

from .callbacks import Beginning, Divergence, Monitors, Stopping, TrainingState
from .config.choices import load_choice, other_data
from .config.fit import evaluating, is_plain_task
from .data import TensorDataModule
from .data.resumable import make_resumable
from .data.samples import lacks
from .errors import DataUnavailableError, SettingError
from .instantiation import build, build_all
from .loggers import open_logger
from .parallel.processes import Others
from .parallel.rendezvous import meeting_point, starts_others, take_start_method
from .parallel.shares import Shares
from .runs.checkpoints import SafeCheckpointIO
from .runs.resuming import Resumed
from .runs.summary import stand_in_warning
from .speed.run_ahead import RunAhead
from .speed.shared_steps import SharedSteps
from .speed.threads import choose_threads
from .trainers import make_trainer

log = logging.getLogger(__name__)

# What the processes of other devices call. It is named since that module needs this one.
FOLLOW = "littlenets.other_ranks:follow"


def build_data(config: DictConfig, name: str, folders: Sequence[Path]) -> tuple[LightningDataModule, str]:
    """Build the datamodule, download its data and set it up; use the stand-in data if the data is unavailable.

    Args:
        config: the configuration; ``data`` is replaced if the stand-in is used.
        name: the name of the data.
        folders: the folders with configuration files.

    Returns:
        The datamodule, and the name of its data.

    Raises:
        SettingError: the data is unavailable and no stand-in is configured.
    """
    datamodule = build(config.data)
    try:
        datamodule.prepare_data()
    except DataUnavailableError as error:
        if datamodule.stand_in is None:
            raise SettingError(
                f"{error}\nTo train on digits that need no download: data=digits, or data.stand_in=digits."
            ) from None
        wanted, name = name, datamodule.stand_in
        stand_in = load_choice("data", name, folders)
        log.warning(stand_in_warning(wanted, name, str(error)))
        stand_in.update({key: config.data[key] for key in ("batch_size", "shuffle", "validation")})
        with open_dict(config):
            config.data = stand_in
        datamodule = build(config.data)
        datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule, name


def build_other_data(config: DictConfig, folders: Sequence[Path]) -> dict[str, LightningDataModule]:
    """Build the datamodules of ``also_test`` by name, using the settings of ``data`` that they share."""
    others = {}
    for name in config.get("also_test", []):
        others[name] = build(other_data(config, name, folders))
        others[name].prepare_data()
        others[name].setup("test")
    return others


def build_threads(
    config: DictConfig, module: LightningModule, datamodule: LightningDataModule, trainer: Trainer
) -> int:
    """Set the number of CPU threads of each process, before any threads are started, and return it."""
    network, sample, batch_size = None, None, 1
    if isinstance(datamodule, TensorDataModule) and is_plain_task(type(module)):
        samples = len(datamodule.splits["train"].x) // trainer.world_size
        network, sample = module, datamodule.sample().x
        batch_size = max(1, min(datamodule.batch_size or samples, samples))
    with evaluating(module):
        threads = choose_threads(config.threads, network, sample, batch_size, trainer.num_devices)
    if trainer.world_size > 1:
        # Otherwise Lightning would set it.
        os.environ["OMP_NUM_THREADS"] = str(threads)
    return threads


def start_others(config: DictConfig, trainer: Trainer) -> Others:
    """Start the other processes of this machine, which import their modules in the meantime.

    Raises:
        SettingError: the processes are to be forked, but this process uses a GPU already.
    """
    method = take_start_method(config.trainer.copy())
    if not starts_others(trainer):
        return Others(1, method, {}, FOLLOW)
    if method == "fork" and torch.cuda.is_initialized():
        raise SettingError("trainer.strategy=ddp_fork: this process uses a GPU already. Set trainer.strategy=ddp.")
    return Others(trainer.num_devices, method, meeting_point(trainer), FOLLOW)


def build_trainer(
    config: DictConfig,
    folder: Path,
    check_folder: Callable[[], None] | None,
    beginning: Beginning,
    before: Resumed | None = None,
    label: str = "",
) -> Trainer:
    """Build Lightning's Trainer with the configured callbacks and loggers, all of which write below the run folder.

    Args:
        config: the checked configuration.
        folder: the run folder.
        check_folder: raises an error if the folder no longer exists.
        beginning: the callback that runs when training starts; placed after the other callbacks.
        before: the run to resume; None for a new run.
        label: what TensorBoard calls the run.

    Raises:
        SettingError: Lightning rejects a setting, or this machine does not support it.
    """
    # Memory that is overwritten anyway need not be filled; only reading uninitialized memory could change the results.
    torch.utils.deterministic.fill_uninitialized_memory = False
    callbacks = [
        Stopping(),
        # Configurations of runs from before figures existed have no key ``figures``.
        *(build(node) for node in [*(config.callbacks or {}).values(), config.get("figures")] if node),
        Monitors(),
        Divergence(),
        TrainingState(),
        Shares(),
        *([SharedSteps()] if accelerates(config) else []),
        RunAhead(config.get("run_ahead", True)),
        beginning,
    ]
    loggers = [
        open_logger(build(node), folder, before and before.logged, label)
        for node in (config.logger or {}).values()
        if OmegaConf.is_dict(node)
    ]
    places = [folder, *(Path(place) for place in config.trust if os.path.isabs(place))] if before else None
    return make_trainer(config.trainer, callbacks, loggers, [SafeCheckpointIO(check_folder, places)], folder)


def accelerates(config: DictConfig) -> bool:
    """Return whether to compute layers faster and share batches among threads; torch.compile has its own ways."""
    # Configurations of older runs have no key ``accelerate``.
    return config.get("accelerate", True) and not config.compile


def tests_alone(trainer: Trainer) -> bool:
    """Return whether to test in one process after training in several, each of which has the whole network."""
    return trainer.world_size > 1 and isinstance(trainer.strategy, DDPStrategy)


def build_tester(config: DictConfig, trainer: Trainer) -> Trainer:
    """Build a Trainer for this process alone, with the other settings, callbacks and loggers of ``trainer``."""
    settings = config.trainer.copy()
    device = trainer.strategy.root_device
    with open_dict(settings):
        for name in ("strategy", "num_nodes", "sync_batchnorm", "max_time", "plugins", "logger"):
            settings.pop(name, None)
        settings.devices = 1 if device.index is None else [device.index]
    plugins = [one for one in build_all(config.trainer.get("plugins")) if isinstance(one, Precision)]
    # For a fast_dev_run, Lightning replaces the loggers.
    loggers = [] if trainer.fast_dev_run else trainer.loggers
    return make_trainer(settings, trainer.callbacks, loggers, plugins, Path(trainer.default_root_dir))


def prepare_trainer(trainer: Trainer, datamodule: LightningDataModule, seed: int, before: Resumed | None) -> None:
    """Complete the setup of a Trainer after the data has been loaded and checked.

    Args:
        trainer: the trainer.
        datamodule: the data.
        seed: the seed for the order of the samples.
        before: the run to resume; None for a new run.
    """
    if lacks(datamodule, "val"):
        # Lightning detects that a validation loader exists, but not that it has no data.
        trainer.limit_val_batches = 0
    for logger in trainer.loggers:
        # Makes the logger open its files and import its package during setup instead of during the fit.
        _ = logger.experiment
    make_resumable(datamodule, seed, *((before.finished_epochs, before.steps_of_epoch) if before else ()))
