"""Build the tables of a sweep's runs and settings as columns, and write them as CSV, Markdown or lines of text."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.labels import number_text
from ..config.values import shown
from ..console.text import spreadsheet_row
from .outcomes import Outcome
from .table import SEED, SweepTable

# Headings of other columns, which are not used for a setting.
TAKEN = ("number", "status", "epochs", "seconds", "folder", "standard deviation", "n")
# Limit on the number of characters of a cell that may be cut.
CELL = 24


@dataclass(frozen=True, eq=False)
class Column:
    """Column of a table.

    Args:
        name: heading for other programs, such as the dotted name of a setting.
        cells: values of the rows with full precision; None if unknown.
        short: heading for people; empty if it is ``name``.
    """

    name: str
    cells: list[Any]
    short: str = ""

    @property
    def texts(self) -> list[str]:
        """Heading and cells for people; numbers have five digits."""
        return [self.short or self.name, *map(_text, self.cells)]


def _text(cell: str | float | None) -> str:
    if cell is None or isinstance(cell, float):
        return number_text(cell)
    return f"{cell:,}" if isinstance(cell, int) else cell


def run_columns(table: SweepTable, outcomes: Sequence[Outcome]) -> dict[str, list[Column]]:
    """Return the columns of the table of runs by kind; each writer selects those that it shows.

    Args:
        table: the jobs of the sweep.
        outcomes: the outcomes to show, one in each row.
    """

    def column(name: str, read: Callable[[Outcome], Any]) -> Column:
        return Column(name, [read(outcome) for outcome in outcomes])

    return {
        "number": [column("number", lambda run: str(run.job.number))],
        "settings": _settings(table, table.keys, [outcome.job.swept for outcome in outcomes]),
        "status": [column("status", lambda run: run.status)],
        "ending": [column("status", lambda run: run.ending)],
        "finals": [column(name, lambda run, name=name: run.metrics.get(name)) for name in table.finals],
        "measures": [column(name, lambda run, name=name: run.metrics.get(name)) for name in table.measures],
        "bests": [column(f"best {name}", lambda run, name=name: run.best.get(name)) for name in table.bests],
        "epochs": [column("epochs", lambda run: run.epochs)],
        "seconds": [column("seconds", lambda run: run.seconds and round(run.seconds, 3))],
        "folder": [column("folder", lambda run: run.job.folder)],
        "reason": [column("reason", lambda run: run.reason or run.remark)],
        "warnings": [column("warnings", lambda run: "; ".join(run.warnings))],
    }


def group_columns(table: SweepTable) -> dict[str, list[Column]]:
    """Return the columns of the table of settings with several seeds by kind, with one row per group."""
    groups = table.groups
    counts = [(len(group.values), len(group.outcomes)) for group in groups]
    return {
        "settings": _settings(table, [key for key in table.keys if key != SEED], [group.swept for group in groups]),
        "means": [
            Column(f"mean {table.objective.metric}", [group.mean for group in groups]),
            Column("standard deviation", [group.deviation for group in groups]),
            Column("n", [str(n) if n == runs else f"{n} of {runs}" for n, runs in counts]),
        ],
    }


def _settings(table: SweepTable, keys: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[Column]:
    return [
        Column(
            key,
            [shown(swept[key]) if key in swept else None for swept in rows],
            table.names[key] if table.names[key] not in TAKEN else key,
        )
        for key in keys
    ]


def pick(columns: dict[str, list[Column]], *kinds: str) -> list[Column]:
    """Return the columns of some kinds, in the order of the kinds."""
    return [column for kind in kinds for column in columns[kind]]


def csv_text(columns: Sequence[Column]) -> str:
    """Return the text of a CSV file, with full precision."""
    rows = zip(*([column.name, *column.cells] for column in columns), strict=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(spreadsheet_row, rows))
    return text.getvalue()


def markdown_text(columns: Sequence[Column]) -> str:
    """Return a Markdown table whose columns are aligned to the right."""
    texts = [[text.replace("|", "\\|").replace("\n", " ") for text in column.texts] for column in columns]
    widths = [max(map(len, column)) for column in texts]
    lines = ["| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in zip(*texts, strict=True)]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def text_lines(columns: Sequence[Column], dispensable: Sequence[Column], width: int) -> list[str]:
    """Return the lines of a table for a terminal.

    Args:
        columns: the columns.
        dispensable: columns whose cells are cut to `CELL` characters, and of which as many are left out, in this order,
            as do not fit.
        width: number of characters in a line.
    """
    texts = {column: column.texts for column in columns}
    for column in dispensable:
        heading, *cells = texts[column]
        texts[column] = [heading, *(cell if len(cell) <= CELL else f"{cell[: CELL - 3]}..." for cell in cells)]
    widths = {column: max(map(len, cells)) for column, cells in texts.items()}
    for column in dispensable:
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            break
        del widths[column], texts[column]
    rows = zip(*texts.values(), strict=True)
    return ["  ".join(map(str.rjust, row, widths.values())).rstrip() for row in rows]
