"""What a run recorded epoch by epoch, read back."""

import csv
from pathlib import Path


def read_history(folder: Path) -> dict[str, list[float]]:
    """The columns of ``history.csv`` by name, NaN where a cell is empty; none where the run has no such file yet.

    A last row that is being written is left out.
    """
    path = folder / "history.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    if rows and len(rows[-1]) < len(names):
        rows.pop()
    return {
        name: [float(cell) if cell else float("nan") for cell in column]
        for name, column in zip(names, zip(*rows, strict=True) if rows else [[] for _ in names], strict=True)
    }
