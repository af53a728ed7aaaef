"""What a classifier says of pictures: bars, verdicts and counts against those by hand."""

import numpy as np
import pytest
import torch

from littlenets.figures import convolution, images

# Two pictures of class 0, and one each of 1 and 2; the second 0 and the 2 are taken for others.
LABELS = torch.tensor([0, 0, 1, 2])
PROBABILITIES = torch.tensor([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.0, 1.0, 0.0], [0.8, 0.0, 0.2]])
PICTURES = torch.arange(4, dtype=torch.uint8)[:, None, None, None] * 10 + torch.arange(9).view(1, 1, 3, 3)


def cells(figure) -> list[tuple[np.ndarray, str, list[float]]]:
    """Picture, verdict and heights of bars of each cell."""
    pairs = zip(figure.axes[::2], figure.axes[1::2], strict=True)
    return [
        (np.asarray(shown.images[0].get_array()), shown.get_title(), [bar.get_height() for bar in bars.patches])
        for shown, bars in pairs
    ]


def test_each_class_comes_first_once_and_the_bars_are_the_probabilities():
    shown = cells(images.predictions(PICTURES, LABELS, PROBABILITIES))
    order = [0, 2, 3, 1]
    for (picture, _, heights), index in zip(shown, order, strict=True):
        assert heights == pytest.approx(PROBABILITIES[index].tolist())
        np.testing.assert_allclose(picture, np.arange(9).reshape(3, 3) / 8)
    assert [verdict for _, verdict, _ in shown] == ["0 (90%)", "1 (100%)", "0, is 2 (80%)", "1, is 0 (60%)"]


def test_mistakes_are_the_wrong_ones_the_surest_first():
    figure = images.mistakes(PICTURES, LABELS, PROBABILITIES)
    assert [verdict for _, verdict, _ in cells(figure)] == ["0, is 2 (80%)", "1, is 0 (60%)"]
    assert "2 mistakes in 4 pictures" in " ".join(text.get_text() for text in figure.texts)


def test_without_a_mistake_there_is_no_picture_of_them():
    assert images.mistakes(PICTURES[:1], LABELS[:1], PROBABILITIES[:1]) is None


def test_no_more_than_ten_of_many_are_shown():
    labels = torch.arange(40) % 10
    figure = images.predictions(torch.rand(40, 1, 3, 3), labels, torch.eye(10)[labels])
    assert [verdict for _, verdict, _ in cells(figure)] == [f"{k} (100%)" for k in range(10)]


def test_confusion_is_counted():
    figure = images.confusion(LABELS, PROBABILITIES.argmax(dim=1), 3)
    (ax,) = figure.axes
    counts = {tuple(map(int, reversed(text.get_position()))): text.get_text() for text in ax.texts}
    # By true class and answer; what never happened has no number.
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 0): "1"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "true class")
    assert ax.get_title(loc="left") == "2 of 4 right (50.00%)"


def test_classes_with_names_are_called_by_them():
    names = ["cat", "dog", "a horse of the pampas"]
    figure = images.mistakes(PICTURES, LABELS, PROBABILITIES, names)
    assert [verdict for _, verdict, _ in cells(figure)] == ["cat (80%)\nis a horse of the …", "dog (60%)\nis cat"]
    (ax,) = images.confusion(LABELS, PROBABILITIES.argmax(dim=1), 3, names).axes
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [text.get_text() for text in labels] == ["cat", "dog", "a horse of the …"]
    *_, bars = convolution.feature_maps(torch.rand(1, 8, 8), [], torch.tensor([0.2, 0.8]), ["$a$", "b"]).axes
    assert [text.get_text() for text in bars.get_xticklabels()] == ["a", "b"]


def test_kernels_are_the_weights():
    weight = torch.randn(5, 1, 2, 3)
    figure = convolution.kernels(weight)
    picture = figure.axes[0].images[0].get_array().filled(np.nan)
    blocks = [picture[:, left : left + 18] for left in range(0, 5 * 20, 20)]
    for block, kernel in zip(blocks, weight[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(block[3::6, 3::6], kernel, rtol=1e-6)
    assert "5 kernels" in figure.texts[-1].get_text()
    convolution.kernels(torch.randn(40, 3, 5, 5)).canvas.draw()


def test_feature_maps_are_the_outputs_step_by_step():
    maps, row = torch.rand(3, 4, 4), torch.rand(6)
    figure = convolution.feature_maps(
        torch.rand(1, 8, 8), [("Conv2d", maps), ("Linear", row)], torch.tensor([0.25, 0.75])
    )
    first, second, third, bars = figure.axes
    assert first.images[0].get_array().shape == (8, 8)
    tiles = second.images[0].get_array().filled(np.nan)
    for index in range(3):
        np.testing.assert_allclose(tiles[:, 5 * index : 5 * index + 4], maps[index], rtol=1e-6)
    np.testing.assert_allclose(third.images[0].get_array().filled(np.nan)[0], row, rtol=1e-6)
    assert [bar.get_height() for bar in bars.patches] == [0.25, 0.75]
    texts = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    for part in ("input 8 × 8", "Conv2d 3 maps of 4 × 4", "Linear 6 numbers", "2 classes"):
        assert part in texts
