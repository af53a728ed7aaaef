"""Read pictures safely, and convert pictures of digits to the form of the training images.

Shapes: H W pixels of the picture, C colours.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..data.images import IMAGE_SIZE, PictureForm
from ..errors import SettingError
from .ink import FAINT, ink_on_one_colour, ink_on_paper, large_parts

# Formats that Pillow reads without starting other programs.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm"}

# More pixels than most phone cameras have. Pillow needs 4 bytes per pixel, and some pictures are held in memory two or
# three times.
MAX_PIXELS = 64_000_000
# Larger pictures are scaled down at once, so that the longer side has about this many pixels, to save time and memory.
# This is enough, since a digit fills a twentieth of the picture or more and is scaled to 20 pixels.
MAX_SIDE = 1000

# As a fraction of the range from black to white: smaller differences look like one colour.
LEAST_CONTRAST = 0.05
# As a fraction of the same range: ink that differs less from the paper may be noise. Pencil differs by a third or more.
LITTLE_CONTRAST = 0.1
# A remark is made if another part beside the tallest one has at least OTHER_DIGIT of its height (more than one digit),
# if the ink is wider than WIDEST times its height, or if the image's mean brightness is above WHITEST. With these
# limits, 14 of MNIST's 10,000 test digits get a remark.
OTHER_DIGIT = 0.5
WIDEST = 1.7
WHITEST = 0.33


def read_picture(path: Path, form: PictureForm) -> tuple[Tensor, list[str]]:
    """Read a picture, convert it to the form of MNIST's digits, and return it with remarks on unusual properties.

    Ink is the difference of a pixel from the background (see ink.py), so dark on light and light on dark, grey,
    coloured and transparent pictures all give the same result. The box around the ink is scaled with anti-aliasing and
    constant proportions, and placed in the middle of a black square.

    Args:
        path: picture file.
        form: form of the training images.

    Returns:
        The image, uint8 (1, 28, 28), light on black, and remarks, such as "it is wider than a digit".

    Raises:
        SettingError: the file is not a picture, or the picture is too large or shows nothing.
    """
    colours, alpha = _channels(_open(path))
    if form.strokes:
        strength, remarks = ink_on_paper(colours, alpha)
    else:
        strength, remarks = ink_on_one_colour(colours, alpha), []
    if strength.max() < LEAST_CONTRAST:
        raise SettingError(f"{path} shows nothing: all of it has the same colour.")
    image = _framed(_scaled(strength / strength.max(), form.box), form.centre)
    if form.strokes:
        remarks = remarks + _unlike_one_digit(strength, image)
    return torch.from_numpy(image).unsqueeze(0), remarks


def open_picture(path: Path) -> Image.Image:
    """Read a picture in grey or colour; scale it down to a longer side of about MAX_SIDE pixels if it is larger.

    Transparent pixels become white.

    Args:
        path: picture file.

    Raises:
        SettingError: the file is not a picture, or the picture is too large.
    """
    picture = _open(path)
    if picture.mode == "F":
        return Image.fromarray(np.rint(np.asarray(picture).clip(0, 1) * 255).astype(np.uint8))
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture


def _unlike_one_digit(ink: np.ndarray, image: np.ndarray) -> list[str]:
    """Return remarks on properties that are unusual for a single digit.

    Args:
        ink: ink of the picture, (H, W).
        image: the image made from it, uint8 (28, 28).
    """
    if ink.max() < LITTLE_CONTRAST:
        return ["hardly anything differs from the background"]
    parts = large_parts(ink)
    if not parts:
        return ["nothing in it is as large as a digit"]
    heights = [rows.stop - rows.start for rows, _ in parts]
    tall = [part for part, height in zip(parts, heights, strict=True) if height >= OTHER_DIGIT * max(heights)]
    if any(one[axis].stop <= other[axis].start for one in tall for other in tall for axis in (0, 1)):
        return ["it seems to show more than one digit"]
    rows, columns = (np.ptp(np.flatnonzero((image > FAINT * 255).any(axis=axis))) + 1 for axis in (1, 0))
    if columns > WIDEST * rows:
        return ["it is wider than a digit"]
    if image.mean() > WHITEST * 255:
        return ["it is bolder than a digit"]
    return []


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files in a folder, sorted by name, without those in subfolders.

    Raises:
        SettingError: there is none.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise SettingError(f"{folder} holds no picture: no file ends in {', '.join(sorted(SUFFIXES))}.")
    return files


def _open(path: Path) -> Image.Image:
    """Decode a file, at a reduced size if the picture is large."""
    if not path.is_file():
        raise SettingError(f"{path}: there is no such file or folder.")
    if path.stat().st_size == 0:
        raise SettingError(f"{path} is empty.")
    try:
        with warnings.catch_warnings():
            # Ignore the warning at Pillow's own limit; MAX_PIXELS is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=FORMATS)
    except PermissionError:
        raise SettingError(f"{path} may not be read.") from None
    except Image.DecompressionBombError:
        raise SettingError(_too_large(path)) from None
    except Exception:  # any error: a file may only begin like a picture
        raise SettingError(f"{path} is no picture that can be read; these can: {', '.join(FORMATS)}.") from None
    with picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise SettingError(_too_large(path))
        # Decode JPEG at an eighth, a quarter or half of its size if that is large enough.
        picture.draft(None, (MAX_SIDE, MAX_SIDE))
        try:
            return ImageOps.exif_transpose(_reduced(picture))
        except Exception as error:  # any error: depends on the decoder
            raise SettingError(f"{path} is damaged: {' '.join(str(error).split())}") from None


def _too_large(path: Path) -> str:
    return f"{path} is too large: at most {MAX_PIXELS:,} pixels are read. Scale it down; 100 by 100 are enough."


def _reduced(picture: Image.Image) -> Image.Image:
    """Return the picture in mode L, RGB, RGBA or F, with no side much longer than MAX_SIDE."""
    if picture.mode.startswith("I;16"):
        # Pillow converts 16 bits to 8 by clipping.
        picture = Image.fromarray(np.asarray(picture, dtype=np.float32) / 65535)
    elif picture.mode in ("I", "F"):
        picture = Image.fromarray(_full_range(np.asarray(picture, dtype=np.float32)))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
    else:
        picture = picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    factor = -(-max(picture.size) // MAX_SIDE)
    return picture.reduce(factor) if factor > 1 else picture


def _full_range(values: np.ndarray) -> np.ndarray:
    """Scale numbers with unknown black and white levels to 0..1; numbers that are not finite become 0 (black)."""
    finite = np.isfinite(values)
    low, high = values.min(where=finite, initial=np.inf), values.max(where=finite, initial=-np.inf)
    if not high > low:
        return np.zeros_like(values)
    return np.where(finite, (values - low) / (high - low), np.float32(0))


def _channels(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colours, float32 (H, W, C) in 0..1, and opacity, float32 (H, W), or None if there is no alpha channel."""
    values: np.ndarray = np.asarray(picture, dtype=np.float32)
    values = values.reshape(*values.shape[:2], -1) / (1 if picture.mode == "F" else 255)
    return (values[..., :3], values[..., 3]) if picture.mode == "RGBA" else (values, None)


def _scaled(ink: np.ndarray, box: int) -> np.ndarray:
    """Crop ink to its box and scale the longer side to ``box`` pixels; return float32 (h, w) in 0..1."""
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longer = max(ink.shape)
    height, width = (max(1, round(side * box / longer)) for side in ink.shape)
    scaled = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR))
    # Scaling down makes a thin line faint.
    return scaled / scaled.max()


def _framed(ink: np.ndarray, centre: str) -> np.ndarray:
    """Place ink in the middle of a black square, uint8 (28, 28)."""
    square = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    start = []
    for axis, side in enumerate(ink.shape):
        # In MNIST's files the mean index of the ink, weighted by its strength, is 14 when rounded.
        middle = np.average(np.arange(side), weights=ink.sum(axis=1 - axis)) if centre == "mass" else side / 2
        start.append(int(np.clip(np.floor(IMAGE_SIZE / 2 - middle + 0.5), 0, IMAGE_SIZE - side)))
    (top, left), (height, width) = start, ink.shape
    square[top : top + height, left : left + width] = np.rint(ink * 255)
    return square
