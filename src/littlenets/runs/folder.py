"""Name, create, lock and remove the folders of runs and sweeps."""

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

# File descriptors of the locks that this process holds. A forked process must close them, or it would keep the folders
# locked after this process has ended.
_locks: set[int] = set()


def _let_go() -> None:
    for handle in _locks:
        os.close(handle)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

# When this process made or locked each folder, by absolute path. The names of folders, results.json and the link
# `latest` use the same time, so that they agree on the order of runs.
_started: dict[str, datetime] = {}


def name_run_folder(parent: str, moment: datetime | None = None) -> str:
    """Return a path like ``parent/2026-11-23_14-05-09-3f2a`` without creating the folder.

    The last four digits are the fraction of the second in hexadecimal, so that names sort by time.

    Args:
        parent: the folder of the new folder.
        moment: the time for the name; None is now.
    """
    moment = moment or datetime.now()
    return str(Path(parent) / f"{moment:%Y-%m-%d_%H-%M-%S}-{moment.microsecond * 0x10000 // 1_000_000:04x}")


def new_run_folder(parent: str) -> str:
    """Create a folder with a new name from `name_run_folder`, and return its path.

    Creating the folder reserves the name: if two runs try to create the same folder, only one of them succeeds, and the
    other tries the next name.

    Raises:
        OSError: the folder cannot be created.
    """
    while True:
        moment = datetime.now().astimezone()
        folder = Path(name_run_folder(parent, moment))
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The parent may disappear meanwhile: a run that ends with an error before it begins removes its folder, and the
        # parent if it is empty.
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir()
            _started[os.path.abspath(folder)] = moment
            return str(folder)


def started(folder: Path) -> datetime:
    """Return when this process created or locked a folder, with the offset from UTC; now, if it did neither."""
    return _started.get(os.path.abspath(folder)) or datetime.now().astimezone()


def make_latest(folder: Path, moment: datetime) -> None:
    """Point the link ``latest`` in the parent folder to a folder, unless it points to a run or sweep started later.

    The start time is stored as the modification time of the link itself. If the system does not support links, nothing
    is done.

    Args:
        folder: the folder of a run or a sweep.
        moment: when the run or sweep started.
    """
    link, seconds = folder.parent / "latest", moment.timestamp()
    handle = None
    # Wait at most one second: the parent may be the folder of another run, which keeps it locked until it ends.
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
            for left in folder.parent.glob(".latest.*"):  # temporary links of killed processes
                with suppress(OSError):
                    left.unlink()
        # A time in the future was set while the clock was wrong, so the link is replaced.
        if not (link.exists() and seconds < link.lstat().st_mtime <= time.time()):
            point_link(link, folder, seconds)
    finally:
        if handle is not None:
            os.close(handle)


def is_untouched(folder: Path) -> bool:
    """Return whether a folder is empty, or contains only the empty log file that Hydra opens before a run begins."""
    return all(file.name == "train.log" and not file.stat().st_size for file in folder.iterdir())


def remove_run_folder(folder: Path) -> None:
    """Remove a run folder, and those of its parents that become empty, up to the current working directory."""
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
            return  # it contains other files


def job_folder(number: int, overrides: Sequence[str], arguments: Sequence[str]) -> str:
    """Return the name of a job's folder, such as ``3_optimizer.lr-0.01``: the job number and the swept overrides.

    Only characters that need no quotes in a shell or in Hydra's overrides are kept, so that the path can be used as
    ``run=PATH``.

    Args:
        number: number of the job.
        overrides: overrides of the job.
        arguments: arguments of the command. Overrides that are among them are the same for all jobs, and are left out.
    """
    swept = [override for override in overrides if override not in arguments]
    return file_name([str(number), *swept])


def file_name(parts: Sequence[str]) -> str:
    """Return a file name made of the parts, such as ``best_data-colour_lines``.

    It has at most 102 characters, and none that need quotes in a shell.
    """
    safe = "".join(
        character if character.isascii() and (character.isalnum() or character in "._") else "-"
        # Without the plus sign, since it would become a hyphen, and 1e+20 would look like 1e-20.
        for character in "_".join(part.lstrip("+").replace("e+", "e") for part in parts)
    )
    return safe[:102].strip("-_")


@contextmanager
def occupied(folder: Path, make: bool = False) -> Iterator[Presence]:
    """Lock the folder of a run or a sweep for this process; the operating system unlocks it when the process ends.

    Temporary files of killed processes are removed from the folder.

    Args:
        folder: the folder, which must exist unless ``make`` is set.
        make: whether to create the folder.

    Yields:
        An object that is true as long as the folder exists.

    Raises:
        SettingError: another process has locked the folder.
        RemovedError: raised instead of an OSError in the block if the folder was removed or moved.
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
            # With `make`, another process has just removed the folder because its run failed before it began.
            if not make:
                raise
        except BlockingIOError:
            raise SettingError(
                f"{folder}: this is still under way, in another process. Wait for its end, or use another folder."
            ) from None


def _lock(folder: Path) -> int | None:
    """Open and lock a folder.

    Returns:
        The file descriptor that keeps the folder locked; None if the system has no such locks.

    Raises:
        BlockingIOError: another process has locked the folder.
        FileNotFoundError: the folder does not exist, or was removed meanwhile.
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
