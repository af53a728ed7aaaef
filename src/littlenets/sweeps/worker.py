"""Functions that run in a worker process, which trains one job after the other.

No import at the top of this module may import PyTorch, because CUDA_VISIBLE_DEVICES must be set before.
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
from ..config.origin import Origin
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
    """How a job ended, as reported by its worker.

    Args:
        status: as in results.json, or ``not started`` if the sweep was stopped before.
        error: type of the exception; empty if the job did not fail.
        message: message of the exception, or of the divergence.
        no_room: whether the disk is full, so that other jobs would fail as well.
    """

    status: str
    error: str = ""
    message: str = ""
    no_room: bool = False


@dataclass
class Start:
    """Data that a worker receives when it starts.

    Args:
        stop: pipe that becomes readable when jobs must end.
        turns: pipe from which each worker reads one byte, a number that selects one of ``gpus``.
        gpus: values of CUDA_VISIBLE_DEVICES; empty to leave it unchanged.
        threads: number of threads that the worker may use.
        compositions: the compositions that its points refer to.
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
    """Initialise a worker process; called once in each of them."""
    global _start
    _start = told
    if hasattr(os, "setsid"):
        # A session of its own, so that Ctrl-C reaches only the main process, which stops each worker once.
        with contextlib.suppress(OSError):
            os.setsid()
    signal.signal(signal.SIGINT, _interrupt)
    if told.gpus:
        # Reading one byte of a pipe needs no lock, which would stay locked if a worker was killed.
        turn = os.read(told.turns.fileno(), 1)[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = told.gpus[turn % len(told.gpus)]
    threading.Thread(target=_watch, daemon=True).start()
    setup_globals()
    resolvers.register()
    from . import imported  # noqa: F401


def _watch() -> None:
    """Stop the running job when the sweep is stopped, and end this process when the main process has ended."""
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
    """Call `check_points` with the compositions of this worker."""
    return check_points(points, _start.compositions, trusted, folder)


def expected(points: Sequence[Point]) -> list[Expected | None]:
    """Call `expected_of_points` with the compositions of this worker."""
    return expected_of_points(points, _start.compositions)


def train(point: Point, number: int, folder: Path, begun: bool) -> Ending:
    """Train a point in its run folder, to which all output is written as well.

    Args:
        point: the point.
        number: number of the job, for Hydra.
        folder: path of the run folder; if it exists and is not resumed, it is replaced.
        begun: whether to resume the run in the folder.
    """
    if _stopping.is_set():
        return Ending("not started")
    config = configure(point, number, folder)
    if begun and (folder / "config.yaml").is_file():
        config.resume = str(folder)
        # Allow the names that the point itself contains, because they have been checked.
        named = {refused.allowed_by for refused in refusals(OmegaConf.to_container(config, resolve=True), folder)}
        config.trust = sorted({*config.trust, *named} - {None})
    elif folder.exists():
        # Left over from an earlier attempt.
        with occupied(folder):
            shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    try:
        with occupied(folder):
            return run(config, point, folder)
    except KeyboardInterrupt:  # while a failure was being logged; it must not be raised in the main process
        return Ending("interrupted")


def configure(point: Point, number: int, folder: Path) -> DictConfig:
    """Return the configuration of a point, and set the job's values in Hydra's own configuration.

    Args:
        point: the point.
        number: number of the job.
        folder: path of the run folder.
    """
    composition = _start.compositions[point.composition]
    config = composition.config(point)
    with flag_override(composition.hydra, ["readonly", "struct"], False):
        composition.hydra.hydra.runtime.output_dir = str(folder)
        composition.hydra.hydra.job.update(id=str(number), num=number)
    return config


def run(config: DictConfig, point: Point, folder: Path) -> Ending:
    """Train in an existing folder.

    Args:
        config: configuration of the point.
        point: the point.
        folder: path of the run folder.

    Returns:
        How the job ended; errors of the training are not raised.
    """
    global _busy
    from . import imported

    imported.limit_threads(_start.threads)
    file, hydra = folder / "train.log", _start.compositions[point.composition].hydra
    with _into(file), _logging(hydra), written_to(file):
        try:
            _busy = True
            if _stopping.is_set():
                # The sweep was stopped after the check in `train`, but before the signal could interrupt the job.
                return Ending("not started")
            imported.train(config, folder, Origin.from_hydra())
        except KeyboardInterrupt:
            return Ending("interrupted")
        except DivergedError as error:
            log.error("%s", error)
            return Ending("diverged", message=f"diverged at epoch {error.epoch:,}")
        except (Exception, SystemExit) as error:  # a network may call sys.exit
            known = isinstance(error, SettingError | RemovedError)
            log.error("%s", error if known else "The run failed.", exc_info=None if known else error)
            no_room = getattr(error, "errno", None) in NO_ROOM
            return Ending("failed", type(error).__name__, str(error), no_room)
        finally:
            _busy = False
    return Ending("completed")


@contextlib.contextmanager
def _into(path: Path) -> Iterator[None]:
    """Redirect the output of the process to a file during the block, and to the null device after it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _redirect(file)
    try:
        yield
    finally:
        _redirect(os.open(os.devnull, os.O_WRONLY))


def _redirect(file: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk, which the job has reported already
            stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)


@contextlib.contextmanager
def _logging(hydra: DictConfig) -> Iterator[None]:
    """Configure logging during the block as Hydra does for a job, without handlers that print to the terminal."""
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
    return stream or hasattr(handler, "console")  # as RichHandler has
