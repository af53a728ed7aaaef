"""What TensorBoard and the other loggers get, and how."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger


def open_logger(make: Callable[..., Logger], folder: Path, finished_epochs: int) -> Logger:
    """A logger that writes below ``folder``, after so many epochs that an earlier part of the run has logged."""
    logger = make(save_dir=folder)
    if finished_epochs and isinstance(logger, TensorBoardLogger):
        # Tells TensorBoard to forget what a killed run logged beyond the checkpoint that it goes on from.
        return make(save_dir=folder, purge_step=finished_epochs + 1)
    if finished_epochs and isinstance(logger, CSVLogger):
        # Lightning's would delete what the earlier part wrote.
        return make(save_dir=folder, version=f"{logger.version}-after-{finished_epochs}")
    return logger


def log_point(logger: Logger, epoch: int, metrics: dict[str, float]) -> None:
    """One point of each metric's curve.

    Lightning's own way would flush TensorBoard's file each time, and make an event, with a checksum computed in Python,
    of each number.
    """
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        logger.experiment._get_file_writer().add_summary(Summary(value=values), epoch)
    else:
        logger.log_metrics(metrics, step=epoch)


def log_hyperparameters(logger: Logger, values: dict[str, Any], metrics: dict[str, float]) -> None:
    """What was set, by dotted name, and for TensorBoard's HParams tab the names of the metrics that came of it."""
    if isinstance(logger, TensorBoardLogger):
        from torch.utils.tensorboard.summary import hparams

        # Lightning would log the metrics once more, as a second last point of each curve.
        for summary in hparams(values, metrics):
            logger.experiment._get_file_writer().add_summary(summary)
    else:
        logger.log_hyperparams(values)


def flat(prefix: str, node: Any) -> dict[str, Any]:
    """A nested configuration by dotted name; what is no number or word as text, since it goes into a table."""
    if isinstance(node, dict):
        return {key: leaf for name, value in node.items() for key, leaf in flat(f"{prefix}.{name}", value).items()}
    return {prefix: node if isinstance(node, int | float | str) else str(node)}


def log_image(logger: Logger, name: str, png: bytes, epoch: int) -> None:
    """A picture, which TensorBoard shows with a slider where one of the same name is there for other epochs."""
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        # The file as it is, which begins with its size; torch's own writer would unpack it and pack it again.
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        logger.experiment._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), epoch)
