"""A curve as one line of text."""

import math

import pytest

from littlenets.console.sparkline import in_encoding, logarithmic, sparkline


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 20, "▁▂▃▄▅▆▇█"),
        ([8, 1], 20, "█▁"),
        ([3, 3, 3], 20, "▁▁▁"),
        ([5], 20, "▁"),
        ([-1, 0, 1], 20, "▁▅█"),
        # Means of neighbours: 1.5, 3.5, 5.5, 7.5.
        ([1, 2, 3, 4, 5, 6, 7, 8], 4, "▁▃▆█"),
        # Eight decades, each one step higher.
        ([10.0**exponent for exponent in range(8)], 20, "▁▂▃▄▅▆▇█"),
        ([1.0, 2.0, math.inf], 20, "▁██"),
        ([math.nan, math.nan], 20, "██"),
        ([], 20, ""),
    ],
)
def test_heights(values: list[float], width: int, line: str):
    assert sparkline(values, width) == line


@pytest.mark.parametrize("count", [1, 23, 24, 25, 1000, 10_001])
def test_it_is_never_wider_than_told(count: int):
    assert len(sparkline(list(range(count)), 24)) == min(count, 24)


@pytest.mark.parametrize(
    ("values", "log"),
    [([1, 10], False), ([1, 100], True), ([0, 100], False), ([-1, 100], False), ([1, math.inf], False), ([], False)],
)
def test_the_scale_is_logarithmic_where_values_span_decades(values: list[float], log: bool):
    assert logarithmic(values) == log


def test_blocks_have_a_stand_in_where_they_cannot_be_encoded():
    assert in_encoding("loss ▁▄█", "utf-8") == in_encoding("loss ▁▄█", None) == "loss ▁▄█"
    stood_in = in_encoding("loss ▁▂▃▄▅▆▇█ é", "ascii")
    assert stood_in.isascii()
    assert len(set(stood_in[5:13])) == 8
    assert in_encoding("plain é", "latin-1") == "plain é"
