"""Writing files that are either the old ones or the new ones, never half of each."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

#: What a full disk, a used up quota and a limit on the size of files are called in ``OSError.errno``.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def user_path(path: str | Path) -> Path:
    """A path that a user has given, with ``~`` for the home folder."""
    # Where there is no home, the name stays as it is.
    return Path(os.path.expanduser(str(path)))


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Writes to a temporary name in the same folder, waits until it is on the disk, and renames; text as UTF-8."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)
            del error.filename2  # the name that it was to get; None would be shown as one
        raise


def point_link(link: Path, target: Path) -> None:
    """Makes ``link`` a relative symbolic link to its sibling ``target``; does nothing where links cannot be made."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(target.name, target_is_directory=True)
        os.replace(temporary, link)
    except OSError:
        temporary.unlink(missing_ok=True)
