"""Build Lightning's Trainer from its settings, report rejected settings before any data is loaded, and run it."""

import functools
import json
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from lightning_fabric.plugins import ClusterEnvironment
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelSummary
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .callbacks import Checkpoints, Progress, Stopping
from .config.containers import to_dict
from .config.targets import INSTALLED, installed_target
from .data.samples import lacks
from .errors import DivergedError, SettingError, StoppedError
from .instantiation import build, build_all
from .parallel.rendezvous import own_processes, take_start_method
from .speed.layers import accelerated
from .speed.no_profiler import NoProfiler
from .trainer_attributes import declared


def make_trainer(
    node: DictConfig,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    plugins: Sequence[Any],
    folder: Path,
) -> Trainer:
    """Build a Trainer from the settings of a node; its own plugins and loggers are added to the given ones.

    Callbacks for the progress bar and for checkpoints are omitted if the settings disable these.

    Args:
        node: the node ``trainer`` of the configuration.
        callbacks: the callbacks of the run.
        loggers: the loggers of the run.
        plugins: the plugins of the run.
        folder: the default folder for files of Lightning.

    Raises:
        SettingError: Lightning rejects a setting.
    """
    settings, more_plugins, more_loggers = trainer_settings(node)
    callbacks = [
        callback
        for callback in callbacks
        if not (isinstance(callback, Progress) and settings.get("enable_progress_bar") is False)
        and not (isinstance(callback, Checkpoints) and settings.get("enable_checkpointing") is False)
    ]
    if settings.get("enable_model_summary") and not any(isinstance(one, ModelSummary) for one in callbacks):
        # Lightning's default, with rich, prints directly and bypasses the log.
        callbacks.append(ModelSummary())
    if not any(isinstance(plugin, ClusterEnvironment) for plugin in more_plugins):
        more_plugins += own_processes(settings)
    take_start_method(settings)
    given: dict[str, Any] = {
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
    """Return the Trainer's settings, its additional plugins, and its additional loggers (False: no loggers at all)."""
    node = node.copy()
    with open_dict(node):
        plugins, loggers = node.pop("plugins", None), node.pop("logger", None)
        if node.get("barebones"):
            # With barebones, Lightning requires these settings to be unset or False.
            for name in ("log_every_n_steps", "num_sanity_val_steps"):
                node.pop(name, None)
            node.enable_checkpointing = node.enable_progress_bar = node.enable_model_summary = False
            # A configured logger is kept, so that Lightning rejects it with a message.
            loggers = loggers or False
    return node, build_all(plugins), False if loggers is False else build_all(loggers)


def refused(config: DictConfig) -> str | None:
    """Return Lightning's error message for the settings of its Trainer and callbacks; None if there is no error.

    Args:
        config: the configuration, whose settings have been checked one by one.
    """
    trainer = to_dict(config.trainer, resolve=True)
    # These change global state of the process, and cannot conflict with other settings.
    trainer = {name: value for name, value in trainer.items() if name not in ("deterministic", "benchmark")}
    # The devices of a job are checked by the process that trains it.
    trainer["devices"] = 1
    callbacks = to_dict(config.callbacks, resolve=True) if config.callbacks else {}
    # Callbacks of other packages are skipped, since their constructors may have side effects.
    known = (f"{INSTALLED}.", "littlenets.")
    callbacks = {
        name: node for name, node in callbacks.items() if node and installed_target(node["_target_"]).startswith(known)
    }
    return _refused(json.dumps({"trainer": trainer, "callbacks": callbacks}, default=str))


# Cached, since the trainer is the same in most points of a sweep.
@functools.lru_cache(maxsize=1024)
def _refused(nodes: str) -> str | None:
    config = OmegaConf.create(json.loads(nodes))
    with warnings.catch_warnings():
        # The warnings are shown when the Trainer is built for training.
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
    accelerate: bool,
) -> None:
    """Call ``trainer.fit``; the first Ctrl-C or SIGTERM ends it at the end of a batch, the second one at once.

    Args:
        trainer: the trainer, with the callback `Stopping`.
        module: the module to train.
        datamodule: the data.
        checkpoint: the checkpoint to resume from; None for a new run.
        begun: returns whether training has started, which is after the checkpoint was restored.
        accelerate: whether to compute the layers of the network faster.

    Raises:
        StoppedError: the user interrupted the training.
        SettingError: Lightning rejects a setting or the checkpoint.
    """
    try:
        with warnings.catch_warnings(), accelerated(module) if accelerate else nullcontext():
            # Loaders are restored to the batch that follows.
            warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch")
            # The data need not have validation samples, even if the task supports validation.
            warnings.filterwarnings("ignore", "You defined a `validation_step` but have no `val_dataloader`")
            if lacks(datamodule, "val"):
                # The datamodule has a validation loader even if it has no validation samples.
                warnings.filterwarnings("ignore", "You passed in a `val_dataloader` but have no `validation_step`")
            # A time limit may be removed when a run is resumed.
            warnings.filterwarnings("ignore", r".* add the following callbacks: \['Timer'\]")
            # Lightning would convert the module after loading the weights, which would round them.
            trainer.precision_plugin.convert_module(module)
            trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint)
    except SystemExit as end:
        # Lightning turns the second signal into SystemExit, which would end a whole sweep without a message.
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
        # Lightning restores parts of the state without checking them.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SettingError(f"{checkpoint} could not be restored: {reason}") from error
    received = next(callback.received for callback in declared(trainer).callbacks if isinstance(callback, Stopping))
    if received is not None:
        raise StoppedError(received)


def raised_by_lightning(error: BaseException) -> bool:
    """Return whether an error was raised in Lightning's own code, not in code that Lightning calls."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith(f"{INSTALLED}.")
