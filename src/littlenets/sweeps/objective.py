"""By which metric the jobs of a sweep are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SettingError
from .outcomes import Outcome, is_rising

# What is compared where nothing was asked for: the first of these that all completed runs have.
DEFAULTS = ("val/loss", "test/acc", "test/mae", "test/loss", "train/loss")
# As modules of others call them.
DEFAULTS += tuple(name.replace("/", "_") for name in DEFAULTS)

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Objective:
    """A metric, measured at the end of each run, and which way it should go.

    Args:
        why: where it comes from, to stand in brackets behind its name.
    """

    metric: str
    direction: Direction
    why: str

    @property
    def wish(self) -> str:
        return "lower is better" if self.direction == "minimize" else "higher is better"

    def value(self, outcome: Outcome) -> float | None:
        """What a job reached; None where it did not complete, or has no such number."""
        value = outcome.metrics.get(self.metric, math.nan)
        return value if outcome.completed and math.isfinite(value) else None

    def cost(self, value: float) -> float:
        """For sorting: the lower, the better."""
        return value if self.direction == "minimize" else -value

    @property
    def tie_breaker(self) -> str:
        """The loss of the same stage, which decides where runs have the same value."""
        return f"{self.metric.rpartition('/')[0]}/loss"

    def loss(self, outcome: Outcome) -> float:
        """The tie breaker of a job; infinite where it has none."""
        value = outcome.metrics.get(self.tie_breaker, math.inf)
        return math.inf if math.isnan(value) else value

    def rank(self, outcome: Outcome) -> tuple[bool, bool, float, float, int]:
        """Return a sort key: the best first; behind them those that learned nothing, then those without a value."""
        value = self.value(outcome)
        if value is None:
            return True, False, 0.0, 0.0, outcome.job.number
        return False, not outcome.learned, self.cost(value), self.loss(outcome), outcome.job.number


def choose_objective(outcomes: Sequence[Outcome], metric: str | None, direction: str | None) -> Objective | None:
    """What was asked for, or the default; None as long as no run has a metric at all.

    Raises:
        SettingError: no run has the metric that was asked for although some have completed, or the direction is none.
    """
    if direction not in (None, "minimize", "maximize"):
        raise SettingError(f"The direction of a sweep is minimize or maximize, not {direction}.")
    completed = [outcome.metrics for outcome in outcomes if outcome.completed]
    there = sorted({name for outcome in outcomes for name in outcome.metrics})
    if not there:
        return None
    if metric is not None:
        if completed and metric not in there:
            raise SettingError(f"No run has the metric {metric} to be compared by; there are {', '.join(there)}.")
        chosen, why = metric, "as asked for"
    else:
        common = [name for name in DEFAULTS if completed and all(name in metrics for metrics in completed)]
        chosen = next(iter([*common, *(name for name in DEFAULTS if name in there), *there]))
        validated = chosen in ("val/loss", "val_loss")
        why = "the default" if validated else "the default for runs without a validation set"
        if not validated and "val/loss" in there:
            why = "the default where not all runs have a validation set"
    suggested = "maximize" if is_rising(chosen) else "minimize"
    return Objective(chosen, direction or suggested, why)
