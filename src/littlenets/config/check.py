"""Every value that ends in a constructor, checked against that constructor before it is called."""

import difflib
import inspect
import logging
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt
from hydra.errors import InstantiationException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..errors import SettingError
from ..ranges import Count, NotNegative, Positive, Share

# What the top of conf/train.yaml takes.
SETTINGS = {"seed": Annotated[int, Ge(0), Lt(2**32)], "threads": Count | Literal["auto"], "compile": bool}

# Ranges that the annotations of others do not tell: by where they are defined, then by parameter.
RANGES: dict[str, dict[str, Any]] = {
    "torch.optim.lr_scheduler": {"T_max": Count, "step_size": Count, "max_lr": Positive, "gamma": Positive},
    "torch.optim": {"lr": Positive, "momentum": Share, "betas": Sequence[Share], "weight_decay": NotNegative},
    # -1 is Lightning's word for no end.
    "pytorch_lightning.trainer": {"max_epochs": Count | Literal[-1]},
}


def check(config: DictConfig) -> None:
    """Compares each node that has a ``_target_`` with the signature and annotations of what it names.

    So a network that was written today is checked as well as ours, with no schema to write.

    Raises:
        SettingError: names every wrong key, what it got and what it takes.
    """
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise SettingError(f"{error.full_key}: {str(error).splitlines()[0]}.") from error
    problems = [f"{key}={values[key]}: {wrong}." for key in SETTINGS if (wrong := mismatch(values[key], SETTINGS[key]))]
    for path, node in _targets(values):
        problems += _problems(path, node, OmegaConf.to_container(OmegaConf.select(config, path), resolve=False))
    if problems:
        # A setting that several places take over is reported once.
        raise SettingError("\n".join(dict.fromkeys(problems)))


def mismatch(value: Any, annotation: Any) -> str | None:
    """What is wrong with a value, in words; None where it fits, or where nothing can be said."""
    try:
        # Lax for containers, since a list may stand for a tuple; strict for text, which must not pass for a number.
        strict = isinstance(value, str | bool)
        TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value, strict=strict)
    except ValidationError as error:
        messages = dict.fromkeys(detail["msg"].replace("Input should", "it should", 1) for detail in error.errors())
        plain = [message for message in messages if "instance of" not in message and "valid dict" not in message]
        return " or ".join(plain or messages).replace(" or it should", " or")
    except (PydanticUserError, TypeError, NameError):
        return None  # an annotation that pydantic cannot check
    return None


def _targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))


def _problems(path: str, node: dict[str, Any], written: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the values of a node; ``written`` is the same node with its interpolations."""
    try:
        target = _find(node["_target_"])
        parameters = inspect.signature(target).parameters
    except (InstantiationException, ImportError) as error:
        yield f"{path}._target_={node['_target_']}: {' '.join(str(error.__cause__ or error).split())}."
        return
    except (TypeError, ValueError):
        return  # built in, with no signature to read
    hints = _hints(target)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for key, value in node.items():
        if key.startswith("_") and key.endswith("_"):
            continue
        if key not in parameters and not takes_any:
            near = difflib.get_close_matches(key, parameters, n=1)
            hint = f"did you mean {path}.{near[0]}?" if near else f"it takes {', '.join(parameters)}."
            yield f"{path}.{key}: {target.__name__} has no such setting; {hint}"
        elif key in parameters and key in hints and not (isinstance(value, dict) and "_target_" in value):
            problem = mismatch(value, hints[key])
            if problem:
                yield f"{_source(f'{path}.{key}', written[key])}={value}: {problem}."


def _find(name: str) -> Any:
    hydra_log = logging.getLogger("hydra.utils")
    before, hydra_log.disabled = hydra_log.disabled, True  # it prints what it then raises
    try:
        return get_object(name)
    finally:
        hydra_log.disabled = before


def _hints(target: Any) -> dict[str, Any]:
    """The annotations of a constructor's parameters, as far as they exist at run time, and the ranges known here."""
    known = next((ranges for module, ranges in RANGES.items() if target.__module__.startswith(module)), {})
    try:
        constructor = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
        return typing.get_type_hints(constructor, include_extras=True) | known
    except (TypeError, NameError):
        return known


def _source(key: str, written: Any) -> str:
    """The key to set: that of an interpolation where a value is taken over from elsewhere."""
    inner = re.fullmatch(r"\$\{(?:oc\.select:)?([\w.]+)(?:,.*)?\}", written) if isinstance(written, str) else None
    return inner[1] if inner else key
