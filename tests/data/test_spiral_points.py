"""Spirals against their formula: theta = 2 pi sqrt(u), u uniform; radius 2 theta + pi; noise on each coordinate."""

import math

import numpy as np
import pytest
import torch

from littlenets.data import ColourLines, Spirals


def draw(split: str = "train", **settings) -> tuple[np.ndarray, np.ndarray]:
    data = Spirals(**settings)
    data.setup()
    x, y = data.splits[split]
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    return x.double().numpy(), y.numpy()


def kolmogorov_smirnov(u: np.ndarray) -> float:
    """sqrt(n) times the largest distance between the empirical distribution and the uniform one on [0, 1)."""
    u, n = np.sort(u), len(u)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max(np.abs(u - steps[1:]).max(), np.abs(u - steps[:-1]).max())


def test_the_two_arms_are_those_of_the_article():
    points, arm = draw(arms=2, noise=0.0)
    assert np.bincount(arm).tolist() == [1000, 1000]
    theta = (np.hypot(*points.T) - math.pi) / 2
    for label, radius in ((0, 2 * theta + math.pi), (1, -2 * theta - math.pi)):
        expected = radius[:, None] * np.stack([np.cos(theta), np.sin(theta)], axis=1)
        np.testing.assert_allclose(points[arm == label], expected[arm == label], atol=1e-4)


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_each_arm_is_the_first_turned(arms: int):
    points, arm = draw(arms=arms, n_points=200, noise=0.0)
    assert np.bincount(arm).tolist() == [200] * arms
    radius = np.hypot(*points.T)
    turned = np.arctan2(points[:, 1], points[:, 0]) - (radius - math.pi) / 2 - 2 * math.pi * arm / arms
    # Angles are equal where they differ by whole turns.
    np.testing.assert_allclose(np.angle(np.exp(1j * turned)), 0, atol=1e-5)


@pytest.mark.parametrize("split", ["train", "test"])
def test_points_are_uniform_in_the_square_of_theta(split: str):
    """Which makes them about equally dense along an arm. One seed in a thousand has a statistic above 1.95."""
    statistics = []
    for seed in range(3):
        points, arm = draw(split, arms=3, noise=0.0, seed=seed)
        theta = (np.hypot(*points.T) - math.pi) / 2
        u = (theta / (2 * math.pi)) ** 2
        assert u.min() > -1e-6
        assert u.max() < 1 + 1e-6
        statistics += [kolmogorov_smirnov(u[arm == label]) for label in range(3)]
    assert max(statistics) < 1.95
    # And the test can tell: theta itself is not uniform.
    assert kolmogorov_smirnov(np.sqrt(u)) > 5


@pytest.mark.parametrize("noise", [0.2, 1.5])
def test_the_noise_is_gaussian_of_the_given_deviation(noise: float):
    """The same seed without noise gives the same points of the arm."""
    settings = {"arms": 2, "n_points": 5000, "seed": 1}
    off = (draw(noise=noise, **settings)[0] - draw(noise=0.0, **settings)[0]) / noise
    n = off.size
    assert abs(off.mean()) < 4 / math.sqrt(n)
    assert abs(off.std() - 1) < 4 / math.sqrt(2 * n)
    # The fourth moment of a Gaussian is 3, its estimate's variance 96 / n.
    assert abs((off**4).mean() - 3) < 4 * math.sqrt(96 / n)
    assert abs((off[:, 0] * off[:, 1]).mean()) < 4 / math.sqrt(n / 2)


def test_seed_and_purpose_decide_what_is_drawn():
    first, again = draw(seed=5)[0], draw(seed=5)[0]
    assert np.array_equal(first, again)
    for other in (draw(seed=6)[0], draw("test", seed=5)[0]):
        assert not np.isin(first, other).any()


def test_test_points_are_of_the_same_kind():
    points, arm = draw("test", arms=3, n_points=100, noise=0.0)
    assert np.bincount(arm).tolist() == [100] * 3
    radius = np.hypot(*points.T)
    turned = np.arctan2(points[:, 1], points[:, 0]) - (radius - math.pi) / 2 - 2 * math.pi * arm / 3
    np.testing.assert_allclose(np.angle(np.exp(1j * turned)), 0, atol=1e-5)


@pytest.mark.parametrize("arms", [2, 3, 4])
def test_colour_lines_are_straight_and_never_trained_on(arms: int):
    data = ColourLines(arms=arms, n_points=500, noise=0.0)
    data.setup()
    assert set(data.splits) == {"test"}
    points, line = (tensor.numpy() for tensor in data.splits["test"])
    assert data.classes == arms
    assert np.bincount(line).tolist() == [500] * arms
    for label in range(arms):
        centred = points[line == label] - points[line == label].mean(axis=0)
        across, along = sorted(np.linalg.svd(centred, compute_uv=False))
        assert across < 1e-4
        # Uniform over 30: the deviation is 30 / sqrt(12).
        assert along / math.sqrt(500) == pytest.approx(30 / math.sqrt(12), rel=0.1)
    # Apart by 8, and symmetric about the origin.
    places = [points[line == label, 0].mean() for label in range(arms)]
    np.testing.assert_allclose(np.diff(places), 8, rtol=1e-5)
    assert sum(places) == pytest.approx(0, abs=1e-4)


def test_colour_lines_have_noise_on_both_coordinates():
    off = []
    for noise in (0.3, 0.0):
        data = ColourLines(n_points=3000, noise=noise, seed=2)
        data.setup()
        off.append(data.splits["test"].x.double())
    assert ((off[0] - off[1]).std(dim=0) / 0.3).tolist() == pytest.approx([1, 1], abs=4 / math.sqrt(2 * 9000))
