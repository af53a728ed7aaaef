"""Check all settings of a configuration against the constructors that get them, before these are called."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import AfterValidator

from ..errors import SettingError
from ..ranges import Count
from .accelerators import present
from .choices import find_choice, other_data
from .constructors import Signature, signature_of, wrong_value
from .normalization import (
    Place,
    adapter,
    changed_values,
    normalized_settings,
    normalized_values,
    set_value,
    source_key,
    unresolved_value,
)
from .origin import Origin
from .suggestions import nearest, nearest_setting
from .values import shown

# The types of the settings that are read by the program itself and not passed to a constructor, by dotted key.
SETTINGS: dict[str, Any] = {
    "seed": Annotated[int, Ge(0), Lt(2**32)],
    "threads": Count | Literal["auto"],
    "compile": bool,
    "run_ahead": bool,
    "accelerate": bool,
    "histograms": bool,
    "gradient_norm": bool,
    "also_test": Sequence[str],
    "like": None,
    "resume": str | None,
    "trust": Sequence[str],
    "sweep.objective": str | None,
    "sweep.direction": Literal["minimize", "maximize"] | None,
    "sweep.on_error": Literal["continue", "stop"],
    "sweep.zip": Sequence[str] | None,
    "sweep.preview": bool,
    "sweep.retry_failed": bool,
    # Interpolated into the settings of callbacks, and checked there.
    "checkpoint.every": Any,
    "logger.every": Any,
}

# The types of settings that depend on the machine, by dotted key. They are not checked in saved configurations, which
# may be read on other machines.
ON_THIS_MACHINE: dict[str, Any] = {"trainer.accelerator": Annotated[str, AfterValidator(present)]}

# The types of the scheduler settings that are for Lightning and not for PyTorch's class, by dotted key.
SCHEDULE: dict[str, Any] = {
    "scheduler.interval": Literal["epoch", "step"] | None,
    "scheduler.frequency": Count,
    "scheduler.monitor": str | None,
}

# The nodes that are instantiated, and the arguments that the program passes in addition to the settings.
GIVEN: dict[str, tuple[str, ...]] = {
    "model.network": (),
    "model.module": (),  # those of PARTS that the configuration has; see `_given`
    "data": (),
    "optimizer": ("params",),
    "trainer": ("callbacks", "default_root_dir"),
    # After the nodes whose values it may interpolate, so that an error is reported for the original setting.
    "scheduler": ("optimizer", "total_steps"),
    "callbacks.*": (),
    "figures": (),
    "logger.*": ("save_dir",),
}
# Other ways to set the arguments in GIVEN, by dotted key; for error messages.
ELSEWHERE = {
    "trainer.callbacks": "each callback has a name in the group callbacks: +callbacks.NAME._target_=CLASS",
    "trainer.default_root_dir": "it is the run's folder: hydra.run.dir=FOLDER",
}
# Nodes that must not be null.
NEEDED = ("model.module", "data", "trainer")
# Arguments of the module, passed if its constructor takes them, and the dotted keys of the nodes they are built from.
PARTS = {"network": "model.network", "optimizer": "optimizer", "scheduler": "scheduler"}


def check(config: DictConfig, origin: Origin | None = None, saved: bool = False) -> None:
    """Check each node that has a ``_target_`` against the signature and annotations of the target, and normalize it.

    No schema is needed, so classes of the user are checked like those of the package. If all values are valid, the
    network is also called with inputs of the data's shape; no data is loaded for this. Signatures are cached: after
    the first check, a check takes some milliseconds.

    Values returned by `normalized_values` replace the original ones in ``config``.

    Args:
        config: configuration composed from ``conf/train.yaml``, without Hydra's part.
        origin: how the configuration was composed, for the messages and to find other options; None if unknown.
        saved: whether the configuration is from an earlier run. Then missing and unknown settings are allowed, since
            another version may have had more or fewer of them, and the network is not tried on the data, since it will
            not be trained on it.

    Raises:
        SettingError: one line for each wrong setting, with its key, its value and the allowed values.
    """
    problems, normal = _look_at(config, origin, saved)
    if problems:
        raise SettingError("\n".join(problems))
    for path, value in normal:
        set_value(config, path, value)


def check_settings(config: DictConfig, settings: Mapping[str, Any]) -> None:
    """Check the settings of a command other than training, and normalize them in place.

    Args:
        config: the configuration of the command.
        settings: the type of each setting as an annotation, by dotted key.

    Raises:
        SettingError: one line for each wrong setting.
    """
    if wrong := normalize(config, settings):
        raise SettingError("\n".join(wrong.values()))


def normalize(config: DictConfig, settings: Mapping[str, Any]) -> dict[str, str]:
    """Normalize settings in place, and return error messages for wrong ones as `wrong_settings` does."""
    values = OmegaConf.to_container(config, resolve=True)
    for path, value in changed_values(values, normalized_settings(values, settings)):
        set_value(config, path, value)
    return wrong_settings(values, settings)


def find_problems(config: DictConfig, origin: Origin | None = None, saved: bool = False) -> list[str]:
    """Return the lines of the error message of `check`; an empty list if there is no error.

    The configuration is not changed. The arguments are those of `check`.
    """
    return _look_at(config, origin, saved)[0]


def _look_at(config: DictConfig, origin: Origin | None, saved: bool) -> tuple[list[str], list[tuple[Place, Any]]]:
    values, problems = _resolve(config)
    normal = normalized_values(config, values, SETTINGS)
    for place, value in normal:
        set_value(values, place, value)
    problems |= wrong_settings(values) | wrong_settings(values, SCHEDULE)
    if not saved:
        problems |= _missing(values) | _unread(values, config) | wrong_settings(values, ON_THIS_MACHINE)
    for place, path, node in _nodes(values):
        for key, line in _wrong_node(place, path, node, _given(place, values), config).items():
            # Report an error of a value that several nodes interpolate only once, for the first node.
            problems.setdefault(key, line)
    for key, line in _wrong_parts(values, saved).items():
        problems.setdefault(key, line)
    if endless := _endless(values):
        problems.setdefault("trainer.max_epochs", endless)
    if not problems and not saved:
        problems = _unfit_data(config, values, origin or Origin())
    if not problems and not saved:
        from .metrics import unknown_monitors  # imports torch

        problems = unknown_monitors(values)
    return [line + _about_environment(key, config) for key, line in problems.items()], normal


def _endless(values: dict[str, Any]) -> str | None:
    trainer = values.get("trainer")
    if not isinstance(trainer, dict) or trainer.get("max_epochs", -1) is not None:
        return None
    if trainer.get("max_steps", -1) != -1 or trainer.get("max_time") is not None or trainer.get("fast_dev_run"):
        return None
    return (
        "trainer.max_epochs=null: nothing else ends the run. Set +trainer.max_steps=... or +trainer.max_time=... as "
        "well, or trainer.max_epochs=-1 for a run that goes on until it is stopped."
    )


def _about_environment(key: str, config: DictConfig) -> str:
    """Return a hint if a wrong value is text because it comes from an environment variable; otherwise an empty text."""
    text = str(unresolved_value(key, config))
    variable = re.search(r"\$\{oc\.env:[^{}]*\}", text)
    if variable is None or "oc.decode:" in text or not _resolves(key, config):
        return ""
    return f" The environment gives text; for what it stands for, write '{key}=\"${{oc.decode:{variable[0]}}}\"'."


def _resolves(key: str, config: DictConfig) -> bool:
    try:
        return OmegaConf.select(config, key) is not None
    except OmegaConfBaseException:
        return False


def _wrong_parts(values: dict[str, Any], saved: bool) -> "_Problems":
    """Return errors for parts that are null although the module requires them, and for parts that it does not take.

    The parts are those in `PARTS`: network, optimizer and scheduler.
    """
    module = _select(values, "model.module")
    try:
        signature = signature_of(module["_target_"])
    except (TypeError, KeyError, AttributeError, InstantiationException, ImportError):
        return {}  # the error is reported for the module itself
    problems: _Problems = {}
    for name, key in PARTS.items() if signature else ():
        there = _select(values, key) is not None
        if not there and name in signature.required and name not in module and name != "scheduler":
            problems[key] = f"{key}=null: this is needed; it takes settings of its own."
        elif there and not signature.takes(name) and not saved:
            # In a saved run, the part was ignored during training, and it is ignored now.
            none = "null" if "." in key else "none"
            problems[key] = f"{key}: {signature.name} takes no {name}, and brings what it needs; set {key}={none}."
    return problems


def _given(place: str, values: dict[str, Any]) -> Sequence[str]:
    """Return the names of the arguments that the program passes to the object built from a node."""
    if place != "model.module":
        return GIVEN[place]
    module = _select(values, place)
    # If the configuration does not have a part, an argument with its name is an ordinary setting of the module.
    own = module if isinstance(module, dict) else {}
    return [name for name, key in PARTS.items() if name not in own or _select(values, key) is not None]


def _select(values: dict[str, Any], key: str) -> Any:
    """Return the value of a dotted key; None if the key does not exist."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


class _Broken:
    """Placeholder for a value that cannot be resolved and whose error has been reported."""


# Error messages by the dotted key of the wrong setting.
_Problems = dict[str, str]


def _resolve(config: DictConfig) -> tuple[dict[str, Any], _Problems]:
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True), {}
    except OmegaConfBaseException:
        problems: _Problems = {}
        return _resolve_one_by_one(config, "", problems), problems


def _resolve_one_by_one(node: Any, path: str, problems: _Problems) -> Any:
    if not OmegaConf.is_config(node) or node._is_none():
        return node
    keys = list(node) if OmegaConf.is_dict(node) else range(len(node))
    values = {}
    for key in keys:
        inner = f"{path}.{key}" if path else str(key)
        try:
            if OmegaConf.is_missing(node, key):
                raise ValueError("needs a value")
            values[key] = _resolve_one_by_one(node[key], inner, problems)
        except (OmegaConfBaseException, ValueError) as error:
            values[key] = _Broken
            setting = source_key(inner, node._get_root())
            # If the value interpolates a missing setting of SETTINGS, the error is reported for that setting only.
            if setting not in SETTINGS:
                problems[inner] = f"{inner}: {str(error).splitlines()[0]}."
    return values if OmegaConf.is_dict(node) else list(values.values())


def wrong_settings(values: dict[str, Any], settings: Mapping[str, Any] = SETTINGS) -> _Problems:
    """Return error messages for wrong settings, by dotted key; settings missing from ``values`` are skipped.

    Args:
        values: a configuration, or a part of it, as plain containers.
        settings: the type of each setting as an annotation, by dotted key.
    """
    problems: _Problems = {}
    for key, annotation in settings.items():
        group, _, name = key.rpartition(".")
        holder = values.get(group) if group else values
        value = holder.get(name, _Broken) if isinstance(holder, dict) else _Broken
        if value is not _Broken and (wrong := wrong_value(value, annotation, adapter(annotation))):
            problems[key] = f"{key}={shown(value)}: {wrong}"
    return problems


def _unfit_data(config: DictConfig, values: dict[str, Any], origin: Origin) -> _Problems:
    """Return errors for data that the network cannot be trained or tested on, and for unknown names of data."""
    from .fit import does_not_fit  # imports torch

    model, data = values["model"], values["data"]
    problems = dict(does_not_fit(model, data, origin.choices.get("data")))
    for name in values["also_test"]:
        try:
            other = OmegaConf.to_container(other_data(config, name, origin.folders), resolve=True)
        except SettingError as error:
            problems[f"also_test.{name}"] = f"also_test: {error}"
        else:
            problems |= does_not_fit(model, other, name, only_tested=True)
    if data.get("stand_in") is not None:
        try:
            find_choice("data", data["stand_in"], origin.folders)
        except SettingError as error:
            problems["data.stand_in"] = f"data.stand_in: {error}"
    return problems


def _missing(values: dict[str, Any]) -> _Problems:
    """Return errors for required settings that were deleted, for example by ``~threads``."""
    names = dict.fromkeys(key.partition(".")[0] for key in [*SETTINGS, *GIVEN])
    return {name: f"{name}: this is missing, and needed." for name in names if name not in values}


def _unread(values: dict[str, Any], config: DictConfig) -> _Problems:
    """Return errors for settings that are never used."""
    known = set(SETTINGS) | set(GIVEN)
    groups = {key.partition(".")[0] for key in known if "." in key}
    problems: _Problems = {}
    for name, value in values.items():
        inside = {f"{name}.{key}" for key in value} if name in groups and isinstance(value, dict) else set()
        stray = {key for key in inside - known if f"{name}.*" not in known or not _is_node(value, key)}
        if name not in known and name not in groups:
            stray = {name}
        for key in sorted(stray):
            if not _is_referred_to(key, config):
                near = nearest_setting(key, _all_keys(values, without=key))
                problems[key] = f"{key}: there is no such setting; " + (
                    f"did you mean {near}?" if near else "nothing reads it."
                )
    return problems


def _is_node(group: dict[str, Any], key: str) -> bool:
    value = group[key.partition(".")[2]]
    return value is None or (isinstance(value, dict) and "_target_" in value)


def _is_referred_to(key: str, config: DictConfig) -> bool:
    """Return whether another value interpolates the setting."""
    return re.search(rf"\$\{{[^}}]*\b{re.escape(key)}\b", OmegaConf.to_yaml(config)) is not None


def _all_keys(node: Any, path: str = "", without: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            key = f"{path}.{name}" if path else str(name)
            if key != without and not str(name).startswith("_"):
                yield key
                yield from _all_keys(value, key, without)


def _nodes(values: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the nodes that will be instantiated, and invalid values in their place.

    Yields:
        The key in `GIVEN`, the dotted key of the node, and the node.
    """
    for place in GIVEN:
        first, _, second = place.partition(".")
        outer = values.get(first)
        if outer is _Broken:
            continue
        if second == "*":
            for name, node in (outer if isinstance(outer, dict) else {}).items():
                if isinstance(node, dict) and "_target_" in node:
                    yield place, f"{first}.{name}", node
        elif second:
            yield place, place, outer.get(second) if isinstance(outer, dict) else outer
        else:
            yield place, place, outer


def _wrong_node(place: str, path: str, node: Any, given: Sequence[str], config: DictConfig) -> _Problems:
    if node is None or node is _Broken:
        return {path: f"{path}=null: this is needed; it takes settings of its own."} if place in NEEDED else {}
    if not isinstance(node, dict):
        return {path: f"{path}={shown(node)}: it takes settings of its own; _target_ names what they are for."}
    if not isinstance(node.get("_target_"), str):
        return {path: f"{path}._target_: this is missing; it names the class that {path} is made from."}
    if place == "scheduler":
        node = {name: value for name, value in node.items() if f"{place}.{name}" not in SCHEDULE}
    return _wrong_arguments(path, node, given, config)


def _wrong_arguments(path: str, node: dict[str, Any], given: Sequence[str], config: DictConfig) -> _Problems:
    problems: _Problems = {}
    try:
        signature = signature_of(node["_target_"])
    except (InstantiationException, ImportError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        hint = ""
        if isinstance(error.__cause__ or error, ModuleNotFoundError) or "No module named" in reason:
            hint = " Where the file is elsewhere, PYTHONPATH must name its folder."
        return {path: f"{path}._target_={node['_target_']}: {reason.rstrip('.')}.{hint}"}
    if signature is None:
        return problems
    if signature.of_other_package:
        said = "it derives from a class of lightning.pytorch, which does not work with the Trainer of pytorch_lightning"
        problems[path] = f"{path}._target_={node['_target_']}: {said}. Derive it from the latter's class."
    if node.get("_partial_") and not set(given) & set(signature.parameters):
        # A partial of another class, such as the user's own optimizer, is later called with one positional argument,
        # whatever the name of that parameter is.
        given = (*given, *list(signature.parameters)[:1])
    for name, value in node.items():
        key = f"{path}.{name}"
        for number, inner in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(inner, dict) and "_target_" in inner:
                inner_path = f"{key}.{number}" if isinstance(value, list) else key
                problems |= _wrong_arguments(inner_path, inner, (), config)
        if (name.startswith("_") and name.endswith("_")) or value is _Broken:
            continue
        if name in given:
            instead = ELSEWHERE.get(key, "training itself gives it")
            problems[key] = f"{key}: this is no setting; {instead}."
        elif name not in signature.parameters and not signature.takes_any:
            near = nearest(name, signature.parameters) or ""
            said = f"did you mean {path}.{near}?" if near else f"it takes {_listed(signature, given)}."
            problems[key] = f"{key}: {signature.name} has no such setting; {said}"
        elif wrong := signature.mismatch(name, value):
            setting = source_key(key, config)
            if setting != key and OmegaConf.select(config, f"{setting.rpartition('.')[0]}._target_"):
                # The value may be valid for the original setting, but not for this one, which interpolates it.
                wrong = f"{key} takes it over, for which {wrong}"
            problems.setdefault(setting, f"{setting}={shown(value)}: {wrong}")
    if "_args_" not in node:
        for name in signature.required:
            if name not in node and name not in given:
                problems[f"{path}.{name}"] = f"{path}.{name}: {signature.name} needs this setting (+{path}.{name}=...)."
    return problems


def _listed(signature: Signature, given: Sequence[str]) -> str:
    return ", ".join(name for name in signature.parameters if name not in given) or "none"
