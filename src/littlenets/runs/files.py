"""Write files atomically, and remove temporary files of killed processes."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import RemovedError

#: Values of ``OSError.errno`` for a full disk, an exceeded quota, and a limit on the size of files.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Temporary names from `_replacing`, and those of checkpoints of earlier versions.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}|best\.\d+\.tmp")


def user_path(path: str | Path) -> Path:
    """Return a path given by the user, with ``~`` replaced by the home folder."""
    # If there is no home folder, ``~`` is kept.
    return Path(os.path.expanduser(str(path)))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` at the end, or remove it after an error.

    An OSError gets ``path`` as its file name.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)
            del error.filename2  # the target of the renaming; not set to None, which would be shown in the message
        raise


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a temporary file in the same folder, sync it to disk, and rename it to ``path``; text is UTF-8.

    Args:
        path: path of the file, which is replaced if it exists.
        content: the whole content.
    """
    with _replacing(path) as temporary, temporary.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def copy_atomically(source: Path, target: Path) -> None:
    """Make ``target`` a hard link to ``source``, or a copy if the file system has no hard links.

    The file must never be written in place, because the change would appear under both names.

    Args:
        source: an existing file.
        target: the new path, which is replaced if it exists.
    """
    # If both are the same file already, renaming does nothing, and the temporary name would remain.
    if target.exists() and target.samefile(source):
        return
    try:
        with _replacing(target) as temporary:
            os.link(source, temporary)
    except OSError:
        write_atomically(target, source.read_bytes())


def point_link(link: Path, target: Path, moment: float | None = None) -> None:
    """Make ``link`` a relative symbolic link to ``target``; do nothing if the system does not support it.

    Args:
        link: path of the link, which is replaced if it exists.
        target: a folder in the same folder as the link.
        moment: modification time of the link itself, in seconds since 1970-01-01 UTC; None is now.
    """
    with suppress(OSError), _replacing(link) as temporary:
        temporary.symlink_to(target.name, target_is_directory=True)
        if moment is not None and os.utime in os.supports_follow_symlinks:
            os.utime(temporary, (moment, moment), follow_symlinks=False)


def remove_temporaries(folder: Path) -> None:
    """Remove temporary files of killed processes from a folder and its subfolders, except from other run folders."""
    for place, below, files in os.walk(folder):
        below[:] = [name for name in below if not os.path.exists(os.path.join(place, name, "config.yaml"))]
        for name in files:
            if _TEMPORARY.fullmatch(name):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


class Presence:
    """Object that is true as long as a path refers to the same file or folder as at the beginning.

    The file or folder must be kept open meanwhile; otherwise the system could give its inode to another file.

    Args:
        path: path of an existing file or folder.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, path.stat()

    def __bool__(self) -> bool:
        try:
            return os.path.samestat(self._found, self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def check(self) -> None:
        """Raise RemovedError if the file or folder was removed, moved or replaced."""
        if not self:
            raise RemovedError(self._path)
