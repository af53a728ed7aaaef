"""Whether the settings of a sweep's points are right, before the first of them is trained."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from ..config.check import find_problems
from ..config.metrics import Expected, expected_metrics
from ..errors import SettingError
from .points import Composition, Point


def check_points(
    points: Sequence[Point],
    compositions: Sequence[Composition],
    trusted: Sequence[str] | None,
    folder: Path | None = None,
) -> list[str]:
    """What is wrong with the settings of each point; empty where nothing is. Imports PyTorch.

    Args:
        trusted: what from outside the package may be named; None is anything.
        folder: that of a sweep that is gone on with, below which its runs may write.
    """
    return ["\n".join(_problems(point, compositions[point.composition], trusted, folder)) for point in points]


def expected_of_points(points: Sequence[Point], compositions: Sequence[Composition]) -> list[Expected | None]:
    """Return what each of the points, whose settings have been checked, is going to measure. Imports PyTorch."""
    return [
        expected_metrics(OmegaConf.to_container(compositions[point.composition].set(point), resolve=True))
        for point in points
    ]


def _problems(point: Point, composition: Composition, trusted: Sequence[str] | None, folder: Path | None) -> list[str]:
    config = composition.set(point)
    if trusted is not None:
        from ..config.trust import check_trusted

        try:
            check_trusted(OmegaConf.to_container(config, resolve=True), trusted, folder)
        except SettingError as error:
            return [str(error)]
    if found := find_problems(config, composition.hydra.hydra.runtime.choices):
        return found
    from ..trainers import refused  # imports Lightning

    return [line for line in [refused(config)] if line]
