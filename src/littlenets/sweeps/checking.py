"""Check the settings of all points of a sweep before the first job is trained."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from ..config.check import find_problems
from ..config.metrics import Expected, expected_metrics
from ..config.origin import Origin
from ..errors import SettingError
from .points import Composition, Point


def check_points(
    points: Sequence[Point],
    compositions: Sequence[Composition],
    trusted: Sequence[str] | None,
    folder: Path | None = None,
) -> list[str]:
    """Return an error message for each point, which is empty if its settings are valid. Imports PyTorch.

    Args:
        points: the points to check.
        compositions: the compositions that the points refer to.
        trusted: names from outside the package that the settings may contain; None allows all names.
        folder: folder of a resumed sweep, below which its runs may write; None for a new sweep.
    """
    return ["\n".join(_problems(point, compositions[point.composition], trusted, folder)) for point in points]


def expected_of_points(points: Sequence[Point], compositions: Sequence[Composition]) -> list[Expected | None]:
    """Return the metrics that each of the checked points will measure; None if unknown. Imports PyTorch."""
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
    if found := find_problems(config, Origin.from_hydra(composition.hydra)):
        return found
    from ..trainers import refused  # imports Lightning

    return [line for line in [refused(config)] if line]
