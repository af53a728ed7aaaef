"""Pictures of digits from elsewhere in MNIST's form, against MNIST's own images, whose makers brought them to it."""

import gzip
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from torch import Tensor, nn

from littlenets.data import FashionMNIST
from littlenets.data.images import ImageDataModule
from littlenets.errors import SettingError
from littlenets.inference.pictures import picture_files, read_picture

MNIST_FORM = ImageDataModule.picture_form


def idx(path: Path, header: int, shape: tuple[int, ...], count: int) -> np.ndarray:
    values = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)
    return values.reshape(-1, *shape)[:count]


@pytest.fixture(scope="module")
def digits(mnist_files: Path) -> np.ndarray:
    """1,000 images of MNIST's test set, uint8 (1000, 28, 28)."""
    return idx(mnist_files / "t10k-images-idx3-ubyte.gz", 16, (28, 28), 1000)


@pytest.fixture(scope="module")
def classify(mnist_files: Path) -> Callable[[np.ndarray], Tensor]:
    """A small network, trained by a plain loop on 10,000 of MNIST's training images: (N, 28, 28) to classes (N,)."""
    x = torch.tensor(idx(mnist_files / "train-images-idx3-ubyte.gz", 16, (28, 28), 10_000)).unsqueeze(1) / 255
    y = torch.tensor(idx(mnist_files / "train-labels-idx1-ubyte.gz", 8, (), 10_000)).long()
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(400, 10)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(4):
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
    network.requires_grad_(False)
    return lambda images: network(torch.tensor(np.asarray(images)).view(-1, 1, 28, 28) / 255).argmax(dim=1)


def brought_back(path: Path) -> np.ndarray:
    image, _ = read_picture(path, MNIST_FORM)
    assert (image.dtype, image.shape) == (torch.uint8, (1, 28, 28))
    return image[0].numpy()


def paint(digit: np.ndarray, seed: int, paper: tuple[int, ...], ink: tuple[int, ...]) -> Image.Image:
    """The digit at another size, somewhere on a canvas of one colour, in ink of another."""
    random = np.random.default_rng(seed)
    side = int(random.integers(20, 150))
    cover = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    width, height = (side + int(space) for space in random.integers(10, 150, size=2))
    at = tuple(int(random.integers(2, space - side - 1)) for space in (width, height))
    picture = Image.new("RGB", (width, height), paper)
    picture.paste(Image.new("RGB", (side, side), ink), at, cover)
    return picture


def test_an_image_of_mnist_comes_back_as_it_is(digits: np.ndarray, tmp_path: Path):
    """Its makers scaled the digit to 20 pixels and centred its mass: there is nothing to do, if we mean the same."""
    exact = 0
    for digit in digits[:150]:
        Image.fromarray(digit).save(tmp_path / "digit.png")
        image = brought_back(tmp_path / "digit.png").astype(int)
        # Where a side of the box is faint, it is taken to be a pixel smaller.
        rows, columns = digit.max(axis=1), digit.max(axis=0)
        sides = [line[line > 0][end] for line in (rows, columns) for end in (0, -1)]
        if min(sides) > 0.25 * 255:
            exact += 1
            assert np.abs(image - digit).max() <= 1  # the strongest of the others' is 254 in some
    assert exact > 50


PAPER_AND_INK = {
    "black on white": ((255, 255, 255), (0, 0, 0)),
    "white on black": ((0, 0, 0), (255, 255, 255)),
    "red on green": ((60, 150, 60), (230, 60, 60)),
    "pale on grey": ((130, 130, 130), (170, 175, 180)),
}


@pytest.mark.parametrize("colours", PAPER_AND_INK)
def test_pictures_of_digits_are_read_like_the_digits(
    digits: np.ndarray, classify: Callable[[np.ndarray], Tensor], tmp_path: Path, colours: str
):
    """At other sizes, elsewhere on the paper, in other colours."""
    back = []
    for number, digit in enumerate(digits[:100]):
        paint(digit, number, *PAPER_AND_INK[colours]).save(tmp_path / "digit.png")
        back.append(brought_back(tmp_path / "digit.png"))
    same = (classify(np.stack(back)) == classify(digits[:100])).float().mean()
    assert same >= 0.98


def test_photographs_are_read_like_the_digits(
    digits: np.ndarray, classify: Callable[[np.ndarray], Tensor], tmp_path: Path
):
    """Uneven light, noise, JPEG."""
    back = []
    for number, digit in enumerate(digits[:100]):
        random = np.random.default_rng(number)
        pixels = np.asarray(paint(digit, number, (200, 195, 180), (50, 50, 90))).astype(float)
        pixels *= np.linspace(1, random.uniform(0.6, 0.9), pixels.shape[1])[:, None]
        pixels += random.normal(0, 6, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "digit.jpg", quality=80)
        back.append(brought_back(tmp_path / "digit.jpg"))
    same = (classify(np.stack(back)) == classify(digits[:100])).float().mean()
    assert same >= 0.95


Colours = np.ndarray  # float (H, W, 3), 0..255
TABLE = (70, 50, 40)


def light_from_one_side(picture: Colours, random: np.random.Generator) -> Colours:
    down, across = np.meshgrid(*(np.linspace(0, 1, side) for side in picture.shape[:2]), indexing="ij")
    turn = random.uniform(0, 2 * np.pi)
    slope = across * np.cos(turn) + down * np.sin(turn)
    slope = (slope - slope.min()) / np.ptp(slope)
    return picture * (1 - random.uniform(0.2, 0.5) * slope[..., None])


def table_at_one_side(picture: Colours, random: np.random.Generator) -> Colours:
    """A little askew."""
    wide, turns = int(random.integers(6, 14)), int(random.integers(4))
    picture = np.rot90(picture, turns).copy()
    wedge = np.arange(picture.shape[1]) < np.linspace(wide, wide / 2, len(picture))[:, None]
    picture[wedge] = TABLE
    return np.rot90(picture, -turns)


def table_all_around(picture: Colours, random: np.random.Generator) -> Colours:
    wide = int(random.integers(4, 9))
    framed = np.full((picture.shape[0] + 2 * wide, picture.shape[1] + 2 * wide, 3), TABLE, dtype=float)
    framed[wide:-wide, wide:-wide] = picture
    return framed


def printed_box(picture: Colours, random: np.random.Generator) -> Colours:
    boxed = np.full((picture.shape[0] + 40, picture.shape[1] + 40, 3), picture[0, 0])
    boxed[17:-17, 17:-17] = (80, 90, 80)
    boxed[20:-20, 20:-20] = picture
    return boxed


def lines_above_and_below(picture: Colours, random: np.random.Generator) -> Colours:
    ruled = np.concatenate([picture[:1].repeat(12, axis=0), picture, picture[:1].repeat(12, axis=0)])
    ruled[[8, -8]] = (150, 165, 200)
    return ruled


def finger(picture: Colours, random: np.random.Generator) -> Colours:
    """In the lower left corner, which the digit is not in."""
    picture = np.pad(picture, ((0, 40), (0, 0), (0, 0)), mode="edge")
    down, across = np.meshgrid(*map(np.arange, picture.shape[:2]), indexing="ij")
    picture[np.hypot(down - len(picture), across) < 35] = (190, 130, 110)
    return picture


@pytest.mark.parametrize(
    "trouble",
    [light_from_one_side, table_at_one_side, table_all_around, printed_box, lines_above_and_below, finger],
)
def test_what_lies_around_the_digit_is_left_out(
    digits: np.ndarray, classify: Callable[[np.ndarray], Tensor], tmp_path: Path, trouble: Callable
):
    """On pencil drawings, so that nearly everything is darker than the digit."""
    back = []
    for number, digit in enumerate(digits[:100]):
        random = np.random.default_rng(number)
        drawn = np.pad(np.asarray(paint(digit, number, (205, 200, 190), (140, 140, 145))), ((15,), (15,), (0,)), "edge")
        pixels = trouble(drawn.astype(float), random)
        pixels += random.normal(0, 4, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "digit.png")
        back.append(brought_back(tmp_path / "digit.png"))
    upright = classify(digits[:100])
    found = classify(np.stack(back))
    assert (found == upright).float().mean() >= 0.95


@pytest.mark.parametrize("bold", [1, 9])
def test_a_digit_that_is_cut_out_at_its_very_edge_is_whole(
    digits: np.ndarray, classify: Callable[[np.ndarray], Tensor], tmp_path: Path, bold: int
):
    """All of it touches the border, and a bold one fills more of the picture than the paper does."""
    back, roomy = [], []
    for digit in digits[:100]:
        ink = (
            Image.fromarray(digit).resize((140, 140), Image.Resampling.BICUBIC).point(lambda value: 255 * (value > 100))
        )
        pixels = 255 - np.asarray(ink.filter(ImageFilter.MaxFilter(bold)))
        for images, picture in (
            (back, Image.fromarray(pixels).crop(ImageOps.invert(Image.fromarray(pixels)).getbbox())),
            (roomy, Image.fromarray(np.pad(pixels, 20, constant_values=255))),
        ):
            picture.save(tmp_path / "digit.png")
            images.append(brought_back(tmp_path / "digit.png"))
    assert np.abs(np.stack(back).astype(int) - np.stack(roomy)).max(axis=(1, 2)).mean() <= 2


@pytest.fixture(scope="module")
def seven() -> np.ndarray:
    """A 7 of one shade with smooth edges, as ink: uint8 (120, 90), 255 where it is."""
    picture = Image.new("L", (360, 480), 0)
    ImageDraw.Draw(picture).line([(80, 100), (280, 100), (150, 400)], fill=255, width=40, joint="curve")
    return np.asarray(picture.reduce(4))


def as_rgba(seven: np.ndarray, shade: int) -> Image.Image:
    picture = Image.new("RGBA", seven.shape[::-1], (shade, shade, shade, 0))
    picture.putalpha(Image.fromarray(seven))
    return picture


def with_round_corners(seven: np.ndarray) -> Image.Image:
    picture = Image.fromarray(255 - seven).convert("RGBA")
    cover = Image.new("L", picture.size, 0)
    ImageDraw.Draw(cover).rounded_rectangle([0, 0, picture.width - 1, picture.height - 1], 10, fill=255)
    picture.putalpha(cover)
    return picture


MODES: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "light.png": Image.fromarray,
    "grey.png": lambda ink: Image.fromarray((150 - 0.4 * ink).astype(np.uint8)),
    "colour.png": lambda ink: Image.fromarray(np.stack([255 - ink, np.full_like(ink, 200), ink], axis=2)),
    "16bit.png": lambda ink: Image.fromarray(65535 - ink.astype(np.uint16) * 257),
    "faint16bit.png": lambda ink: Image.fromarray(9000 + ink.astype(np.uint16) * 20),
    "float.tif": lambda ink: Image.fromarray(ink.astype(np.float32) * 1e-3 - 5),
    "int32.tif": lambda ink: Image.fromarray(ink.astype(np.int32) * 70_000),
    "black_on_nothing.png": lambda ink: as_rgba(ink, 0),
    "white_on_nothing.png": lambda ink: as_rgba(ink, 255),
    "round_corners.png": with_round_corners,
    "grey_alpha.png": lambda ink: as_rgba(ink, 0).convert("LA"),
    "palette.png": lambda ink: Image.fromarray(255 - ink).convert("P"),
    "palette.gif": lambda ink: Image.fromarray(255 - ink).convert("P"),
    "cmyk.jpg": lambda ink: Image.fromarray(255 - ink).convert("CMYK"),
    "grey.jpeg": lambda ink: Image.fromarray(255 - ink),
    "colour.webp": lambda ink: Image.fromarray(255 - ink).convert("RGB"),
    "grey.bmp": lambda ink: Image.fromarray(255 - ink),
    "grey.pgm": lambda ink: Image.fromarray(255 - ink),
    "huge.png": lambda ink: Image.fromarray(255 - ink).resize((3600, 4800), Image.Resampling.BICUBIC),
    "in_a_corner.png": lambda ink: Image.fromarray(np.pad(ink, ((1, 700), (900, 1)))),
}


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_picture_gives_the_same(seven: np.ndarray, tmp_path: Path, name: str):
    Image.fromarray(255 - seven).save(tmp_path / "black_on_white.png")
    expected = brought_back(tmp_path / "black_on_white.png").astype(int)
    MODES[name](seven).save(tmp_path / name)
    difference = np.abs(brought_back(tmp_path / name) - expected)
    # JPEG and WebP change every pixel a little, and so does scaling.
    exact = not name.endswith(("jpg", "jpeg", "webp")) and name != "huge.png"
    assert difference.max() <= (3 if exact else 40)


def test_black_and_white_alone_will_do(seven: np.ndarray, tmp_path: Path):
    Image.fromarray(seven < 128).save(tmp_path / "one_bit.png")
    Image.fromarray(np.where(seven < 128, 255, 0).astype(np.uint8)).save(tmp_path / "grey.png")
    with Image.open(tmp_path / "one_bit.png") as picture:
        assert picture.mode == "1"
    assert np.array_equal(brought_back(tmp_path / "one_bit.png"), brought_back(tmp_path / "grey.png"))


def test_a_photograph_that_says_how_it_was_held_is_turned(seven: np.ndarray, tmp_path: Path):
    upright = Image.fromarray(255 - seven)
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side of what was seen
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(brought_back(tmp_path / "turned.png"), brought_back(tmp_path / "upright.png"))


def rectangle(path: Path, width: int, height: int) -> Path:
    picture = Image.new("L", (300, 300), 255)
    picture.paste(0, (40, 90, 40 + width, 90 + height))
    picture.save(path)
    return path


def test_proportions_are_kept(tmp_path: Path):
    image = brought_back(rectangle(tmp_path / "one.png", 20, 200))
    rows, columns = np.nonzero(image)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 2)
    # MNIST's mean index, over all of its digits.
    assert 13.5 <= rows.mean() <= 14.5
    assert 13.5 <= columns.mean() <= 14.5
    assert (image[image > 0] == 255).all()


def test_what_is_a_pixel_wide_when_it_is_scaled_is_still_seen(tmp_path: Path):
    image = brought_back(rectangle(tmp_path / "hair.png", 1, 200))
    rows, columns = np.nonzero(image)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 1)
    assert image.max() == 255


def test_clothes_fill_the_image_as_their_makers_had_them(tmp_path: Path):
    """Fashion-MNIST: longer side 28, the middle of the box in the middle (Xiao et al. 2017, section 2)."""
    image = read_picture(rectangle(tmp_path / "shirt.png", 200, 100), FashionMNIST.picture_form)[0][0]
    assert (image[7:21] == 255).all()
    assert image.sum() == 14 * 28 * 255


def test_clothes_may_reach_the_edge(tmp_path: Path):
    """And fill more of the picture than what they lie on."""
    picture = Image.new("L", (300, 300), 255)
    picture.paste(0, (20, 60, 280, 300))
    picture.paste(255, (100, 120, 140, 200))
    picture.save(tmp_path / "shirt.png")
    image = read_picture(tmp_path / "shirt.png", FashionMNIST.picture_form)[0][0]
    # 28 by 26 of it, with a patch in it.
    assert (image[1:27, [0, -1]] == 255).all()
    assert image[11, 10] < 50


def test_the_pictures_of_a_folder_are_found_by_name(tmp_path: Path):
    for name in ("b.png", "a.JPG", "notes.txt", ".DS_Store", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "d.png").mkdir()
    assert [file.name for file in picture_files(tmp_path)] == ["a.JPG", "b.png", "c.tiff"]
    with pytest.raises(SettingError, match="holds no picture"):
        picture_files(tmp_path / "d.png")


def png(path: Path, width: int, height: int) -> Path:
    """A valid, white PNG of one bit a pixel, written without holding it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    row = b"\0" + b"\xff" * -(-width // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    end = chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + end)
    return path


@pytest.mark.parametrize("side", [20_000, 10_000])
def test_a_picture_too_large_is_refused_unread(tmp_path: Path, side: int):
    """Whether Pillow itself would refuse it (20,000), warn of it (10,000) or read it."""
    path = png(tmp_path / "large.png", side, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SettingError, match=r"large\.png is too large: at most 64,000,000 pixels"):
        brought_back(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB; decoded it takes 100 MB or more


def test_files_that_hold_no_picture_are_refused(tmp_path: Path, seven: np.ndarray):
    (tmp_path / "text.png").write_text("a seven")
    (tmp_path / "empty.png").touch()
    Image.fromarray(seven).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    Image.new("RGB", (50, 50), (10, 200, 30)).save(tmp_path / "blank.png")
    Image.new("RGBA", (50, 50), (10, 200, 30, 0)).save(tmp_path / "transparent.png")
    Image.new("L", (1, 1)).save(tmp_path / "pixel.png")
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "nan.tif")
    for name, said in {
        "text.png": "no picture that can be read.*PNG, JPEG",
        "empty.png": "is empty",
        "half.png": "is damaged",
        "blank.png": "shows nothing",
        "transparent.png": "shows nothing",
        "pixel.png": "shows nothing",
        "nan.tif": "shows nothing",
        "absent.png": "no such file",
    }.items():
        with pytest.raises(SettingError, match=f"{name}.*{said}"):
            brought_back(tmp_path / name)
