"""Bring the values of a configuration to the form in which they are used: ``1e3`` is 1000 where an integer is taken."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from .constructors import adapter_of, as_integers, normalized

# Where a value stands: the keys and indices that lead to it.
Place = tuple[str | int, ...]

adapter = functools.cache(adapter_of)


def normalized_values(
    config: DictConfig, values: dict[str, Any], settings: Mapping[str, Any]
) -> list[tuple[Place, Any]]:
    """Return what the settings become before they are used, each with its path.

    A float that stands for an integer (``1e3``) becomes one where an integer is taken, and ``lightning.pytorch`` in a
    ``_target_`` becomes ``pytorch_lightning``.

    Args:
        config: the settings, for those that are taken over from others.
        values: the same, resolved, as plain containers.
        settings: what those take that end in no constructor, as annotations by dotted key.
    """
    found = []
    for path, value in changed_values(values, normalized(normalized_settings(values, settings))):
        taken_over = source_key(".".join(map(str, path)), config)
        if taken_over in settings:
            # Taken over from a setting whose own annotation says nothing.
            found.append((tuple(taken_over.split(".")), value))
        found.append((path, value))
    return found


def set_value(config: Any, path: Place, value: Any) -> None:
    """Set one of `normalized_values` in a configuration or in plain containers."""
    *places, last = path
    for place in places:
        config = config[place]
    config[last] = value


def normalized_settings(values: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of settings in which a float is an integer where its annotation takes one."""
    copy = dict(values)
    for key, annotation in settings.items():
        group, _, name = key.rpartition(".")
        holder = copy.get(group) if group else copy
        if isinstance(holder, dict) and name in holder:
            value = as_integers(holder[name], adapter(annotation))
            copy.update({group: holder | {name: value}} if group else {name: value})
    return copy


def changed_values(before: Any, after: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield the values that differ between two containers of the same structure, each with its path."""
    if isinstance(before, dict | list):
        for key in before if isinstance(before, dict) else range(len(before)):
            yield from changed_values(before[key], after[key], (*path, key))
    elif before is not after:
        yield path, after


def source_key(key: str, config: DictConfig) -> str:
    """Return the key to set: that of an interpolation where a value is taken over from elsewhere."""
    text = unresolved_value(key, config)
    inner = re.fullmatch(r"\$\{(?:oc\.select:)?([\w.]+)(?:,.*)?\}", text) if isinstance(text, str) else None
    return inner[1] if inner else key


def unresolved_value(key: str, config: DictConfig) -> Any:
    """Return the value of a setting before interpolations are resolved; None where there is none."""
    group, _, name = key.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    return OmegaConf.to_container(node, resolve=False).get(name) if OmegaConf.is_dict(node) else None
