"""Every value that ends in a constructor, checked against that constructor before it is called."""

import difflib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..errors import SettingError


def check(config: DictConfig) -> None:
    """Compares each node that has a ``_target_`` with the signature and annotations of what it names.

    So a network that was written today is checked as well as ours, with no schema to write.

    Raises:
        SettingError: names every wrong key, what it got and what it takes.
    """
    problems = [
        problem
        for path, node in _targets(OmegaConf.to_container(config, resolve=True))
        for problem in _problems(path, node)
    ]
    if problems:
        raise SettingError("\n".join(problems))


def _targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))


def _problems(path: str, node: dict[str, Any]) -> Iterator[str]:
    try:
        target = get_object(node["_target_"])
    except (InstantiationException, ImportError, ValueError) as error:
        yield f"{path}._target_={node['_target_']}: cannot be imported ({str(error).splitlines()[0]})."
        return
    try:
        parameters = inspect.signature(target).parameters
        constructor = target.__init__ if inspect.isclass(target) else target
        hints = typing.get_type_hints(inspect.unwrap(constructor), include_extras=True)
    except (TypeError, ValueError, NameError):
        return  # built in, or annotated with names that do not exist at run time
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key, value in node.items():
        if key.startswith("_") and key.endswith("_"):
            continue
        if key not in parameters and not open_ended:
            near = difflib.get_close_matches(key, parameters, n=1)
            hint = f"; did you mean {path}.{near[0]}?" if near else f"; it takes {', '.join(parameters)}."
            yield f"{path}.{key}: {target.__name__} has no such setting{hint}"
        elif key in hints and not (isinstance(value, dict) and "_target_" in value):
            problem = _mismatch(value, hints[key])
            if problem:
                yield f"{path}.{key}={value}: {problem}."


def _mismatch(value: Any, annotation: Any) -> str | None:
    """What is wrong with the value, in words; None where it fits or nothing can be said."""
    try:
        # Text must not pass for a number, which only a lax check would let it; a list may be given for a tuple.
        strict = isinstance(value, str | bool) and annotation is not Path
        TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value, strict=strict)
    except ValidationError as error:
        messages = dict.fromkeys(detail["msg"][0].lower() + detail["msg"][1:] for detail in error.errors())
        return " or ".join(message for message in messages if "instance of" not in message) or next(iter(messages))
    except (PydanticUserError, TypeError, NameError):
        return None  # an annotation that pydantic cannot check
    return None
