"""Build the command line that resumes a sweep from its folder."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ..config.choices import open_configuration
from ..config.trust import check_overrides
from ..runs.files import user_path
from .manifest import FILE, Manifest

MULTIRUN = ("-m", "--multirun")


def expand_resume(arguments: Sequence[str], script: Path) -> list[str]:
    """Add the saved arguments of a sweep to a command line with ``resume=FOLDER``, if that is the folder of a sweep.

    New settings replace saved ones. Saved settings of Hydra itself and a saved ``trust`` are left out; the others are
    checked by `config.trust`, since the folder may come from another person. Other command lines are not changed.

    Args:
        arguments: arguments of the command line.
        script: path of train.py, whose folder contains conf/.

    Returns:
        The new arguments.

    Raises:
        SettingError: sweep.json is damaged, or contains settings that a saved sweep may not contain.
    """
    folder = _folder(arguments)
    if folder is None:
        return list(arguments)
    given = {_key(argument): argument for argument in arguments if argument not in MULTIRUN}
    saved = {_key(argument): argument for argument in Manifest.read(folder).arguments if _is_setting(argument)}
    left = [argument for key, argument in saved.items() if key not in given]
    with open_configuration(script, arguments) as configuration:
        check_overrides(left, configuration.choices_of, _trusted(given.get("trust")), str(folder / FILE))
    return ["-m", *(saved | given).values()]


def _is_setting(argument: str) -> bool:
    key = _key(argument)
    says = "=" in argument or argument.startswith("~")
    return says and not argument.startswith("-") and key != "trust" and not re.match(r"hydra\b", key)


def _folder(arguments: Sequence[str]) -> Path | None:
    """Return the folder of the sweep to resume; None if there is none."""
    # The last one, as Hydra does.
    given = next((argument for argument in reversed(arguments) if _key(argument) == "resume"), None)
    value = _value(given) if given else None
    folder = user_path(value or "")
    return folder if value and (folder / FILE).is_file() else None


def _trusted(given: str | None) -> list[str]:
    value = _value(given) if given else None
    return [str(name) for name in value] if isinstance(value, list) else []


def _value(argument: str) -> Any:
    try:
        return OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return None  # Hydra will report the error


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]
