"""Where a run or a sweep puts its files."""

import errno
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ..errors import SettingError
from .files import Presence, point_link, remove_temporaries

# Of the locks that this process has: one that was forked from it would keep them after its end.
_locks: set[int] = set()


def _let_go() -> None:
    for handle in _locks:
        os.close(handle)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

# When each folder became this process's, by absolute path: names, results.json and `latest` are to agree on the order.
_started: dict[str, datetime] = {}


def name_run_folder(parent: str, moment: datetime | None = None) -> str:
    """Return a path like ``parent/2026-11-23_14-05-09-3f2a``, of which nothing is made.

    The last four digits are the fraction of the second, so that names sort by time.
    """
    moment = moment or datetime.now()
    return str(Path(parent) / f"{moment:%Y-%m-%d_%H-%M-%S}-{moment.microsecond * 0x10000 // 1_000_000:04x}")


def new_run_folder(parent: str) -> str:
    """Makes a folder with a name from `name_run_folder` that no other run has, and returns its path.

    Making it is what reserves the name: two runs that start in the same second cannot both succeed with one.

    Raises:
        OSError: the folder cannot be made.
    """
    while True:
        moment = datetime.now().astimezone()
        folder = Path(name_run_folder(parent, moment))
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The parent may go at any moment, with a refused run that was alone in it.
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir()
            _started[os.path.abspath(folder)] = moment
            return str(folder)


def started(folder: Path) -> datetime:
    """Return when this process made or took over a folder, with the offset from UTC; now, where it did neither."""
    return _started.get(os.path.abspath(folder)) or datetime.now().astimezone()


def make_latest(folder: Path, moment: datetime) -> None:
    """Point the link ``latest`` beside a folder to it, unless it points to a run or sweep that started later.

    The modification time of the link itself is when the run that it points to started. Does nothing where links cannot
    be made.

    Args:
        folder: of a run or a sweep.
        moment: when that started.
    """
    link, seconds = folder.parent / "latest", moment.timestamp()
    handle = None
    # For a second at most: the parent may be the folder of another run, which keeps it locked until its end.
    for _ in range(100):
        try:
            handle = _lock(folder.parent)
            break
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
    try:
        if handle is not None:
            for left in folder.parent.glob(".latest.*"):  # by a process that was killed
                with suppress(OSError):
                    left.unlink()
        # One from the future was made while the clock was wrong.
        if not (link.exists() and seconds < link.lstat().st_mtime <= time.time()):
            point_link(link, folder, seconds)
    finally:
        if handle is not None:
            os.close(handle)


def is_untouched(folder: Path) -> bool:
    """Whether there is nothing in a folder, or just the empty log that Hydra opens before a run begins."""
    return all(file.name == "train.log" and not file.stat().st_size for file in folder.iterdir())


def remove_run_folder(folder: Path) -> None:
    """Removes a run folder, and those above it, up to the current one, in which nothing else is."""
    here = Path.cwd()
    folder = folder.absolute()
    if folder in (here, *here.parents):
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in folder.parents:
        if here not in parent.parents:
            return
        try:
            parent.rmdir()
        except OSError:
            return  # it is somebody else's as well


def job_folder(number: int, overrides: Sequence[str], arguments: Sequence[str]) -> str:
    """The folder of a sweep's job, such as ``3_optimizer.lr-0.01``: its number and what was swept.

    ``overrides`` are the job's own, ``arguments`` those of the command: what both have is the same for all jobs.
    Only characters that need no quotes in a shell or in Hydra's overrides are kept, so that the path can be given back
    as ``run=PATH``.
    """
    swept = [override for override in overrides if override not in arguments]
    return file_name([str(number), *swept])


def file_name(parts: Sequence[str]) -> str:
    """A name of the parts that needs no quotes, such as ``best_data-colour_lines``; at most some 100 characters."""
    safe = "".join(
        character if character.isascii() and (character.isalnum() or character in "._") else "-"
        # 1e+20 is not to be taken for 1e-20.
        for character in "_".join(part.lstrip("+").replace("e+", "e") for part in parts)
    )
    return safe[:102].strip("-_")


@contextmanager
def occupied(folder: Path, make: bool = False) -> Iterator[Presence]:
    """Keep other processes out of the folder of a run or a sweep; the system ends that with the process.

    Temporary files that a killed process left there are removed.

    Args:
        folder: exists, unless it is to be made.
        make: whether to make it.

    Yields:
        True as long as the folder is there.

    Raises:
        SettingError: another process has it.
        RemovedError: in place of an OSError in the block, where the folder was removed or moved.
    """
    handle = _claim(folder, make)
    path = os.path.abspath(folder)
    if handle is not None:
        _locks.add(handle)
    _started.setdefault(path, datetime.now().astimezone())
    try:
        presence = Presence(folder)
        remove_temporaries(folder)
        try:
            yield presence
        except OSError:
            presence.check()
            raise
    finally:
        del _started[path]
        if handle in _locks:
            _locks.remove(handle)
            os.close(handle)


def _claim(folder: Path, make: bool) -> int | None:
    while True:
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            return _lock(folder)
        except FileNotFoundError:
            # With `make`, another process has removed it at this moment, since its run was refused.
            if not make:
                raise
        except BlockingIOError:
            raise SettingError(
                f"{folder}: this is still under way, in another process. Wait for its end, or use another folder."
            ) from None


def _lock(folder: Path) -> int | None:
    """Open and lock a folder; return the file descriptor that keeps it locked, None where the system has no such locks.

    Raises:
        BlockingIOError: another process has it.
        FileNotFoundError: there is no such folder, or no longer.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks
        if not os.path.samestat(os.fstat(handle), os.stat(folder)):
            raise FileNotFoundError(errno.ENOENT, "removed by the process that had it", str(folder))
    except OSError:
        os.close(handle)
        raise
    return handle
