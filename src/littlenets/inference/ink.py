"""Find the ink in a picture: pixels that differ from the paper, without objects and shadows around the digit.

Shapes: H W pixels of the picture, C colours, n pixels of a selection.
"""

from collections.abc import Iterator
from typing import TypeGuard

import numpy as np
from scipy import ndimage

from .ruling import without_ruling

# Ink below this fraction of the strongest ink is ignored for the digit's box: shadows, and JPEG artefacts around edges.
FAINT = 0.2
# Minimum size of a digit as a fraction of the picture's longer side; smaller parts are specks.
SMALLEST_DIGIT = 0.05
# If a picture shows only lines, more than this number of lines are ruled paper. A single line may be a digit that is a
# straight stroke.
FEWEST_LINES = 2
# Number of blocks per side from which the paper's brightness is estimated.
SAMPLES = 64
# As a fraction of the range from black to white: shades that differ by at most this much belong to the same sheet of
# paper, even if the paper has no texture.
LEAST_TEXTURE = 0.02
# Minimum ink of a stroke by the same pen, as a fraction of the strongest part's ink; remains of a line or shadow have
# less.
WEAK = 0.5
# A sheet of paper fills at least this fraction of the smallest rectangle around it; a zero fills three quarters.
SHEET = 0.9
_NEIGHBOURS = np.ones((3, 3))


def ink_on_paper(colours: np.ndarray, alpha: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    """Return the difference of each pixel from the paper, which may be lit unevenly, and remarks on omitted parts.

    The paper's colour is the median colour of the picture, or else of its border. Printed lines are erased. Then ink
    connected to the picture's edge is removed, because it is not a digit but a table, a shadow or a finger, and so is a
    line around everything else. The characters from which MNIST was made had also been cut out of their forms. If most
    of the border is transparent, the opacity is returned as the ink.

    Args:
        colours: float32 (H, W, C) in 0..1.
        alpha: opacity of each pixel, float32 (H, W) in 0..1; None if all pixels are opaque.

    Returns:
        Ink, float32 (H, W) in 0..1, and the remarks.
    """
    if _has_transparent_border(alpha):
        return alpha, []
    outer = _border_colour(colours, alpha)
    colours = _laid_on(outer, colours, alpha)
    ink, remarks = np.zeros(colours.shape[:2], dtype=np.float32), []
    for colour, framed in _papers(colours, outer):
        drawn = _without_texture(colours, *_lit(colours, colour))
        ink, count = without_ruling(drawn)
        remarks = ["printed lines were left out"] if count else []
        if count and not large_parts(ink):
            # There is nothing else in the picture, so the lines may be the digit.
            ink, remarks = drawn, ["nothing but lines is seen"] if count > FEWEST_LINES else []
            break
        alone = _isolated(ink, framed)
        if alone is not None:
            return alone, remarks
    return ink, remarks


def ink_on_one_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return the difference of each pixel from a background of one colour, float32 (H, W) in 0..1.

    Unlike with `ink_on_paper`, the object may fill the picture and reach its edge. If most of the border is
    transparent, the opacity is returned.

    Args:
        colours: float32 (H, W, C) in 0..1.
        alpha: opacity of each pixel, float32 (H, W) in 0..1; None if all pixels are opaque.
    """
    if _has_transparent_border(alpha):
        return alpha
    outer = _border_colour(colours, alpha)
    colours = _laid_on(outer, colours, alpha)
    return _without_texture(colours, outer, np.median(_distance(_border(colours), outer)))


def _has_transparent_border(alpha: np.ndarray | None) -> TypeGuard[np.ndarray]:
    """Return whether most of the picture's border is transparent."""
    return alpha is not None and bool((_wide_border(alpha) > 0.5).mean() <= 0.5)


def _border_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return the median colour of the opaque part of the picture's border, (C,).

    Args:
        colours: float32 (H, W, C) in 0..1.
        alpha: opacity of each pixel, float32 (H, W) in 0..1; None if all pixels are opaque.
    """
    border = _wide_border(colours)
    return np.median(border if alpha is None else border[_wide_border(alpha) > 0.5], axis=0)


def _wide_border(values: np.ndarray) -> np.ndarray:
    """Return the pixels of a border that is wider than a printed line, which may run along an edge."""
    return _border(values, max(1, min(values.shape[:2]) // 50))


def _laid_on(paper: np.ndarray, colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return colours if alpha is None else paper + alpha[..., None] * (colours - paper)


def _papers(colours: np.ndarray, outer: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield possible colours of the paper, the most likely first, and whether something else surrounds the paper."""
    most = np.median(colours.reshape(-1, colours.shape[2]), axis=0)
    if _distance(most, outer) > _distance(colours, outer).max() / 2:
        yield most, True
    yield outer, False


def _lit(colours: np.ndarray, paper: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the colour of the unevenly lit paper, (H, W, C), and the median difference of its pixels from it.

    The colour is a plane over the pixels' positions. It is fitted by least squares to the pixels near it; each
    repetition excludes more of the other pixels.
    """
    height, width, channels = colours.shape
    rows, columns = (max(1, side // SAMPLES) for side in (height, width))
    down, across = height // rows, width // columns
    blocks = colours[: down * rows, : across * columns].reshape(down, rows, across, columns, channels)
    # The median of a block is not affected by thin printed lines.
    y = np.median(blocks, axis=(1, 3)).reshape(-1, channels)  # (n, C)
    pixels = blocks[:, rows // 2, :, columns // 2].reshape(-1, channels)  # (n, C)
    places = _places(height, width)
    x = places[rows // 2 :: rows, columns // 2 :: columns][:down, :across].reshape(-1, places.shape[2])  # (n, 3)
    plane, texture = np.stack([paper, 0 * paper, 0 * paper]), 0.0
    reach = _distance(colours, paper).max() / 2
    for _ in range(5):
        near = _distance(y, x @ plane) <= reach
        if not near.any():
            break
        plane = np.linalg.lstsq(x[near], y[near], rcond=None)[0]  # (3, C)
        texture = float(np.median(_distance(pixels[near], x[near] @ plane)))
        reach = max(3 * texture, LEAST_TEXTURE)
    return places @ plane, texture


def _places(height: int, width: int) -> np.ndarray:
    """Return 1 and each pixel's position in -1..1 from top to bottom and left to right, float32 (H, W, 3)."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width)), indexing="ij")
    return np.stack([np.ones_like(down), down, across], axis=2)


def _without_texture(colours: np.ndarray, paper: np.ndarray, texture: float) -> np.ndarray:
    """Return the difference of each pixel from the paper, reduced by the paper's texture.

    In a photograph, paper never has a single colour. A drawn picture has no texture, so nothing is subtracted.
    """
    distance = _distance(colours, paper)
    return np.maximum(distance - min(3 * texture, distance.max() / 2), 0)


def large_parts(ink: np.ndarray) -> list[tuple[slice, slice]]:
    """Return the boxes of the connected parts of ink (H, W) that are large enough for a digit."""
    return [box for box in ndimage.find_objects(_parts(ink)[0]) if _is_large(box, ink)]


def _parts(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the number of each pixel's connected part, (H, W), 0 for no part, and the number of parts."""
    return ndimage.label(ink > FAINT * ink.max(), _NEIGHBOURS)


def _is_large(box: tuple[slice, slice], ink: np.ndarray) -> bool:
    return max(side.stop - side.start for side in box) >= SMALLEST_DIGIT * max(ink.shape)


def _isolated(ink: np.ndarray, framed: bool) -> np.ndarray | None:
    """Return ink without specks, weak parts, and parts at the edge or around others; None if no large part is left.

    Args:
        ink: float32 (H, W).
        framed: whether the pixels outside of the parts at the edge must form a sheet of paper; None is returned if not.
    """
    parts, count = _parts(ink)
    boxes = ndimage.find_objects(parts)
    large = [part for part, box in enumerate(boxes, 1) if _is_large(box, ink)]
    around = np.zeros(count + 1, dtype=bool)
    around[_border(parts)] = True
    around[0] = False
    for part in large:
        box = boxes[part - 1]
        if any(_within(boxes[other - 1], box) for other in large) and _is_frame(parts[box] == part):
            around[part] = True
    if around[large].all() or (framed and not _is_sheet(~around[parts])):
        return None
    strongest = ndimage.maximum(ink, parts, np.arange(count + 1))  # of each part
    kept = [part for part in large if not around[part]]
    around |= strongest < WEAK * strongest[kept].max()
    around |= ~np.isin(np.arange(count + 1), kept)
    around[0] = False
    if not around.any():
        return ink
    left = ~around
    left[0] = False
    # Keep the soft edges of the digit, but not those of the removed parts.
    edges = 5 + 2 * (max(ink.shape) // 100)
    outside = ndimage.maximum_filter(around[parts], edges) | ~ndimage.maximum_filter(left[parts], 2 * edges)
    return np.where(outside & ~left[parts], 0, ink)


def _is_sheet(inside: np.ndarray) -> bool:
    """Return whether the true pixels, bool (H, W), form a rectangle rotated by at most 15 degrees.

    No digit, however bold, fills as much of its rectangle.
    """
    step = max(1, max(inside.shape) // 100)
    places = np.argwhere(inside[::step, ::step]) + 0.5  # (n, 2)
    turns = np.radians(np.arange(-15, 16, 2.5))
    sides = [
        np.ptp(places @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], axis=0) + 1 for turn in turns
    ]
    return len(places) > SHEET * min(side.prod() for side in sides)


def _within(box: tuple[slice, slice], other: tuple[slice, slice]) -> bool:
    return all(other[axis].start < box[axis].start and box[axis].stop < other[axis].stop for axis in (0, 1))


def _is_frame(part: np.ndarray) -> bool:
    """Return whether ink, bool (h, w), fills all four sides of its box; a round digit does not."""
    depth = max(1, min(part.shape) // 20)
    sides = (
        part[:depth].any(axis=0),
        part[-depth:].any(axis=0),
        part[:, :depth].any(axis=1),
        part[:, -depth:].any(axis=1),
    )
    return min(side.mean() for side in sides) > 0.8


def _distance(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the difference in the channel where it is largest: (..., C) to (...)."""
    return np.abs(colours - others).max(axis=-1)


def _border(values: np.ndarray, depth: int = 1) -> np.ndarray:
    """Return the outermost ``depth`` pixels of (H, W, ...), as (n, ...)."""
    outer = np.ones(values.shape[:2], dtype=bool)
    outer[depth:-depth, depth:-depth] = False
    return values[outer]
