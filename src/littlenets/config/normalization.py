"""Normalize the values of a configuration: ``1e3`` becomes 1000 where an integer is taken."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from .constructors import adapter_of, as_integers, normalized
from .containers import to_dict

# The path of a value: keys and indices from the root.
Place = tuple[str | int, ...]

adapter = functools.cache(adapter_of)


def normalized_values(
    config: DictConfig, values: dict[str, Any], settings: Mapping[str, Any]
) -> list[tuple[Place, Any]]:
    """Return the values that change when a configuration is normalized, each with its path.

    A float such as ``1e3`` becomes an integer if the setting takes integers, and ``lightning.pytorch`` in a
    ``_target_`` becomes ``pytorch_lightning``.

    Args:
        config: the configuration, from which interpolations are read.
        values: the same configuration, resolved, as plain containers.
        settings: annotations, by dotted key, of the settings that are not passed to a constructor.
    """
    found: list[tuple[Place, Any]] = []
    for path, value in changed_values(values, normalized(normalized_settings(values, settings))):
        taken_over = source_key(".".join(map(str, path)), config)
        if taken_over in settings:
            # Change the interpolated setting as well, because its own annotation may allow any value.
            found.append((tuple(taken_over.split(".")), value))
        found.append((path, value))
    return found


def set_value(config: Any, path: Place, value: Any) -> None:
    """Set a value in a configuration or in plain containers.

    Args:
        config: the configuration or containers, changed in place.
        path: keys and indices from the root.
        value: the new value.
    """
    *places, last = path
    for place in places:
        config = config[place]
    config[last] = value


def normalized_settings(values: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration in which whole floats are integers if the setting's annotation takes integers.

    Args:
        values: the configuration as plain containers.
        settings: annotations by dotted key.
    """
    copy = dict(values)
    for key, annotation in settings.items():
        group, _, name = key.rpartition(".")
        holder = copy.get(group) if group else copy
        if isinstance(holder, dict) and name in holder:
            value = as_integers(holder[name], adapter(annotation))
            copy.update({group: holder | {name: value}} if group else {name: value})
    return copy


def changed_values(before: Any, after: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield the values of ``after`` that are not those of ``before``, each with its path.

    Args:
        before: plain containers.
        after: plain containers with the same structure.
        path: path of these containers.
    """
    if isinstance(before, dict | list):
        for key in before if isinstance(before, dict) else range(len(before)):
            yield from changed_values(before[key], after[key], (*path, key))
    elif before is not after:
        yield path, after


def source_key(key: str, config: DictConfig) -> str:
    """Return the key of the setting that is interpolated, such as ``seed`` for ``${seed}``; otherwise ``key``."""
    text = unresolved_value(key, config)
    inner = re.fullmatch(r"\$\{(?:oc\.select:)?([\w.]+)(?:,.*)?\}", text) if isinstance(text, str) else None
    return inner[1] if inner else key


def unresolved_value(key: str, config: DictConfig) -> Any:
    """Return the value of a setting with unresolved interpolations; None if the setting does not exist."""
    group, _, name = key.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    return to_dict(node, resolve=False).get(name) if OmegaConf.is_dict(node) else None
