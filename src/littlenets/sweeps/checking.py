"""Whether the settings of a sweep's points are right, before the first of them is trained."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from ..config.check import find_problems
from ..errors import SettingError
from .points import Composition, Point


def check_points(
    points: Sequence[Point], compositions: Sequence[Composition], trusted: Sequence[str] | None
) -> list[str]:
    """What is wrong with the settings of each point; empty where nothing is. Imports PyTorch.

    Args:
        trusted: what from outside the package may be named; None is anything.
    """
    return ["\n".join(_problems(point, compositions[point.composition], trusted)) for point in points]


def _problems(point: Point, composition: Composition, trusted: Sequence[str] | None) -> list[str]:
    config = composition.set(point)
    if trusted is not None:
        from ..config.trust import check_trusted

        try:
            check_trusted(OmegaConf.to_container(config, resolve=True), trusted)
        except SettingError as error:
            return [str(error)]
    return find_problems(config, composition.hydra.hydra.runtime.choices)
