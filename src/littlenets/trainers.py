"""Lightning's Trainer: made of its settings, tried before any data are loaded, and run."""

import functools
import json
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning_fabric.plugins import ClusterEnvironment
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelSummary
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .callbacks import Checkpoints, Progress, Stopping
from .config.targets import INSTALLED, installed_target
from .data.samples import lacks
from .errors import DivergedError, SettingError, StoppedError
from .instantiation import build, build_all
from .parallel.rendezvous import own_processes, take_start_method
from .speed.no_profiler import NoProfiler


def make_trainer(
    node: DictConfig,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    plugins: Sequence[Any],
    folder: Path,
) -> Trainer:
    """Build a Trainer of a node's settings, its own plugins and loggers added to those given.

    What the settings switch off is left out of the callbacks.

    Raises:
        SettingError: Lightning refuses a setting.
    """
    settings, more_plugins, more_loggers = trainer_settings(node)
    callbacks = [
        callback
        for callback in callbacks
        if not (isinstance(callback, Progress) and settings.get("enable_progress_bar") is False)
        and not (isinstance(callback, Checkpoints) and settings.get("enable_checkpointing") is False)
    ]
    if settings.get("enable_model_summary") and not any(isinstance(one, ModelSummary) for one in callbacks):
        # Lightning's choice, with rich, prints past the log.
        callbacks.append(ModelSummary())
    if not any(isinstance(plugin, ClusterEnvironment) for plugin in more_plugins):
        more_plugins += own_processes(settings)
    take_start_method(settings)
    given = {
        "callbacks": callbacks,
        "logger": False if more_loggers is False else [*loggers, *more_loggers],
        "plugins": [*more_plugins, *plugins],
        "default_root_dir": folder,
    }
    if settings.get("profiler") is None and not settings.get("barebones"):
        given["profiler"] = NoProfiler()
    try:
        return build(settings, **given)
    except (TypeError, ModuleNotFoundError) as error:
        raise SettingError(f"trainer: {' '.join(str(error).split())}") from error


def trainer_settings(node: DictConfig) -> tuple[DictConfig, list[Any], list[Any] | Literal[False]]:
    """The settings of the Trainer, its further plugins, and its further loggers (False: it has none at all)."""
    node = node.copy()
    with open_dict(node):
        plugins, loggers = node.pop("plugins", None), node.pop("logger", None)
        if node.get("barebones"):
            # What Lightning wants to have said nothing about, or no.
            for name in ("log_every_n_steps", "num_sanity_val_steps"):
                node.pop(name, None)
            node.enable_checkpointing = node.enable_progress_bar = node.enable_model_summary = False
            # One that was asked for is refused by Lightning.
            loggers = loggers or False
    return node, build_all(plugins), False if loggers is False else build_all(loggers)


def refused(config: DictConfig) -> str | None:
    """Return what Lightning says against the settings of its Trainer and of its own callbacks; None if nothing.

    Args:
        config: whose settings have been checked one by one.
    """
    trainer = OmegaConf.to_container(config.trainer, resolve=True)
    # They change the whole process, and suit each other whatever they are.
    trainer = {name: value for name, value in trainer.items() if name not in ("deterministic", "benchmark")}
    # Which devices a job has is seen where it is trained.
    trainer["devices"] = 1
    callbacks = OmegaConf.to_container(config.callbacks, resolve=True) if config.callbacks else {}
    # Whoever wrote another one may not expect it to be built without being used.
    known = (f"{INSTALLED}.", "littlenets.")
    callbacks = {
        name: node for name, node in callbacks.items() if node and installed_target(node["_target_"]).startswith(known)
    }
    return _refused(json.dumps({"trainer": trainer, "callbacks": callbacks}, default=str))


# The trainer is the same in most points of a sweep.
@functools.lru_cache(maxsize=1024)
def _refused(nodes: str) -> str | None:
    config = OmegaConf.create(json.loads(nodes))
    with warnings.catch_warnings():
        # Whoever builds it to train with it is warned.
        warnings.simplefilter("ignore")
        try:
            callbacks = [build(node) for node in config.callbacks.values()]
            make_trainer(config.trainer, callbacks, [], [], Path())
        except SettingError as error:
            return str(error)
    return None


def fit(
    trainer: Trainer,
    module: LightningModule,
    datamodule: LightningDataModule,
    checkpoint: Path | None,
    begun: Callable[[], bool],
) -> None:
    """``trainer.fit``, which the first Ctrl-C or SIGTERM ends soon, at the end of a batch, and the second at once.

    Args:
        checkpoint: what to go on from; None is from the beginning.
        begun: whether training has begun, and what is to be restored has been.

    Raises:
        StoppedError: stopped by a signal.
        SettingError: Lightning refuses a setting, or the checkpoint.
    """
    try:
        with warnings.catch_warnings():
            # Loaders are put back to the batch that follows.
            warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch")
            # Data need not have what a task could be validated on.
            warnings.filterwarnings("ignore", "You defined a `validation_step` but have no `val_dataloader`")
            if lacks(datamodule, "val"):
                # A loader for validation is there all the same.
                warnings.filterwarnings("ignore", "You passed in a `val_dataloader` but have no `validation_step`")
            # A limit of time may be taken away when a run is gone on with.
            warnings.filterwarnings("ignore", r".* add the following callbacks: \['Timer'\]")
            # Lightning converts it after it has loaded the weights, which would round them.
            trainer.precision_plugin.convert_module(module)
            trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint)
    except SystemExit as end:
        # Lightning turns the second signal into an exit, which would end a whole sweep without a word.
        raise StoppedError(getattr(end.__context__, "signal", signal.SIGINT), at_once=True) from None
    except MisconfigurationException as error:
        raise SettingError(f"trainer: {error}") from error
    except (SettingError, DivergedError, OSError):
        raise
    except Exception as error:
        if begun():
            raise
        if checkpoint is None:
            if isinstance(error, ValueError) and raised_by_lightning(error):
                raise SettingError(f"trainer: {' '.join(str(error).split())}") from error
            raise
        # Lightning restores parts of the state without a check of its own.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SettingError(f"{checkpoint} could not be restored: {reason}") from error
    received = next(callback.received for callback in trainer.callbacks if isinstance(callback, Stopping))
    if received is not None:
        raise StoppedError(received)


def raised_by_lightning(error: BaseException) -> bool:
    """Return whether an error was raised in Lightning's own code, not in what it calls."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith(f"{INSTALLED}.")
