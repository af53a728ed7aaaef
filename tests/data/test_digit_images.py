"""scikit-learn's digits in MNIST's form, against scikit-learn and a bilinear enlargement written out."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from littlenets.data import Digits


@pytest.fixture(scope="module")
def original() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 in the form that they should have, as float64 before rounding, and their labels."""
    digits = load_digits()
    # Pixel i of the 20 lies at (i + 1/2) 8/20 - 1/2 among the 8, and beyond the last ones nothing changes.
    at = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
    spread = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))  # (20, 8)
    enlarged = spread @ digits.images @ spread.T * 255 / 16
    return np.pad(enlarged, ((0, 0), (4, 4), (4, 4))), digits.target


def load(seed: int = 0, **settings) -> Digits:
    data = Digits(seed=seed, **settings)
    data.setup()
    return data


def test_every_digit_is_in_one_of_the_two_halves(original: tuple[np.ndarray, np.ndarray]):
    images, labels = original
    data = load()
    assert (len(data.splits["train"].x), len(data.splits["test"].x)) == (1437, 360)
    ours = torch.cat([data.splits["train"].x, data.splits["test"].x])
    assert ours.dtype == torch.uint8
    assert ours.shape == (1797, 1, 28, 28)
    flat, theirs = ours.double().flatten(1).numpy(), images.reshape(1797, -1)
    distances = (flat**2).sum(1)[:, None] - 2 * flat @ theirs.T + (theirs**2).sum(1)
    nearest = distances.argmin(axis=1)
    # Each of the originals once, so none is in both halves.
    assert sorted(nearest) == list(range(1797))
    assert np.abs(flat - theirs[nearest]).max() < 0.5 + 1e-4
    assert np.array_equal(torch.cat([data.splits["train"].y, data.splits["test"].y]).numpy(), labels[nearest])


def test_each_class_has_the_same_share_of_both_halves(original: tuple[np.ndarray, np.ndarray]):
    counts = np.bincount(load().splits["test"].y.numpy(), minlength=10)
    assert np.abs(counts - np.bincount(original[1]) * 360 / 1797).max() < 1


def test_the_halves_are_the_same_for_all_seeds():
    one, other = load(seed=0), load(seed=1)
    for split in ("train", "test"):
        for a, b in zip(one.splits[split], other.splits[split], strict=True):
            assert torch.equal(a, b)


def test_a_validation_set_is_taken_from_the_training_half():
    whole, split = load(), load(validation=0.1)
    assert [len(split.splits[name].x) for name in ("train", "val", "test")] == [1437 - 144, 144, 360]
    assert torch.equal(whole.splits["test"].x, split.splits["test"].x)
    again = torch.cat([split.splits["train"].x, split.splits["val"].x]).flatten(1)
    # As sets, by sorting the images in an order of their own.
    keys = [tensor[np.lexsort(tensor.numpy().T)] for tensor in (again, whole.splits["train"].x.flatten(1))]
    assert torch.equal(*keys)
