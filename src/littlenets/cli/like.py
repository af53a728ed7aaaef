"""Start a new run with the settings of an earlier one: replace ``like=RUN`` by overrides."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..config.choices import Configuration, open_configuration
from ..config.mistakes import in_words
from ..config.overrides import typed
from ..errors import SettingError
from ..fast_imports import fast_imports
from ..runs.files import user_path
from ..runs.saved import find_folder, read_config

# Keys of the earlier run that are not reused: arguments that are not settings, metadata, and Hydra's own settings,
# which are never taken from a file.
NOT_REUSED = {"like", "resume", "trust", "sweep", "origin", "hydra", "defaults"}

_ABSENT = object()


def expand_like(script: Path, arguments: Sequence[str]) -> list[str]:
    """Replace ``like=RUN`` in the arguments by overrides that set the settings of that run.

    The configuration files are composed with the run's choices of groups, and each value that differs from the run's
    is overridden. So the run's settings apply even if the files have changed since, and a value that is interpolated
    from another one (``data.seed`` from ``seed``) remains interpolated. Other overrides on the command line take
    precedence. The choice of a group replaces all of the run's settings in that group, and in groups whose choice
    depends on it.

    Args:
        script: path of the script, such as ``train.py``, whose configuration is ``conf/train.yaml`` beside it.
        arguments: the command line arguments after it.

    Returns:
        The arguments; unchanged if ``like`` is not given, the script is not train.py, or Hydra cannot parse them.

    Raises:
        SettingError: there is no such run, it refers to code that is not trusted, or its choices no longer exist.
    """
    asked = get_args_parser().parse_known_args(list(arguments))[0]
    given = [text for text in asked.overrides if _key(text) == "like"]
    if script.stem != "train" or asked.shell_completion or not given:
        return list(arguments)
    try:
        parsed = OverridesParser.create().parse_overrides(list(asked.overrides))
    except HydraException:
        return list(arguments)  # Hydra reports the error
    values = {override.key_or_group: override for override in parsed}
    others = [override for override in parsed if override.key_or_group != "like"]
    if len(given) > 1 or values["like"].is_sweep_override() or not isinstance(values["like"].value(), str | int | None):
        raise SettingError(f"{' '.join(given)}: a new run takes the settings of one run, like=FOLDER.")
    typed_anew = [override.input_line for override in others]
    options = list(arguments)
    for text in asked.overrides:
        options.remove(text)
    if values["like"].value() is None:
        return [*typed_anew, *options]
    if "resume" in values and values["resume"].value() is not None:
        raise SettingError("like=... starts a new run, and resume=... goes on with an old one; give one of them.")
    path = user_path(values["like"].value())
    folder = find_folder(path.absolute().parent.parent if path.suffix == ".ckpt" else path)
    saved = read_config(folder)
    trust = values["trust"].value() if "trust" in values else []
    with fast_imports():
        from ..runs.loading import check_saved

    check_saved(saved, [str(module) for module in trust] if isinstance(trust, list) else [str(trust)])
    with open_configuration(script, arguments) as configuration:
        try:
            settings = list(_settings(configuration, saved, others, asked.multirun))
        except (HydraException, OmegaConfBaseException) as error:
            raise SettingError(
                f"like={folder}: conf/ has no settings for this run any more. {in_words(error)}"
            ) from None
    return [*settings, *typed_anew, *options]


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]


def _settings(
    configuration: Configuration, saved: DictConfig, others: Sequence[Override], multirun: bool
) -> Iterator[str]:
    """Yield overrides that set the values of ``saved``, except those that ``others`` replace."""
    values: dict[str, Any] = OmegaConf.to_container(saved)
    for name in [name for name in values if not _is_reused(configuration, name, values[name])]:
        del values[name]
    choices, composed = _choose(configuration, values, OmegaConf.to_container(saved.origin))
    changes = list(_changes(composed, values))
    if composed.hydra.mode is RunMode.MULTIRUN:
        # The run's experiment defines a sweep, of which the run was one job.
        if multirun:
            changes += _held(composed, values, [_key(change) for change in changes])
        elif not any(override.key_or_group in ("hydra.mode", "experiment") for override in others):
            changes.insert(0, "hydra.mode=RUN")
    chosen = [override for override in others if configuration.choices_of(override.key_or_group)]
    replaced = _replaced(configuration.compose, choices, chosen, composed.hydra.runtime.choices)
    said = [override.key_or_group for override in others if override not in chosen]
    for group, name in choices.items():
        if all(override.key_or_group != group for override in chosen):
            yield f"{group}={name}"
    for change in changes:
        key = _key(change)
        if key.partition(".")[0] not in replaced and not any(_is_inside(key, other) for other in said):
            yield change


def _is_reused(configuration: Configuration, name: Any, value: Any) -> bool:
    if name in NOT_REUSED or not str(name).isidentifier():
        return False
    # A value under the name of a group must be settings; text would choose a configuration file.
    return value is None or isinstance(value, dict) or not configuration.choices_of(name)


def _choose(
    configuration: Configuration, values: dict[str, Any], origin: dict[str, Any]
) -> tuple[dict[str, str], DictConfig]:
    """Return the choices of groups that the run needs, and the configuration composed with them.

    Removes ``figures`` from ``values`` if the run was a job of a sweep that left the figures out by default.
    """
    choices: dict[str, str] = {}
    for text in origin["overrides"] or []:
        group, _, name = str(text).lstrip("+").partition("=")
        # Only names of existing configuration files; this excludes paths that lead elsewhere.
        if name in configuration.choices_of(group):
            choices[group] = name
    composed = configuration.compose(choices)
    said = {group: origin[group] for group in ("model", "data")}
    # Groups that were empty in the run.
    said |= {group: "none" for group, value in values.items() if value is None and group != "figures"}
    for group, name in said.items():
        there = configuration.choices_of(group)
        if name in there and composed.hydra.runtime.choices[group] != name:
            choices[group] = name
    if values.get("figures") is None and "figures" not in choices:
        values.pop("figures", None)
    return choices, configuration.compose(choices)


def _changes(composed: DictConfig, values: dict[str, Any]) -> Iterator[str]:
    """Yield an override for each value that differs from the composed configuration, and set it there."""
    HydraConfig.instance().set_config(composed)
    task = OmegaConf.masked_copy(composed, [name for name in composed if name != "hydra"])
    OmegaConf.set_struct(task, False)
    before = _leaves(OmegaConf.to_container(task), "")
    wanted = _leaves(values, "")
    # Interpolated values are compared last, after the values that they refer to have been set.
    following = [key for key in wanted if isinstance(before.get(key), str) and "${" in before[key]]
    for key in [*(key for key in wanted if key not in following), *following]:
        now = OmegaConf.select(task, key, default=_ABSENT)
        now = OmegaConf.to_container(now, resolve=True) if OmegaConf.is_config(now) else now
        if now is _ABSENT or typed(now) != typed(wanted[key]):
            OmegaConf.update(task, key, wanted[key], force_add=True)
            yield f"{'+' if now is _ABSENT else ''}{key}={typed(wanted[key])}"
    gone = (_first_unknown(key, wanted) for key in before if key.partition(".")[0] not in NOT_REUSED)
    # Groups that were added after the run are kept, since they leave the run as it was.
    yield from (f"~{key}" for key in dict.fromkeys(gone) if "." in key and not _is_setting(key))


def _is_setting(key: str) -> bool:
    from ..config.check import SETTINGS

    return key in SETTINGS


def _leaves(node: Any, path: str) -> dict[str, Any]:
    """Return values by dotted name; lists, and mappings with keys that are not identifiers, are values themselves."""
    if not isinstance(node, dict) or not node or not all(isinstance(key, str) and key.isidentifier() for key in node):
        return {path: node}
    leaves = {}
    for name, value in node.items():
        leaves |= _leaves(value, f"{path}.{name}" if path else name)
    return leaves


def _first_unknown(key: str, wanted: dict[str, Any]) -> str:
    """Return the shortest prefix of a dotted name that the run did not have; empty if it had the whole name."""
    parts = key.split(".")
    for length in range(1, len(parts) + 1):
        start = ".".join(parts[:length])
        if start in wanted:
            return ""
        if not any(_is_inside(other, start) for other in wanted):
            return start
    return ""


def _is_inside(key: str, other: str) -> bool:
    return key == other or key.startswith(f"{other}.")


def _held(composed: DictConfig, values: dict[str, Any], changed: Sequence[str]) -> Iterator[str]:
    """Yield overrides for the parameters swept by the run's experiment that are not among the changes."""
    for key in composed.hydra.sweeper.params or {}:
        name = composed.hydra.runtime.choices.get(key)
        if key not in changed and (name is not None or OmegaConf.select(composed, key, default=_ABSENT) is not _ABSENT):
            yield f"{key}={name if name is not None else typed(OmegaConf.select(OmegaConf.create(values), key))}"


def _replaced(
    compose: Callable[[dict[str, str]], DictConfig],
    choices: dict[str, str],
    chosen: Sequence[Override],
    before: DictConfig,
) -> set[str]:
    """Return the groups that are chosen on the command line, and those whose choice changes with them."""
    replaced = {override.key_or_group for override in chosen}
    options = [
        [(override.key_or_group, str(name)) for name in _names(override)] for override in chosen if _names(override)
    ]
    for combination in itertools.product(*options) if options else ():
        try:
            after = compose(choices | dict(combination)).hydra.runtime.choices
        except (HydraException, OmegaConfBaseException):
            continue  # Hydra reports the error
        replaced |= {group for group in after if after[group] != before.get(group)}
    return replaced


def _names(override: Override) -> list[Any]:
    if override.is_delete():
        return []
    return list(override.sweep_iterator()) if override.is_discrete_sweep() else [override.value()]
