"""What a person sees: styled text and a bar on a terminal, plain lines where there is none."""

import logging
import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from .sparkline import in_encoding

# One for all who print, so that it knows of a bar and puts lines above it.
_console: Console | None = None

STYLES = {logging.WARNING: "yellow", logging.ERROR: "red"}


def terminal() -> Console | None:
    """The terminal that standard output goes to; None where it is a file, a pipe, or a terminal that can only print.

    Rich leaves out colours where ``NO_COLOR`` is set.
    """
    global _console
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return None
    # While a bar is drawn, standard output is Rich's, with the terminal behind it.
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    if _console is None or _console.file is not stream:
        _console = Console(file=stream, highlight=False)
    return _console


class TerminalStreamHandler(logging.StreamHandler):
    """Prints what is logged: with its styles on a terminal where the message is a rich ``Text``, else plainly.

    Records with a true ``in_bar`` are left out on a terminal, where the bar shows the same.
    """

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream: TextIO = sys.stdout  # as it is now
        console = terminal()
        try:
            text = in_encoding(self.format(record), getattr(self.stream, "encoding", None))
            if console is None:
                self.stream.write(text + self.terminator)
                self.flush()
            elif not getattr(record, "in_bar", False):
                laid_out = isinstance(record.msg, Text)
                styled = record.msg if laid_out and text == record.msg.plain else Text(text)
                # Prose is broken between words; commands and paths are left in one piece, to be copied.
                in_one_piece = laid_out or any(len(word) > console.width for word in text.split())
                console.print(styled, style=STYLES.get(record.levelno), soft_wrap=in_one_piece)
        except Exception:
            self.handleError(record)
