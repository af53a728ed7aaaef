"""Find all errors in a command line that Hydra cannot compose. Hydra itself reports only the first."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ..fast_imports import fast_imports
from .choices import open_configuration
from .origin import Origin
from .signatures import argument_names
from .suggestions import nearest, nearest_setting

# The maximum number of keys listed in a message; longer lists are too long to read.
MANY_KEYS = 16


def find_mistakes(script: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Yield one message for each error; first those that are found without importing torch, and without delay.

    Args:
        script: path of a script such as ``train.py``, whose configuration is ``conf/train.yaml`` in the same folder.
        arguments: the command-line arguments after the script.
    """
    asked = get_args_parser().parse_known_args(list(arguments))[0]
    with open_configuration(script, arguments) as configuration:
        line = _CommandLine(*configuration)
        yield from line.mistakes([*asked.overrides, *configuration.places], asked.multirun)
        if line.left_to_check and not (asked.cfg or asked.help or asked.info):
            yield from line.wrong_values()


class _CommandLine:
    """Checker that applies each override separately, so that one error does not hide another.

    Args:
        loader: Hydra's configuration loader.
        config_name: name of the primary configuration, such as ``train``.
        places: overrides of ``hydra.searchpath`` that add more folders.
    """

    def __init__(self, loader: ConfigLoaderImpl, config_name: str, places: list[str]) -> None:
        self._loader, self._config_name, self._places = loader, config_name, places
        self._parser = OverridesParser.create(config_loader=loader)
        self._groups = [group for group in self._options("", ObjectType.GROUP) if group != "hydra"]
        self._said: set[str] = set()
        self._composed: list[DictConfig] = []
        #: Whether there are overrides without errors so far whose values must still be checked by `wrong_values`.
        self.left_to_check = False

    def mistakes(self, overrides: list[str], multirun: bool) -> Iterator[str]:
        """Yield a message for each override that cannot be read or applied; torch is not imported.

        Args:
            overrides: the overrides of the command line.
            multirun: whether the command has ``--multirun``.
        """
        choices, values = [], []
        for text in overrides:
            try:
                (override,) = self._parser.parse_overrides([text])
                readable = bool(override.key_or_group)
            except HydraException:
                readable = False
            if not readable:
                yield from self._new(_unreadable(text))
                continue
            if override.is_sweep_override() and not multirun:
                multirun = self._mode(overrides) is RunMode.MULTIRUN
                if not multirun:
                    yield from self._new(_sweep_without_m(text))
                    continue
            options = self._options(override.key_or_group, ObjectType.CONFIG)
            if not options:
                values.append(override)
                continue
            wrong = [line for value in _values(override) if (line := _wrong_choice(override, value, options))]
            for line in wrong:
                yield from self._new(line)
            if not wrong:
                choices.append([str(text) for text in _texts(override)])
        for combination in itertools.product(*choices):
            yield from self._compose(list(combination), values)
        chosen = {text.partition("=")[0].lstrip("+~") for texts in choices for text in texts}
        self.left_to_check = self.left_to_check or ("data" in chosen and bool(self._composed))

    def _options(self, group: str, kind: ObjectType) -> list[str]:
        return self._loader.get_group_options(group, kind, self._config_name, self._places)

    def _mode(self, overrides: list[str]) -> RunMode | None:
        """Return Hydra's mode from the configuration, which an experiment may set; None if it cannot be composed."""
        relevant = [text for text in overrides if text.startswith(("experiment=", "hydra.mode="))]
        try:
            return self._loader.load_configuration(
                self._config_name, [*self._places, *relevant], RunMode.MULTIRUN
            ).hydra.mode
        except (HydraException, OmegaConfBaseException, ValueError):
            return None

    def _compose(self, choices: list[str], values: list[Override]) -> Iterator[str]:
        try:
            config = self._loader.load_configuration(self._config_name, [*self._places, *choices], RunMode.RUN)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            yield from self._new(in_words(error))
            return
        for override in values:
            for text in _texts(override):
                (single,) = self._parser.parse_overrides([text])
                try:
                    ConfigLoaderImpl._apply_overrides_to_config([single], config)
                except (ConfigCompositionException, OmegaConfBaseException, ValueError, IndexError) as error:
                    yield from self._new(self._why(single, config, error))
                else:
                    self.left_to_check = self.left_to_check or not override.is_hydra_override()
        self._composed.append(config)

    def wrong_values(self) -> Iterator[str]:
        """Yield a message for each wrong value in the composed configurations. This imports torch."""
        with fast_imports():
            import pytorch_lightning  # noqa: F401

            from .check import find_problems
        # Only configurations of training; other commands have few settings, and check these themselves.
        for config in (config for config in self._composed if "trainer" in config):
            origin = Origin.from_hydra(config)
            with open_dict(config):
                del config["hydra"]
            for line in find_problems(config, origin):
                yield from self._new(line)

    def _new(self, line: str) -> Iterator[str]:
        if line not in self._said:
            self._said.add(line)
            yield line

    def _why(self, override: Override, config: DictConfig, error: Exception) -> str:
        key = override.key_or_group
        if override.is_add() and not override.is_force_add() and OmegaConf.select(config, key) is not None:
            return f"{key}: this setting is there already, so without the plus: {override.input_line[1:]}"
        known = [key for key in _keys(config) if override.is_hydra_override() or not key.startswith("hydra")]
        if override.is_delete() or isinstance(error.__cause__, ConfigKeyError | ConfigAttributeError):
            if override.package is not None or key in known:
                return in_words(error)
            return f"{key}: there is no such setting; {self._advice(override, config, known)}"
        return in_words(error) if isinstance(error, HydraException) else f"{key}: this cannot be set ({error})."

    def _advice(self, override: Override, config: DictConfig, known: list[str]) -> str:
        key = override.key_or_group
        group, _, name = key.rpartition(".")
        node = OmegaConf.select(config, group) if group else config
        target = OmegaConf.select(node, "_target_") if OmegaConf.is_dict(node) else None
        arguments = [] if target is None else argument_names(target) or []
        if name in arguments and not override.is_delete():
            return f"{target} takes it, but conf/ does not list it, so it wants a plus: +{override.input_line}"
        groups = [group for group in self._groups if group in config.hydra.runtime.choices]
        near = nearest_setting(key, [*known, *groups])
        unlisted = nearest(name, arguments)
        if unlisted and f"{group}.{unlisted}" not in known and (near is None or not near.startswith(f"{group}.")):
            return f"did you mean +{group}.{unlisted}?"
        if near:
            return f"did you mean {near}?"
        inside = [other for other in known if other.rpartition(".")[0] == group]
        if not group:
            inside = sorted({*inside, *groups})
        if not inside:
            return f"nor is there {group}." if node is None else f"{group} has none."
        more = ", ..." if len(inside) > MANY_KEYS else "."
        return f"there are {', '.join(inside[:MANY_KEYS])}{more}"


def in_words(error: Exception) -> str:
    """Return the message of an error of Hydra or OmegaConf on one line, without the list of search paths."""
    cause = error.__cause__
    wrong = error if isinstance(error, OmegaConfBaseException) else cause
    if isinstance(wrong, OmegaConfBaseException):
        return f"{wrong.full_key}: {str(wrong).splitlines()[0]}."
    message = re.split(r"\n+(?:Config search path|Search path|See https?:|To append)", str(error))[0]
    if isinstance(cause, OSError | ImportError) or (isinstance(error, ValueError) and cause):
        message += f": {cause}"
    return re.sub(r"\n+\t?", " ", message.strip())


def _unreadable(text: str) -> str:
    key, equals, _ = text.partition("=")
    if not equals:
        return f"{text}: a setting is written KEY=VALUE, with no space around the =."
    if not key:
        return f"{text}: there is no key before the =, or a space."
    return f"{text}: this cannot be read. Quote a value that has special characters: {key}='\"...\"'"


def _sweep_without_m(text: str) -> str:
    key, _, value = text.partition("=")
    return (
        f"{text}: several values are a sweep, which wants -m (--multirun); a list of values wants brackets: "
        f"'{key}=[{value}]'"
    )


def _values(override: Override) -> list[object]:
    if override.is_sweep_override():
        return list(override.sweep_iterator()) if override.is_discrete_sweep() else []
    return [override.value()]


def _texts(override: Override) -> list[str]:
    """Return the override as text, or one override for each of its values if it is a sweep."""
    if override.is_discrete_sweep():
        return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    return [override.input_line]


def _wrong_choice(override: Override, value: object, options: list[str]) -> str | None:
    group = override.key_or_group
    if override.is_delete():
        return None
    there_are = f"There are: {', '.join(sorted(options))}."
    if value is None:
        nothing = f"for nothing, {group}=none" if "none" in options else "leave it out for the usual one"
        return f"{group}=null: a group takes the name of one of its choices; {nothing}. {there_are}"
    unknown = [str(name) for name in (value if isinstance(value, list) else [value]) if str(name) not in options]
    if not unknown:
        return None
    near = nearest(unknown[0], options)
    hint = f"; did you mean {group}={near}?" if near else "."
    return f"{group}={unknown[0]}: there is no such choice{hint} {there_are}"


def _keys(node: object, path: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig) and (node._is_none() or node._is_missing() or node._is_interpolation()):
        return
    if isinstance(node, DictConfig):
        for name, value in node.items_ex(resolve=False):
            if not str(name).startswith("_"):
                key = f"{path}.{name}" if path else str(name)
                yield key
                yield from _keys(value, key)
