"""Going on with a sweep from its folder: the command line that stands for it."""

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
    """Where ``resume=FOLDER`` names the folder of a sweep, what that sweep was started with, and what is added to it.

    A setting that is given anew takes the place of the earlier one. Earlier settings of Hydra itself, and what was
    trusted, are left out; the others pass `config.trust`, as a folder may come from somebody else. Other arguments come
    back as they are.

    Args:
        arguments: of the command line.
        script: train.py, beside which conf/ is.

    Raises:
        SettingError: the sweep's sweep.json is damaged, or says what a saved sweep may not say.
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
    """The folder of a sweep, where one is to be gone on with."""
    given = next((argument for argument in arguments if _key(argument) == "resume"), None)
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
        return None  # which Hydra will say in its own words


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]
