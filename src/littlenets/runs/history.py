"""What a run recorded epoch by epoch, read back."""

from math import nan
from pathlib import Path

from ..errors import SettingError


def read_history(folder: Path) -> dict[str, list[float]]:
    """The columns of ``history.csv`` by name, NaN where a cell is empty; none where the run has no such file yet.

    A last row that is being written is left out. A hundred thousand rows take a fifth of a second.

    Raises:
        SettingError: the file is damaged.
    """
    path = folder / "history.csv"
    try:
        # What comes after the last newline is half a row.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingError(f"{path} is damaged: {error}.") from None
    if not lines:
        return {}
    names, *rows = (line.split(",") for line in lines)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if wrong:
        raise SettingError(f"{path} is damaged: line {wrong} has not as many cells as the first.")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    try:
        numbers = [[float(cell) if cell else nan for cell in column] for column in columns]
    except ValueError as error:
        raise SettingError(f"{path} is damaged: {error}.") from None
    return dict(zip(names, numbers, strict=True))
