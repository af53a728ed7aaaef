"""Inspect, check and call the constructors named by ``_target_``: parameter names, annotations and valid ranges."""

import functools
import inspect
import logging
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

import hydra.utils
from annotated_types import Ge, Le, Len, Predicate
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from pydantic import AfterValidator, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..ranges import Count, NotNegative, Positive, Share
from . import accelerators
from .suggestions import nearest
from .targets import LIGHTNING, installed_target
from .values import shown


# The docstrings of `_devices`, `_duration` and `_loggers` are parts of error messages: "it should be ...".
def _devices(text: str) -> bool:
    """auto, a number of devices, or a list of their numbers."""
    return re.fullmatch(r"auto|-1|\d+(,\d+)*,?", text) is not None


def _duration(value: Any) -> bool:
    """DD:HH:MM:SS, such as "00:01:30:00", or a mapping such as {minutes:90}."""
    if isinstance(value, str):
        return re.fullmatch(r"\d+(:\d\d){3}", value.strip()) is not None
    try:
        return timedelta(**value) > timedelta(0)
    except (TypeError, ValueError, OverflowError):
        return False


def _loggers(value: Any) -> bool:
    """true, false, or settings of a logger with a _target_, or a list of them."""  # noqa: D401
    return isinstance(value, bool) or value == []


_Part = Annotated[float, Ge(0), Le(1)]
_Batches = Annotated[int, Ge(0)] | _Part
# Words for a missing value in other languages; here they are text, or a number (nan).
NULL_ELSEWHERE = ("none", "nil", "nan", "null", "undefined")
# Valid ranges that are missing from the annotations of other packages, by module and parameter.
RANGES: dict[str, dict[str, Any]] = {
    "torch.optim.lr_scheduler": {
        **dict.fromkeys(["T_max", "T_0", "T_mult", "step_size", "total_iters"], Count),
        **dict.fromkeys(["gamma", "div_factor", "final_div_factor", "power"], Positive),
        **dict.fromkeys(["pct_start", "start_factor", "end_factor", "factor"], _Part),
        "max_lr": Positive,
        "eta_min": NotNegative,
        "milestones": Sequence[Count],
    },
    "torch.optim": {
        "lr": Positive,
        "betas": Annotated[Sequence[Share], Len(2, 2)],
        **dict.fromkeys(["momentum", "alpha", "rho"], Share),
        **dict.fromkeys(["weight_decay", "eps", "lr_decay"], NotNegative),
    },
    "pytorch_lightning.trainer": {
        # In Lightning, -1 means no limit.
        "max_steps": Count | Literal[-1],
        "max_epochs": Count | Literal[-1] | None,
        "max_time": Annotated[Any, Predicate(_duration)] | None,
        **dict.fromkeys([f"limit_{stage}_batches" for stage in ("train", "val", "test", "predict")], _Batches | None),
        "overfit_batches": _Batches,
        "accumulate_grad_batches": Count,
        "gradient_clip_val": NotNegative | None,
        "gradient_clip_algorithm": Literal["norm", "value"] | None,
        "val_check_interval": _Batches | Annotated[Any, Predicate(_duration)] | None,
        "fast_dev_run": bool | Annotated[int, Ge(0)],
        **dict.fromkeys(["min_epochs", "min_steps"], Annotated[int, Ge(0)] | None),
        "reload_dataloaders_every_n_epochs": Annotated[int, Ge(0)],
        "num_nodes": Count,
        "profiler": Literal["simple", "advanced", "pytorch", "xla"] | None,
        "strategy": Annotated[str, AfterValidator(accelerators.known_strategy)],
        "logger": Annotated[Any, Predicate(_loggers)] | None,
        "accelerator": Annotated[str, AfterValidator(accelerators.known)],
        "devices": Count | Literal[-1] | list[Annotated[int, Ge(0)]] | Annotated[str, Predicate(_devices)],
        "check_val_every_n_epoch": Count | None,
        "log_every_n_steps": Annotated[int, Ge(0)] | None,
        "num_sanity_val_steps": Annotated[int, Ge(-1)] | None,
    },
}


class Signature(NamedTuple):
    """The parameters of a ``_target_``.

    Args:
        name: name of the class or function.
        parameters: names of the parameters, without ``*args`` and ``**kwargs``.
        required: names of those that have no default.
        takes_any: whether there is ``**kwargs``.
        annotations: annotation, or known valid range, by parameter.
        adapters: cache of pydantic's adapters by parameter; None for an annotation that pydantic cannot check.
        of_other_package: whether it derives from a class of ``lightning.pytorch``, which does not work with the Trainer
            of ``pytorch_lightning``.
    """

    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool
    annotations: dict[str, Any]
    adapters: dict[str, TypeAdapter | None]
    of_other_package: bool

    def takes(self, parameter: str) -> bool:
        """Return whether the target accepts a keyword argument with that name."""
        return parameter in self.parameters or self.takes_any

    def mismatch(self, parameter: str, value: Any) -> str | None:
        """Return an error message if the value does not suit the parameter; otherwise None."""
        adapter = self._adapter(parameter, value)
        return None if adapter is None else wrong_value(value, self.annotations[parameter], adapter)

    def normalized(self, parameter: str, value: Any) -> Any:
        """Return the value with integers in place of floats such as 1e3 where the parameter takes integers."""
        return as_integers(value, self._adapter(parameter, value))

    def _adapter(self, parameter: str, value: Any) -> TypeAdapter | None:
        parts = value if isinstance(value, list) else [value]
        if parameter not in self.annotations or any(isinstance(part, dict) and "_target_" in part for part in parts):
            return None
        if parameter not in self.adapters:
            self.adapters[parameter] = adapter_of(self.annotations[parameter])
        return self.adapters[parameter]


def instantiate(node: Any, **arguments: Any) -> Any:
    """Call Hydra's ``instantiate`` with normalized values, and with plain lists and dicts instead of OmegaConf's.

    A node's own ``_convert_`` has precedence. If a class has the attribute ``recursive = False``, its inner nodes are
    passed on as settings, and the class builds them by itself.

    Args:
        node: a node with a ``_target_``.
        arguments: additional keyword arguments.
    """
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    values = normalized(values)
    lazily = {} if _is_recursive(values) else {"_recursive_": False}
    return hydra.utils.instantiate({"_convert_": "all", **lazily, **values}, **arguments)


def _is_recursive(values: dict[str, Any]) -> bool:
    try:
        return getattr(find(values["_target_"]), "recursive", True) is not False
    except (InstantiationException, ImportError, KeyError):
        return True  # Hydra will raise the error


def normalized(values: Any) -> Any:
    """Return a copy of plain containers in which each node has the values that will be passed to its constructor.

    A float such as ``1e3`` becomes an integer if the parameter takes integers. ``lightning.pytorch`` in a ``_target_``
    becomes ``pytorch_lightning``. Invalid values are not changed.
    """
    if isinstance(values, list):
        return [normalized(value) for value in values]
    if not isinstance(values, dict):
        return values
    copy = {name: normalized(value) for name, value in values.items()}
    if isinstance(copy.get("_target_"), str):
        copy["_target_"] = installed_target(copy["_target_"])
        try:
            signature = signature_of(copy["_target_"])
        except (InstantiationException, ImportError):
            return copy
        if signature:
            copy |= {name: signature.normalized(name, value) for name, value in copy.items() if name != "_target_"}
    return copy


@functools.cache
def signature_of(target: str) -> Signature | None:
    """Return the signature of a ``_target_``; None for built-in objects that have none.

    Raises:
        InstantiationException: the target does not exist.
        ImportError: its module cannot be imported.
    """
    found = find(target)
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return None
    named = {name: one for name, one in parameters.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    return Signature(
        name=getattr(found, "__name__", target),
        parameters=tuple(named),
        required=tuple(name for name, parameter in named.items() if parameter.default is parameter.empty),
        takes_any=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()),
        annotations=_annotations(found),
        adapters={},
        of_other_package=any(base.__module__.startswith(LIGHTNING) for base in getattr(found, "__mro__", ())),
    )


def accepted(node: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parts of a run that the target of a node takes as arguments.

    A part that is None is left out, unless it is a required argument that the node does not set.

    Args:
        node: a node with a ``_target_``.
        parts: network, optimizer and scheduler, or None, by argument name.
    """
    signature = signature_of(node["_target_"])
    if signature is None:
        return {name: part for name, part in parts.items() if part is not None}
    return {
        name: part
        for name, part in parts.items()
        if (signature.takes(name) if part is not None else name in signature.required and name not in node)
    }


def find(target: str) -> Any:
    """Return the class or function named by a ``_target_``.

    Raises:
        InstantiationException: it does not exist.
        ImportError: its module cannot be imported.
    """
    hydra_log = logging.getLogger("hydra.utils")
    before, hydra_log.disabled = hydra_log.disabled, True  # Hydra logs errors that it also raises
    try:
        return hydra.utils.get_object(installed_target(target))
    finally:
        hydra_log.disabled = before


def _annotations(target: Any) -> dict[str, Any]:
    """Return the annotations of a constructor's parameters, if they can be evaluated, overridden by `RANGES`."""
    known = next((ranges for module, ranges in RANGES.items() if target.__module__.startswith(module)), {})
    constructor = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    found: dict[str, Any] = {}
    for name, annotation in getattr(constructor, "__annotations__", {}).items():
        # One at a time, because an annotation may use a name that is imported for type checkers only.
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= typing.get_type_hints(alone, getattr(constructor, "__globals__", None), include_extras=True)
        except (TypeError, NameError, AttributeError):
            continue
    return found | known


def adapter_of(annotation: Any) -> TypeAdapter | None:
    """Return pydantic's adapter for an annotation; None if pydantic does not support the annotation."""
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, TypeError, NameError):
        return None


def wrong_value(value: Any, annotation: Any, adapter: TypeAdapter | None) -> str | None:
    """Return an error message if a value does not suit an annotation; None if it does or cannot be checked.

    Args:
        value: the value, as plain containers.
        annotation: the annotation, for the message.
        adapter: its adapter from `adapter_of`.
    """
    if adapter is None:
        return None
    try:
        # Lax mode for containers, so that a list is accepted as a tuple; strict mode for text and booleans, so that
        # they are not accepted as numbers.
        validated = adapter.validate_python(value, strict=isinstance(value, str | bool))
    except ValidationError as error:
        if _is_null_elsewhere(value) and _takes_null(adapter):
            return WRITE_NULL
        messages = dict.fromkeys(_in_words(detail, annotation) for detail in error.errors())
        plain = [message for message in messages if "instance of" not in message and "valid dict" not in message]
        said = " or ".join(plain or messages).replace(" or it should be ", " or ").replace(" or it should", " or")
        near = nearest(value, _words(annotation)) if isinstance(value, str) else None
        return f"{said}; did you mean {near}?" if near else said if said.endswith("?") else f"{said}."
    if value == "None" and annotation is not Any and _takes_null(adapter):
        return WRITE_NULL
    if (text := next(_text_as_number(value, validated), None)) is not None:
        return f"{shown(text)} in it should be a number, and is text."
    return None


WRITE_NULL = "for no value, write null."


def _is_null_elsewhere(value: Any) -> bool:
    return str(value).lower() in NULL_ELSEWHERE


def _takes_null(adapter: TypeAdapter) -> bool:
    try:
        adapter.validate_python(None)
    except ValidationError:
        return False
    return True


def _pairs(value: Any, validated: Any) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of items of two lists or dicts, the second of which was made from the first by validation."""
    if isinstance(value, list) and isinstance(validated, list | tuple) and len(value) == len(validated):
        yield from zip(value, validated, strict=True)
    elif isinstance(value, dict) and isinstance(validated, dict) and value.keys() == validated.keys():
        yield from ((value[name], validated[name]) for name in value)


def _text_as_number(value: Any, validated: Any) -> Iterator[Any]:
    """Yield text and booleans inside a container that were converted to numbers by validation."""
    for item, became in _pairs(value, validated):
        if isinstance(item, str | bool) and type(became) in (int, float):
            yield item
        yield from _text_as_number(item, became)


def as_integers(value: Any, adapter: TypeAdapter | None) -> Any:
    """Return ``value`` with each whole float in it, such as 1e3, replaced by an int if the annotation takes an int.

    Args:
        value: a value, as plain containers.
        adapter: adapter of the annotation; None leaves the value unchanged.
    """
    if adapter is None or not holds_whole_float(value):
        return value
    try:
        return _with_integers(value, adapter.validate_python(value))
    except ValidationError:
        return value


def holds_whole_float(value: Any) -> bool:
    """Return whether a value is, or contains, a float such as 10.0."""
    if isinstance(value, list | dict):
        return any(map(holds_whole_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer()


def _with_integers(value: Any, validated: Any) -> Any:
    if isinstance(value, float):
        return validated if type(validated) is int else value
    items = [_with_integers(item, became) for item, became in _pairs(value, validated)]
    if not items:
        return value
    return dict(zip(value, items, strict=True)) if isinstance(value, dict) else items


def _in_words(detail: Mapping[str, Any], annotation: Any) -> str:
    """Return one of pydantic's error details as a clause such as "it should be an integer"."""
    if detail["type"] == "predicate_failed":
        for predicate in _predicates(annotation):
            if predicate.func.__doc__ and predicate.func.__name__ in detail["msg"]:
                return f"it should be {predicate.func.__doc__.splitlines()[0].rstrip('.')}"
    if detail["type"] in ("int_type", "int_parsing", "int_from_float"):
        return "it should be an integer"
    message = detail["msg"].removeprefix("Value error, ").replace("an instance of Sequence", "a list")
    return re.sub(r"^(Input|Value|List|Tuple) should", "it should", message).replace(" after validation", "")


def _predicates(annotation: Any) -> Iterator[Predicate]:
    yield from (part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Predicate))
    for part in typing.get_args(annotation):
        yield from _predicates(part)


def _words(annotation: Any) -> Iterator[str]:
    """Yield the strings that the `Literal` types in an annotation allow."""
    if typing.get_origin(annotation) is Literal:
        yield from (word for word in typing.get_args(annotation) if isinstance(word, str))
    else:
        for part in typing.get_args(annotation):
            yield from _words(part)
