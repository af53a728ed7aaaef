"""Write the log of a run to train.log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# Stack traces are written to the file only; the terminal shows one line instead.
traceback_log = logging.getLogger("littlenets.traceback")
traceback_log.propagate = False


@contextmanager
def written_to(file: Path) -> Iterator[None]:
    """Write log records of the block to a file; those of this package at least from level INFO.

    If Hydra's logging (``hydra/job_logging=default``) writes to this file already, its handler is used, so that nothing
    is written twice.
    """
    root, package = logging.getLogger(), logging.getLogger("littlenets")
    there = [
        handler
        for handler in root.handlers
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == file.absolute()
    ]
    handler = there[0] if there else logging.FileHandler(file, encoding="utf-8")
    if not there:
        handler.setFormatter(logging.Formatter(FORMAT))
        root.addHandler(handler)
    level = package.level
    if package.getEffectiveLevel() > logging.INFO:
        package.setLevel(logging.INFO)
    traceback_log.addHandler(handler)
    try:
        yield
    finally:
        traceback_log.removeHandler(handler)
        package.setLevel(level)
        if not there:
            root.removeHandler(handler)
            handler.close()


class NoLogFile(Callback):
    """Hydra callback that disables Hydra's log file; for commands that are not runs and have no run folder.

    Hydra would write the file into the current folder.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        handlers = config.hydra.job_logging.get("handlers") or {}
        with open_dict(config.hydra):
            for name in [name for name, handler in handlers.items() if "filename" in handler]:
                handlers[name] = {"class": "logging.NullHandler"}
