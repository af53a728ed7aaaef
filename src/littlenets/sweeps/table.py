"""A sweep as a table: its jobs, what they reached, and their order."""

import math
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.labels import number_text, short_names, swept_text
from ..config.values import shown
from ..errors import SettingError
from .manifest import Job, Manifest
from .objective import Objective, choose_objective
from .outcomes import ENDS, Outcome, read_outcome

SEED = "seed"
# What results.json and history.csv of a job looked like when they were read: time of the last change, and size.
_Stamp = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Group:
    """The jobs that differ in their seed alone.

    Args:
        swept: what they have in common, of what was swept.
        outcomes: in the order of their numbers.
        values: of the objective, where there is one.
    """

    swept: dict[str, Any]
    outcomes: list[Outcome]
    values: list[float]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None for fewer than two values."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


class SweepTable:
    """The jobs of a sweep and their outcomes.

    For staying around as long as the sweep: `refresh` reads only the files that have changed since it was last called.

    Args:
        folder: the sweep's, with its sweep.json.
        objective: instead of the one in sweep.json.
        direction: likewise.

    Raises:
        SettingError: ``folder`` is no sweep's, or its sweep.json is damaged.
    """

    def __init__(self, folder: Path, objective: str | None = None, direction: str | None = None) -> None:
        self.folder = Path(folder)
        self._objective, self._direction = objective, direction
        self._read: dict[str, tuple[_Stamp, Outcome]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads what is new."""
        self.manifest = Manifest.read(self.folder)
        self.outcomes = [self._outcome(job) for job in self.manifest.jobs]
        #: What was swept, in the order in which the jobs name it, the seed last.
        self.keys = list(dict.fromkeys(key for job in self.manifest.jobs for key in job.swept))
        self.keys.sort(key=lambda key: key == SEED)
        self.names = short_names(self.keys)
        #: Why there is no objective although one was asked for.
        self.problem: SettingError | None = None
        self.objective: Objective | None = None
        wanted = self._objective or self.manifest.objective, self._direction or self.manifest.direction
        try:
            self.objective = choose_objective(self.outcomes, *wanted)
        except SettingError as error:
            self.problem = error

    def _outcome(self, job: Job) -> Outcome:
        folder = os.path.join(self.folder, job.folder)
        stamp = tuple(_stamp(os.path.join(folder, name)) for name in ("results.json", "history.csv"))
        before, outcome = self._read.get(job.folder, (None, None))
        if stamp != before or outcome.job != job or not any(stamp):
            outcome = read_outcome(self.folder, job)
            self._read[job.folder] = stamp, outcome
        return outcome

    @property
    def ranked(self) -> list[Outcome]:
        """The best first; those that did not complete last, by number."""
        if self.objective:
            return sorted(self.outcomes, key=self.objective.rank)
        return sorted(self.outcomes, key=lambda outcome: (not outcome.completed, outcome.job.number))

    @property
    def best(self) -> Outcome | None:
        """The best run of the best setting so far; None as long as no job has a value of the objective."""
        if not self.objective:
            return None
        groups = self.groups
        outcomes = groups[0].outcomes if groups else self.outcomes
        first = min(outcomes, key=self.objective.rank, default=None)
        return first if first and self.objective.value(first) is not None else None

    @property
    def failures(self) -> list[Outcome]:
        """Those that ended without completing, by number."""
        return [outcome for outcome in self.outcomes if not outcome.completed and outcome.status != "waiting"]

    @property
    def groups(self) -> list[Group]:
        """The jobs without their seeds, the best setting first; empty where no seed was swept.

        A mean over the seeds that were left says little where others diverged or failed: the fewer of its runs have no
        value, the further ahead a setting is. Then those come of which a run learned something, and of these the ones
        with the best mean; the mean loss of the same stage decides between equal means.
        """
        if SEED not in self.keys or not self.objective:
            return []
        gathered: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            others = sorted((key, shown(value)) for key, value in outcome.job.swept.items() if key != SEED)
            gathered.setdefault(repr(others), []).append(outcome)
        groups = []
        for outcomes in gathered.values():
            swept = {key: value for key, value in outcomes[0].job.swept.items() if key != SEED}
            values = [value for outcome in outcomes if (value := self.objective.value(outcome)) is not None]
            groups.append(Group(swept, outcomes, values))
        return sorted(groups, key=self.rank)

    def rank(self, group: Group) -> tuple[float, bool, float, float]:
        """Return a sort key: share of runs without a value, whether none learned anything, mean, mean loss."""
        reached = [outcome for outcome in group.outcomes if self.objective.value(outcome) is not None]
        if not reached:
            return 1.0, True, math.inf, math.inf
        missing = 1 - len(reached) / len(group.outcomes)
        loss = statistics.fmean(map(self.objective.loss, reached))
        return missing, not any(outcome.learned for outcome in reached), self.objective.cost(group.mean), loss

    @property
    def counts(self) -> str:
        """Such as ``12 jobs: 9 completed (1 with a warning), 3 diverged``."""
        found = [outcome.status for outcome in self.outcomes]
        order = [*ENDS, *sorted(set(found) - set(ENDS))]
        parts = [f"{found.count(status):,} {status}" for status in order if status in found]
        if warned := sum(bool(outcome.warnings) for outcome in self.outcomes):
            parts[0] += f" ({warned:,} with a warning)"
        return f"{len(found):,} job{'s' * (len(found) != 1)}: {', '.join(parts) or 'none'}"

    def swept_texts(self, outcome: Outcome) -> list[str]:
        """A cell for each of `keys`, empty where a job does not set it."""
        swept = outcome.job.swept
        return [shown(swept[key]) if key in swept else "" for key in self.keys]

    @property
    def best_so_far(self) -> str:
        """The best job and what it reached: ``number 3 (lr=0.01), val/loss 0.12``; empty where there is none."""
        if not self.best:
            return ""
        return f"{self.name(self.best)}, {self.objective.metric} {number_text(self.objective.value(self.best))}"

    def describe(self, outcome: Outcome) -> str:
        """What was swept of one job: ``lr=0.01, max_epochs=200``."""
        return swept_text(outcome.job.swept, self.names)

    def name(self, outcome: Outcome) -> str:
        """A job by its number and what was swept: ``number 3 (lr=0.01, max_epochs=200)``."""
        swept = self.describe(outcome)
        return f"number {outcome.job.number}{f' ({swept})' if swept else ''}"

    @property
    def finals(self) -> list[str]:
        """The names of all that runs ended with: metrics of the test, the validation, the training, and others."""
        return _by_stage(name for outcome in self.outcomes for name in outcome.metrics)

    @property
    def measures(self) -> list[str]:
        """Those that measure how good a run is, the objective first; no weights or learning rates."""
        first = self.objective.metric if self.objective else None
        return sorted((name for name in self.finals if "/" in name or name == first), key=lambda name: name != first)

    @property
    def bests(self) -> list[str]:
        """The same of the metrics in the histories."""
        return _by_stage(name for outcome in self.outcomes for name in outcome.best)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _by_stage(names: Iterable[str]) -> list[str]:
    stages = ("test", "val", "train")

    def position(name: str) -> tuple[int, str]:
        stage = name.split("/", 1)[0]
        return stages.index(stage) if stage in stages else len(stages), name

    return sorted(set(names), key=position)
