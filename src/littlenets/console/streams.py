"""Standard input, output and error, also where they are closed or nobody reads them."""

import errno
import io
import os
import sys

# In ``OSError.errno``: a pipe whose reader has ended, and a terminal that has been closed.
UNREAD = (errno.EPIPE, errno.EIO)


class _Output(io.FileIO):
    """Drops what is written once nobody reads it any more."""

    unread = False

    def write(self, data: bytes | memoryview) -> int:
        if not self.unread:
            try:
                return super().write(data)
            except OSError as error:
                if error.errno not in UNREAD:
                    raise
                self.unread = True
        return memoryview(data).nbytes


def keep_streams() -> None:
    """Lets the program go on where a standard stream is closed, or closes: it reads nothing, and writes to nowhere."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # Otherwise the next file that is opened gets the number, and what libraries print.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
            setattr(sys, name, open(opened, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Whoever has put another stream there, such as a test, keeps it.
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            output = _Output(stream.fileno(), "w", closefd=False)
            wrapped = io.TextIOWrapper(
                # Without a buffer where Python was told so (-u).
                io.BufferedWriter(output) if isinstance(stream.buffer, io.BufferedWriter) else output,
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, wrapped)


def nobody_reads() -> bool:
    """Whether the reader of standard output has gone, as ``| head`` does."""
    buffer = getattr(sys.stdout, "buffer", None)
    return getattr(getattr(buffer, "raw", buffer), "unread", False)
