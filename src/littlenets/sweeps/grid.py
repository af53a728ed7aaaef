"""Expand the overrides of a command line into points: all combinations of the swept values, or zipped values."""

import itertools
import math
from collections.abc import Sequence

from hydra.core.override_parser.types import Override, RangeSweep

from ..errors import SettingError

# Limit on the number of jobs; with more, writing sweep.json takes longer than a run of `linear`.
MOST_JOBS = 100_000


def expand(overrides: Sequence[Override], zipped: Sequence[str] = ()) -> list[list[str]]:
    """Return the overrides of each point; the values of the last override vary fastest.

    Args:
        overrides: parsed overrides; if several of them set the same key, the last one is used.
        zipped: settings whose values are paired by position instead of combined with all others.

    Raises:
        SettingError: a zipped setting is missing or has a different number of values than the others, an override
            sweeps over an interval, or there are more than `MOST_JOBS` points.
    """
    values: dict[str, list[str]] = {}
    for override in overrides:
        if override.is_range_sweep() and _length(override.value()) > MOST_JOBS:
            raise _too_many(override.input_line)
        if not override.is_sweep_override():
            values[override.get_key_element()] = [override.input_line]
        elif override.is_discrete_sweep():
            key = override.get_key_element()
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise SettingError(
                f"{override.input_line}: a grid needs values to step through, as in a=1,2 a=range(1,5) a=choice(1,2)."
            )
    together = _zip(values, zipped)
    crossed = [len(options) for key, options in values.items() if key not in together[1:]]
    if math.prod(crossed) > MOST_JOBS:
        raise _too_many(" x ".join(str(count) for count in crossed if count > 1))
    axes, placed = [], False
    for key, options in values.items():
        if key not in together:
            axes.append([(option,) for option in options])
        elif not placed:
            axes.append(list(zip(*(values[name] for name in together), strict=True)))
            placed = True
    return [list(itertools.chain(*point)) for point in itertools.product(*axes)]


def _length(values: RangeSweep) -> float:
    return abs((values.stop or 0) - (values.start or 0)) / (abs(values.step) or math.inf)


def _too_many(asked: str) -> SettingError:
    return SettingError(f"{asked}: this asks for more than the {MOST_JOBS:,} runs that a sweep can have.")


def _zip(values: dict[str, list[str]], zipped: Sequence[str]) -> list[str]:
    """Return the keys of the zipped settings as they are written in the overrides, such as ``+name``."""
    by_name = {key.lstrip("+"): key for key in values}
    missing = [name for name in zipped if name not in by_name]
    if missing:
        raise SettingError(
            f"sweep.zip: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not swept. "
            f"This command sets {', '.join(by_name) or 'nothing'}."
        )
    keys = [by_name[name] for name in zipped]
    if len({len(values[key]) for key in keys}) > 1:
        counts = ", ".join(f"{key} has {len(values[key])}" for key in keys)
        raise SettingError(f"sweep.zip: what is stepped through together needs as many values each; {counts}.")
    return keys
