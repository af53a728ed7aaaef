"""train.log: what a run logs, whatever of it is shown."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# Goes to the file alone: a terminal gets one line instead of a traceback.
traceback_log = logging.getLogger("littlenets.traceback")
traceback_log.propagate = False


@contextmanager
def written_to(file: Path) -> Iterator[None]:
    """Writes to a file what is logged in the block, by this package from level INFO on in any case.

    Where Hydra's logging (``hydra/job_logging=default``) writes that file already, nothing is written twice.
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
    """For commands that are no runs: writes no file where Hydra's logging would, in the current folder."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        handlers = config.hydra.job_logging.get("handlers") or {}
        with open_dict(config.hydra):
            for name in [name for name, handler in handlers.items() if "filename" in handler]:
                handlers[name] = {"class": "logging.NullHandler"}
