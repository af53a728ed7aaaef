"""Points and regions of a plane: pictures read back at places whose class is known."""

import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from littlenets.figures import plane
from littlenets.figures.animation import gif
from littlenets.figures.neurons import neurons
from littlenets.figures.style import BLUE, ORANGE, mosaic

EXTENT = (-2.0, 2.0, -1.0, 3.0)
POINTS = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
LABELS = torch.tensor([0, 1, 1])


def halves(side: int = 40, confidence: float = 0.9) -> torch.Tensor:
    """Class 1 right of x = 0 and class 0 left of it, (side, side, 2)."""
    right = (plane.grid(EXTENT, side)[..., 0] > 0).float()
    first = confidence * (1 - right) + (1 - confidence) * right
    return torch.stack([first, 1 - first], dim=2)


def at(ax, x: float, y: float) -> np.ndarray:
    """What the picture in the axes has at a place."""
    (image,) = ax.images
    left, right, bottom, top = image.get_extent()
    picture = np.asarray(image.get_array())
    rows, columns = picture.shape[:2]
    row, column = int((y - bottom) / (top - bottom) * rows), int((x - left) / (right - left) * columns)
    return picture[row if image.origin == "lower" else rows - 1 - row, column]


def test_the_grid_is_of_the_middles_of_pixels():
    places = plane.grid(EXTENT, 4)
    assert places.shape == (4, 4, 2)
    assert places[0, 0].tolist() == [-1.5, -0.5]
    assert places[0, 3].tolist() == [1.5, -0.5]
    assert places[3, 0].tolist() == [-1.5, 2.5]


def test_the_extent_is_a_square_around_all_points():
    left, right, bottom, top = plane.extent_around(POINTS, margin=0.0)
    assert (left, right, bottom, top) == (-1, 1, 0, 2)
    assert plane.widened((-1, 1, 0, 2), 3) == (-3, 3, -2, 4)


def test_points_are_where_they_were_in_their_classes_colours():
    figure = plane.points(POINTS, LABELS, 2, EXTENT, "three")
    (ax,) = figure.axes
    first, second = ax.lines
    assert first.get_xydata().tolist() == [[-1, 0]]
    assert second.get_xydata().tolist() == [[1, 0], [1, 2]]
    assert first.get_marker() != second.get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class 0", "class 1"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("x", "y", "three")


def test_regions_have_the_colour_of_the_likelier_class():
    figure = plane.regions(halves(), EXTENT, POINTS, LABELS, "halves")
    ax, scale = figure.axes
    # Blue is the colour that has more blue than red, orange the other.
    for y in (-0.9, 0.5, 2.9):
        red, _, blue = at(ax, -1.9, y)
        assert blue > red
        red, _, blue = at(ax, 1.9, y)
        assert red > blue
    assert ax.lines[0].get_xydata().tolist() == [[-1, 0]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    assert "%" in scale.get_ylabel()


def test_regions_are_the_paler_the_less_sure():
    white = [np.sum(3 - plane.region_colours(halves(2, confidence)), axis=2)[0, 0] for confidence in (0.5, 0.6, 0.8, 1)]
    assert white == sorted(white)
    assert white[0] < white[1] < white[2] < white[3]


def test_a_tie_and_certainty_are_the_ends_of_the_scale():
    sure = plane.region_colours(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))[0]
    for shown, colour in zip(sure, (BLUE, ORANGE), strict=True):
        # On the straight way from white to the class's colour.
        amount = (1 - shown) / (1 - np.array(to_rgb(colour)))
        np.testing.assert_allclose(amount[np.isfinite(amount)], amount[0], atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 8, 12])
def test_any_number_of_classes_is_told_apart(classes: int):
    colours = plane.region_colours(torch.eye(classes)[None])[0]
    assert len({tuple(colour.round(3)) for colour in colours}) == classes
    figure = plane.regions(torch.rand(10, 10, classes).softmax(2), EXTENT, POINTS, LABELS, "many")
    figure.canvas.draw()


def test_far_away_has_a_frame_where_the_data_lie():
    figure = plane.regions(halves(), plane.widened(EXTENT, 5), POINTS, LABELS, "far", data_extent=EXTENT)
    (frame,) = figure.axes[0].patches
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (-2, -1, 4, 4)


@pytest.mark.parametrize("count", [1, 4, 12])
def test_moments_are_side_by_side_in_order(count: int):
    epochs = [0, *(10**power for power in range(count - 1))]
    shares = torch.linspace(0.5, 1, count)
    pictures = [halves(8, share.item()) for share in shares]
    figure = plane.moments(epochs, pictures, EXTENT, POINTS, LABELS)
    assert len(figure.axes) == count
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "before training"
    assert [int(title.split()[1].replace(",", "")) for title in titles[1:]] == epochs[1:]
    for ax, picture in zip(figure.axes, pictures, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), plane.region_colours(picture))


def test_a_neurons_tile_is_its_response_over_its_largest():
    responses = torch.zeros(3, 2, 4)
    responses[0, 0, 3] = 4.0  # lowest row, right
    responses[0, 1, 0] = -2.0
    responses[1] = -8.0
    figure = neurons(responses, EXTENT, "Hidden layer 1")
    picture = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    first, second, third = picture[:, 0:4], picture[:, 6:10], picture[:, 12:16]
    np.testing.assert_array_equal(first, [[-0.5, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(second, np.full((2, 4), -1))
    np.testing.assert_array_equal(third, np.zeros((2, 4)))
    texts = " ".join(text.get_text() for text in figure.texts)
    for part in ("Hidden layer 1", "3 neurons", "1 to nothing", "x -2 to 2", "y -1 to 3"):
        assert part in texts


def test_tiles_are_set_row_by_row():
    picture = mosaic(np.arange(1.0, 4.0)[:, None, None] * np.ones((3, 2, 2)), columns=2, gap=1)
    nan = np.nan
    np.testing.assert_array_equal(
        picture,
        [[1, 1, nan, 2, 2], [1, 1, nan, 2, 2], [nan] * 5, [3, 3, nan, nan, nan], [3, 3, nan, nan, nan]],
    )


def test_an_animation_has_all_frames_and_its_last_stays():
    frames = []
    for red in (0, 120, 255):
        file = io.BytesIO()
        Image.new("RGB", (8, 6), (red, 10, 20)).save(file, "PNG")
        frames.append(file.getvalue())
    with Image.open(io.BytesIO(gif(frames))) as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (3, (8, 6), 0)
        durations, reds = [], []
        for number in range(3):
            animation.seek(number)
            durations.append(animation.info["duration"])
            reds.append(animation.convert("RGB").getpixel((3, 3))[0])
    assert durations[0] == durations[1] < durations[2]
    assert reds == pytest.approx([0, 120, 255], abs=2)
