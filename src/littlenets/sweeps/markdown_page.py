"""Generate sweep.md, the report of a sweep."""

import shlex
from collections.abc import Iterable, Sequence

from . import next_commands
from .columns import group_columns, markdown_text, pick, run_columns
from .outcomes import Outcome
from .table import SweepTable
from .verdict import verdict

# Limit on the length of an error message; train.log contains it in full.
REASON = 300


def page_text(table: SweepTable, figures: Sequence[str] = ()) -> str:
    """Return the text of sweep.md: jobs ordered by the objective, means over seeds, failures and figures.

    Args:
        table: the jobs of the sweep.
        figures: paths of the figures to show, relative to the sweep's folder.
    """
    title = " and ".join(table.keys) or "one setting"
    sections = [f"# {table.folder.resolve().name}: a sweep over {title}"]
    if table.manifest.arguments:
        sections.append(f"    python train.py {shlex.join(table.manifest.arguments)}")
    sections += [f"{table.counts}.", _order(table), _best(table), _groups(table)]
    if figures:
        sections += ["## Figures", *(f"![{name}]({name})" for name in figures)]
    sections += [_failures(table), _warnings(table), _remarks(table), _runs(table), _more(table)]
    text = "\n\n".join(section for section in sections if section) + "\n"
    # Names and messages may contain HTML, which Markdown would not escape.
    return text.replace("<", "&lt;")


def _order(table: SweepTable) -> str:
    if table.problem:
        return f"The jobs are in the order of their numbers. {table.problem}"
    if not table.objective:
        return "No job has come to an end with a metric yet."
    return (
        f"Sorted by `{table.objective.metric}` at the end of each run: {table.objective.wish} ({table.objective.why})."
    )


def _best(table: SweepTable) -> str:
    if not table.best:
        return ""
    run = table.folder / table.best.job.folder
    return "\n".join(
        [
            *(f"{sentence}\n" for sentence in verdict(table)),
            f"The best run is {table.best_so_far}:",
            "",
            *([f"    {next_commands.look_at(run)}"] if next_commands.has_events(run) else []),
            f"    {next_commands.evaluate(run)}",
            f"    {next_commands.repeat(table.best.job.overrides)}",
        ]
    )


def _groups(table: SweepTable) -> str:
    if not table.groups:
        return ""
    text = (
        "The standard deviation is that of a sample (divided by n - 1); n counts the runs that completed. "
        "The fewer runs of a setting are missing, the further up it stands; then the mean decides."
    )
    return "\n\n".join(["## Over the seeds", text, markdown_text(pick(group_columns(table), "settings", "means"))])


def _runs(table: SweepTable) -> str:
    kinds = ("number", "settings", "ending", "measures", "bests", "epochs", "seconds", "folder")
    return "\n\n".join(["## Runs", markdown_text(pick(run_columns(table, table.ranked), *kinds))])


def _failures(table: SweepTable) -> str:
    return _listed("## Not completed", table, ((outcome, outcome.reason) for outcome in table.failures))


def _warnings(table: SweepTable) -> str:
    warned = ((outcome, " ".join(outcome.warnings.values())) for outcome in table.outcomes if outcome.warnings)
    return _listed("## Completed with a warning", table, warned)


def _remarks(table: SweepTable) -> str:
    remarks = ((outcome, outcome.remark) for outcome in table.outcomes if outcome.completed and outcome.remark)
    return _listed("## Incomplete histories", table, remarks)


def _listed(title: str, table: SweepTable, outcomes: Iterable[tuple[Outcome, str]]) -> str:
    lines = []
    for outcome, text in outcomes:
        reason = " ".join(text.split())
        reason = reason if len(reason) <= REASON else f"{reason[:REASON]} ... (train.log has all of it)"
        lines.append(f"- [{table.name(outcome)}]({outcome.job.folder}): {outcome.ending}. {reason}".rstrip())
    return "\n\n".join([title, "\n".join(lines)]) if lines else ""


def _more(table: SweepTable) -> str:
    others = [f"`{name}`" for name in table.measures if not table.objective or name != table.objective.metric]
    again = f"`sweep.csv` has the same for other programs. `{next_commands.report(table.folder)}` makes all of it anew"
    return f"{again}; with `objective=NAME` by another metric: {', '.join(others)}." if others else f"{again}."
