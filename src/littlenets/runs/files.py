"""Write files that are either the old ones or the new ones, never half of each; remove what killed writers left."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import RemovedError

#: What a full disk, a used up quota and a limit on the size of files are called in ``OSError.errno``.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# The names from `_replacing`, and those that earlier versions gave to checkpoints.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}|best\.\d+\.tmp")


def user_path(path: str | Path) -> Path:
    """A path that a user has given, with ``~`` for the home folder."""
    # Where there is no home, the name stays as it is.
    return Path(os.path.expanduser(str(path)))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` at the end, or remove it where anything failed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)
            del error.filename2  # the name that it was to get; None would be shown as one
        raise


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write to a temporary name in the same folder, wait until it is on the disk, and rename; text as UTF-8."""
    with _replacing(path) as temporary, temporary.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def copy_atomically(source: Path, target: Path) -> None:
    """Give a file, which is never written in place, a second name; copy it where the file system has no hard links."""
    # Renaming one name of a file to another does nothing, so the temporary one would stay.
    if target.exists() and target.samefile(source):
        return
    try:
        with _replacing(target) as temporary:
            os.link(source, temporary)
    except OSError:
        write_atomically(target, source.read_bytes())


def point_link(link: Path, target: Path, moment: float | None = None) -> None:
    """Make ``link`` a relative symbolic link to its sibling ``target``; do nothing where links cannot be made.

    Args:
        moment: modification time of the link itself, in seconds since the epoch; None is now.
    """
    with suppress(OSError), _replacing(link) as temporary:
        temporary.symlink_to(target.name, target_is_directory=True)
        if moment is not None and os.utime in os.supports_follow_symlinks:
            os.utime(temporary, (moment, moment), follow_symlinks=False)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder and those below it, other runs' folders excepted."""
    for place, below, files in os.walk(folder):
        below[:] = [name for name in below if not os.path.exists(os.path.join(place, name, "config.yaml"))]
        for name in files:
            if _TEMPORARY.fullmatch(name):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


class Presence:
    """True as long as the path of a file or folder leads to what it led to at first.

    Something has to keep it open: another file could get the inode of one that nobody uses any more.

    Args:
        path: exists.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, path.stat()

    def __bool__(self) -> bool:
        try:
            return os.path.samestat(self._found, self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def check(self) -> None:
        """Raise RemovedError where it was removed, moved or replaced."""
        if not self:
            raise RemovedError(self._path)
