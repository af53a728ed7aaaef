"""Sanitize text from files and file names for display."""

import re
from collections.abc import Iterable
from typing import Any

# All control characters except tab and newline, characters that change the writing direction, and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Replace characters that a terminal would execute or cannot show by their escapes, such as ``\x1b``."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def spreadsheet_row(cells: Iterable[Any]) -> list[Any]:
    """Put an apostrophe before each text that a spreadsheet would interpret as a formula.

    Numbers, and texts that are numbers, are unchanged. Source: OWASP, "CSV Injection".
    """
    return [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in cells]


def _is_formula(text: str) -> bool:
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
