"""Collect the outcomes of a sweep's jobs, and order them by the objective."""

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
from .outcomes import ENDS, STAGES, Outcome, is_metric, read_outcome, stage_prefix

SEED = "seed"
# Modification time and size of a job's results.json and history.csv when they were read; None if missing.
_Stamp = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Group:
    """Jobs that differ only in their seed.

    Args:
        swept: the swept settings without the seed, by name.
        outcomes: outcomes of the jobs, ordered by number.
        values: values of the objective, of the jobs that have one.
    """

    swept: dict[str, Any]
    outcomes: list[Outcome]
    values: list[float]

    @property
    def mean(self) -> float | None:
        """Mean of the values; None if there are none."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None for fewer than two values."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


class SweepTable:
    """Jobs of a sweep and their outcomes.

    While a sweep is running, the same object can be updated with `refresh`, which only reads files that have changed.

    Args:
        folder: folder of the sweep.
        objective: metric that replaces the one in sweep.json.
        direction: direction that replaces the one in sweep.json.

    Raises:
        SettingError: the folder does not contain a sweep, or its sweep.json is damaged.
    """

    def __init__(self, folder: Path, objective: str | None = None, direction: str | None = None) -> None:
        self.folder = Path(folder)
        self._objective, self._direction = objective, direction
        self._read: dict[str, tuple[_Stamp, Outcome]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read sweep.json again, and the files of jobs that have changed."""
        self.manifest = Manifest.read(self.folder)
        self.outcomes = [self._outcome(job) for job in self.manifest.jobs]
        #: Names of the swept settings, in the order in which the jobs have them, the seed last.
        self.keys = list(dict.fromkeys(key for job in self.manifest.jobs for key in job.swept))
        self.keys.sort(key=lambda key: key == SEED)
        self.names = short_names(self.keys)
        #: Error that tells why there is no objective although one was given; otherwise None.
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
        """Outcomes, the best first; those without a value are last, ordered by number."""
        if self.objective:
            return sorted(self.outcomes, key=self.objective.rank)
        return sorted(self.outcomes, key=lambda outcome: (not outcome.completed, outcome.job.number))

    @property
    def best(self) -> Outcome | None:
        """Best run of the best setting so far; None if no job has a value of the objective."""
        if not self.objective:
            return None
        groups = self.groups
        outcomes = groups[0].outcomes if groups else self.outcomes
        first = min(outcomes, key=self.objective.rank, default=None)
        return first if first and self.objective.value(first) is not None else None

    @property
    def failures(self) -> list[Outcome]:
        """Outcomes of jobs that were started but did not complete, ordered by number."""
        return [outcome for outcome in self.outcomes if not outcome.completed and outcome.status != "waiting"]

    @property
    def groups(self) -> list[Group]:
        """Jobs grouped by all swept settings other than the seed, the best group first; empty if no seed was swept.

        Groups are ordered by the share of runs without a value first, because a mean says little if other seeds
        diverged or failed. Groups in which no run learned anything come after the others with the same share. The rest
        is ordered by the mean, and equal means by the mean loss of the same stage.
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
        """Numbers of jobs by status: ``12 jobs: 9 completed (1 with a warning), 3 diverged``."""
        found = [outcome.status for outcome in self.outcomes]
        order = [*ENDS, *sorted(set(found) - set(ENDS))]
        parts = [f"{found.count(status):,} {status}" for status in order if status in found]
        if warned := sum(bool(outcome.warnings) for outcome in self.outcomes):
            parts[0] += f" ({warned:,} with a warning)"
        return f"{len(found):,} job{'s' * (len(found) != 1)}: {', '.join(parts) or 'none'}"

    def reached(self, outcome: Outcome) -> str:
        """Return the objective of a job as text, such as ``val/loss 0.12``; empty if it has no value."""
        value = self.objective.value(outcome) if self.objective else None
        return f"{self.objective.metric} {number_text(value)}" if value is not None else ""

    @property
    def best_so_far(self) -> str:
        """Best job and its value: ``number 3 (lr=0.01), val/loss 0.12``; empty if there is none."""
        return f"{self.name(self.best)}, {self.reached(self.best)}" if self.best else ""

    def describe(self, outcome: Outcome) -> str:
        """Return the swept settings of a job as text: ``lr=0.01, max_epochs=200``."""
        return swept_text(outcome.job.swept, self.names)

    def name(self, outcome: Outcome) -> str:
        """Return a job's number and swept settings as text: ``number 3 (lr=0.01, max_epochs=200)``."""
        swept = self.describe(outcome)
        return f"number {outcome.job.number}{f' ({swept})' if swept else ''}"

    @property
    def finals(self) -> list[str]:
        """Names of all values at the end of the runs: metrics of test, validation and training, then others."""
        return _by_stage(name for outcome in self.outcomes for name in outcome.metrics)

    @property
    def measures(self) -> list[str]:
        """Names of the metrics among `finals`, without weights and learning rates; the objective is first."""
        first = self.objective.metric if self.objective else None
        metrics = (name for name in self.finals if is_metric(name) or name == first)
        return sorted(metrics, key=lambda name: name != first)

    @property
    def bests(self) -> list[str]:
        """Names of the metrics that have a best value in history.csv, ordered like `finals`."""
        return _by_stage(name for outcome in self.outcomes for name in outcome.best)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _by_stage(names: Iterable[str]) -> list[str]:
    def position(name: str) -> tuple[int, str]:
        stage = stage_prefix(name)[:-1].partition("/")[0]
        return STAGES.index(stage) if stage in STAGES else len(STAGES), name

    return sorted(set(names), key=position)
