"""What a ``_target_`` takes: the names, annotations and known ranges of its constructor's parameters."""

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
    """true, false, or settings of a logger with a _target_, or a list of them."""
    return isinstance(value, bool) or value == []


_Part = Annotated[float, Ge(0), Le(1)]
_Batches = Annotated[int, Ge(0)] | _Part
# What stands for no value elsewhere, and is text, or a number, here.
NULL_ELSEWHERE = ("none", "nil", "nan", "null", "undefined")
# Ranges that the annotations of others do not tell: by where they are defined, then by parameter.
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
        # -1 is Lightning's word for no end.
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
    """What a ``_target_`` takes."""

    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool
    annotations: dict[str, Any]
    adapters: dict[str, TypeAdapter | None]
    #: Whether it derives from a class of ``lightning.pytorch``, with which ``pytorch_lightning`` does not work.
    of_other_package: bool

    def takes(self, parameter: str) -> bool:
        """Return whether it can be called with an argument of that name."""
        return parameter in self.parameters or self.takes_any

    def mismatch(self, parameter: str, value: Any) -> str | None:
        adapter = self._adapter(parameter, value)
        return None if adapter is None else wrong_value(value, self.annotations[parameter], adapter)

    def normalized(self, parameter: str, value: Any) -> Any:
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

    A node that says ``_convert_`` itself gets what it asks for. A class with ``recursive = False`` builds the nodes
    below its own by itself.
    """
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    values = normalized(values)
    lazily = {} if _is_recursive(values) else {"_recursive_": False}
    return hydra.utils.instantiate({"_convert_": "all", **lazily, **values}, **arguments)


def _is_recursive(values: dict[str, Any]) -> bool:
    try:
        return getattr(find(values["_target_"]), "recursive", True) is not False
    except (InstantiationException, ImportError, KeyError):
        return True  # which Hydra says in its own words


def normalized(values: Any) -> Any:
    """Return a copy of a configuration, as plain containers, with each node as it is going to be called.

    A float that stands for an integer (``1e3``) becomes one where an integer is taken; a ``_target_`` is that of the
    package that is installed. What is wrong with a node stays as it is.
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
    """None for what is built in and has no signature to read."""
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
    """Return those of the parts of a run that what a node names is to be called with.

    A part that is None is left out, unless the call needs it.

    Args:
        node: with a ``_target_``.
        parts: by the names of the arguments.
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
    """Return the class or function that a ``_target_`` names.

    Raises:
        InstantiationException, ImportError: there is none.
    """
    hydra_log = logging.getLogger("hydra.utils")
    before, hydra_log.disabled = hydra_log.disabled, True  # it prints what it then raises
    try:
        return hydra.utils.get_object(installed_target(target))
    finally:
        hydra_log.disabled = before


def _annotations(target: Any) -> dict[str, Any]:
    """The annotations of a constructor's parameters, as far as they exist at run time, and the ranges known here."""
    known = next((ranges for module, ranges in RANGES.items() if target.__module__.startswith(module)), {})
    constructor = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    found: dict[str, Any] = {}
    for name, annotation in getattr(constructor, "__annotations__", {}).items():
        # One by one, as one may name what is imported for type checkers only.
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= typing.get_type_hints(alone, getattr(constructor, "__globals__", None), include_extras=True)
        except (TypeError, NameError, AttributeError):
            continue
    return found | known


def adapter_of(annotation: Any) -> TypeAdapter | None:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, TypeError, NameError):
        return None  # an annotation that pydantic cannot check


def wrong_value(value: Any, annotation: Any, adapter: TypeAdapter | None) -> str | None:
    """What is wrong with a value, as a sentence; None where it fits, or where nothing can be said."""
    if adapter is None:
        return None
    try:
        # Lax for containers, since a list may stand for a tuple; strict for text, which must not pass for a number.
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
    """The items of two lists, or two dicts, of which the second was made from the first."""
    if isinstance(value, list) and isinstance(validated, list | tuple) and len(value) == len(validated):
        yield from zip(value, validated, strict=True)
    elif isinstance(value, dict) and isinstance(validated, dict) and value.keys() == validated.keys():
        yield from ((value[name], validated[name]) for name in value)


def _text_as_number(value: Any, validated: Any) -> Iterator[Any]:
    """Text, or true and false, inside a container that became a number."""
    for item, became in _pairs(value, validated):
        if isinstance(item, str | bool) and type(became) in (int, float):
            yield item
        yield from _text_as_number(item, became)


def as_integers(value: Any, adapter: TypeAdapter | None) -> Any:
    """Return ``value`` with an int for each float in it that stands for one where an annotation takes an int."""
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
    """pydantic's message in this project's tone."""
    if detail["type"] == "predicate_failed":
        (described,) = (
            predicate.func.__doc__ for predicate in _predicates(annotation) if predicate.func.__name__ in detail["msg"]
        )
        return f"it should be {described.splitlines()[0].rstrip('.')}"
    if detail["type"] in ("int_type", "int_parsing", "int_from_float"):
        return "it should be an integer"
    message = detail["msg"].removeprefix("Value error, ").replace("an instance of Sequence", "a list")
    return re.sub(r"^(Input|Value|List|Tuple) should", "it should", message).replace(" after validation", "")


def _predicates(annotation: Any) -> Iterator[Predicate]:
    yield from (part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Predicate))
    for part in typing.get_args(annotation):
        yield from _predicates(part)


def _words(annotation: Any) -> Iterator[str]:
    """The words that an annotation allows."""
    if typing.get_origin(annotation) is Literal:
        yield from (word for word in typing.get_args(annotation) if isinstance(word, str))
    else:
        for part in typing.get_args(annotation):
            yield from _words(part)
