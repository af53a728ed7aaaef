"""Rows of numbers from the command line and from streams: what is read, and what is said of the rest."""

import io
import json
import math
from typing import Any

import pytest
import torch

from littlenets.errors import SettingError
from littlenets.inference import rows
from littlenets.inference.rows import batched, read_rows, rows_in


def given(value: Any, features: int) -> list[list[float]]:
    return [row for samples in batched(rows_in(value, features)) for row in samples.x.tolist()]


def streamed(text: str, features: int) -> list[list[float]]:
    return [row for samples in batched(read_rows(io.StringIO(text), features)) for row in samples.x.tolist()]


@pytest.mark.parametrize(
    ("value", "features", "expected"),
    [
        (20, 1, [[20.0]]),
        ([1, 2.5, -3], 1, [[1.0], [2.5], [-3.0]]),
        ([[1], [2]], 1, [[1.0], [2.0]]),
        ([[1.5, -2], [0, 3]], 2, [[1.5, -2.0], [0.0, 3.0]]),
        ([1.5, -2], 2, [[1.5, -2.0]]),
        (["1", "2e3"], 1, [[1.0], [2000.0]]),
    ],
)
def test_values_from_the_command_line(value: Any, features: int, expected: list[list[float]]):
    assert given(value, features) == expected


@pytest.mark.parametrize(
    ("text", "features", "expected"),
    [
        ("20", 1, [[20.0]]),
        ("1\n2.5\n-3\n", 1, [[1.0], [2.5], [-3.0]]),
        ("1.5,-2\n0,3\n", 2, [[1.5, -2.0], [0.0, 3.0]]),
        ("\n\n 1.5  -2 \r\n\r\n0\t3\r\n", 2, [[1.5, -2.0], [0.0, 3.0]]),
        ("1.5 , -2", 2, [[1.5, -2.0]]),
        ("[1, 2, 3]", 1, [[1.0], [2.0], [3.0]]),
        ("[[1.5, -2], [0, 3]]", 2, [[1.5, -2.0], [0.0, 3.0]]),
        ("[1.5, -2]\n[0, 3]\n", 2, [[1.5, -2.0], [0.0, 3.0]]),
        (" [ [ 1.5 ,\n-2 ] ]\n", 2, [[1.5, -2.0]]),
    ],
)
def test_streams(text: str, features: int, expected: list[list[float]], monkeypatch: pytest.MonkeyPatch):
    assert streamed(text, features) == expected
    # Wherever a piece ends, the same is read.
    monkeypatch.setattr(rows, "LONGEST", 12)
    for size in range(1, 13):
        assert [
            row for samples in batched(read_rows(_Slow(text, size), features)) for row in samples.x.tolist()
        ] == expected


class _Slow(io.StringIO):
    """Gives no more than a few characters at once, as a pipe may."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size

    def read(self, size: int = -1) -> str:
        return super().read(min(size, self.size))


@pytest.mark.parametrize(
    ("value", "features", "said"),
    [
        ([], 1, "x is an empty list"),
        ([[]], 2, "takes 2 numbers a row, not 0"),
        ("abc", 1, "'abc' is not a number"),
        ("", 1, "'' is not a number"),
        (True, 1, "True is not a number"),
        ([1, None], 1, "row 2 of x: None is not a number"),
        ({"a": 1}, 1, "is no number and no list"),
        (math.nan, 1, "row 1 of x: nan"),
        ([1, math.inf], 1, "row 2 of x: inf"),
        (1e39, 1, "1e[+]39 is not"),
        (10**400, 1, "inf is not"),
        (3, 2, "takes 2 numbers a row, not 1"),
        ([1, 2, 3, 4], 2, "takes 2 numbers a row"),
        ([[1, 2], [3]], 2, "row 2 of x: .* not 1"),
        ([[1, 2], 3], 1, "row 1 of x: .* not 2"),
        ([1, [2, 3]], 2, "a list stands among numbers"),
        ([[[1, 2]]], 2, "is not a number"),
    ],
)
def test_what_is_wrong_on_the_command_line(value: Any, features: int, said: str):
    with pytest.raises(SettingError, match=said):
        given(value, features)


@pytest.mark.parametrize(
    ("text", "features", "said"),
    [
        ("", 1, "nothing in standard input"),
        (" \n\n", 1, "nothing in standard input"),
        ("[]", 1, "empty list"),
        ("x,y\n1,2\n", 2, "line 1 of standard input: 'x' is not a number"),
        ("\n1,2\n\n1,,2\n", 2, "line 4 of standard input: '' is not a number"),
        ("1 2\n1 2 3\n", 2, "line 2 of standard input: .* not 3"),
        ("1\nnan\n", 1, "line 2 of standard input: nan"),
        ("1\n1e400\n", 1, "line 2 of standard input: inf"),
        ("[1, 2", 1, "row 3 of standard input is no JSON: it ends inside a list"),
        ("[1 2]", 1, "row 2 .* goes on with '2'"),
        ("[1, NaN]", 1, "row 2 of standard input: nan"),
        ("[1, oops]", 1, "row 2 of standard input is no JSON: 'oops]'"),
        ('[{"x": 1}]', 1, "is not a number"),
        ("[[1,2]]\n[[1]]", 2, "row 2 of standard input: .* not 1"),
        ("[[1,2]] 7", 2, "row 2 of standard input is no JSON list: '7'"),
        ("[[1,2]]\n[]", 2, "row 2 of standard input is an empty list"),
        ("[1, 2]\n[3, null]", 2, "row 2 of standard input: None is not a number"),
        ("[1, [2, 3]]", 2, "row 1 of standard input: a list stands among numbers"),
        ("[" * 100_000, 1, "row 1 of standard input is no JSON"),
        ("1\n" + "7" * 200_000, 1, "line 2 of standard input is longer than"),
        ("[1, [" + "7," * 100_000, 1, "row 2 of standard input is longer than"),
        # However much follows.
        ("[1, oops" + ", 2" * 100_000, 1, "row 2 of standard input is no JSON: 'oops, 2"),
        ("[1; 2" + ", 2" * 100_000, 1, "row 2 of standard input is no JSON: a list goes on with ';'"),
    ],
)
def test_what_is_wrong_in_a_stream(text: str, features: int, said: str):
    with pytest.raises(SettingError, match=said):
        streamed(text, features)


def test_batches_hold_all_rows_in_order():
    count = 2 * rows.BATCH + 3
    batches = list(batched(read_rows(io.StringIO("\n".join(map(str, range(count)))), 1)))
    assert [len(samples.x) for samples in batches] == [rows.BATCH, rows.BATCH, 3]
    assert torch.equal(torch.cat([samples.x for samples in batches]), torch.arange(count).float().unsqueeze(1))
    assert batches[2].place(1) == f"line {count - 1} of standard input"


@pytest.mark.parametrize("form", ["lines", "json"])
def test_no_more_is_read_than_is_asked_for(form: str):
    """An endless stream is answered as it comes."""

    class Endless(io.TextIOBase):
        given = 0

        def read(self, size: int = -1) -> str:
            self.given += 1
            text = json.dumps([[1.5, 2.5]] * 100)[1:-1] + ","
            return ("[" if self.given == 1 else "") + text if form == "json" else "1.5,2.5\n" * 100

    stream = Endless()
    samples = next(batched(read_rows(stream, 2)))
    assert samples.x.shape == (rows.BATCH, 2)
    assert stream.given <= rows.BATCH / 100 + 2


@pytest.mark.parametrize("wrong", ["oops", "7 7", "nan", "1e39", "7" * 100_000])
@pytest.mark.parametrize("form", ["lines", "json"])
@pytest.mark.parametrize("before", [0, 1, 5, 6, 15])
def test_all_rows_before_a_mistake_are_given(form: str, before: int, wrong: str, monkeypatch: pytest.MonkeyPatch):
    """In its batch, at the end of the one before, and in the next piece of the stream."""
    monkeypatch.setattr(rows, "BATCH", 5)
    right = [str(number) for number in range(before)]
    if form == "json":
        wrong = {"oops": "oops", "7 7": "[7, 7]", "nan": "NaN"}.get(wrong, wrong)
        text = f"[{', '.join([*right, wrong, '1', '2'])}]"
    else:
        text = "\n".join([*right, wrong, "1", "2"])
    given = []

    def take_all() -> None:
        for batch in batched(read_rows(io.StringIO(text), 1)):
            given.extend(batch.x.tolist())
            assert batch.place(len(batch.x) - 1).endswith(f" {len(given)} of standard input")

    with pytest.raises(SettingError, match=rf"^{'row' if form == 'json' else 'line'} {before + 1} of standard input"):
        take_all()
    assert given == [[float(number)] for number in range(before)]
