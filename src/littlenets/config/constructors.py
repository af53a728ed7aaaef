"""What a ``_target_`` takes: the names, annotations and known ranges of its constructor's parameters."""

import functools
import inspect
import logging
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, Len, Predicate
from hydra.utils import get_object
from pydantic import AfterValidator, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..ranges import Count, NotNegative, Positive, Share
from . import accelerators
from .names import nearest


def _devices(text: str) -> bool:
    """auto, a number of devices, or a list of their numbers."""
    return re.fullmatch(r"auto|-1|\d+(,\d+)*,?", text) is not None


_Part = Annotated[float, Ge(0), Le(1)]
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
        **dict.fromkeys(["max_epochs", "max_steps"], Count | Literal[-1]),
        **dict.fromkeys(
            [f"limit_{stage}_batches" for stage in ("train", "val", "test")], Annotated[int, Ge(0)] | _Part | None
        ),
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

    def mismatch(self, parameter: str, value: Any) -> str | None:
        if parameter not in self.annotations or (isinstance(value, dict) and "_target_" in value):
            return None
        if parameter not in self.adapters:
            self.adapters[parameter] = adapter_of(self.annotations[parameter])
        return wrong_value(value, self.annotations[parameter], self.adapters[parameter])


@functools.cache
def signature_of(target: str) -> Signature | None:
    """None for what is built in and has no signature to read."""
    found = _find(target)
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
    )


def _find(name: str) -> Any:
    hydra_log = logging.getLogger("hydra.utils")
    before, hydra_log.disabled = hydra_log.disabled, True  # it prints what it then raises
    try:
        return get_object(name)
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
        adapter.validate_python(value, strict=isinstance(value, str | bool))
    except ValidationError as error:
        messages = dict.fromkeys(_in_words(detail, annotation) for detail in error.errors())
        plain = [message for message in messages if "instance of" not in message and "valid dict" not in message]
        said = " or ".join(plain or messages).replace(" or it should be ", " or ").replace(" or it should", " or")
        near = nearest(value, _words(annotation)) if isinstance(value, str) else None
        return f"{said}; did you mean {near}?" if near else said if said.endswith("?") else f"{said}."
    return None


def _in_words(detail: Mapping[str, Any], annotation: Any) -> str:
    """pydantic's message in this project's tone."""
    if detail["type"] == "predicate_failed":
        (described,) = (
            predicate.func.__doc__ for predicate in _predicates(annotation) if predicate.func.__name__ in detail["msg"]
        )
        return f"it should be {described.splitlines()[0].rstrip('.')}"
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
