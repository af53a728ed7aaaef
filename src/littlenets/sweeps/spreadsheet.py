"""Generate sweep.csv, with one row per job, for other programs."""

import csv
import io

from ..console.text import spreadsheet_row
from .table import SweepTable


def csv_text(table: SweepTable) -> str:
    """Return the text of sweep.csv: jobs ordered by number, values with full precision, unknown ones empty."""
    finals, bests = table.finals, table.bests
    best_columns = [f"best {name}" for name in bests]
    ends = ["epochs", "seconds", "folder", "reason", "warnings"]
    rows = [["number", *table.keys, "status", *finals, *best_columns, *ends]]
    rows += [
        [
            outcome.job.number,
            *table.swept_texts(outcome),
            outcome.status,
            *(outcome.metrics.get(name) for name in finals),
            *(outcome.best.get(name) for name in bests),
            outcome.epochs,
            None if outcome.seconds is None else round(outcome.seconds, 3),
            outcome.job.folder,
            outcome.reason or outcome.remark,
            "; ".join(outcome.warnings),
        ]
        for outcome in table.outcomes
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(spreadsheet_row, rows))
    return text.getvalue()
