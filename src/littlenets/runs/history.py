"""Read history.csv, the metrics of a run by epoch."""

from collections.abc import Callable, Collection
from math import nan
from pathlib import Path
from typing import NamedTuple

from ..console.text import printable
from ..errors import SettingError
from .reading import damaged, read_text

# Limits on the size of the file, for more than ten million epochs.
MOST_BYTES = 1 << 30
MOST_ROWS = 20_000_000


class History(NamedTuple):
    """The undamaged rows of a history.csv.

    Args:
        columns: the requested columns by name; NaN stands for an empty cell.
        problem: the error in the rest of the file; None if there is none.
        missing: whether the file does not exist.
    """

    columns: dict[str, list[float]]
    problem: SettingError | None = None
    missing: bool = False


def read_history(folder: Path, only: Collection[str] | None = None) -> dict[str, list[float]]:
    """Return the columns of ``history.csv`` by name; an empty dictionary if the file does not exist yet.

    Args:
        folder: the run folder.
        only: names of the columns to read; None reads all. Reading the numbers takes most of the time.

    Raises:
        SettingError: the file is damaged.
    """
    history = scan_history(folder, lambda name: only is None or name in only)
    if history.problem:
        raise history.problem
    return history.columns


def scan_history(folder: Path, wanted: Callable[[str], bool]) -> History:
    """Read the rows of ``history.csv`` up to the first damaged one.

    A last row that is not completely written yet is left out.

    Args:
        folder: the run folder.
        wanted: function that takes the name of a column and returns whether to read it.
    """
    path = folder / "history.csv"
    try:
        # Text after the last newline is an incomplete row.
        text, problem = read_text(path, MOST_BYTES), None
        if text.count("\n") > MOST_ROWS:
            return History({}, damaged(path, f"it has more than {MOST_ROWS:,} rows"))
        if text.startswith("\n") or "\n\n" in text:
            text = text[: text.find("\n\n") + 1]
            problem = damaged(path, f"line {text.count(chr(10)) + 1} is empty")
        header, *rows = text.split("\n")[:-1] or [""]
    except FileNotFoundError:
        return History({}, missing=True)
    except SettingError as error:
        return History({}, error)
    if not header:
        return History({}, problem)
    names = printable(header).split(",")
    commas = header.count(",")
    whole = next((number for number, row in enumerate(rows) if row.count(",") != commas), len(rows))
    if whole < len(rows):
        problem = damaged(path, f"line {whole + 2} has not as many cells as the first")
    try:
        columns = _columns(names, rows[:whole], wanted)
    except ValueError:
        bad = next(number for number, row in enumerate(rows) if not _is_numeric(names, row, wanted))
        problem = damaged(path, f"line {bad + 2} has a cell that is no number")
        columns = _columns(names, rows[:bad], wanted)
    return History(columns, problem)


def _columns(names: list[str], rows: list[str], wanted: Callable[[str], bool]) -> dict[str, list[float]]:
    # Split all rows at once: making a list for each of a hundred thousand rows takes longer than reading the numbers.
    cells = ",".join(rows).split(",") if rows else []
    return {name: _numbers(cells[index :: len(names)]) for index, name in enumerate(names) if wanted(name)}


def _is_numeric(names: list[str], row: str, wanted: Callable[[str], bool]) -> bool:
    try:
        _columns(names, [row], wanted)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str]) -> list[float]:
    return [float(cell) if cell else nan for cell in cells] if "" in cells else list(map(float, cells))
