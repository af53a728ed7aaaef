"""What was swept, and what was given on a command line, in few words."""

import re
from collections.abc import Container, Sequence
from typing import Any

from .values import shown

# Settings that `overrides_label` leaves out: the model, which is in the path of the run folder, and those that do not
# change the curves, such as paths of files.
LEFT_OUT = re.compile(
    r"(model|threads|compile|histograms|gradient_norm|data\.(root|mirrors)|(logger|checkpoint|figures|hydra)(\.[\w.]+)?)$"
)
# Characters that some systems do not allow in file names; $, which Lightning expands in paths; control characters; and
# those that take four bytes in UTF-8, so that a label never exceeds the 255 bytes that a file name may have.
NOT_IN_NAMES = re.compile(r"""[<>:"/\\|?*$]|[^ -\ud7ff\ue000-\uffff]""")
# TensorBoard breaks longer names into many lines.
LONGEST = 80


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


def overrides_label(overrides: Sequence[str], left_out: Container[str] = ()) -> str:
    """Return a label that can be a folder name, such as ``lr=0.1, hidden=[16]`` for ``optimizer.lr=0.1 ...``.

    Args:
        overrides: overrides as on a command line.
        left_out: settings that the label leaves out, in addition to those that never change the curves.
    """
    settings = [override.lstrip("+~").partition("=") for override in overrides]
    settings = [one for one in settings if one[0] and one[0] not in left_out and not LEFT_OUT.match(one[0])]
    names = short_names([key for key, _, _ in settings])
    label = ", ".join(f"{names[key]}{sign}{value}" for key, sign, value in settings)
    label = NOT_IN_NAMES.sub("-", label).strip()
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def number_text(value: float | None) -> str:
    """Five digits, and nothing where there is no value."""
    return "" if value is None else f"{value:.5g}"
