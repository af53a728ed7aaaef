"""Where a run or a sweep puts its files."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ..errors import SettingError


def name_run_folder(parent: str) -> str:
    """A path like ``parent/2026-11-23_14-05-09-3f2a``, of which nothing is made."""
    return str(Path(parent) / f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(2)}")


def new_run_folder(parent: str) -> str:
    """Makes a folder with a name from `name_run_folder` that no other run has, and returns its path.

    Making it is what reserves the name: two runs that start in the same second cannot both succeed with one.

    Raises:
        OSError: the folder cannot be made.
    """
    while True:
        folder = Path(name_run_folder(parent))
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The parent may go at any moment, with a refused run that was alone in it.
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir()
            return str(folder)


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
def occupied(folder: Path) -> Iterator[None]:
    """Keeps other processes from going on with a run that is still under way; the system ends it with the process.

    Raises:
        SettingError: another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SettingError(f"{folder}: this run is still under way, in another process.") from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)
