"""Train a network from a composed configuration and write its run folder."""

import logging
import os
import re
import signal
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.plugins import Precision
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from rich.text import Text

from .building import build, build_all, build_module, check_fit
from .callbacks import Beginning, Divergence, Figures, History, Monitors, Stopping, TrainingState
from .callbacks.length import finished_epochs
from .callbacks.stopping import early_end
from .config.check import check
from .config.choices import load_choice, other_data
from .config.fit import evaluating, is_plain_task
from .data import DatasetModule, TensorDataModule
from .data.names import class_names
from .data.resumable import make_resumable
from .data.samples import lacks, sample_batch
from .diagnosis import diagnose
from .errors import DataUnavailableError, DivergedError, SettingError, StoppedError, keep_interrupts
from .evaluation import measured, test
from .loggers import close_loggers, log_end, log_start, open_logger
from .parallel.environment import leave_group, meeting_point, process_group, starts_others, take_start_method
from .parallel.processes import Others, ProcessError, Task
from .parallel.ranks import follows
from .parallel.shares import Shares
from .resuming import Resumed, resume
from .runs import Run
from .runs.checkpoints import SafeCheckpointIO
from .runs.environment import environment
from .runs.files import write_atomically
from .runs.folder import make_latest
from .settings import telling_settings
from .speed import RunAhead, SharedSteps
from .summary import describe, places, stand_in_warning, summarize
from .threads import choose_threads
from .trainers import make_trainer, raised_by_lightning

log = logging.getLogger(__name__)


def train(config: DictConfig, folder: Path) -> dict[str, float]:
    """Train a network, write all results to ``folder``, and return the final metrics by name.

    If ``config.resume`` is the folder of a run, that run is resumed, and ``folder`` must be the same folder.
    The caller must hold the folder with `occupied`, which excludes other processes.

    Raises:
        SettingError: a setting is wrong; the message states what would work.
        StoppedError: the user interrupted the run; results so far have been written.
        DivergedError: the loss became infinite or NaN.
        ProcessError: one of the other processes of the run failed.
        RemovedError: the folder was removed or moved during the run.
    """
    choices = HydraConfig.get().runtime.choices
    # As typed: an OmegaConf list would resolve interpolations in the overrides.
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task)
    origin = {"model": choices.model, "data": choices.data, "stand_in_for": None, "overrides": overrides}
    before: Resumed | None = None
    if config.get("resume") is not None:
        before = resume(config, overrides)
        if before.done:
            log.info("%s", before.done)
            return before.results.get("metrics", {})
        config, origin = before.config, OmegaConf.to_container(before.config.origin)
    said = {name: origin[name] for name in ("model", "data", "overrides")}
    if follows():
        from .following import follow_from_outside

        follow_from_outside(config, folder, before)
        return {}
    with Run(folder, **said) as run, keep_interrupts(), ExitStack() as at_end:

        def begin() -> None:
            run.check()
            values = OmegaConf.to_container(config, resolve=True) | {"origin": origin}
            write_atomically(folder / "config.yaml", OmegaConf.to_yaml(values))
            run.begin()
            if before is None and HydraConfig.get().mode is RunMode.RUN:
                make_latest(folder.resolve(), run.started)

        beginning = Beginning(begin)
        with run.timed("setup"):
            if before is None:
                check(config, choices)
                if not figures_wanted(config, HydraConfig.get()):
                    config.figures = None
            else:
                run.go_on(before.results, before.steps)
            run.results["seed"] = config.seed
            # Built before the data, since Lightning detects settings that this machine does not support.
            trainer = build_trainer(config, folder, run.check, beginning, before)
            at_end.enter_context(process_group())
            processes = at_end.enter_context(start_others(config, trainer))
            others = build_other_data(config)
            datamodule = build_data(config, origin)
            used = run.results["data"] = origin["data"]
            module = build_module(config)
            for name, data in {used: datamodule, **others}.items():
                check_fit(module, data, name)
            if names := class_names(datamodule):
                run.results["classes"] = names
            threads = build_threads(config, module, datamodule, trainer)
            if config.compile:
                # In place, since a compiled copy would have other parameter names in the checkpoint.
                getattr(module, "network", module).compile()
            prepare_trainer(trainer, datamodule, config.seed, before)
            at_end.callback(close_loggers, trainer.loggers)
            run.results["environment"] = environment(trainer.strategy.root_device, trainer.world_size)
            announce(trainer, module, datamodule, config, run.results, origin["stand_in_for"])
            network = getattr(module, "network", module)
            log.info(describe(run.results["model"], network, used, datamodule, trainer, threads))
            if trainer.world_size > 1:
                processes.begin(Task(**hydra_parts(config), folder=str(folder), before=before, threads=threads))
        metrics = run.results["metrics"]
        try:
            with run.timed("fit"):
                try:
                    fit(trainer, module, datamodule, before.checkpoint if before else None, lambda: beginning.begun)
                    beginning.now()
                    run.results["ended"] = early_end(trainer)
                finally:
                    steps = trainer.global_step
                    run.results.update(epochs=finished_epochs(trainer), steps=steps)
                    metrics.update(final_metrics(trainer))
        except RuntimeError as error:
            if (reason := processes.failure()) is None:
                raise
            raise ProcessError(reason) from error
        except (DivergedError, StoppedError) as end:
            processes.kill()
            if not getattr(end, "at_once", False):
                with run.timed("figures"):
                    draw_figures(trainer, module, metrics, completed=False)
            if isinstance(end, DivergedError):
                # The figures help to see why the run diverged; for an interrupted run, the command to resume it is
                # printed instead.
                log.info(Text(places(folder)))
            raise
        if tests_alone(trainer):
            # Several processes would test some samples twice if the number of samples is not a multiple of theirs.
            processes.end()
            leave_group()
            trainer = build_tester(config, trainer)
        with run.timed("test"):
            metrics.update(test(trainer, module, datamodule))
        run.check()
        with run.timed("figures"):
            draw_figures(trainer, module, metrics, completed=True)
        # After the figures, which show the network on its own data.
        with run.timed("test"):
            for name, other in others.items():
                tested = test(trainer, module, other)
                # User modules may log test_loss or other names.
                own = {metric: re.sub("^test[/_]", "", metric) for metric in tested}
                metrics.update({f"{name}/{own[metric]}": value for metric, value in tested.items()})
            if steps and not trainer.fast_dev_run:
                run.results["warnings"] = diagnose(module, datamodule, folder, steps)
        # Checked first, since the loggers would create a removed folder again.
        run.check()
        log_end(trainer, run.results, stages=("test", *others))
    log.info(summarize(metrics, folder, run.results["seconds"]["total"]))
    if run.results["ended"]:
        log.info("It ended before it was planned to: %s.", run.results["ended"])
    for kind, sentences in run.results["warnings"].items():
        log.warning("%s. %s", kind.capitalize(), sentences)
    if origin["stand_in_for"]:
        log.warning(stand_in_warning(origin["stand_in_for"], used))
    return metrics


def build_data(config: DictConfig, origin: dict[str, Any]) -> LightningDataModule:
    """Build the datamodule, download its data and set it up; use the stand-in data if the data is unavailable.

    Args:
        config: the configuration; ``data`` is replaced if the stand-in is used.
        origin: the names of the data; ``data`` and ``stand_in_for`` are set if the stand-in is used.

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
        wanted, used = origin["data"], datamodule.stand_in
        stand_in = load_choice("data", used)
        log.warning(stand_in_warning(wanted, used, str(error)))
        stand_in.update({key: config.data[key] for key in ("batch_size", "shuffle", "validation")})
        with open_dict(config):
            config.data = stand_in
        origin.update(data=used, stand_in_for=wanted)
        datamodule = build(config.data)
        datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule


def build_other_data(config: DictConfig) -> dict[str, LightningDataModule]:
    """Build the datamodules of ``also_test`` by name, using the settings of ``data`` that they share."""
    others = {}
    for name in config.get("also_test", []):
        others[name] = build(other_data(config, name))
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
        return Others(1, method, {})
    if method == "fork" and torch.cuda.is_initialized():
        raise SettingError("trainer.strategy=ddp_fork: this process uses a GPU already. Set trainer.strategy=ddp.")
    return Others(trainer.num_devices, method, meeting_point(trainer))


def hydra_parts(config: DictConfig) -> dict[str, Any]:
    """Return the resolved configuration and Hydra's configuration, which other processes need."""
    return {"config": OmegaConf.to_container(config, resolve=True), "hydra": HydraConfig.instance().cfg}


def figures_wanted(config: DictConfig, hydra: HydraConf) -> bool:
    """Return whether to draw figures, which a sweep does not by default, since it may have hundreds of jobs.

    A single run draws figures unless ``figures`` is empty. A sweep draws them if ``figures.only`` is set or the group
    ``figures`` is chosen on its command line.
    """
    if hydra.mode is not RunMode.MULTIRUN or config.figures is None:
        return config.figures is not None
    named = config.figures.get("only") is not None
    return named or any(override.startswith("figures=") for override in hydra.overrides.task)


def build_trainer(
    config: DictConfig,
    folder: Path,
    check_folder: Callable[[], None] | None,
    beginning: Beginning,
    before: Resumed | None = None,
) -> Trainer:
    """Build Lightning's Trainer with the configured callbacks and loggers, all of which write below the run folder.

    Args:
        config: the checked configuration.
        folder: the run folder.
        check_folder: raises an error if the folder no longer exists.
        beginning: the callback that runs when training starts; placed after the other callbacks.
        before: the run to resume; None for a new run.

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
        SharedSteps(),
        RunAhead(config.get("run_ahead", True)),
        beginning,
    ]
    loggers = [
        open_logger(build(node), folder, before and before.logged)
        for node in (config.logger or {}).values()
        if OmegaConf.is_dict(node)
    ]
    places = [folder, *(Path(place) for place in config.trust if os.path.isabs(place))] if before else None
    return make_trainer(config.trainer, callbacks, loggers, [SafeCheckpointIO(check_folder, places)], folder)


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


def fit(
    trainer: Trainer,
    module: LightningModule,
    datamodule: LightningDataModule,
    checkpoint: Path | None,
    begun: Callable[[], bool],
) -> None:
    """Call ``trainer.fit``; the first Ctrl-C or SIGTERM ends it at the end of a batch, the second one at once.

    Args:
        trainer: the trainer, with the callback `Stopping`.
        module: the module to train.
        datamodule: the data.
        checkpoint: the checkpoint to resume from; None for a new run.
        begun: returns whether training has started, which is after the checkpoint was restored.

    Raises:
        StoppedError: the user interrupted the training.
        SettingError: Lightning rejects a setting or the checkpoint.
    """
    try:
        with warnings.catch_warnings():
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
    received = next(callback.received for callback in trainer.callbacks if isinstance(callback, Stopping))
    if received is not None:
        raise StoppedError(received)


def final_metrics(trainer: Trainer) -> dict[str, float]:
    """Return the metrics of the last completed epoch and of the last validation, by name."""
    metrics = {}
    for callback in trainer.callbacks:
        if isinstance(callback, TrainingState):
            # Used if a run was killed after its last epoch and only had to be tested.
            metrics.update(callback.latest)
    metrics.update(measured(trainer))
    for callback in trainer.callbacks:
        if isinstance(callback, History):
            metrics.update(callback.latest)
    return metrics


def draw_figures(trainer: Trainer, module: LightningModule, metrics: dict[str, float], completed: bool) -> None:
    """Draw the figures of the run, if the configuration enables them."""
    for callback in trainer.callbacks:
        if isinstance(callback, Figures):
            if completed:
                # Logged, since drawing takes seconds after the progress bar has ended.
                log.info("Drawing what it learned ...")
            callback.draw(trainer, module, metrics, completed)


def announce(
    trainer: Trainer,
    module: LightningModule,
    datamodule: LightningDataModule,
    config: DictConfig,
    results: dict[str, Any],
    stand_in_for: str | None,
) -> None:
    """Log the settings of the run and the network before training, and print warnings of the loggers."""
    settings = telling_settings(config, results["model"], results["data"], results["overrides"])
    known = isinstance(datamodule, TensorDataModule | DatasetModule) and is_plain_task(type(module))
    sample = sample_batch(datamodule)[0] if known else None
    for complaint in log_start(trainer, module, settings, results, stand_in_for, sample):
        log.warning(complaint)
