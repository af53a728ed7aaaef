"""Read rows of numbers from the command line or from a stream, which may be endless.

Shapes: N rows, F numbers per row.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any, NamedTuple, TextIO

import torch
from torch import Tensor

from ..errors import SettingError
from .inputs import Samples

# Number of rows in memory at a time: enough to keep a small network busy, and few enough to need only a few megabytes.
BATCH = 8192
# Maximum number of characters in a line, or in a row of JSON: enough for a row of some thousand numbers.
LONGEST = 1 << 16

_SEPARATOR = re.compile(r"\s*,\s*|\s+")
_BLANKS = re.compile(r"\s+")
# Upper bound for the length of an incomplete JSON token at the end of a text: -Infinity has 9 characters, the escape of
# a character has 12.
_LONGEST_WORD = 16
# Text that may follow a number at the end of the text read so far, if the number continues in the next piece.
_GOES_ON = {"", ".", "e", "E", "e+", "e-", "E+", "E-"}


class Row(NamedTuple):
    """F numbers and their place in the input, such as ``line 3 of standard input``."""

    place: str
    values: list[float]


def rows_in(value: Any, features: int) -> Iterator[Row]:
    """Yield the rows in a value from the command line: a number, a list of numbers or a list of lists.

    A flat list is one number per row for a network that takes one number, and otherwise a single row.

    Args:
        value: value of the override ``x``.
        features: number F of values per row.

    Raises:
        SettingError: the value has another form, or is empty.
    """
    places = (f"row {number} of x" for number in count(1))
    if isinstance(value, dict):
        raise SettingError(f"x={_shown(value)} is no number and no list.")
    yield from _rows_of_list(value if isinstance(value, list) else [value], features, places, "x")


def read_rows(stream: TextIO, features: int) -> Iterator[Row]:
    """Yield the rows in a text: one per line, numbers separated by commas or blanks; or JSON, if it starts with "[".

    JSON consists of one or more lists with the same form as on the command line, so both a list per line and a list of
    lists are accepted.

    Args:
        stream: text stream, which is read piece by piece.
        features: number F of values per row.

    Raises:
        SettingError: the text has another form, or contains no row.
    """
    text = _Pieces(stream)
    if text.next_character() == "":
        raise SettingError("x=-: there is nothing in standard input.")
    yield from (_rows_of_json if text.next_character() == "[" else _rows_of_lines)(text, features)


def batched(rows: Iterable[Row], dtype: torch.dtype = torch.float32) -> Iterator[Samples]:
    """Yield the rows as tensors (N, F) of up to BATCH rows.

    Args:
        rows: rows of F numbers each.
        dtype: dtype of the network's input: float32, or an integer type, for example for indices of words.

    Raises:
        SettingError: a row is invalid, or a number cannot be represented in ``dtype``; the rows before it are yielded
            first.
    """
    kind = f"a finite number in {_name(dtype)}" if dtype.is_floating_point else f"an integer in {_name(dtype)}"
    rows = iter(rows)
    mistake: SettingError | None = None
    while mistake is None:
        batch: list[Row] = []
        try:
            for row in islice(rows, BATCH):
                batch.append(row)
        except SettingError as error:
            mistake = error
        if not batch:
            break
        places, values = zip(*batch, strict=True)
        x = torch.tensor(values, dtype=torch.float64)  # (N, F)
        wrong = ~_fits(x, dtype)
        if wrong.any():
            index, column = wrong.nonzero()[0].tolist()
            number = x[index, column].item()
            mistake = SettingError(f"{places[index]}: {number:g} is not {kind}.")
            x = x[:index]
        if len(x):
            yield Samples(x.to(dtype), places.__getitem__, {}, {})
    if mistake:
        raise mistake


def _fits(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return whether each float64 number can be represented in ``dtype``; NaN and infinity cannot."""
    if dtype.is_floating_point:
        return x.abs() <= torch.finfo(dtype).max
    limits = torch.iinfo(dtype)
    # The largest int64 is not a float64; the nearest float64 is larger, so compare with "<".
    return (x == x.round()) & (x >= limits.min) & (x < float(limits.max) + 1)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _rows_of_lines(text: "_Pieces", features: int) -> Iterator[Row]:
    number = text.line - 1
    try:
        for number, line in enumerate(text.lines(), text.line):
            if stripped := line.strip():
                place = f"line {number} of standard input"
                try:
                    values = [float(field) for field in _SEPARATOR.split(stripped)]
                except ValueError:
                    values = [_number(field, place) for field in _SEPARATOR.split(stripped)]
                yield _row(values, features, place)
    except _UnreadableError as reason:
        raise SettingError(f"line {number + 1} of standard input {reason}.") from None


def _rows_of_json(text: "_Pieces", features: int) -> Iterator[Row]:
    number = 0
    try:
        while text.next_character():
            place = f"row {number + 1} of standard input"
            places = (f"row {later} of standard input" for later in count(number + 1))
            for row in _rows_of_list(text.elements(), features, places, place):
                number += 1
                yield row
    except _UnreadableError as reason:
        raise SettingError(f"row {number + 1} of standard input {reason}.") from None


def _rows_of_list(elements: Iterable[Any], features: int, places: Iterator[str], where: str) -> Iterator[Row]:
    """Yield the rows of a list of numbers or of lists."""
    flat: list[float] = []
    place = ""
    for element in elements:
        if flat and isinstance(element, list):
            raise SettingError(f"{place}: a list stands among numbers.")
        if not flat:
            place = next(places)
        if isinstance(element, list):
            yield _row([_number(value, place) for value in element], features, place)
        elif features == 1:
            yield Row(place, [_number(element, place)])
        else:
            flat.append(_number(element, place))
            if len(flat) > features:
                break
    if not place:
        raise SettingError(f"{where} is an empty list.")
    if flat:
        yield _row(flat, features, place)


def _row(values: list[float], features: int, place: str) -> Row:
    if len(values) != features:
        example = ",".join(str(number) for number in range(1, features + 1)) if features <= 5 else "..."
        raise SettingError(
            f"{place}: the network takes {features} number{'s' * (features > 1)} a row, not {len(values)}."
            f" Several rows are x=[[{example}],[{example}]]."
        )
    return Row(place, values)


def _number(value: Any, place: str) -> float:
    """Convert a number, or a text with a number, to float."""
    if isinstance(value, bool | list | dict) or value is None:
        raise SettingError(f"{place}: {_shown(value)} is not a number.")
    try:
        return float(value)
    except ValueError:
        raise SettingError(f"{place}: {_shown(value)} is not a number.") from None
    except OverflowError:
        return float("inf")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


class _UnreadableError(Exception):
    """Raised when a row cannot be read; the message continues a sentence that begins with the row's place."""


class _Pieces:
    """A text stream that is read piece by piece and never held in memory as a whole.

    Its methods raise _UnreadableError.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text, self._at = "", 0  # text in memory, and the position up to which it is processed
        #: Line number, from 1, of the next character that is not blank.
        self.line = 1
        self._decoder = json.JSONDecoder()

    def next_character(self) -> str:
        """Return the next character that is not blank, without consuming it; return an empty string at the end."""
        while True:
            if blanks := _BLANKS.match(self._text, self._at):
                self._at = blanks.end()
                self.line += blanks[0].count("\n")
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def lines(self) -> Iterator[str]:
        while True:
            end = self._text.find("\n", self._at)
            if end < 0:
                if self._more():
                    continue
                yield self._text[self._at :]
                return
            yield self._text[self._at : end]
            self._at = end + 1

    def elements(self) -> Iterator[Any]:
        """Yield the elements of the list that starts here."""
        if self.next_character() != "[":
            raise _UnreadableError(f"is no JSON list: {self._next_text()}")
        self._at += 1
        if self.next_character() == "]":
            self._at += 1
            return
        while True:
            self.next_character()
            yield self._element()
            separator = self.next_character()
            self._at += 1
            if separator == "]":
                return
            if separator != ",":
                problem = f"a list goes on with {separator!r}" if separator else "it ends inside a list"
                raise _UnreadableError(f"is no JSON: {problem}")

    def _element(self) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # More text may complete a word, a number or a list at the end of this text, or a string that is not
                # closed yet.
                wrong_at = getattr(error, "pos", self._at)
                at_end = len(self._text) - wrong_at < _LONGEST_WORD or "Unterminated string" in str(error)
                shown = self._next_text()
                if at_end and self._more():
                    continue
                raise _UnreadableError(f"is no JSON: {shown}") from None
            # A number at the end of the text may continue in the next piece.
            if isinstance(value, list) or self._text[end : end + 3] not in _GOES_ON or not self._more():
                self._at = end
                return value

    def _next_text(self) -> str:
        return _shown(self._text[self._at : self._at + 50])

    def _more(self) -> bool:
        """Read the next piece and drop the processed text; return False at the end of the stream.

        Raise _UnreadableError if more than LONGEST characters are waiting to be processed.
        """
        if len(self._text) - self._at > LONGEST:
            raise _UnreadableError(f"is longer than {LONGEST:,} characters")
        piece = self._stream.read(LONGEST)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
