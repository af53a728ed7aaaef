"""Compose the configurations of a sweep's points, with Hydra only once for each combination of choices.

Hydra takes a tenth of a second to compose a configuration. Most points of a sweep differ in a few numbers only. These
are set in a configuration that was composed with the same choices, which takes a millisecond per point.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from ..config.check import SETTINGS
from ..config.constructors import holds_whole_float
from ..config.normalization import normalized_values, set_value
from ..errors import SettingError
from ..fast_imports import fast_imports

# Keys that are not settings of the training; points that differ in nothing else are the same.
NO_SETTINGS = {"sweep", "like", "resume", "trust"}


@dataclass
class Composition:
    """Configuration that Hydra composed for one combination of choices; the values of each point are set in it.

    Args:
        task: configuration of the program, with its interpolations.
        hydra: configuration of Hydra, under the key ``hydra``.
    """

    task: DictConfig
    hydra: DictConfig

    def set(self, point: "Point") -> DictConfig:
        """Set the values of a point and return ``task``, which is valid until the next point is set."""
        for name, value in point.values.items():
            OmegaConf.update(self.task, name, value, merge=True, force_add=name in point.added)
        node = self.hydra.hydra
        with flag_override(self.hydra, ["readonly", "struct"], False):
            node.overrides.task = point.overrides
            node.job.override_dirname = ",".join(sorted(point.overrides))
        HydraConfig.instance().cfg = self.hydra
        return self.task

    def config(self, point: "Point") -> DictConfig:
        """Return a copy of the configuration of a point."""
        return copy.deepcopy(self.set(point))


@dataclass
class Point:
    """One combination of settings to train with.

    Args:
        overrides: its overrides, as on a command line, without those of Hydra's own settings.
        composition: index of the composition for its choices.
        values: values that are set in the composition, by dotted name.
        added: names among ``values`` that are not in conf/ (``+name=value``).
        assignments: everything set by ``overrides``, by name, including choices.
        settings: the resolved configuration as plain containers.
    """

    overrides: list[str]
    composition: int
    values: dict[str, Any]
    added: frozenset[str]
    assignments: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Hash of the settings, equal for two points if and only if all of their settings are equal."""
        settings = {name: value for name, value in self.settings.items() if name not in NO_SETTINGS}
        return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:32]


class Points:
    """Compose points from their overrides.

    Args:
        loader: Hydra's config loader.
        master: configuration of the command, composed with the overrides that all points have in common.
        trusted: names from outside the package that may be imported to normalize a point; None allows all names.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, trusted: Sequence[str] | None = None) -> None:
        self._loader, self._master, self._trusted = loader, master, trusted
        self._parser = OverridesParser.create(config_loader=loader)
        self._parsed: dict[str, Override] = {}
        self._indices: dict[Any, int] = {}
        self.compositions: list[Composition] = []

    def compose(self, batch: Sequence[Sequence[str]]) -> list[Point]:
        """Compose the points for lists of overrides.

        Args:
            batch: the overrides of each point.

        Raises:
            SettingError: lists all points that cannot be composed, with the reasons.
            Exception: an error of Hydra, which could not compose a combination of choices.
        """
        self._parse({override for overrides in batch for override in overrides})
        points, problems = [], []
        for overrides in batch:
            try:
                points.append(self._point([self._parsed[override] for override in overrides]))
            except OmegaConfBaseException as error:
                problems.append(f"{' '.join(overrides)}: {error.full_key}: {str(error).splitlines()[0]}")
        if problems:
            raise SettingError("\n".join(dict.fromkeys(problems)))
        return points

    def _parse(self, overrides: set[str]) -> None:
        new = sorted(overrides - self._parsed.keys())
        self._parsed.update(zip(new, self._parser.parse_overrides(new), strict=True))

    def _point(self, overrides: list[Override]) -> Point:
        plain, others = [], []
        for override in overrides:
            (plain if self._is_plain(override) else others).append(override)
        key = (
            tuple(override.input_line for override in others),
            tuple((override.key_or_group, override.type) for override in plain),
        )
        if key not in self._indices:
            self._compose([override.input_line for override in overrides])
            self._indices[key] = len(self.compositions) - 1
        index = self._indices[key]
        point = Point(
            overrides=[override.input_line for override in overrides if not override.key_or_group.startswith("hydra")],
            composition=index,
            values={override.key_or_group: override.value() for override in plain},
            added=frozenset(override.key_or_group for override in plain if override.is_add()),
            assignments={
                override.get_key_element().lstrip("+"): override.value()
                for override in overrides
                if not override.is_delete()
            },
        )
        task = self.compositions[index].set(point)
        point.settings = OmegaConf.to_container(task, resolve=True)
        whole = [name for name, value in point.assignments.items() if holds_whole_float(value)]
        if any(not self._is_float(name, point.assignments[name]) for name in whole) and self._is_trusted(point):
            # 1e1 is the same as 10 if the setting takes integers. To find out, PyTorch is imported, which takes
            # seconds; therefore this is not done for all points.
            with fast_imports():
                changes = normalized_values(task, point.settings, SETTINGS)
            for place, value in changes:
                set_value(point.settings, place, value)
            for name in whole:
                point.assignments[name] = _setting(point, name)
            point.values |= {name: point.assignments[name] for name in whole if name in point.values}
        return point

    def _is_trusted(self, point: Point) -> bool:
        """Return whether the classes named by a point may be imported; if not, the check of its settings reports it."""
        if self._trusted is None:
            return True
        from ..config.trust import check_trusted

        try:
            with fast_imports():
                check_trusted(point.settings, self._trusted)
        except SettingError:
            return False
        return True

    def _is_float(self, name: str, value: float | list | dict) -> bool:
        """Return whether the configuration of the command has another float there, so that the setting takes floats."""
        usual = OmegaConf.select(self._master, name)
        return isinstance(usual, float) and usual != value

    def _is_plain(self, override: Override) -> bool:
        """Return whether an override sets a single value of the program's configuration, and is not a choice."""
        return (
            not override.is_delete()
            and override.package is None
            and not override.key_or_group.startswith("hydra")
            and (override.value() is None or isinstance(override.value(), bool | int | float | str))
            and not self._loader.repository.group_exists(override.key_or_group)
        )

    def _compose(self, overrides: list[str]) -> None:
        config = self._loader.load_sweep_config(self._master, overrides)
        with flag_override(config, ["readonly", "struct"], False):
            hydra = OmegaConf.masked_copy(config, "hydra")
            task = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
        OmegaConf.copy_cache(from_config=self._master, to_config=hydra)
        OmegaConf.set_struct(task, True)
        self.compositions.append(Composition(task, hydra))


def swept(points: Sequence[Point], compositions: Sequence[Composition]) -> Iterator[dict[str, Any]]:
    """Return, for each point, the settings that differ between the points, by name.

    The value of a setting that a point does not set is taken from its configuration.

    Args:
        points: all points of the sweep.
        compositions: the compositions that the points refer to.
    """
    names = dict.fromkeys(name for point in points for name in point.assignments)
    rows = [{name: _value(point, compositions[point.composition], name) for name in names} for point in points]
    differing = [name for name in names if len({json.dumps(row[name], default=str) for row in rows}) > 1]
    return ({name: row[name] for name in differing} for row in rows)


def _value(point: Point, composition: Composition, name: str) -> Any:
    if name in point.assignments:
        return point.assignments[name]
    choices = composition.hydra.hydra.runtime.choices
    if name in choices:
        return choices[name]
    return _setting(point, name)


def _setting(point: Point, name: str) -> Any:
    node: Any = point.settings
    for part in name.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node
