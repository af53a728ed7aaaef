"""Write settings, metrics and images to TensorBoard and other loggers."""

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

# The argument that sets the run's name, for loggers that would otherwise generate one.
NAMED_BY = {WandbLogger: "name", MLFlowLogger: "run_name"}


def open_logger(
    make: Callable[..., Logger], folder: Path, done: tuple[int, int, Mapping[str, int]] | None, label: str = ""
) -> Logger:
    """Build a logger that writes below ``folder``.

    Args:
        make: builds the logger, given ``save_dir`` and possibly a name or version.
        folder: the run folder.
        done: where a resumed run continues: number of whole epochs, batches in them, and last steps of other curves by
            name; what TensorBoard has after that is removed. None for a new run.
        label: name of the folder of TensorBoard's event files, which is part of what TensorBoard calls a new run.

    Raises:
        SettingError: the package of the logger is not installed.
    """
    try:
        logger = make(save_dir=folder, **_name(make, folder))
        if isinstance(logger, TensorBoard) and logger.sub_dir is None:
            logger = make(save_dir=folder, sub_dir=_label_before(Path(logger.log_dir)) if done else label)
    except ModuleNotFoundError as error:
        raise SettingError(f"logger: {' '.join(str(error).split())}") from error
    if done and isinstance(logger, TensorBoardLogger):
        forget_after(Path(logger.log_dir), *done)
    if done and isinstance(logger, CSVLogger):
        # Lightning's CSVLogger would delete the file of the earlier part.
        return make(save_dir=folder, version=f"{logger.version}-after-{done[0]}")
    return logger


def _name(make: Callable[..., Logger], folder: Path) -> dict[str, str]:
    """Return the argument that sets the run's name, such as ``spiral/2026-11-23_14-05-09-3f2a``.

    The result is empty if the logger takes no name or was given one.
    """
    argument = NAMED_BY.get(getattr(make, "func", None))
    if argument is None or make.keywords.get(argument) is not None:
        return {}
    return {argument: f"{folder.parent.name}/{folder.name}"}


def _label_before(folder: Path) -> str:
    """Return where in ``folder`` the event files of a resumed run are; older versions wrote them into it directly."""
    files = [file for place in ("", "*/") for file in folder.glob(f"{place}events.out.tfevents.*")]
    name = str(files[0].parent.relative_to(folder)) if files else ""
    return "" if "$" in name else name  # Lightning would expand a variable, and this package writes none


def close_loggers(loggers: Iterable[Logger]) -> None:
    """Close loggers that would otherwise stay open until the process ends, since another run may follow in it.

    A run of Weights & Biases records everything that follows it in the process, until it is finished.
    """
    for logger in loggers:
        # The property ``experiment`` would start a new run if there is none yet.
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish()


class TensorBoard(TensorBoardLogger):
    """Lightning's logger without its file of hyperparameters beside the events, since config.yaml has them."""

    def save(self) -> None:
        """Write pending events to disk, and no file of hyperparameters."""
        self.experiment.flush()

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Ignore what a module saved by `save_hyperparameters`, since `log_start` writes all settings."""


@rank_zero_only
def log_point(logger: Logger, step: int, metrics: dict[str, float]) -> None:
    """Log one point of each metric's curve.

    Lightning's own method would flush TensorBoard's file each time, and write an event for each number, with a checksum
    computed in Python.
    """
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        logger.experiment._get_file_writer().add_summary(Summary(value=values), step)
    else:
        logger.log_metrics(metrics, step=step)


@rank_zero_only
def log_layout(logger: Logger, curves: Iterable[str]) -> None:
    """Log which curves are shown in one chart, for loggers that support it."""
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
    """Log the settings before training, and for TensorBoard also the run card and the network graph.

    Args:
        trainer: the trainer, whose loggers are used.
        module: the module to be trained.
        settings: settings by short name.
        results: contents of results.json, as far as known.
        stand_in_for: the requested data if it was unavailable and other data is used; else None.
        sample: a few inputs (N, ...) of a plain task; None if the data provides none before it is loaded. Other modules
            can have an ``example_input_array`` instead.

    Returns:
        Warnings about parts that could not be logged.
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
    """Log one point of each metric of the ``stages`` after training, such as ``test``, and finalize the loggers."""
    tested = {name: value for name, value in results["metrics"].items() if name.partition("/")[0] in stages}
    for logger in trainer.loggers:
        log_point(logger, results["epochs"], tested)
        if isinstance(logger, TensorBoardLogger):
            content.add_end(logger)
        # Without this, points written after the fit are lost.
        logger.finalize("success")


@rank_zero_only
def log_image(logger: Logger, name: str, png: bytes, epoch: int) -> None:
    """Log an image; TensorBoard shows a slider if there are images of the same name for other epochs."""
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        # The PNG file is written as it is, with the size from its header; torch's writer would decode and re-encode it.
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        logger.experiment._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), epoch)
