"""Convert configurations to plain containers."""

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf


def to_dict(config: DictConfig, resolve: bool, throw_on_missing: bool = False) -> dict[str, Any]:
    """Return a configuration that is a mapping as plain containers.

    Args:
        config: the configuration; it is neither null nor an interpolation.
        resolve: whether to replace interpolations by their values.
        throw_on_missing: whether to raise an exception for missing values (``???``).
    """
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve, throw_on_missing=throw_on_missing))
