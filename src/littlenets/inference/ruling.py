"""Find and erase the lines printed on ruled and squared paper.

A printed line is thin and goes from one edge of the picture to the other, which no stroke of a digit does. It need not
be straight: photographs turn, slant and bend it. So each is traced from edge to edge by dynamic programming (Viterbi
1967), over the means of short pieces of rows, in which noise is weaker and a line is not.

Shapes: H W pixels of the picture, B pieces of a row, n lines, k rows near a line.
"""

import numpy as np
from scipy import ndimage

# Of the picture's longer side, what a printed line is at most as thick as.
THICKEST = 0.012
# Pieces of a row. In each a line may rise by STEEPEST times its length: 8 degrees.
PIECES = 48
STEEPEST = 0.14
# Of what a piece of line counts, a row's rise from piece to piece costs: enough to stay on a line below a stroke.
RISING = 0.1
ROUNDS = 3
# Of the strongest ink; what is fainter does not matter.
FAINTEST = 0.04
# Of the pieces where a line could be seen, those in which it is.
UNBROKEN = 0.8
# Of all pieces, those in which a line must be seen or missed: a stroke may lie along it.
VISIBLE = 0.3
# Times the usual strength of a line, how strong it may be somewhere, as where the light is brighter.
STRONGER = 1.5
# Of the strongest ink: as much as ink differs from that of the line that it lies on.
DIFFERENCE = 0.15


def without_ruling(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Erase printed lines, across and down, from ink float32 (H, W); return also how many there were.

    Where a digit's stroke crosses a line it is kept, since it is darker than the line or goes on at both sides of it.
    """
    count = 0
    for _ in range(2):
        # Where a stroke hides neighbouring lines, the path of one may continue along another that is still there.
        for _ in range(ROUNDS):
            paths = _paths(ink)
            for path in paths:
                ink = _erased(ink, *path)
            count += len(paths)
            if not paths:
                break
        ink = ink.T
    return np.ascontiguousarray(ink), count


def _paths(ink: np.ndarray) -> list[np.ndarray]:
    """Return the row of each line that goes across, float (n, W)."""
    if not ink.any():
        return []
    height, width = ink.shape
    pieces = min(PIECES, width)
    edges = np.linspace(0, width, pieces + 1).astype(int)
    means = np.add.reduceat(ink, edges[:-1], axis=1) / np.diff(edges)  # (H, B)
    thickest = _thickest(ink)
    behind = ndimage.median_filter(means, (2 * thickest + 1, 1), mode="nearest")
    least = FAINTEST * ink.max()
    seen = means - behind > least
    # Under a stroke, a finger or beside the sheet.
    hidden = ~seen & (behind > 0.2 * ink.max())
    gain = (means - behind).clip(0, 2 * least) / (2 * least)
    # A line that is turned may leave the picture above or below.
    margin = int(STEEPEST * width) + 1
    around = ((margin, margin), (0, 0))
    seen, hidden = np.pad(seen, around), np.pad(hidden, around, constant_values=True)
    strength = np.pad(means - behind, around)
    gain = np.pad(gain, around)
    gain[hidden] = 0.5
    height += 2 * margin

    total, origins = gain[:, 0], []
    rise = max(1, round(STEEPEST * width / pieces))
    steps = np.arange(-rise, rise + 1)
    rows = np.arange(height)
    sources = rows[:, None] + steps  # (H, steps)
    outside = (sources < 0) | (sources >= height)
    sources = sources.clip(0, height - 1)
    for piece in range(1, pieces):
        reached = np.where(outside, -np.inf, total[sources] - RISING * np.abs(steps))
        best = reached.argmax(axis=1)
        origins.append(sources[rows, best])
        total = reached[rows, best] + gain[:, piece]
    paths = [rows]
    for origin in reversed(origins):
        paths.append(origin[paths[-1]])
    paths = np.stack(paths[::-1], axis=1)  # (H, B): by the row in which each ends

    on = np.arange(pieces)
    visible, lined = ~hidden[paths, on], seen[paths, on]
    inside = (paths >= margin) & (paths < height - margin)
    ends = [(lined[:, end] | ~visible[:, end]).all(axis=1) for end in (slice(0, 2), slice(-2, None))]
    ends.append(inside[:, 0] | inside[:, -1])
    unbroken = lined.sum(axis=1) >= UNBROKEN * visible.sum(axis=1)
    likely = np.flatnonzero(np.all(ends, axis=0) & unbroken & (visible.mean(axis=1) > VISIBLE))
    lines = []
    for row in likely[np.argsort(-total[likely], kind="stable")]:
        if all(np.abs(paths[row] - line).mean() > thickest for line in lines):
            lines.append(paths[row])
    middles = (edges[:-1] + edges[1:] - 1) / width - 1  # in -1..1
    places = (2 * np.arange(width) + 1) / width - 1
    found = []
    for line in lines:
        own = strength[line, on]
        # A stroke along the line, or beside it, is stronger.
        alone = (own > least) & (own < STRONGER * np.median(own[own > least]))
        cubic, alone = _smooth(middles, line, alone)
        found.append((cubic(places) - margin, np.repeat(alone, np.diff(edges))))
    return found


def _smooth(places: np.ndarray, rows: np.ndarray, alone: np.ndarray) -> tuple[np.polynomial.Polynomial, np.ndarray]:
    """Fit a cubic to where a line was seen; what leaves it, along a stroke that is near, counts little."""
    weights = alone.astype(float)
    for _ in range(10):
        cubic = np.polynomial.Polynomial.fit(places, rows, 3, w=np.sqrt(weights), domain=[-1, 1])
        weights = alone / (1 + (rows - cubic(places)) ** 2)
    return cubic, weights > 0.5


def _erased(ink: np.ndarray, path: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """Return ink (H, W) without the line along a path (W,)."""
    reach = _thickest(ink) + 1
    offsets = np.arange(-reach, reach + 1)
    columns = np.arange(ink.shape[1])
    rows = np.rint(path).astype(int) + offsets[:, None]  # (k, W)
    outside = (rows < 0) | (rows >= len(ink))
    rows = rows.clip(0, len(ink) - 1)
    near = np.where(outside, 0, ink[rows, columns])
    alone = alone & ~outside[reach]
    profile = np.median(near[:, alone] if alone.any() else near, axis=1)  # (k,)
    strong = profile > 0.15 * profile.max()
    # The line is what is strong around the middle.
    middle = reach + int(np.argmax(profile[reach - 2 : reach + 3])) - 2
    parts, _ = ndimage.label(strong)
    inside = np.flatnonzero(parts == parts[middle]) if parts[middle] else np.array([middle])
    first, last = max(inside[0] - 1, 1), min(inside[-1] + 1, len(offsets) - 2)
    above, below = near[first - 1], near[last + 1]
    # The path may be a row off.
    least = STRONGER * ndimage.maximum_filter(profile, 3) + DIFFERENCE * ink.max()
    erased = ink.copy()
    depth = last - first + 2
    slants = np.linspace(-1.5, 1.5, 13)
    for k in range(first, last + 1):
        own = near[k]
        kept = np.where(own > least[k], own, 0)
        for slant in slants:
            up = np.rint(columns + slant * (k - first + 1)).astype(int).clip(0, len(columns) - 1)
            down = np.rint(columns - slant * (depth - (k - first + 1))).astype(int).clip(0, len(columns) - 1)
            kept = np.maximum(kept, np.minimum(above[up], below[down]))
        within = ~outside[k]
        erased[rows[k][within], columns[within]] = np.minimum(kept, own)[within]
    return erased


def _thickest(ink: np.ndarray) -> int:
    return 2 + round(THICKEST * max(ink.shape))
