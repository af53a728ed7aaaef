"""What was swept, in few words."""

from collections.abc import Sequence
from typing import Any


def value_text(value: Any) -> str:
    """A value as one would type it on Hydra's command line: ``null``, ``true``, ``0.01``, ``[16,16]``, ``{a:1}``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{value_text(item)}' for key, item in value.items())}}}"
    return str(value)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted name, or as many of its last parts as tell it from the others."""
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
    return ", ".join(f"{names[key]}={value_text(value)}" for key, value in swept.items())


def number_text(value: float | None) -> str:
    """Five digits, and nothing where there is no value."""
    return "" if value is None else f"{value:.5g}"
