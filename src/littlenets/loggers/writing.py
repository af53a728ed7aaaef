"""What TensorBoard and the other loggers get, and how."""

import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

from ..errors import SettingError
from ..modules import SupervisedModule
from . import tensorboard as content
from .rewinding import forget_after

# Under which argument a logger takes a run's name, where it would otherwise make up one.
NAMED_BY = {WandbLogger: "name", MLFlowLogger: "run_name"}


def open_logger(make: Callable[..., Logger], folder: Path, done: tuple[int, int, Mapping[str, int]] | None) -> Logger:
    """A logger that writes below ``folder``.

    Args:
        done: whole epochs, the batches in them, and the last steps of other curves by name, that a resumed run goes on
            after; None for a new run.

    Raises:
        SettingError: its package is not installed.
    """
    try:
        logger = make(save_dir=folder, **_name(make, folder))
    except ModuleNotFoundError as error:
        raise SettingError(f"logger: {' '.join(str(error).split())}") from error
    if done and isinstance(logger, TensorBoardLogger):
        forget_after(Path(logger.log_dir), *done)
    if done and isinstance(logger, CSVLogger):
        # Lightning's would delete what the earlier part wrote.
        return make(save_dir=folder, version=f"{logger.version}-after-{done[0]}")
    return logger


def _name(make: Callable[..., Logger], folder: Path) -> dict[str, str]:
    """The run's name, such as ``spiral/2026-11-23_14-05-09-3f2a``, for a logger that was given none and wants one."""
    argument = NAMED_BY.get(getattr(make, "func", None))
    if argument is None or make.keywords.get(argument) is not None:
        return {}
    return {argument: f"{folder.parent.name}/{folder.name}"}


def close_loggers(loggers: Iterable[Logger]) -> None:
    """Ends what would last as long as the process, in which another run may follow.

    A run of Weights & Biases takes in all that comes after it, until it is finished.
    """
    for logger in loggers:
        # Its property ``experiment`` would begin a run where there is none yet.
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish()


class TensorBoard(TensorBoardLogger):
    """Lightning's, without the file of hyperparameters that it writes beside the events: config.yaml has them."""

    def save(self) -> None:
        self.experiment.flush()

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Leave out what a module saved by `save_hyperparameters`: all settings are there, from `log_start`."""


@rank_zero_only
def log_point(logger: Logger, step: int, metrics: dict[str, float]) -> None:
    """One point of each metric's curve.

    Lightning's own way would flush TensorBoard's file each time, and make an event, with a checksum computed in Python,
    of each number.
    """
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        logger.experiment._get_file_writer().add_summary(Summary(value=values), step)
    else:
        logger.log_metrics(metrics, step=step)


@rank_zero_only
def log_layout(logger: Logger, curves: Iterable[str]) -> None:
    """Says which curves belong together, to loggers that can show it."""
    if isinstance(logger, TensorBoardLogger):
        content.add_layout(logger, curves)


def log_start(
    trainer: Trainer,
    module: LightningModule,
    settings: dict[str, Any],
    results: dict[str, Any],
    stand_in_for: str | None,
    sample: Tensor | None,
) -> list[str]:
    """What is known before training: settings, and for TensorBoard a card and the graph.

    Args:
        settings: what was set, by short name.
        results: as in results.json, as far as known.
        stand_in_for: the data that was asked for, where it was not available.
        sample: a few inputs (N, ...) of a plain task, None where the data shows none before it is loaded. Any module
            can have an ``example_input_array`` instead.

    Returns:
        What did not work, in words.
    """
    complaints = []
    for logger in trainer.loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(settings)
            continue
        content.add_card(logger, results, stand_in_for)
        content.add_settings(logger, settings)
        network, problem = getattr(module, "network", module), None
        if sample is not None:
            problem = content.add_graph(logger, network, sample.to(module.device))
        elif isinstance(module.example_input_array, Tensor):
            problem = content.add_graph(logger, module, module.example_input_array.to(module.device))
        elif isinstance(module, SupervisedModule):
            problem = "no sample of the data is there yet"
        if problem:
            complaints.append(f"TensorBoard has no graph of {type(network).__name__}: {problem}.")
    return complaints


def log_end(trainer: Trainer, results: dict[str, Any], stages: Iterable[str]) -> None:
    """What came of it: one point of each metric of the ``stages`` after training, such as ``test``."""
    tested = {name: value for name, value in results["metrics"].items() if name.partition("/")[0] in stages}
    for logger in trainer.loggers:
        log_point(logger, results["epochs"], tested)
        if isinstance(logger, TensorBoardLogger):
            content.add_end(logger)
        # Without this, what is written after the fit is lost.
        logger.finalize("success")


@rank_zero_only
def log_image(logger: Logger, name: str, png: bytes, epoch: int) -> None:
    """A picture, which TensorBoard shows with a slider where one of the same name is there for other epochs."""
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        # The file as it is, which begins with its size; torch's own writer would unpack it and pack it again.
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        logger.experiment._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), epoch)
