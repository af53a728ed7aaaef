"""Render the page: fill the template with the results of the runs.

The page is a single file, which can be opened from the disk.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jinja2
from markupsafe import Markup, escape

from .experiments import Outcome
from .illustrations import CURVES, activation_functions, curves_of_sweep, embedded, figure_of
from .statements import STATEMENTS, Statement, Verdict, verdict

TEMPLATE = "page.html"

# Sign and words for each verdict.
SIGNS = {True: ("✓", "holds"), False: ("✗", "does not hold"), None: ("–", "not decided")}
CLASSES = {True: "yes", False: "no", None: "open"}


@dataclass(frozen=True)
class Judged:
    """A statement with the verdict on it and the command of its experiment."""

    statement: Statement
    verdict: Verdict
    command: str

    @property
    def sign(self) -> str:
        return SIGNS[self.verdict.holds][0]

    @property
    def word(self) -> str:
        return SIGNS[self.verdict.holds][1]

    @property
    def style(self) -> str:
        return CLASSES[self.verdict.holds]


def judge_all(outcomes: dict[str, Outcome]) -> list[Judged]:
    """Return the verdicts on all statements, in the page's order."""
    return [
        Judged(
            statement,
            verdict(statement, outcomes[statement.experiment].records),
            outcomes[statement.experiment].experiment.command,
        )
        for statement in STATEMENTS
    ]


def render(outcomes: dict[str, Outcome], judged: Sequence[Judged]) -> str:
    """Return the HTML of the whole page.

    Args:
        outcomes: outcome of every experiment, by name.
        judged: all statements with their verdicts.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("littlenets.article", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_name = {one.statement.name: one for one in judged}
    return environment.get_template(TEMPLATE).render(
        judged=judged,
        counts={style: sum(one.style == style for one in judged) for style in CLASSES.values()},
        of=lambda experiment: [one for one in judged if one.statement.experiment == experiment],
        value=lambda name: by_name[name],
        outcome=outcomes.__getitem__,
        took=lambda experiment: _took(outcomes[experiment]),
        picture=lambda experiment, figure, run=0: _picture(outcomes[experiment], figure, run),
        curves=lambda experiment: _curves(outcomes[experiment]),
        functions=lambda: Markup(embedded(activation_functions(), ".png")),
        breakable=_breakable,
        made=f"{datetime.now():%d %B %Y, %H:%M}",
        made_with=_made_with(outcomes),
    )


def _picture(outcome: Outcome, figure: str, run: int) -> Markup | None:
    file = figure_of(outcome.records, figure, run)
    return file and Markup(embedded(file.read_bytes(), file.suffix))


def _curves(outcome: Outcome) -> Markup | None:
    name = outcome.experiment.name
    drawable = outcome.records and all(record.history.get(CURVES[name][1]) for record in outcome.records)
    return Markup(embedded(curves_of_sweep(name, outcome.records), ".png")) if drawable else None


def _breakable(command: str) -> Markup:
    """Return a command in which the browser may break lines after "_", "=" and "/" instead of anywhere."""
    parts = [escape(part) for part in re.split(r"(?<=[_=/])", command)]
    return Markup("<wbr>").join(parts)


def _took(outcome: Outcome) -> str:
    """Return a text with the number of epochs, the duration of the training and the devices."""
    results = [record.results for record in outcome.records]
    seconds = sum((one.get("seconds") or {}).get("fit", 0.0) for one in results)
    epochs = [f"{one.get('epochs', 0):,}" for one in results]
    devices = sorted({str((one.get("environment") or {}).get("device", "an unknown device")) for one in results})
    count = epochs[0] if len(set(epochs)) == 1 else f"{min(epochs, key=_number)} to {max(epochs, key=_number)}"
    plural = "s" if count != "1" else ""
    runs = f"{len(results)} runs of " if len(results) > 1 else ""
    return f"{runs}{count} epoch{plural}, {_duration(seconds)} of training on {' and '.join(devices)}"


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _made_with(outcomes: dict[str, Outcome]) -> list[str]:
    """Return the versions and the commit of the runs; several texts if the runs differ."""
    found: dict[str, Any] = {}
    for outcome in outcomes.values():
        for record in outcome.records:
            environment = record.results.get("environment") or {}
            git = environment.get("git") or {}
            commit = str(git.get("commit") or "unknown")[:10]
            changed = "" if git.get("clean", True) else " with changes"
            torch = (environment.get("packages") or {}).get("torch", "unknown")
            found[f"commit {commit}{changed}, PyTorch {torch}, Python {environment.get('python', 'unknown')}"] = None
    return [*found] or ["no runs"]
