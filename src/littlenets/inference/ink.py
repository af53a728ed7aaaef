"""Which pixels of a picture are ink: those that differ from the paper, without what lies around the digit.

Shapes: H W pixels of the picture, C colours, n pixels of some choice.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

# Ink below this share of the strongest does not widen the digit's box: shadows, and what JPEG adds around edges.
FAINT = 0.2
# Of the picture's longer side; what is smaller is no digit, but a speck beside one that was cut off.
SMALLEST_DIGIT = 0.05
# The paper's brightness is found from so many pixels a side.
SAMPLES = 64
# Of the range from black to white: two shades of one sheet, where neither has any texture.
LEAST_TEXTURE = 0.02
# Of the smallest rectangle around it, what a sheet of paper fills; a zero fills three quarters.
SHEET = 0.9
_NEIGHBOURS = np.ones((3, 3))


def ink_on_paper(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """How far each pixel is from the paper, which may be lit unevenly, float32 (H, W) in 0..1.

    The paper is what most of the picture shows, or else its border. What is connected to the picture's edge is no
    digit, but a table, a shadow, a finger or a ruled line; nor is a line around everything else. MNIST's makers, too,
    had glyphs that were cut out of their forms.

    Args:
        colours: float32 (H, W, C) in 0..1.
        alpha: how opaque each pixel is, float32 (H, W) in 0..1; None where all are.
    """
    outer = border_colour(colours, alpha)
    if outer is None:
        return alpha
    colours = _laid_on(outer, colours, alpha)
    ink = np.zeros(colours.shape[:2], dtype=np.float32)
    for colour, framed in _papers(colours, outer):
        ink = _without_texture(colours, *_lit(colours, colour))
        alone = _isolated(ink, framed)
        if alone is not None:
            return alone
    return ink


def ink_on_one_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The same of a thing that may fill the picture and reach its edge, on a background of one colour."""
    outer = border_colour(colours, alpha)
    if outer is None:
        return alpha
    colours = _laid_on(outer, colours, alpha)
    return _without_texture(colours, outer, np.median(_distance(_border(colours), outer)))


def border_colour(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray | None:
    """What the picture's border mostly shows, (C,); None where it is mostly transparent."""
    border = _border(colours)
    if alpha is not None:
        opaque = _border(alpha) > 0.5
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
    height, width = colours.shape[:2]
    rows, columns = (max(1, side // SAMPLES) for side in (height, width))
    places = _places(height, width)
    x = places[::rows, ::columns].reshape(-1, places.shape[2])  # (n, 3)
    y = colours[::rows, ::columns].reshape(-1, colours.shape[2])  # (n, C)
    plane, texture = np.stack([paper, 0 * paper, 0 * paper]), 0.0
    reach = _distance(colours, paper).max() / 2
    for _ in range(5):
        near = _distance(y, x @ plane) <= reach
        if not near.any():
            break
        plane = np.linalg.lstsq(x[near], y[near], rcond=None)[0]  # (3, C)
        texture = float(np.median(_distance(y[near], x[near] @ plane)))
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


def _isolated(ink: np.ndarray, framed: bool) -> np.ndarray | None:
    """The ink without the parts that reach the edge or go around others; None where no digit would be left.

    Args:
        framed: whether they must leave a sheet of paper between them.
    """
    parts, count = ndimage.label(ink > FAINT * ink.max(), _NEIGHBOURS)  # (H, W), 0 where there is none
    boxes = ndimage.find_objects(parts)
    around = np.zeros(count + 1, dtype=bool)
    around[_border(parts)] = True
    around[0] = False
    large = [part for part, box in enumerate(boxes, 1) if _longer(box) >= SMALLEST_DIGIT * max(ink.shape)]
    for part in large:
        box = boxes[part - 1]
        if any(_within(boxes[other - 1], box) for other in large) and _is_frame(parts[box] == part):
            around[part] = True
    if not around.any():
        return ink
    if around[large].all() or (framed and not _is_sheet(~around[parts])):
        return None
    # With the soft edges of what is left out.
    grown = ndimage.maximum_filter(around[parts], 5 + 2 * (max(ink.shape) // 100))
    return np.where(grown & ((parts == 0) | around[parts]), 0, ink)


def _is_sheet(inside: np.ndarray) -> bool:
    """Whether what is true, bool (H, W), is a rectangle, turned a little: no digit, however bold, is as full."""
    step = max(1, max(inside.shape) // 100)
    places = np.argwhere(inside[::step, ::step]) + 0.5  # (n, 2)
    turns = np.radians(np.arange(-15, 16, 2.5))
    sides = [
        np.ptp(places @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], axis=0) + 1 for turn in turns
    ]
    return len(places) > SHEET * min(side.prod() for side in sides)


def _longer(box: tuple[slice, slice]) -> int:
    return max(side.stop - side.start for side in box)


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


def _border(values: np.ndarray) -> np.ndarray:
    """The outermost of (H, W, ...), (n, ...)."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
