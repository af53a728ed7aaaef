"""Training: from a composed configuration to a trained network and its run folder."""

import logging
import signal
import threading
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .building import build, build_module, check_fit
from .config.check import check
from .config.choices import load_choice
from .data import TensorDataModule
from .errors import DataUnavailableError, SettingError
from .evaluation import measured, test
from .loggers import flat, log_hyperparameters, log_point
from .modules import SupervisedModule
from .runs import Run
from .runs.checkpoints import SafeCheckpointIO
from .runs.environment import environment
from .runs.files import write_atomically
from .summary import describe, stand_in_warning, summarize
from .threads import choose_threads

log = logging.getLogger(__name__)


def train(config: DictConfig, folder: Path) -> dict[str, float]:
    """Trains one network and leaves all that it made in ``folder``; returns the final metrics by name.

    Raises:
        SettingError: a setting is wrong; the message says what would work.
        KeyboardInterrupt: the user stopped it, and what was reached is written.
    """
    hydra = HydraConfig.get()
    wanted = hydra.runtime.choices.data
    with Run(
        folder, model=hydra.runtime.choices.model, data=wanted, overrides=OmegaConf.to_container(hydra.overrides.task)
    ) as run:
        with run.timed("setup"):
            check(config)
            run.results["seed"] = config.seed
            datamodule, used = build_data(config, wanted)
            run.results["data"] = used
            if "train" not in getattr(datamodule, "splits", {"train"}):
                raise SettingError(
                    f"data={used} is for testing only; nothing is ever trained on it. Choose other data (data=...)."
                )
            module = build_module(config)
            check_fit(module, datamodule, used)
            threads = build_threads(config, module, datamodule)
            if config.compile:
                # In place: a compiled copy would carry other names in the checkpoint.
                module.network.compile()
            trainer = build_trainer(config, folder, datamodule)
            run.results["environment"] = environment(trainer.strategy.root_device)
            write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
            log.info(describe(run.results["model"], module.network, used, datamodule, trainer, threads))
        with run.timed("fit"):
            try:
                fit(trainer, module, datamodule)
            finally:
                steps, batches = trainer.global_step, trainer.num_training_batches
                run.results.update(epochs=steps // batches if steps else 0, steps=steps)
                metrics = run.results["metrics"]
                metrics.update(measured(trainer), **module.latest)
        with run.timed("test"):
            metrics.update(test(trainer, module, datamodule))
        log_outcome(trainer, config, run.results)
    log.info(summarize(metrics, folder, run.results["seconds"]["total"]))
    if used != wanted:
        log.warning(stand_in_warning(wanted, used))
    return metrics


def build_data(config: DictConfig, wanted: str) -> tuple[LightningDataModule, str]:
    """The data, ready to be loaded, and its name; where it is unavailable, its stand-in, in ``config`` as well."""
    datamodule = build(config.data)
    try:
        datamodule.prepare_data()
    except DataUnavailableError as error:
        if datamodule.stand_in is None:
            raise SettingError(
                f"{error}\nTo train on digits that need no download: data=digits, or data.stand_in=digits."
            ) from None
        stand_in = load_choice("data", datamodule.stand_in)
        log.warning(stand_in_warning(wanted, datamodule.stand_in, str(error)))
        stand_in.update({key: config.data[key] for key in ("batch_size", "shuffle", "validation")})
        with open_dict(config):
            config.data = stand_in
        wanted = datamodule.stand_in
        datamodule = build(config.data)
        datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule, wanted


def build_threads(config: DictConfig, module: SupervisedModule, datamodule: LightningDataModule) -> int:
    """Sets the number of CPU threads before anything starts them."""
    if not isinstance(datamodule, TensorDataModule):
        return torch.get_num_threads()
    samples = len(datamodule.splits["train"].x)
    batch_size = min(datamodule.batch_size or samples, samples)
    return choose_threads(config.threads, module.try_out, datamodule.sample().x, batch_size)


def build_trainer(config: DictConfig, folder: Path, datamodule: LightningDataModule) -> Trainer:
    """Lightning's trainer with the configured callbacks and loggers, all of which write below ``folder``."""
    # Memory that is about to be overwritten needs no filling; only reading it could make a run differ.
    torch.utils.deterministic.fill_uninitialized_memory = False
    trainer = build(
        config.trainer,
        callbacks=[build(node) for node in (config.callbacks or {}).values() if node],
        logger=[build(node)(save_dir=folder) for node in (config.logger or {}).values() if OmegaConf.is_dict(node)],
        plugins=[SafeCheckpointIO()],
        default_root_dir=folder,
    )
    if isinstance(datamodule, TensorDataModule) and "val" not in datamodule.splits:
        # Lightning sees that there could be a validation, not that there is nothing to validate on.
        trainer.limit_val_batches = 0
    for logger in trainer.loggers:
        # Makes it open its files and import what it needs: set-up, which Lightning would leave to the fit.
        _ = logger.experiment
    return trainer


def fit(trainer: Trainer, module: SupervisedModule, datamodule: LightningDataModule) -> None:
    """``trainer.fit``, which the first Ctrl-C ends after the batch under way, and the second at once.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C.
    """
    stopped = False

    def stop(signal_number: int, frame: Any) -> None:
        nonlocal stopped
        stopped = trainer.should_stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    try:
        if in_main_thread:
            signal.signal(signal.SIGINT, stop)
        trainer.fit(module, datamodule=datamodule)
    except SystemExit:
        # Lightning turns the second Ctrl-C into an exit, which would end a whole sweep without a word.
        raise KeyboardInterrupt from None
    except MisconfigurationException as error:
        raise SettingError(f"trainer: {error}") from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
    if stopped:
        raise KeyboardInterrupt


def log_outcome(trainer: Trainer, config: DictConfig, results: dict[str, Any]) -> None:
    """What was set and what came of it, for the loggers."""
    values = {"model": results["model"], "data": results["data"], "seed": config.seed}
    for group in ("model", "data", "optimizer", "scheduler", "trainer"):
        values.update(flat(group, OmegaConf.to_container(config[group], resolve=True) if config[group] else {}))
    tested = {name: value for name, value in results["metrics"].items() if name.startswith("test/")}
    for logger in trainer.loggers:
        log_point(logger, results["epochs"], tested)
        log_hyperparameters(logger, values, results["metrics"])
        # Without this, what is written after the fit is lost.
        logger.finalize("success")
