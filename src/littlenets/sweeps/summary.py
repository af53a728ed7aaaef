"""Write the tables and figures of a sweep into its folder, and summarize it for the terminal."""

import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from ..config.labels import number_text
from ..console.terminal import terminal
from ..runs.files import write_atomically
from . import next_commands
from .columns import csv_text, group_columns, pick, run_columns, text_lines
from .markdown_page import page_text
from .table import SweepTable
from .verdict import verdict

# Limit on the number of characters in a line; wider tables are hard to read.
WIDTH = 80
# Limit on the number of rows of a table: the height of a terminal without the lines around the table.
ROWS = 20
# Limit on the number of failures that are listed with their reasons.
REASONS = 8


@dataclass
class Summary:
    """Table of a sweep, with its figures.

    Args:
        table: the jobs of the sweep.
        figures: paths of the figures, relative to the sweep's folder.
        remarks: messages about figures that could not be drawn.
    """

    table: SweepTable
    figures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def lines(self, width: int | None = None) -> list[str]:
        """Return the lines shown at the end of a sweep: table, failures, warnings, best run, and next commands.

        Args:
            width: number of characters in a line, which only commands and paths may exceed; None is the width of the
                terminal, at most 80.
        """
        table = self.table
        if width is None:
            console = terminal()
            width = min(WIDTH, console.width) if console else WIDTH
        sections = [
            _head(table, width),
            _table(table, width),
            _spread(table, width),
            _failures(table, width),
            _warnings(table, width),
            self._best(width),
            self._files(width),
        ]
        return [line for section in sections if section for line in ["", *section]][1:]

    def _best(self, width: int) -> list[str]:
        best = self.table.best
        if not best:
            return []
        run = self.table.folder / best.job.folder
        return [
            *(line for sentence in verdict(self.table) for line in textwrap.wrap(sentence, width)),
            *textwrap.wrap(f"Best run: {self.table.best_so_far}", width),
            *([f"  look at it       {next_commands.look_at(run)}"] if next_commands.has_events(run) else []),
            f"  evaluate it      {next_commands.evaluate(run)}",
            f"  repeat it alone  {next_commands.repeat(best.job.overrides)}",
        ]

    def _files(self, width: int) -> list[str]:
        folder = self.table.folder
        files = ["sweep.md", "sweep.csv", *(["figures/"] if self.figures else [])]
        return [
            *(line for remark in self.remarks for line in textwrap.wrap(remark, width)),
            f"Sweep folder     {os.path.relpath(folder)} ({', '.join(files)})",
            *([f"TensorBoard      {next_commands.look_at(folder)}"] if next_commands.has_events(folder) else []),
        ]


def write_tables(table: SweepTable | Path) -> None:
    """Write sweep.csv and sweep.md, each of them atomically. If no run has the objective, sweep.md says so.

    Args:
        table: folder of the sweep, or its `SweepTable`. To write the tables often, refresh the same object each time,
            which only reads files that have changed.

    Raises:
        SettingError: the folder does not contain a sweep, or its sweep.json is damaged.
    """
    if not isinstance(table, SweepTable):
        table = SweepTable(table)
    drawn = sorted(path.relative_to(table.folder).as_posix() for path in table.folder.glob("figures/*.png"))
    kinds = ("number", "settings", "status", "finals", "bests", "epochs", "seconds", "folder", "reason", "warnings")
    write_atomically(table.folder / "sweep.csv", csv_text(pick(run_columns(table, table.outcomes), *kinds)))
    write_atomically(table.folder / "sweep.md", page_text(table, drawn))


def write_summary(folder: Path, objective: str | None = None, direction: str | None = None) -> Summary:
    """Write sweep.csv, sweep.md and figures/ from the contents of a sweep's folder.

    Args:
        folder: folder of the sweep.
        objective: metric that replaces the one in sweep.json.
        direction: direction that replaces the one in sweep.json.

    Returns:
        The summary. If no run has the given objective, its ``table.problem`` is the error; all files are still written.

    Raises:
        SettingError: the folder does not contain a sweep, or its sweep.json is damaged.
    """
    table = SweepTable(Path(folder), objective, direction)
    # The tables are written first because that is fast, and they must exist even if drawing is interrupted.
    write_tables(table)
    # Imports matplotlib.
    from .drawing import draw_figures

    figures, remarks = draw_figures(table)
    write_tables(table)
    return Summary(table, figures, remarks)


def _head(table: SweepTable, width: int) -> list[str]:
    objective = table.objective
    order = (
        f"Sorted by {objective.metric}, {objective.wish} ({objective.why})." if objective else str(table.problem or "")
    )
    return textwrap.wrap(f"{table.counts}. {order}", width)


def _table(table: SweepTable, width: int) -> list[str]:
    """Return the table of the best runs, or of the best settings if several were tried with several seeds."""
    ranked = table.ranked
    if _by_group(table):
        columns, rows = group_columns(table), len(table.groups)
        lines = text_lines(pick(columns, "settings", "means"), columns["settings"][::-1], width)
    else:
        columns, rows = run_columns(table, ranked[:ROWS]), len(ranked)
        others = columns["measures"][bool(table.objective) :]
        dispensable = [*pick(columns, "seconds", "epochs"), *others[::-1], *columns["settings"][::-1]]
        kinds = ["number", "settings", "measures", "epochs", "seconds"]
        if any(outcome.ending != "completed" for outcome in ranked[:ROWS]):
            kinds.append("ending")
        lines = text_lines(pick(columns, *kinds), dispensable, width)
    more = [f"... and {rows - ROWS:,} more in sweep.md"] if rows > ROWS else []
    return [*lines[: ROWS + 1], *more]


def _by_group(table: SweepTable) -> bool:
    return 1 < len(table.groups) < len(table.outcomes)


def _spread(table: SweepTable, width: int) -> list[str]:
    """Return the mean and standard deviation over the seeds, if nothing else was swept."""
    groups = table.groups
    if len(groups) != 1 or groups[0].deviation is None:
        return []
    (group,) = groups
    spread = f"{number_text(group.mean)}, standard deviation {number_text(group.deviation)}"
    return textwrap.wrap(f"Over the seeds: {table.objective.metric} {spread} (n = {len(group.values)})", width)


def _failures(table: SweepTable, width: int) -> list[str]:
    """List the jobs that did not complete, with reasons; those that diverged only if they are not in the table."""
    rows = [] if _by_group(table) else table.ranked[:ROWS]
    diverged = [outcome for outcome in table.failures if outcome.status == "diverged" and outcome not in rows]
    others = [outcome for outcome in table.failures if outcome.status != "diverged"]
    lines = []
    for outcome in others[:REASONS]:
        lines += _wrapped(
            f"{table.name(outcome)}: {outcome.ending}. {outcome.reason}".rstrip(), " ... (see train.log)", width
        )
    if len(others) > REASONS:
        lines.append(f"  ... and {len(others) - REASONS:,} more in sweep.md")
    if diverged:
        numbers = ", ".join(f"{outcome.job.number} ({outcome.epochs})" for outcome in diverged)
        lines += _wrapped(f"diverged, by number (epoch): {numbers}", " ... (all are in sweep.md)", width)
    return ["Not completed:", *lines] if lines else []


def _warnings(table: SweepTable, width: int) -> list[str]:
    """List the completed runs with warnings about their networks, by kind of warning."""
    kinds = dict.fromkeys(kind for outcome in table.outcomes for kind in outcome.warnings)
    lines = []
    for kind in kinds:
        names = ", ".join(table.name(outcome) for outcome in table.outcomes if kind in outcome.warnings)
        lines += _wrapped(f"{kind}: {names}", " ... (all are in sweep.md)", width)
    return ["Completed with a warning (sweep.md says what to try):", *lines] if lines else []


def _wrapped(text: str, placeholder: str, width: int) -> list[str]:
    """Wrap a text to at most three indented lines."""
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="    ", max_lines=3, placeholder=placeholder
    )
