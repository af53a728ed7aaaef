"""Read the files of a run or a sweep as data, with size limits and a schema check.

A folder may come from another person, and a file may be damaged. Whatever a file contains, reading it either returns
the content or raises one `SettingError` that names the file.
"""

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from ..console.text import printable
from ..errors import SettingError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

# Size limits. A sweep.json of 10,000 jobs has 5 MB, a config.yaml 4 KB.
MOST_BYTES = 32 << 20
MOST_YAML_BYTES = 1 << 20
MOST_YAML_EVENTS = 50_000
# Limit on nested lists and mappings; a configuration has about 5 levels.
MOST_LEVELS = 50
# Number of schema errors of a file that are included in the message.
TOLD = 3

T = TypeVar("T")


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    r"""Return the content of a UTF-8 file; line ends ``\r\n`` become ``\n``.

    Args:
        path: path of the file.
        most_bytes: the largest size in bytes that is read.

    Raises:
        FileNotFoundError: the file does not exist.
        SettingError: it is not a regular file, cannot be read, is too large, or is not text.
    """
    try:
        if not path.is_file():
            if not path.exists():
                raise FileNotFoundError(path)
            # Reading a pipe or a device could block or never end.
            raise SettingError(f"{path} cannot be read: it is no regular file.")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > most_bytes:
        raise SettingError(f"{path} has more than {most_bytes >> 20:,} MiB, so it was not read.")
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        reason = f"it is no text ({error.reason} at byte {error.start:,})"
        raise SettingError(f"{path} is damaged and cannot be read: {reason}.") from None


def read_json(path: Path, schema: type[T], most_bytes: int = MOST_BYTES) -> T:
    """Return the content of a JSON file as an instance of ``schema``.

    Args:
        path: path of the file.
        schema: a dataclass or pydantic model.
        most_bytes: the largest size in bytes that is read.

    Raises:
        FileNotFoundError: the file does not exist.
        SettingError: it cannot be read, is not JSON, or does not match the schema.
    """
    text = read_text(path, most_bytes)
    try:
        content = _clean(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is no JSON: {error}") from None
    return _validated(path, content, schema)


def read_yaml(path: Path, schema: type, parts: Sequence[str] = ()) -> dict[str, Any]:
    """Return the content of a YAML file: a mapping of plain values that matches the schema.

    Interpolations are an error, because resolving one can have side effects, such as creating folders. Aliases, with
    which 300 bytes can expand to gigabytes, and tags are errors as well. `OmegaConf.save` writes none of them for a
    resolved configuration.

    Args:
        path: path of the file.
        schema: a dataclass or pydantic model.
        parts: dotted keys that must be present; their values may be null.

    Raises:
        FileNotFoundError: the file does not exist.
        SettingError: it cannot be read, is not a mapping, or does not match the schema.
    """
    text = read_text(path, MOST_YAML_BYTES)
    try:
        _check_events(text)
        content = _clean(yaml.load(text, _Loader))
        if not isinstance(content, dict):
            raise ValueError("it is no mapping")
        for key, value in _texts(content, ""):
            if "${" in value:
                raise ValueError(f"{key}={value}: a saved configuration holds values, no interpolations")
            if value == "???":
                raise ValueError(f"{key} has no value")
        if missing := [part for part in parts if not _has(content, part)]:
            raise ValueError(f"it does not say {', '.join(missing)}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise damaged(path, printable(" ".join(str(error).split()))) from None
    _validated(path, content, schema, strict=True)
    return content


def damaged(path: Path, reason: str) -> SettingError:
    """Return the error for a file with invalid content; ``reason`` is a clause such as "it is no JSON"."""
    return SettingError(f"{path} is damaged: {reason.rstrip('.')}.")


def _validated(path: Path, content: Any, schema: type[T], strict: bool = False) -> T:
    from pydantic import ValidationError  # the import takes 0.1 s, which would delay error messages about typos

    try:
        adapter: TypeAdapter[T] = _adapter(schema)  # type: ignore[arg-type]  # mypy takes no class for hashable
        return adapter.validate_python(content, strict=strict)
    except ValidationError as error:
        raise damaged(path, in_words(error)) from None


@functools.cache
def _adapter(schema: type[T]) -> "TypeAdapter[T]":
    from pydantic import TypeAdapter

    return TypeAdapter(schema)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # a base chosen at run time
    """YAML loader that reads scalars as OmegaConf does: 1e-3 is a number, and a date is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.2.2, 10.3.2. Core Schema
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _check_events(text: str) -> None:
    """Raise ValueError if a YAML text has aliases, tags, too many values or too many levels.

    These could make loading slow. The check itself takes time linear in the length of the text.
    """
    level = 0
    for number, event in enumerate(yaml.parse(text, _Loader)):
        if number > MOST_YAML_EVENTS:
            raise ValueError(f"it has more than {MOST_YAML_EVENTS:,} values")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has an alias (*), which none of our files has")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ValueError(f"it has a tag ({event.tag}), which none of our files has")
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_LEVELS:
            raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")


def _clean(node: Any, level: int = 0) -> Any:
    """Return a copy of plain containers in which all text is printable; see `printable`.

    Raises:
        ValueError: the containers are nested too deeply, or have a key that is neither text nor a number.
    """
    if isinstance(node, str):
        return printable(node)
    if not isinstance(node, dict | list):
        return node
    if level == MOST_LEVELS:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    if isinstance(node, list):
        return [_clean(value, level + 1) for value in node]
    if wrong := [key for key in node if not isinstance(key, str | int | float)]:
        raise ValueError(f"it has the key {wrong[0]!r}")
    return {_clean(key): _clean(value, level + 1) for key, value in node.items()}


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield all text in plain containers, including keys, each with its dotted path."""
    if isinstance(node, str):
        yield path, node
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            inner = f"{path}.{key}" if path else str(key)
            yield from _texts(key, inner)
            yield from _texts(value, inner)


def _has(node: Any, part: str) -> bool:
    for name in part.split("."):
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


def in_words(error: "ValidationError") -> str:
    """Return the first `TOLD` schema errors as one message, without the values that caused them."""
    lines = []
    for detail in error.errors()[:TOLD]:
        place = ".".join(map(str, detail["loc"]))
        message = detail["msg"].replace("Input should", "it should", 1).replace("Field required", "it is missing")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)
