"""Digits on printed paper against MNIST's own images of them, and remarks on pictures that are unlike these."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from littlenets.data import FashionMNIST
from littlenets.data.images import ImageDataModule
from littlenets.inference.pictures import read_picture

MNIST_FORM = ImageDataModule.picture_form
HEIGHT, WIDTH = 480, 400
PEN, PENCIL = (30, 40, 110), (105, 105, 110)
BLUE, GREY, RED = (150, 175, 220), (175, 175, 175), (225, 110, 110)


@pytest.fixture(scope="module")
def digits(mnist_files: Path) -> np.ndarray:
    """30 images of MNIST's test set, uint8 (30, 28, 28)."""
    pixels = gzip.decompress((mnist_files / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    return np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28)[:30]


Lines = list[tuple[tuple[float, float], tuple[float, float]]]


def across(pitch: float, rise: float = 0) -> Lines:
    """Lines from the left to the right edge; ``rise`` pixels higher at the right."""
    starts = np.arange(7 - abs(rise), HEIGHT + abs(rise), pitch)
    return [((0, start), (WIDTH, start - rise)) for start in starts]


def down(pitch: float, rise: float = 0) -> Lines:
    return [((start, 0), (start + rise, HEIGHT)) for start in np.arange(7 - abs(rise), WIDTH + abs(rise), pitch)]


def sheet(*printed: tuple[Lines, tuple[int, int, int], int]) -> Image.Image:
    picture = Image.new("RGB", (WIDTH, HEIGHT), (250, 248, 240))
    draw = ImageDraw.Draw(picture)
    for lines, colour, width in printed:
        for start, end in lines:
            draw.line([start, end], colour, width)
    return picture


def write(picture: Image.Image, digit: np.ndarray, at: tuple[int, int], pen: tuple[int, int, int] = PEN) -> None:
    """The digit of 28 by 28 pixels becomes ten times as large."""
    cover = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
    picture.paste(Image.new("RGB", cover.size, pen), at, cover)


def photographed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Light from one side and a shadow with a soft edge, noise."""
    pixels = np.asarray(picture).astype(float)
    shadow = 1 / (1 + np.exp((np.arange(HEIGHT) - random.uniform(0.75, 0.9) * HEIGHT) / 15))
    pixels *= np.linspace(1, random.uniform(0.7, 0.9), WIDTH)[:, None] * (0.8 + 0.2 * shadow)[:, None, None]
    return Image.fromarray((pixels + random.normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8))


def similarity(image: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two images, where one may be moved by a pixel: faint sides of a digit move its box."""
    moved = [np.roll(image, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one in moved)


PAPERS: dict[str, Callable[[], Image.Image]] = {
    "ruled": lambda: sheet((across(45), BLUE, 2)),
    "ruled with a margin": lambda: sheet((across(40), GREY, 1), ([((50, 0), (50, HEIGHT))], RED, 3)),
    "squared": lambda: sheet((across(30), BLUE, 2), (down(30), BLUE, 2)),
    "finely squared": lambda: sheet((across(13), GREY, 1), (down(13), GREY, 1)),
    "askew": lambda: sheet((across(35, 25), GREY, 2), (down(35, 30), GREY, 2)),
}


@pytest.mark.parametrize("photo", [False, True])
@pytest.mark.parametrize("paper", PAPERS)
def test_printed_lines_are_erased_and_the_digit_is_whole(digits: np.ndarray, tmp_path: Path, paper: str, photo: bool):
    alike = []
    for number, digit in enumerate(digits):
        random = np.random.default_rng(number)
        picture = PAPERS[paper]()
        at = (int(random.integers(20, 100)), int(random.integers(20, 180)))
        write(picture, digit, at, PENCIL if number % 3 == 0 else PEN)
        file = tmp_path / ("sheet.jpg" if photo else "sheet.png")
        (photographed(picture, random) if photo else picture).save(file)
        image, remarks = read_picture(file, MNIST_FORM)
        assert remarks == ["printed lines were left out"]
        alike.append(similarity(image[0].numpy(), digit))
    # Of 30. Pencil on lines that are nearly as dark may lose some.
    assert sum(value > 0.9 for value in alike) >= 27


def test_a_digit_alone_needs_no_remark(digits: np.ndarray, tmp_path: Path):
    for number, digit in enumerate(digits):
        picture = sheet()
        write(picture, digit, (60, 100))
        photographed(picture, np.random.default_rng(number)).save(tmp_path / "sheet.png")
        image, remarks = read_picture(tmp_path / "sheet.png", MNIST_FORM)
        assert remarks == []
        assert similarity(image[0].numpy(), digit) > 0.9


def test_a_stroke_from_edge_to_edge_may_be_the_digit(tmp_path: Path):
    sheet(([((200, 0), (200, HEIGHT))], PEN, 4)).save(tmp_path / "one.png")
    image, remarks = read_picture(tmp_path / "one.png", MNIST_FORM)
    assert remarks == []
    rows, columns = np.nonzero(image[0].numpy() > 128)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 1)


def two_digits(digits: np.ndarray) -> Image.Image:
    picture = Image.new("RGB", (700, HEIGHT), (255, 255, 255))
    for digit, left in zip(digits, (40, 370), strict=False):
        write(picture, digit, (left, 100))
    return picture


def specks(digits: np.ndarray) -> Image.Image:
    picture = sheet()
    for row, column in np.random.default_rng(0).integers(20, 380, size=(30, 2)):
        picture.paste(PEN, (column, row, column + 3, row + 3))
    return picture


def noise(digits: np.ndarray) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).normal(128, 30, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8))


def bold(digits: np.ndarray) -> Image.Image:
    picture = sheet()
    ImageDraw.Draw(picture).ellipse((60, 90, 340, 370), PEN)
    return picture


def dash(digits: np.ndarray) -> Image.Image:
    return sheet(([((100, 200), (300, 200))], PEN, 20))


ODD: dict[str, tuple[Callable[[np.ndarray], Image.Image], str]] = {
    "two digits": (two_digits, "it seems to show more than one digit"),
    "specks": (specks, "nothing in it is as large as a digit"),
    "noise": (noise, "nothing in it is as large as a digit"),
    "faint": (
        lambda digits: Image.fromarray((200 - 0.08 * np.kron(digits[0], np.ones((9, 9)))).astype(np.uint8)),
        "hardly anything differs from the background",
    ),
    "disc": (bold, "it is bolder than a digit"),
    "dash": (dash, "it is wider than a digit"),
    "ruled sheet": (lambda _: sheet((across(40), BLUE, 2)), "nothing but lines is seen"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_unlike_one_digit_is_remarked_upon(digits: np.ndarray, tmp_path: Path, name: str):
    make, remark = ODD[name]
    make(digits).save(tmp_path / "odd.png")
    assert remark in read_picture(tmp_path / "odd.png", MNIST_FORM)[1]


def test_of_clothes_nothing_is_said_and_lines_on_them_stay(tmp_path: Path):
    sheet((across(40), RED, 3)).save(tmp_path / "stripes.png")
    image, remarks = read_picture(tmp_path / "stripes.png", FashionMNIST.picture_form)
    assert remarks == []
    assert (image[0].numpy().max(axis=1) > 60).sum() >= 10
