"""Describe which setting of a sweep is the best, and which others are equally good."""

import math

from ..config.labels import number_text, swept_text
from .table import Group, SweepTable

# Limit on the number of runs or settings named in a sentence; the others are counted.
NAMED = 5


def verdict(table: SweepTable) -> list[str]:
    """Return sentences about the best setting and those equal to it; an empty list if a single run is the best."""
    groups = table.groups
    if not table.best:
        return []
    if len(groups) > 1 and groups[0].deviation is not None:
        return _of_settings(table, groups)
    return _of_runs(table)


def _of_runs(table: SweepTable) -> list[str]:
    objective, best = table.objective, table.best
    rank = objective.rank(best)[:3]
    equal = [table.name(outcome) for outcome in table.ranked if objective.rank(outcome)[:3] == rank]
    if len(equal) == 1:
        return []
    decides = f"lower {objective.tie_breaker}" if math.isfinite(objective.loss(best)) else "lower number"
    return [f"{_listed(equal)} have the same {objective.metric}; the {decides} decides."]


def _of_settings(table: SweepTable, groups: list[Group]) -> list[str]:
    objective, (best, *others) = table.objective, groups
    mean = f"mean {objective.metric} {number_text(best.mean)} (n = {len(best.values)})"
    sentences = [f"Best setting: {_name(table, best)}, {mean}."]
    equal = [best, *(group for group in others if _is_as_good(table, group, best))]
    if len(equal) > 1:
        counts = ", ".join(map(str, sorted({len(group.values) for group in equal})))
        tie = any(group.mean == best.mean for group in equal[1:])
        lower = f"mean {objective.tie_breaker}" if math.isfinite(table.rank(best)[3]) else "number"
        decides = f"; the lower {lower} decides between equal means" * tie
        names = _listed([_name(table, group) for group in equal])
        sentences.append(f"{names} are equal within the standard deviation over the seeds (n = {counts}){decides}.")
    cost, missing = objective.cost(best.mean), table.rank(best)[0]
    for group in others:
        if group.values and objective.cost(group.mean) < cost and table.rank(group)[0] > missing:
            runs = f"{len(group.values)} of {len(group.outcomes)} runs"
            sentences.append(f"{_name(table, group)} has a better mean, but of {runs} only.")
    return sentences


def _is_as_good(table: SweepTable, group: Group, best: Group) -> bool:
    """Return whether the means differ by at most the larger of the two standard deviations."""
    if group.deviation is None or table.rank(group)[:2] != table.rank(best)[:2]:
        return False
    return abs(group.mean - best.mean) <= max(group.deviation, best.deviation)


def _name(table: SweepTable, group: Group) -> str:
    return swept_text(group.swept, table.names)


def _listed(names: list[str]) -> str:
    *others, last = names if len(names) <= NAMED else [*names[:NAMED], f"{len(names) - NAMED:,} more"]
    return f"{', '.join(others)} and {last}"
