"""Going on with a sweep from its folder: the command line that stands for it."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ..runs.files import user_path
from .manifest import FILE, Manifest

MULTIRUN = ("-m", "--multirun")


def expand_resume(arguments: Sequence[str]) -> list[str]:
    """Where ``resume=FOLDER`` names the folder of a sweep, what that sweep was started with, and what is added to it.

    A setting that is given anew takes the place of the earlier one. Of the earlier ones, those of Hydra itself, which
    could run other code, and what was trusted do not count: a folder may come from somebody else. Other arguments come
    back as they are.

    Raises:
        SettingError: the sweep's sweep.json is damaged.
    """
    folder = _folder(arguments)
    if folder is None:
        return list(arguments)
    settings = {_key(argument): argument for argument in Manifest.read(folder).arguments if _is_setting(argument)}
    settings |= {_key(argument): argument for argument in arguments if argument not in MULTIRUN}
    return ["-m", *settings.values()]


def _is_setting(argument: str) -> bool:
    key = _key(argument)
    says = "=" in argument or argument.startswith("~")
    return says and not argument.startswith("-") and key != "trust" and not re.match(r"hydra\b", key)


def _folder(arguments: Sequence[str]) -> Path | None:
    """The folder of a sweep, where one is to be gone on with."""
    given = next((argument for argument in arguments if argument.startswith("resume=")), None)
    if given is None:
        return None
    try:
        value = OverridesParser.create().parse_override(given).value()
    except HydraException:
        return None  # which Hydra will say in its own words
    folder = user_path(value or "")
    return folder if value and (folder / FILE).is_file() else None


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]
