"""Choose the metric by which the jobs of a sweep are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SettingError
from .outcomes import Outcome, is_rising, loss_beside

# The default is the first of these that all completed runs have.
DEFAULTS = ("val/loss", "test/acc", "test/mae", "test/loss", "train/loss")
# Other LightningModules often use underscores.
DEFAULTS += tuple(name.replace("/", "_") for name in DEFAULTS)

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Objective:
    """Metric at the end of each run by which jobs are compared.

    Args:
        metric: name of the metric, such as ``val/loss``.
        direction: ``minimize`` if lower values are better, else ``maximize``.
        why: why this metric was chosen, shown in brackets after its name.
    """

    metric: str
    direction: Direction
    why: str

    @property
    def wish(self) -> str:
        return "lower is better" if self.direction == "minimize" else "higher is better"

    def value(self, outcome: Outcome) -> float | None:
        """Return the metric of a job; None if the job did not complete, or the metric is missing or not finite."""
        value = outcome.metrics.get(self.metric, math.nan)
        return value if outcome.completed and math.isfinite(value) else None

    def cost(self, value: float) -> float:
        """Return a sort key of a value; lower is better."""
        return value if self.direction == "minimize" else -value

    @property
    def tie_breaker(self) -> str | None:
        """Name of the loss of the same stage, which orders runs with the same value; None if that is the metric."""
        loss = loss_beside(self.metric)
        return loss if loss != self.metric else None

    def loss(self, outcome: Outcome) -> float:
        """Return the tie breaker of a job; infinite if there is none, or if it is missing or NaN."""
        value = outcome.metrics.get(self.tie_breaker, math.inf)
        return math.inf if math.isnan(value) else value

    def rank(self, outcome: Outcome) -> tuple[bool, bool, float, float, int]:
        """Return a sort key: the best first, then runs that learned nothing, then those without a value."""
        value = self.value(outcome)
        if value is None:
            return True, False, 0.0, 0.0, outcome.job.number
        return False, not outcome.learned, self.cost(value), self.loss(outcome), outcome.job.number


def choose_objective(outcomes: Sequence[Outcome], metric: str | None, direction: str | None) -> Objective | None:
    """Return the given objective, or the default one; None if no run has any metric yet.

    Args:
        outcomes: the outcomes of all jobs.
        metric: name of the metric; None is the default.
        direction: ``minimize`` or ``maximize``; None derives it from the metric's name.

    Raises:
        SettingError: runs have completed but none has the given metric, or the direction is unknown.
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
        if not validated and {"val/loss", "val_loss"} & set(there):
            why = "the default where not all runs have a validation set"
    suggested = "maximize" if is_rising(chosen) else "minimize"
    return Objective(chosen, direction or suggested, why)
