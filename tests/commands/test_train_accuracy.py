"""The article's results, from the whole recipes: pytest -m slow (minutes).

Judged by the saved weights in networks that are written out here, not by what the run says of itself.
"""

import math
import shutil

import numpy as np
import pytest
import torch
from torch import Tensor

from littlenets.data import Spirals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def with_mnist(mnist_files, tmp_path_factory):
    """A folder to run in that has MNIST's .gz files where train.py looks for them."""
    cwd = tmp_path_factory.mktemp("mnist")
    raw = cwd / "data" / "MNIST" / "raw"
    shutil.copytree(mnist_files, raw, ignore=lambda folder, names: [n for n in names if not n.endswith("-ubyte.gz")])
    return cwd


def fresh_arms(arms: int, count: int = 10_000) -> tuple[Tensor, Tensor]:
    """Points (N, 2) and labels (N,) by the article's formula, from NumPy's random numbers."""
    rng = np.random.default_rng(20)
    label = rng.integers(0, arms, count)
    theta = 2 * np.pi * np.sqrt(rng.random(count))
    radius, angle = 2 * theta + np.pi, theta + 2 * np.pi * label / arms
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + rng.normal(0, 0.2, (count, 2))
    return torch.tensor(points, dtype=torch.float32), torch.tensor(label)


def share(hits: Tensor) -> float:
    return hits.double().mean().item()


def test_linear_finds_the_line(train, tmp_path):
    done = train(tmp_path, "trainer.max_epochs=100000")
    assert done.code == 0
    weight, bias = (value.double().item() for value in done.run.weights().values())
    assert math.isclose(20 * weight + bias, 40, abs_tol=1e-4)
    assert len(done.run.history) == 100_000


def test_spiral_separates_all_points(train, tmp_path, by_hand):
    done = train(tmp_path, "model=spiral")
    assert done.code == 0
    assert done.run.results["epochs"] == 10_000
    network = by_hand("spiral", done.run.weights())
    data = Spirals(arms=2, seed=0)
    data.setup()
    x, y = data.splits["train"]
    assert len(x) == 2000
    assert share((network(x)[:, 0] > 0.5) == (y == 1)) == 1
    points, labels = fresh_arms(2)
    assert share((network(points)[:, 0] > 0.5) == (labels == 1)) > 0.99


def test_multispiral_separates_the_arms(train, tmp_path, by_hand):
    done = train(tmp_path, "model=multispiral")
    assert done.code == 0
    assert done.run.results["epochs"] == 2000
    network = by_hand("multispiral", done.run.weights())
    data = Spirals(arms=3, seed=0)
    data.setup()
    x, y = data.splits["train"]
    assert len(x) == 3000
    assert share(network(x).argmax(dim=1) == y) >= 0.999
    points, labels = fresh_arms(3)
    assert share(network(points).argmax(dim=1) == labels) > 0.99


def test_cnn_reads_digits(train, with_mnist, by_hand, mnist_test):
    done = train(with_mnist, "model=cnn")
    assert done.code == 0
    assert "Downloading" not in done.out
    assert (done.run.results["data"], done.run.results["epochs"]) == ("mnist", 3)
    images, labels = mnist_test
    accuracy = share(by_hand("cnn", done.run.weights())(images).argmax(dim=1) == labels)
    assert accuracy >= 0.985
    assert done.run.results["metrics"]["test/acc"] == pytest.approx(accuracy, abs=3e-4)


def test_cnn_reads_digits_whatever_the_seed(train, with_mnist, by_hand, mnist_test):
    done = train(with_mnist, "-m", "model=cnn", "seed=1,2,3")
    assert done.code == 0
    images, labels = mnist_test
    for job in done.jobs:
        assert job.results["data"] == "mnist"
        assert share(by_hand("cnn", job.weights())(images).argmax(dim=1) == labels) >= 0.98
    assert [job.results["seed"] for job in done.jobs] == [1, 2, 3]
