"""Loggers: opening them, what is written to them, and the hyperparameters that they get."""

from .writing import TensorBoard, close_loggers, log_end, log_image, log_layout, log_point, log_start, open_logger

__all__ = [
    "TensorBoard",
    "close_loggers",
    "log_end",
    "log_image",
    "log_layout",
    "log_point",
    "log_start",
    "open_logger",
]
