"""What runs in a worker process, which trains one job after the other.

Nothing here imports PyTorch at the top: which GPU a worker sees has to be said before.
"""

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf, flag_override

from ..config.metrics import Expected
from ..config.trust import refusals
from ..errors import DivergedError, RemovedError, SettingError
from ..runs import resolvers
from ..runs.files import NO_ROOM
from ..runs.folder import occupied
from ..runs.log import written_to
from .checking import check_points, expected_of_points
from .points import Composition, Point

log = logging.getLogger(__name__)


@dataclass
class Ending:
    """How a job ended, as its worker saw it.

    Args:
        status: as in results.json; ``not started`` where the sweep had been stopped before.
        error: the type of the exception; empty where it completed.
        message: what it said.
        no_room: whether the disk is full, so that no other job would fare better.
    """

    status: str
    error: str = ""
    message: str = ""
    no_room: bool = False


@dataclass
class Start:
    """What a worker is told when it starts.

    Args:
        stop: becomes readable when jobs are to end.
        turns: one byte for each worker: the index of its GPU.
        gpus: what CUDA_VISIBLE_DEVICES takes; empty to leave it alone.
        threads: how many this worker may use.
        compositions: what the points that it gets refer to.
    """

    stop: Connection
    turns: Connection
    gpus: list[str]
    threads: int
    compositions: list[Composition]


_start: Start
_stopping = threading.Event()
_busy = False


def start(told: Start) -> None:
    """Called once in each worker."""
    global _start
    _start = told
    if hasattr(os, "setsid"):
        # Ctrl-C is the sweep's, which says to each worker once that it should end.
        with contextlib.suppress(OSError):
            os.setsid()
    signal.signal(signal.SIGINT, _interrupt)
    if told.gpus:
        # Reading one byte of a pipe needs no lock, which a worker that is killed could take to its grave.
        turn = os.read(told.turns.fileno(), 1)[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = told.gpus[turn % len(told.gpus)]
    threading.Thread(target=_watch, daemon=True).start()
    setup_globals()
    resolvers.register()
    from . import imported  # noqa: F401


def _watch() -> None:
    """Ends the job under way when the sweep is stopped, and the process when the sweep's is gone."""
    parent = multiprocessing.parent_process().sentinel
    if parent not in wait([parent, _start.stop]):
        _stopping.set()
        os.kill(os.getpid(), signal.SIGINT)
        wait([parent])
    os._exit(1)


def _interrupt(number: int, frame: object) -> None:
    if _busy:
        raise KeyboardInterrupt


def check(points: Sequence[Point], trusted: Sequence[str] | None, folder: Path | None) -> list[str]:
    """As `check_points`."""
    return check_points(points, _start.compositions, trusted, folder)


def expected(points: Sequence[Point]) -> list[Expected | None]:
    """As `expected_of_points`."""
    return expected_of_points(points, _start.compositions)


def train(point: Point, number: int, folder: Path, begun: bool) -> Ending:
    """Trains a point into its folder, where everything that it says goes as well.

    Args:
        number: the job's, for Hydra.
        begun: go on with what is in the folder.
    """
    if _stopping.is_set():
        return Ending("not started")
    config = configure(point, number, folder)
    if begun and (folder / "config.yaml").is_file():
        config.resume = str(folder)
        # The folder may name what the point itself names, which has been checked.
        named = {refused.allowed_by for refused in refusals(OmegaConf.to_container(config, resolve=True), folder)}
        config.trust = sorted({*config.trust, *named} - {None})
    elif folder.exists():
        # Of an attempt that came to nothing.
        with occupied(folder):
            shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    try:
        with occupied(folder):
            return run(config, point, folder)
    except KeyboardInterrupt:  # while it was logging how it had failed; the sweep's own process must not hear of it
        return Ending("interrupted")


def configure(point: Point, number: int, folder: Path) -> DictConfig:
    """The configuration to train a point with, and Hydra's part of it in Hydra's own place."""
    composition = _start.compositions[point.composition]
    config = composition.config(point)
    with flag_override(composition.hydra, ["readonly", "struct"], False):
        composition.hydra.hydra.runtime.output_dir = str(folder)
        composition.hydra.hydra.job.update(id=str(number), num=number)
    return config


def run(config: DictConfig, point: Point, folder: Path) -> Ending:
    """Trains into an existing folder."""
    global _busy
    from . import imported

    imported.limit_threads(_start.threads)
    file, hydra = folder / "train.log", _start.compositions[point.composition].hydra
    with _into(file), _logging(hydra), written_to(file):
        try:
            _busy = True
            if _stopping.is_set():
                # Said too late to be heard by `train`, and too early to interrupt.
                return Ending("not started")
            imported.train(config, folder)
        except KeyboardInterrupt:
            return Ending("interrupted")
        except DivergedError as error:
            log.error("%s", error)
            return Ending("diverged", message=f"diverged at epoch {error.epoch:,}")
        except (Exception, SystemExit) as error:  # a network may well call sys.exit
            known = isinstance(error, SettingError | RemovedError)
            log.error("%s", error if known else "The run failed.", exc_info=None if known else error)
            no_room = getattr(error, "errno", None) in NO_ROOM
            return Ending("failed", type(error).__name__, str(error), no_room)
        finally:
            _busy = False
    return Ending("completed")


@contextlib.contextmanager
def _into(path: Path) -> Iterator[None]:
    """Everything that the process writes to its output goes to a file, and afterwards nowhere."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _redirect(file)
    try:
        yield
    finally:
        _redirect(os.open(os.devnull, os.O_WRONLY))


def _redirect(file: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk, of which the job has heard
            stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)


@contextlib.contextmanager
def _logging(hydra: DictConfig) -> Iterator[None]:
    """Hydra's configuration of a job's logging, less what goes to the terminal."""
    settings = OmegaConf.to_container(hydra.hydra.job_logging, resolve=True)
    configure_log(OmegaConf.create(settings), hydra.hydra.verbose)
    loggers = [logging.getLogger(name) for name in ("", *(settings.get("loggers") or {}))]
    for logger in loggers:
        for handler in filter(_prints, list(logger.handlers)):
            logger.removeHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()


def _prints(handler: logging.Handler) -> bool:
    stream = isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
    return stream or hasattr(handler, "console")  # which is what Rich's has
