"""A curve as one line of text."""

import math
from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
# The same levels where the encoding of a terminal or a file knows no blocks.
ASCII = "_.-~=+*#"
# From here on a curve on a linear scale would be a cliff and a flat line.
DECADES_FOR_LOG = 1.5


def sparkline(values: Sequence[float], width: int) -> str:
    """One character a value, or a mean of neighbouring values where there are more than ``width``.

    Values that are all positive and span more than 1.5 decades are drawn on a logarithmic scale. What is no finite
    number is drawn as the highest block, since a loss gets there by growing.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return BLOCKS[-1] * min(len(values), width)
    if logarithmic(values):
        values = [math.log10(value) if math.isfinite(value) else value for value in values]
    count = min(width, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    means = [_mean(values[start:end]) for start, end in pairwise(edges)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(BLOCKS[_level(mean, low, high)] for mean in means)


def logarithmic(values: Sequence[float]) -> bool:
    """Whether a curve of these values is drawn on a logarithmic scale."""
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=0) > 0 and math.log10(max(finite) / min(finite)) > DECADES_FOR_LOG


def in_encoding(text: str, encoding: str | None) -> str:
    """The text with other characters for blocks, and a question mark for anything else, that cannot be encoded."""
    if encoding is None:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans(BLOCKS, ASCII))
        return text.encode(encoding, errors="replace").decode(encoding)
    return text


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _level(value: float, low: float, high: float) -> int:
    if not math.isfinite(value):
        return len(BLOCKS) - 1
    if high == low:
        return 0
    return min(len(BLOCKS) - 1, int((value - low) / (high - low) * len(BLOCKS)))
