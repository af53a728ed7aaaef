"""Find and erase the lines printed on ruled and squared paper.

A printed line is thin and goes from one edge of the picture to the other, which no stroke of a digit does. It need not
be straight: photographs turn, slant and bend it. So each is traced from edge to edge by dynamic programming (Viterbi
1967), over the means of short pieces of rows, in which noise is weaker and a line is not.

Shapes: H W pixels of the picture, B pieces of a row, n lines, k rows near a line.
"""

import numpy as np
from scipy import ndimage

# Of the picture's longer side: how thick a printed line is at most.
THICKEST = 0.012
# Rows are cut into so many pieces. In each a line may rise by STEEPEST times the piece's length: 8 degrees.
PIECES = 48
STEEPEST = 0.14
# The cost of rising by a row, where a piece of line counts 1: a path then goes straight on below a stroke.
RISING = 0.1
# Of the strongest ink: a fainter line does not matter; ink of a stroke is stronger than STROKE.
FAINTEST = 0.04
STROKE = 0.2
# Of the full range: noise alone reaches less in the mean of a piece.
INVISIBLE = 0.02
# Of a line's pieces, how many must not lie under a stroke; and of these, in how many it must be seen.
VISIBLE = 0.3
UNBROKEN = 0.8
# How much stronger than usual a line is somewhere, as where more light falls on it.
STRONGER = 1.5
# Of the strongest ink: a stroke on a line is stronger than the line by this.
DIFFERENCE = 0.15
# Where a stroke hides neighbouring lines, the path of one may go on along another; it is found when that is erased.
ROUNDS = 3


def without_ruling(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Erase printed lines, across and down, from ink float32 (H, W); return also how many there were.

    Where a digit's stroke crosses a line it is kept, since it is darker than the line or goes on at both sides of it.
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
    """Return the row of each line that goes across, float (W,), and the columns where it is alone, bool (W,)."""
    height, width = ink.shape
    if width < PIECES or not ink.any():
        return []
    edges = np.linspace(0, width, PIECES + 1).astype(int)
    means = np.add.reduceat(ink, edges[:-1], axis=1) / np.diff(edges)  # (H, B)
    thickest = _thickest(ink)
    behind = ndimage.median_filter(means, (2 * thickest + 1, 1), mode="nearest")
    strength = means - behind
    least = max(FAINTEST * ink.max(), INVISIBLE)
    # A line that is turned may leave the picture above or below.
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
    """Return the path with the highest sum of gain (H, B) to each row of the last piece, int (H, B), and the sums (H,).

    Args:
        rise: how many rows a path may go up or down from piece to piece.
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
    """Fit a cubic to where a line was seen; what leaves it, along a stroke that is near, counts little."""
    weights = alone.astype(float)
    for _ in range(10):
        cubic = np.polynomial.Polynomial.fit(places, rows, 3, w=np.sqrt(weights), domain=[-1, 1])
        weights = alone / (1 + (rows - cubic(places)) ** 2)
    return cubic, weights > 0.5


def _erased(ink: np.ndarray, path: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """Return ink (H, W) without the line along a path (W,); alone, bool (W,), is where no stroke is near."""
    reach = _thickest(ink) + 1
    columns = np.arange(ink.shape[1])
    rows = np.rint(path).astype(int) + np.arange(-reach, reach + 1)[:, None]  # (k, W)
    within = (rows >= 0) & (rows < len(ink))
    rows = rows.clip(0, len(ink) - 1)
    near = np.where(within, ink[rows, columns], 0)
    alone = alone & within[reach]
    profile = np.median(near[:, alone] if alone.any() else near, axis=1)  # (k,)
    # The line's rows: strong ones around the middle, and one more at each side.
    middle = reach - 2 + int(np.argmax(profile[reach - 2 : reach + 3]))
    parts, _ = ndimage.label(profile > 0.15 * profile.max())
    own_rows = np.flatnonzero(parts == parts[middle]) if parts[middle] else np.array([middle])
    first, last = max(own_rows[0] - 1, 1), min(own_rows[-1] + 1, 2 * reach - 1)
    above, below = near[first - 1], near[last + 1]
    # The path may be a row off.
    strongest = STRONGER * ndimage.maximum_filter(profile, 3) + DIFFERENCE * ink.max()
    erased = ink.copy()
    for k in range(first, last + 1):
        kept = np.where(near[k] > strongest[k], near[k], 0)
        # Strokes at angles of up to 56 degrees to the line's normal go on from above to below.
        for slant in np.linspace(-1.5, 1.5, 13):
            up = np.rint(columns + slant * (k - first + 1)).astype(int).clip(0, len(columns) - 1)
            down = np.rint(columns - slant * (last + 1 - k)).astype(int).clip(0, len(columns) - 1)
            kept = np.maximum(kept, np.minimum(above[up], below[down]))
        erased[rows[k, within[k]], columns[within[k]]] = np.minimum(kept, near[k])[within[k]]
    return erased


def _thickest(ink: np.ndarray) -> int:
    return 2 + round(THICKEST * max(ink.shape))
