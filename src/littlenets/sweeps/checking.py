"""Whether the settings of a sweep's points are right, before the first of them is trained."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from ..errors import SettingError
from .points import Composition, Point


def find_problems(
    points: Sequence[Point], compositions: Sequence[Composition], trusted: Sequence[str] | None
) -> list[str]:
    """What is wrong with the settings of each point; empty where nothing is.

    Args:
        trusted: what from outside the package may be named; None is anything.
    """
    # Both import PyTorch, which not every process with a sweep needs.
    from ..config.check import check
    from ..config.trust import check_trusted

    problems = []
    for point in points:
        try:
            config = compositions[point.composition].set(point)
            if trusted is not None:
                check_trusted(OmegaConf.to_container(config, resolve=True), trusted)
            check(config)
            problems.append("")
        except SettingError as error:
            problems.append(str(error))
    return problems
