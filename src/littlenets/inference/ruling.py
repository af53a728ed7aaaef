"""Find and erase the lines printed on ruled and squared paper.

A printed line is thin and goes from one edge of the picture to the other, which no stroke of a digit does. It need not
be straight: in a photograph it may be rotated, slanted and bent. Each line is therefore traced from edge to edge by
dynamic programming (Viterbi 1967), over the means of short pieces of rows. Taking means reduces noise, but not the
line.

Shapes: H W pixels of the picture, B pieces of a row, n lines, k rows near a line.
"""

import numpy as np
from scipy import ndimage

# Maximum thickness of a printed line, as a fraction of the picture's longer side.
THICKEST = 0.012
# Each row is divided into PIECES pieces. Within a piece a line may rise by STEEPEST times the length of the piece: 8
# degrees.
PIECES = 48
STEEPEST = 0.14
# Cost of rising by one row, where a visible piece of a line counts 1. It keeps a path straight below a stroke.
RISING = 0.1
# As fractions of the strongest ink: a line fainter than FAINTEST is ignored; ink stronger than STROKE belongs to a
# stroke.
FAINTEST = 0.04
STROKE = 0.2
# As a fraction of the full range: the mean of a piece is below this if it contains only noise.
INVISIBLE = 0.02
# Minimum fraction of a line's pieces that are not covered by a stroke, and minimum fraction of these in which the line
# is visible.
VISIBLE = 0.3
UNBROKEN = 0.8
# Factor by which a line may be stronger than usual in some places, for example where more light falls on it.
STRONGER = 1.5
# Difference between a stroke on a line and the line itself, as a fraction of the strongest ink.
DIFFERENCE = 0.15
# Maximum number of searches. Where a stroke hides neighbouring lines, the path of one line may continue along another
# one; the first line is found in the next search, after the other one is erased.
ROUNDS = 3


def without_ruling(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Erase horizontal and vertical printed lines from ink float32 (H, W); return the ink and the number of lines.

    A digit's stroke that crosses a line is kept, since it is darker than the line or continues on both sides of it.
    """
    count = 0
    for _ in range(2):
        for _ in range(ROUNDS):
            lines = _lines(ink)
            for line in lines:
                ink = _erased(ink, *line)
            count += len(lines)
            if not lines:
                break
        ink = ink.T
    return np.ascontiguousarray(ink), count


def _lines(ink: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the row of each horizontal line, float (W,), and the columns where no stroke is near it, bool (W,)."""
    height, width = ink.shape
    if width < PIECES or not ink.any():
        return []
    edges = np.linspace(0, width, PIECES + 1).astype(int)
    means = np.add.reduceat(ink, edges[:-1], axis=1) / np.diff(edges)  # (H, B)
    thickest = _thickest(ink)
    behind = ndimage.median_filter(means, (2 * thickest + 1, 1), mode="nearest")
    strength = means - behind
    least = max(FAINTEST * ink.max(), INVISIBLE)
    # A slanted line may leave the picture at the top or at the bottom.
    margin = int(STEEPEST * width) + 1
    around = ((margin, margin), (0, 0))
    hidden = np.pad((strength <= least) & (behind > STROKE * ink.max()), around, constant_values=True)
    strength = np.pad(strength, around)
    gain = np.where(hidden, 0.5, strength.clip(0, 2 * least) / (2 * least))
    paths, total = _best_paths(gain, max(1, round(STEEPEST * width / PIECES)))

    pieces = np.arange(PIECES)
    unseen = hidden[paths, pieces]
    seen = strength[paths, pieces] > least
    whole = seen.sum(axis=1) >= UNBROKEN * (~unseen).sum(axis=1)
    from_edge_to_edge = (seen | unseen)[:, [0, 1, -2, -1]].all(axis=1)
    ends = paths[:, [0, -1]]
    starts_inside = ((ends >= margin) & (ends < margin + height)).any(axis=1)
    likely = np.flatnonzero(whole & from_edge_to_edge & starts_inside & ((~unseen).mean(axis=1) > VISIBLE))
    distinct: list[np.ndarray] = []
    for row in likely[np.argsort(-total[likely], kind="stable")]:
        if all(np.abs(paths[row] - path).mean() > thickest for path in distinct):
            distinct.append(paths[row])

    middles = (edges[:-1] + edges[1:] - 1) / width - 1  # in -1..1
    columns = (2 * np.arange(width) + 1) / width - 1
    lines = []
    for path in distinct:
        own = strength[path, pieces]
        # A stroke along the line, or beside it, is stronger.
        alone = (own > least) & (own < STRONGER * np.median(own[own > least]))
        if alone.sum() >= VISIBLE * PIECES / 2:
            cubic, alone = _smooth(middles, path, alone)
            lines.append((cubic(columns) - margin, np.repeat(alone, np.diff(edges))))
    return lines


def _best_paths(gain: np.ndarray, rise: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the path with the highest sum of gain to each row of the last piece, int (H, B), and the sums (H,).

    Args:
        gain: gain of a path through a row in a piece, (H, B).
        rise: maximum number of rows that a path may go up or down from piece to piece.
    """
    rows = np.arange(len(gain))
    steps = np.arange(-rise, rise + 1)
    sources = rows[:, None] + steps  # (H, steps)
    outside = (sources < 0) | (sources >= len(gain))
    sources = sources.clip(0, len(gain) - 1)
    total, origins = gain[:, 0], []
    for piece in range(1, gain.shape[1]):
        reached = np.where(outside, -np.inf, total[sources] - RISING * np.abs(steps))
        best = reached.argmax(axis=1)
        origins.append(sources[rows, best])
        total = reached[rows, best] + gain[:, piece]
    paths = [rows]
    for origin in reversed(origins):
        paths.append(origin[paths[-1]])
    return np.stack(paths[::-1], axis=1), total


def _smooth(places: np.ndarray, rows: np.ndarray, alone: np.ndarray) -> tuple[np.polynomial.Polynomial, np.ndarray]:
    """Fit a cubic to the visible pieces of a line; return it and the pieces close to it.

    Pieces far from the cubic, where the path follows a nearby stroke, get a small weight.
    """
    weights = alone.astype(float)
    for _ in range(10):
        cubic = np.polynomial.Polynomial.fit(places, rows, 3, w=np.sqrt(weights), domain=[-1, 1])
        weights = alone / (1 + (rows - cubic(places)) ** 2)
    return cubic, weights > 0.5


def _erased(ink: np.ndarray, path: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """Return ink (H, W) without one line.

    Args:
        ink: float32 (H, W).
        path: row of the line in each column, float (W,).
        alone: columns where no stroke is near the line, bool (W,).
    """
    reach = _thickest(ink) + 1
    columns = np.arange(ink.shape[1])
    rows = np.rint(path).astype(int) + np.arange(-reach, reach + 1)[:, None]  # (k, W)
    within = (rows >= 0) & (rows < len(ink))
    rows = rows.clip(0, len(ink) - 1)
    near = np.where(within, ink[rows, columns], 0)
    alone = alone & within[reach]
    profile = np.median(near[:, alone] if alone.any() else near, axis=1)  # (k,)
    # Rows of the line: the strong rows around the middle, and one more on each side.
    middle = reach - 2 + int(np.argmax(profile[reach - 2 : reach + 3]))
    parts, _ = ndimage.label(profile > 0.15 * profile.max())
    own_rows = np.flatnonzero(parts == parts[middle]) if parts[middle] else np.array([middle])
    first, last = max(own_rows[0] - 1, 1), min(own_rows[-1] + 1, 2 * reach - 1)
    above, below = near[first - 1], near[last + 1]
    # The path may be off by one row.
    strongest = STRONGER * ndimage.maximum_filter(profile, 3) + DIFFERENCE * ink.max()
    erased = ink.copy()
    for k in range(first, last + 1):
        kept = np.where(near[k] > strongest[k], near[k], 0)
        # Keep strokes that continue from above to below the line, at angles of up to 56 degrees to its normal.
        for slant in np.linspace(-1.5, 1.5, 13):
            up = np.rint(columns + slant * (k - first + 1)).astype(int).clip(0, len(columns) - 1)
            down = np.rint(columns - slant * (last + 1 - k)).astype(int).clip(0, len(columns) - 1)
            kept = np.maximum(kept, np.minimum(above[up], below[down]))
        erased[rows[k, within[k]], columns[within[k]]] = np.minimum(kept, near[k])[within[k]]
    return erased


def _thickest(ink: np.ndarray) -> int:
    return 2 + round(THICKEST * max(ink.shape))
