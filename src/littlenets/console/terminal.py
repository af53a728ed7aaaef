"""Terminal output: styled text and a progress bar on a terminal, plain lines elsewhere."""

import logging
import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from .sparkline import in_encoding

# Shared by all modules that print, so that lines are placed above a progress bar.
_console: Console | None = None

STYLES = {logging.WARNING: "yellow", logging.ERROR: "red"}


def terminal() -> Console | None:
    """Return the terminal of standard output; None if it is a file, a pipe, or a terminal without cursor control.

    Rich omits colours if ``NO_COLOR`` is set.
    """
    global _console
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return None
    # While a progress bar is drawn, standard output is Rich's proxy of the terminal.
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    if _console is None or _console.file is not stream:
        _console = Console(file=stream, highlight=False)
    return _console


class TerminalStreamHandler(logging.StreamHandler):
    """Logging handler for standard output that prints rich ``Text`` with styles on a terminal, plain text elsewhere.

    Records with a true ``in_bar`` are omitted on a terminal, where the progress bar shows the same information.
    """

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream: TextIO = sys.stdout  # may have been replaced since the last record
        console = terminal()
        try:
            text = in_encoding(self.format(record), getattr(self.stream, "encoding", None))
            if console is None:
                self.stream.write(text + self.terminator)
                self.flush()
            elif not getattr(record, "in_bar", False):
                laid_out = record.msg if isinstance(record.msg, Text) else None
                styled = laid_out if laid_out is not None and text == laid_out.plain else Text(text)
                # Prose is wrapped between words; commands and paths are not wrapped, so that they can be copied.
                in_one_piece = laid_out is not None or any(len(word) > console.width for word in text.split())
                console.print(styled, style=STYLES.get(record.levelno), soft_wrap=in_one_piece)
        except Exception:
            self.handleError(record)
