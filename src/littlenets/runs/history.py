"""Read history.csv: what a run recorded epoch by epoch."""

from collections.abc import Callable, Collection
from math import nan
from pathlib import Path
from typing import NamedTuple

from ..console.text import printable
from ..errors import SettingError
from .reading import damaged, read_text

# Of more than ten million epochs.
MOST_BYTES = 1 << 30
MOST_ROWS = 20_000_000


class History(NamedTuple):
    """The whole rows of a history.csv.

    Args:
        columns: by name, NaN where a cell is empty; the columns that were asked for.
        problem: what is wrong with the rest of the file; None where nothing is.
        missing: whether there is no such file.
    """

    columns: dict[str, list[float]]
    problem: SettingError | None = None
    missing: bool = False


def read_history(folder: Path, only: Collection[str] | None = None) -> dict[str, list[float]]:
    """Return the columns of ``history.csv`` by name; none where the run has no such file yet.

    Args:
        folder: the run's.
        only: the columns that are wanted, as reading their numbers takes the longest; None is all.

    Raises:
        SettingError: the file is damaged.
    """
    history = scan_history(folder, lambda name: only is None or name in only)
    if history.problem:
        raise history.problem
    return history.columns


def scan_history(folder: Path, wanted: Callable[[str], bool]) -> History:
    """Read as much of ``history.csv`` as is whole.

    A last row that is being written is left out.

    Args:
        folder: the run's.
        wanted: says of the name of a column whether to read its numbers.
    """
    path = folder / "history.csv"
    try:
        # What comes after the last newline is half a row.
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
    # In one go: a hundred thousand lists of a few cells each would take longer than their numbers.
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
