"""What a run recorded epoch by epoch, read back."""

from collections.abc import Collection
from math import nan
from pathlib import Path

from ..errors import SettingError


def read_history(folder: Path, only: Collection[str] | None = None) -> dict[str, list[float]]:
    """The columns of ``history.csv`` by name, NaN where a cell is empty; none where the run has no such file yet.

    A last row that is being written is left out.

    Args:
        folder: the run's.
        only: the columns that are wanted, as reading their numbers takes the longest; None is all.

    Raises:
        SettingError: the file is damaged.
    """
    path = folder / "history.csv"
    try:
        # What comes after the last newline is half a row.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        if not lines:
            return {}
        names, rows = lines[0].split(","), lines[1:]
        wanted = {name: index for index, name in enumerate(names) if only is None or name in only}
        for number, row in enumerate(rows, 2):
            if row.count(",") != len(names) - 1:
                raise ValueError(f"line {number} has not as many cells as the first")
        # In one go: a hundred thousand lists of a few cells each would take longer than their numbers.
        cells = ",".join(rows).split(",") if rows else []
        return {name: _numbers(cells[index :: len(names)]) for name, index in wanted.items()}
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingError(f"{path} is damaged: {error}.") from None


def _numbers(cells: list[str]) -> list[float]:
    return [float(cell) if cell else nan for cell in cells] if "" in cells else list(map(float, cells))
