"""Write the tables and figures of a sweep into its folder, and summarize it for the terminal."""

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.labels import number_text
from ..config.values import shown
from ..console.terminal import terminal
from ..runs.files import write_atomically
from . import next_commands
from .page import page_text
from .spreadsheet import csv_text
from .table import SEED, Group, SweepTable
from .verdict import verdict

# Limit on the number of characters in a line; wider tables are hard to read.
WIDTH = 80
# Limit on the number of rows of a table: the height of a terminal without the lines around the table.
ROWS = 20
# Limit on the number of failures that are listed with their reasons.
REASONS = 8
# Limit on the number of characters of a setting's value.
CELL = 24


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
    write_atomically(table.folder / "sweep.csv", csv_text(table))
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
    if _by_group(table):
        return _group_table(table, table.groups, width)
    ranked = table.ranked
    told = ranked[:ROWS]
    measures = table.measures
    others = measures[1:] if table.objective else measures
    columns = {"number": [str(outcome.job.number) for outcome in told]}
    for position, key in enumerate(table.keys):
        columns[_heading(table, key)] = [_cut(table.swept_texts(outcome)[position]) for outcome in told]
    for name in measures:
        columns[name] = [number_text(outcome.metrics.get(name)) for outcome in told]
    columns["epochs"] = ["" if outcome.epochs is None else f"{outcome.epochs:,}" for outcome in told]
    columns["seconds"] = ["" if outcome.seconds is None else f"{outcome.seconds:.1f}" for outcome in told]
    columns["status"] = [outcome.ending for outcome in told]
    if all(outcome.ending == "completed" for outcome in told):
        del columns["status"]
    dispensable = ["seconds", "epochs", *reversed(others), *(_heading(table, key) for key in reversed(table.keys))]
    return [*_aligned(columns, dispensable, width), *_left_over(len(ranked))]


def _heading(table: SweepTable, key: str) -> str:
    """Return the short name of a setting, or its dotted name if another column has the short one."""
    name = table.names[key]
    return key if name in ("number", "epochs", "seconds", "status", "deviation", "runs") else name


def _by_group(table: SweepTable) -> bool:
    return 1 < len(table.groups) < len(table.outcomes)


def _group_table(table: SweepTable, groups: Sequence[Group], width: int) -> list[str]:
    told = groups[:ROWS]
    columns = {}
    keys = [key for key in table.keys if key != SEED]
    for key in keys:
        columns[_heading(table, key)] = [_cut(shown(group.swept[key])) if key in group.swept else "" for group in told]
    columns[f"mean {table.objective.metric}"] = [number_text(group.mean) for group in told]
    columns["deviation"] = [number_text(group.deviation) for group in told]
    columns["runs"] = [_runs(group) for group in told]
    return [*_aligned(columns, [_heading(table, key) for key in reversed(keys)], width), *_left_over(len(groups))]


def _runs(group: Group) -> str:
    done, started = len(group.values), len(group.outcomes)
    return str(done) if done == started else f"{done} of {started}"


def _left_over(count: int) -> list[str]:
    return [f"... and {count - ROWS:,} more in sweep.md"] if count > ROWS else []


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


def _aligned(columns: dict[str, list[str]], dispensable: Sequence[str], width: int) -> list[str]:
    """Return the lines of a table, without as many of the dispensable columns, in their order, as do not fit."""
    columns = dict(columns)
    widths = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}
    for name in dispensable:
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            break
        del widths[name], columns[name]
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    aligned = ("  ".join(map(str.rjust, row, widths.values())) for row in rows)
    return [line.rstrip() for line in aligned]


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[: CELL - 3]}..."
