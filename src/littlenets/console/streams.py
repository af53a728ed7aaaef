"""Make standard input, output and error safe to use if they are closed or their reader has ended."""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Values of ``OSError.errno`` for a pipe whose reader has ended, and for a terminal that has been closed.
UNREAD = (errno.EPIPE, errno.EIO)


class _Output(io.FileIO):
    """Output stream that discards everything written after its reader has ended."""

    unread = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if not self.unread:
            try:
                return super().write(data)
            except OSError as error:
                if error.errno not in UNREAD:
                    raise
                self.unread = True
        return memoryview(data).nbytes


def keep_streams() -> None:
    """Replace closed standard streams by the null device, and discard output whose reader has ended."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # Otherwise the next opened file would get this number, and libraries would print into it.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
            setattr(sys, name, open(opened, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # A stream that other code has put in its place, such as a test, is kept.
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            output = _Output(stream.fileno(), "w", closefd=False)
            wrapped = io.TextIOWrapper(
                # Python runs without a buffer if started with -u.
                io.BufferedWriter(output) if isinstance(stream.buffer, io.BufferedWriter) else output,
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, wrapped)


def nobody_reads() -> bool:
    """Return whether the reader of standard output has ended, as with ``| head``."""
    buffer = getattr(sys.stdout, "buffer", None)
    return getattr(getattr(buffer, "raw", buffer), "unread", False)
