"""The names of Lightning's classes: under which of its two packages they are looked up."""

from typing import Any

# Lightning is published as two packages with equal classes of their own, and the Trainer here is of the second.
LIGHTNING, INSTALLED = "lightning.pytorch", "pytorch_lightning"


def installed_target(target: str) -> str:
    """Return a ``_target_`` with ``lightning.pytorch`` replaced by ``pytorch_lightning``; imports nothing."""
    inside = target == LIGHTNING or target.startswith(f"{LIGHTNING}.")
    return INSTALLED + target.removeprefix(LIGHTNING) if inside else target


def installed_targets(values: Any) -> Any:
    """Return a copy of a configuration, as plain containers, with `installed_target` applied to each ``_target_``."""
    if isinstance(values, list):
        return [installed_targets(value) for value in values]
    if not isinstance(values, dict):
        return values
    copy = {name: installed_targets(value) for name, value in values.items()}
    if isinstance(copy.get("_target_"), str):
        copy["_target_"] = installed_target(copy["_target_"])
    return copy
