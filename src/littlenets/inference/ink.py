"""Which pixels of a picture are ink: those that differ from the paper, without what lies around the digit.

Shapes: H W pixels of the picture, C colours, n pixels of some choice.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from .ruling import without_ruling

# Ink below this share of the strongest does not widen the digit's box: shadows, and what JPEG adds around edges.
FAINT = 0.2
# Of the picture's longer side; what is smaller is no digit, but a speck.
SMALLEST_DIGIT = 0.05
# A digit that is a straight stroke looks like one printed line; a ruled sheet has more.
FEWEST_LINES = 2
# The paper's brightness is found from so many pixels a side.
SAMPLES = 64
# Of the range from black to white: two shades of one sheet, where neither has any texture.
LEAST_TEXTURE = 0.02
# Of the strongest part's ink, what that of a stroke by the same pen has at least; a rest of a line or shadow has less.
WEAK = 0.5
# Of the smallest rectangle around it, what a sheet of paper fills; a zero fills three quarters.
SHEET = 0.9
_NEIGHBOURS = np.ones((3, 3))


def ink_on_paper(colours: np.ndarray, alpha: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    """Return how far each pixel is from the paper, which may be lit unevenly, and remarks on what was left out.

    The paper is what most of the picture shows, or else its border. Printed lines are erased. What is then connected
    to the picture's edge is no digit, but a table, a shadow or a finger; nor is a line around everything else.
    MNIST's makers, too, had glyphs that were cut out of their forms.

    Args:
        colours: float32 (H, W, C) in 0..1.
        alpha: how opaque each pixel is, float32 (H, W) in 0..1; None where all are.

    Returns:
        Ink, float32 (H, W) in 0..1, and sentences.
    """
    outer = border_colour(colours, alpha)
    if outer is None:
        return alpha, []
    colours = _laid_on(outer, colours, alpha)
    ink, remarks = np.zeros(colours.shape[:2], dtype=np.float32), []
    for colour, framed in _papers(colours, outer):
        drawn = _without_texture(colours, *_lit(colours, colour))
        ink, count = without_ruling(drawn)
        remarks = ["printed lines were left out"] if count else []
        if count and not large_parts(ink):
            # Nothing else is there, so they may be what is meant.
            ink, remarks = drawn, ["nothing but lines is seen"] if count > FEWEST_LINES else []
            break
        alone = _isolated(ink, framed)
        if alone is not None:
            return alone, remarks
    return ink, remarks


def ink_on_one_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The same of a thing that may fill the picture and reach its edge, on a background of one colour."""
    outer = border_colour(colours, alpha)
    if outer is None:
        return alpha
    colours = _laid_on(outer, colours, alpha)
    return _without_texture(colours, outer, np.median(_distance(_border(colours), outer)))


def border_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray | None:
    """What the picture's border mostly shows, (C,); None where it is mostly transparent."""
    # Deeper than a printed line, which may run along an edge.
    depth = max(1, min(colours.shape[:2]) // 50)
    border = _border(colours, depth)
    if alpha is not None:
        opaque = _border(alpha, depth) > 0.5
        if opaque.mean() <= 0.5:
            return None
        border = border[opaque]
    return np.median(border, axis=0)


def _laid_on(paper: np.ndarray, colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return colours if alpha is None else paper + alpha[..., None] * (colours - paper)


def _papers(colours: np.ndarray, outer: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
    """The colours that may be the paper's, the likelier first, and whether something else is around it then."""
    most = np.median(colours.reshape(-1, colours.shape[2]), axis=0)
    if _distance(most, outer) > _distance(colours, outer).max() / 2:
        yield most, True
    yield outer, False


def _lit(colours: np.ndarray, paper: np.ndarray) -> tuple[np.ndarray, float]:
    """The paper as it is lit from one side, (H, W, C), and how far its pixels are from that, typically.

    A plane through the pixels that are near it, by least squares, which leaves out more of them each time.
    """
    height, width, channels = colours.shape
    rows, columns = (max(1, side // SAMPLES) for side in (height, width))
    down, across = height // rows, width // columns
    blocks = colours[: down * rows, : across * columns].reshape(down, rows, across, columns, channels)
    # Thin printed lines are not seen in the median of a block.
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
    """1, and where each pixel is in -1..1 from top to bottom and from left to right, float32 (H, W, 3)."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width)), indexing="ij")
    return np.stack([np.ones_like(down), down, across], axis=2)


def _without_texture(colours: np.ndarray, paper: np.ndarray, texture: float) -> np.ndarray:
    """Paper is never of one colour in a photograph; nothing is taken off a picture that was drawn."""
    distance = _distance(colours, paper)
    return np.maximum(distance - min(3 * texture, distance.max() / 2), 0)


def large_parts(ink: np.ndarray) -> list[tuple[slice, slice]]:
    """Return the boxes of the connected parts of ink (H, W) that are large enough for a digit."""
    return [box for box in ndimage.find_objects(_parts(ink)[0]) if _is_large(box, ink)]


def _parts(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the number of the part that each pixel is in, (H, W), 0 where it is in none, and how many there are."""
    return ndimage.label(ink > FAINT * ink.max(), _NEIGHBOURS)


def _is_large(box: tuple[slice, slice], ink: np.ndarray) -> bool:
    return max(side.stop - side.start for side in box) >= SMALLEST_DIGIT * max(ink.shape)


def _isolated(ink: np.ndarray, framed: bool) -> np.ndarray | None:
    """Return ink without specks, weak parts and those that reach the edge or go around others; None if none is left.

    Args:
        framed: whether they must leave a sheet of paper between them.
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
    # The soft edges of the digit are kept, those of what is left out are not.
    edges = 5 + 2 * (max(ink.shape) // 100)
    outside = ndimage.maximum_filter(around[parts], edges) | ~ndimage.maximum_filter(left[parts], 2 * edges)
    return np.where(outside & ~left[parts], 0, ink)


def _is_sheet(inside: np.ndarray) -> bool:
    """Whether what is true, bool (H, W), is a rectangle, turned a little: no digit, however bold, is as full."""
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
    """Whether ink, bool (h, w), fills all four sides of its box, as that of no round digit does."""
    depth = max(1, min(part.shape) // 20)
    sides = (
        part[:depth].any(axis=0),
        part[-depth:].any(axis=0),
        part[:, :depth].any(axis=1),
        part[:, -depth:].any(axis=1),
    )
    return min(side.mean() for side in sides) > 0.8


def _distance(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In the channel in which they differ most: (..., C) to (...)."""
    return np.abs(colours - others).max(axis=-1)


def _border(values: np.ndarray, depth: int = 1) -> np.ndarray:
    """Return the outermost pixels of (H, W, ...), (n, ...)."""
    outer = np.ones(values.shape[:2], dtype=bool)
    outer[depth:-depth, depth:-depth] = False
    return values[outer]
