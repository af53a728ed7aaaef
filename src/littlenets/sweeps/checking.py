"""Whether the settings of a sweep's points are right, before the first of them is trained."""

from collections.abc import Sequence

from ..errors import SettingError
from .points import Composition, Point


def find_problems(points: Sequence[Point], compositions: Sequence[Composition]) -> list[str]:
    """What is wrong with the settings of each point; empty where nothing is."""
    # Imports PyTorch, which not every process with a sweep needs.
    from ..config.check import check

    problems = []
    for point in points:
        try:
            check(compositions[point.composition].set(point))
            problems.append("")
        except SettingError as error:
            problems.append(str(error))
    return problems
