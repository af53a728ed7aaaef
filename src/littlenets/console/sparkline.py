"""Draw a curve as one line of text."""

import math
from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
# Characters for the same levels, if the encoding of the terminal or file has no blocks.
ASCII = "_.-~=+*#"
# For a wider range than this, a linear scale would show one steep drop and then a flat line.
DECADES_FOR_LOG = 1.5


def sparkline(values: Sequence[float], width: int) -> str:
    """Return one character for each value, or for each mean of neighbouring values if there are more than ``width``.

    Values that are all positive and span more than 1.5 decades are drawn on a logarithmic scale. Values that are not
    finite are drawn as the highest block, since a loss becomes infinite or NaN by growing.
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
    """Return whether a curve of these values is drawn on a logarithmic scale."""
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=0) > 0 and math.log10(max(finite) / min(finite)) > DECADES_FOR_LOG


def in_encoding(text: str, encoding: str | None) -> str:
    """Replace characters that cannot be encoded: blocks by ASCII characters, all others by question marks."""
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
