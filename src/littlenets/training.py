"""Train a network from a composed configuration and write its run folder."""

import copy
import logging
import re
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from rich.text import Text

from .callbacks import Beginning, Figures, History, TrainingState
from .callbacks.epoch_counts import finished_epochs
from .callbacks.stopping import early_end
from .config.check import check
from .config.fit import is_plain_task
from .config.origin import Origin
from .data import DatasetModule, TensorDataModule
from .data.class_names import class_names
from .data.samples import sample_batch
from .diagnosis import diagnose
from .errors import DivergedError, StoppedError, keep_interrupts
from .evaluation import measured, test
from .instantiation import build_module, check_fit
from .loggers import close_loggers, log_end, log_start
from .loggers.hyperparameters import telling_settings
from .parallel.processes import Others, ProcessError, Task
from .parallel.ranks import is_other_rank
from .parallel.rendezvous import leave_group, process_group
from .run_setup import (
    accelerates,
    build_data,
    build_other_data,
    build_tester,
    build_threads,
    build_trainer,
    prepare_trainer,
    start_others,
    tests_alone,
)
from .runs import Run
from .runs.environment import environment
from .runs.files import write_atomically
from .runs.folder import make_latest
from .runs.resuming import Resumed, resume
from .runs.summary import describe, places, stand_in_warning, summarize
from .trainers import fit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A completed run.

    Args:
        folder: the run folder.
        metrics: the final metrics by name, such as ``test/loss``.
        epochs: number of finished epochs.
        steps: number of optimizer steps.
        ended: why the training ended before its planned end; None if it did not.
        warnings: what the network has not learned, by kind.
    """

    folder: Path
    metrics: dict[str, float]
    epochs: int
    steps: int
    ended: str | None
    warnings: dict[str, str]

    @classmethod
    def of(cls, folder: Path, results: dict[str, Any]) -> "Result":
        """Return the result that is stored in results.json."""
        length = results.get("epochs", 0), results.get("steps", 0)
        return cls(folder, results.get("metrics", {}), *length, results.get("ended"), results.get("warnings", {}))


def train(config: DictConfig, folder: Path, origin: Origin | None = None) -> Result:
    """Train a network and write all results to the run folder.

    If ``config.resume`` is the folder of a run, that run is resumed, and ``folder`` must be the same folder.
    The caller must hold the folder with `occupied`, which excludes other processes.

    Args:
        config: a configuration composed from ``conf/train.yaml``; it is not changed.
        folder: the run folder, which must exist.
        origin: how the configuration was composed; None if unknown.

    Returns:
        The results of the run, which are also in its results.json. In a process other than the first of a run on
        several devices, they are empty.

    Raises:
        SettingError: a setting is wrong; the message states what would work.
        StoppedError: the user interrupted the run; results so far have been written.
        DivergedError: the loss became infinite or NaN.
        ProcessError: one of the other processes of the run failed.
        RemovedError: the folder was removed or moved during the run.
    """
    config, origin = copy.deepcopy(config), origin or Origin()
    resumed: Resumed | None = None
    if config.get("resume") is not None:
        resumed = resume(config, origin.overrides)
        if resumed.done:
            log.info("%s", resumed.done)
            return Result.of(folder, resumed.results)
        config, origin_names = resumed.config, OmegaConf.to_container(resumed.config.origin)
    else:
        origin_names = {name: origin.choices.get(name) or _class_name(config[name]) for name in ("model", "data")}
        origin_names |= {"stand_in_for": None, "overrides": list(origin.overrides)}
    if is_other_rank():
        from .other_ranks import follow_from_outside

        follow_from_outside(config, folder, origin, resumed)
        return Result.of(folder, {})
    said = {name: origin_names[name] for name in ("model", "data", "overrides")}
    with Run(folder, **said) as run, keep_interrupts(), ExitStack() as at_end:
        beginning = Beginning(partial(_begin, run, config, origin_names, resumed is None and origin.latest))
        with run.timed("setup"):
            if resumed is None:
                check(config, origin)
                if not figures_wanted(config, origin):
                    config.figures = None
            else:
                run.go_on(resumed.results, resumed.steps)
            parts = _build(config, origin, origin_names, run, beginning, resumed, at_end)
        _fit(parts, run, resumed.checkpoint if resumed else None, accelerates(config))
        _test(parts, run, config)
        # Checked first, since the loggers would create a removed folder again.
        run.check()
        log_end(parts.trainer, run.results, stages=("test", *parts.also_tested))
    _report(run.results, folder, origin_names)
    return Result.of(folder, run.results)


def _class_name(node: DictConfig) -> str:
    """Return the name of the class that a node of ``model`` or ``data`` builds, for a choice without a name."""
    return str(node.get("network", node).get("_target_")).rpartition(".")[2]


def _begin(run: Run, config: DictConfig, origin_names: dict[str, Any], latest: bool) -> None:
    """Write config.yaml, and the link ``latest`` if asked for; called just before the first step, after all checks."""
    run.check()
    values = OmegaConf.to_container(config, resolve=True) | {"origin": origin_names}
    write_atomically(run.folder / "config.yaml", OmegaConf.to_yaml(values))
    run.begin()
    if latest:
        make_latest(run.folder.resolve(), run.started)


@dataclass
class _Parts:
    """What is built from the configuration of a run; ``also_tested`` are the datamodules of ``also_test`` by name."""

    trainer: Trainer
    module: LightningModule
    datamodule: LightningDataModule
    also_tested: dict[str, LightningDataModule]
    processes: Others
    beginning: Beginning


def _build(
    config: DictConfig,
    origin: Origin,
    origin_names: dict[str, Any],
    run: Run,
    beginning: Beginning,
    resumed: Resumed | None,
    at_end: ExitStack,
) -> _Parts:
    """Build all parts of a run. If the stand-in data is used, it is set in ``config`` and ``origin_names``."""
    run.results["seed"] = config.seed
    # Built before the data, since Lightning detects settings that this machine does not support.
    trainer = build_trainer(config, run.folder, run.check, beginning, resumed, origin.label)
    at_end.enter_context(process_group())
    processes = at_end.enter_context(start_others(config, trainer))
    also_tested = build_other_data(config, origin.folders)
    datamodule, used = build_data(config, origin_names["data"], origin.folders)
    if used != origin_names["data"]:
        origin_names |= {"data": used, "stand_in_for": origin_names["data"]}
    run.results["data"] = used
    module = build_module(config)
    check_fit(module, datamodule, used, "train")
    for name, data in also_tested.items():
        check_fit(module, data, name, "test")
    if classes := class_names(datamodule):
        run.results["classes"] = classes
    threads = build_threads(config, module, datamodule, trainer)
    network = getattr(module, "network", module)
    if config.compile:
        # In place, since a compiled copy would have other parameter names in the checkpoint.
        network.compile()
    prepare_trainer(trainer, datamodule, config.seed, resumed)
    at_end.callback(close_loggers, trainer.loggers)
    run.results["environment"] = environment(trainer.strategy.root_device, trainer.world_size)
    announce(trainer, module, datamodule, config, run.results, origin_names["stand_in_for"])
    log.info(describe(run.results["model"], network, used, datamodule, trainer, threads))
    if trainer.world_size > 1:
        resolved = OmegaConf.to_container(config, resolve=True)
        processes.begin(Task(resolved, origin, str(run.folder), resumed, threads))
    return _Parts(trainer, module, datamodule, also_tested, processes, beginning)


def _fit(parts: _Parts, run: Run, checkpoint: Path | None, accelerate: bool) -> None:
    trainer, beginning, metrics = parts.trainer, parts.beginning, run.results["metrics"]
    try:
        with run.timed("fit"):
            try:
                fit(trainer, parts.module, parts.datamodule, checkpoint, lambda: beginning.begun, accelerate)
                beginning.now()
                run.results["ended"] = early_end(trainer)
            finally:
                run.results.update(epochs=finished_epochs(trainer), steps=trainer.global_step)
                metrics.update(final_metrics(trainer))
    except RuntimeError as error:
        if (reason := parts.processes.failure()) is None:
            raise
        raise ProcessError(reason) from error
    except (DivergedError, StoppedError) as end:
        parts.processes.kill()
        if not getattr(end, "at_once", False):
            with run.timed("figures"):
                draw_figures(trainer, parts.module, metrics, completed=False)
        if isinstance(end, DivergedError):
            # The figures help to see why the run diverged; for an interrupted run, the command to resume it is printed
            # instead.
            log.info(Text(places(run.folder)))
        raise


def _test(parts: _Parts, run: Run, config: DictConfig) -> None:
    """Test the network, draw the figures, and find out what it has not learned."""
    module, metrics = parts.module, run.results["metrics"]
    if tests_alone(parts.trainer):
        # Several processes would test some samples twice if the number of samples is not a multiple of theirs.
        parts.processes.end()
        leave_group()
        parts.trainer = build_tester(config, parts.trainer)
    trainer = parts.trainer
    with run.timed("test"):
        # Before this, only the data for the fit is set up.
        parts.datamodule.setup("test")
        metrics.update(test(trainer, module, parts.datamodule))
    run.check()
    with run.timed("figures"):
        draw_figures(trainer, module, metrics, completed=True)
    # After the figures, which show the network on its own data.
    with run.timed("test"):
        for name, other in parts.also_tested.items():
            tested = test(trainer, module, other)
            # User modules may log test_loss or other names.
            own = {metric: re.sub("^test[/_]", "", metric) for metric in tested}
            metrics.update({f"{name}/{own[metric]}": value for metric, value in tested.items()})
        if run.results["steps"] and not trainer.fast_dev_run:
            run.results["warnings"] = diagnose(module, parts.datamodule, run.folder, run.results["steps"])


def _report(results: dict[str, Any], folder: Path, origin_names: dict[str, Any]) -> None:
    log.info(summarize(results["metrics"], folder, results["seconds"]["total"]))
    if results["ended"]:
        log.info("It ended before it was planned to: %s.", results["ended"])
    for kind, sentences in results["warnings"].items():
        log.warning("%s. %s", kind.capitalize(), sentences)
    if origin_names["stand_in_for"]:
        log.warning(stand_in_warning(origin_names["stand_in_for"], origin_names["data"]))


def figures_wanted(config: DictConfig, origin: Origin) -> bool:
    """Return whether to draw figures, which a sweep does not by default, since it may have hundreds of jobs.

    A single run draws figures unless ``figures`` is empty. A sweep draws them if ``figures.only`` is set or the group
    ``figures`` is chosen on its command line.
    """
    if not origin.sweep or config.figures is None:
        return config.figures is not None
    named = config.figures.get("only") is not None
    return named or any(override.startswith("figures=") for override in origin.overrides)


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
    sample = sample_batch(datamodule, "train")[0] if known else None
    for complaint in log_start(trainer, module, settings, results, stand_in_for, sample):
        log.warning(complaint)
