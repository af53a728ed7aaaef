"""Quote values for Hydra's command line, and replace ``~`` by the home folder."""

import os
import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from .values import shown

# Text that needs no quotes: https://hydra.cc/docs/1.3/advanced/override_grammar/basic/
UNQUOTED = re.compile(r"[\w/.+@%*?|:-]+", re.ASCII)
# A path that begins with ``~`` or ``~user``, as a value or as an item of a list.
IN_HOME = re.compile(r"""(?<=[=\[,'"])(file://)?(~[\w.-]*(?:/[^,\[\]'"]*)?)(?=$|[,\]'"])""")


def typed(value: Any) -> str:
    """Return a value as the right side of an override, quoted so that Hydra reads the same value."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{typed(key)}:{typed(item)}' for key, item in value.items())}}}"
    return _typed_text(value) if isinstance(value, str) else shown(value)


def _typed_text(text: str) -> str:
    if UNQUOTED.fullmatch(text) and _read(text) == text:
        return text
    # Within quotes, a backslash escapes only quotes. So double those before a quote, including the closing one.
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'


def expand_home(argument: str) -> str:
    """Return a command-line argument with ``~`` replaced by the home folder; Hydra cannot read ``~`` without quotes."""

    def expanded(found: re.Match[str]) -> str:
        path = os.path.expanduser(found[2])
        if path == found[2]:
            return found[0]
        as_it_is = argument.startswith("-") or argument[found.start() - 1] in "'\""
        return (found[1] or "") + path if as_it_is else typed((found[1] or "") + path)

    return IN_HOME.sub(expanded, argument)


def _read(text: str) -> Any:
    try:
        return OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return None
