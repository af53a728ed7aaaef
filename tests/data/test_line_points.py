import pytest
import torch

from littlenets.data import Line


def test_the_article_line():
    data = Line()
    data.setup()
    x, y = data.splits["train"]
    assert torch.equal(x, torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]]))
    assert torch.equal(y, torch.tensor([[2.0], [4.0], [6.0], [8.0], [10.0]]))
    assert (x.dtype, y.dtype) == (torch.float32, torch.float32)
    assert [tensor.tolist() for tensor in data.splits["test"]] == [[[20.0]], [[40.0]]]
    assert data.classes is None


def test_another_line():
    data = Line(n_points=7, slope=-0.5, intercept=3.0, test_x=[-2.0, 0.0])
    data.setup()
    x, y = data.splits["train"]
    assert x[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert y[:, 0].tolist() == [2.5, 2.0, 1.5, 1.0, 0.5, 0.0, -0.5]
    assert data.splits["test"].y[:, 0].tolist() == [4.0, 3.0]


def test_noise_is_gaussian_and_on_the_training_points_alone():
    n = 20_000
    data, other = Line(n_points=n, noise=0.7, seed=1), Line(n_points=n, noise=0.7, seed=2)
    data.setup()
    other.setup()
    x, y = data.splits["train"]
    off = (y - 2 * x).double() / 0.7
    # y reaches 40,000, where float32 has steps of 0.004.
    assert abs(off.mean()) < 4 / n**0.5
    assert off.std().item() == pytest.approx(1, abs=4 / (2 * n) ** 0.5)
    assert not torch.equal(y, other.splits["train"].y)
    assert data.splits["test"].y.item() == 40
