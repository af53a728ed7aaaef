"""What was swept, in few words."""

from collections.abc import Sequence
from typing import Any

from .values import shown


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each dotted name, or as many of its last parts as tell it from the others."""
    names = {}
    for key in keys:
        parts = key.split(".")
        tails = (".".join(parts[-length:]) for length in range(1, len(parts) + 1))
        names[key] = next(
            (tail for tail in tails if not any(_ends_with(other, tail) for other in keys if other != key)), key
        )
    return names


def _ends_with(key: str, tail: str) -> bool:
    return key == tail or key.endswith(f".{tail}")


def swept_text(swept: dict[str, Any], names: dict[str, str]) -> str:
    """Such as ``lr=0.01, max_epochs=200``, by the given names."""
    return ", ".join(f"{names[key]}={shown(value)}" for key, value in swept.items())


def number_text(value: float | None) -> str:
    """Five digits, and nothing where there is no value."""
    return "" if value is None else f"{value:.5g}"
