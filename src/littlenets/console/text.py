"""Make text that came from a file, or from the name of one, safe to show."""

import re
from collections.abc import Iterable
from typing import Any

# All control characters but tab and newline, what changes the direction of writing, and halves of characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Replace characters that a terminal would obey or could not show by their escapes, such as ``\x1b``."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def spreadsheet_row(cells: Iterable[Any]) -> list[Any]:
    """Put an apostrophe before each text that a spreadsheet would take for a formula.

    Numbers, and texts that are numbers, stay as they are. Source: OWASP, "CSV Injection".
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
