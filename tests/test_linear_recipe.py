"""y = 2x: gradient descent on a quadratic loss, which has a closed form.

With A = [x 1] and theta = (weight, bias), the loss |A theta - y|^2 / N has the Hessian H = 2 A'A / N, and after k steps
theta_k = theta* + (I - lr H)^k (theta_0 - theta*) with theta* = (2, 0).
"""

from pathlib import Path

import composing
import numpy as np
import pytest
import torch

X = np.arange(1.0, 6.0)
A = np.stack([X, np.ones(5)], axis=1)
HESSIAN = 2 / 5 * A.T @ A
BEST = np.array([2.0, 0.0])
LR = 0.01
# Each of the two eigenvectors' share of the distance shrinks by this factor a step.
FACTORS, DIRECTIONS = np.linalg.eigh(np.eye(2) - LR * HESSIAN)
SLOWEST = np.abs(FACTORS).max()


def closed_form(seed: int, epochs: np.ndarray) -> np.ndarray:
    """Weight and bias after each number of epochs, float64 (len(epochs), 2)."""
    torch.manual_seed(seed)
    start = torch.nn.Linear(1, 1)
    distance = np.array([start.weight.item(), start.bias.item()]) - BEST
    shares = DIRECTIONS.T @ distance
    return BEST + (FACTORS ** epochs[:, None] * shares) @ DIRECTIONS.T


def loss(theta: np.ndarray) -> np.ndarray:
    return ((theta @ A.T - 2 * X) ** 2).mean(axis=1)


# float32 rounds a weight near 2 by up to 1.2e-7 a step, and a step takes SLOWEST off what earlier steps left over.
ROUNDING = 1.2e-7 / (1 - SLOWEST)


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> composing.RunFolder:
    """The recipe as it stands, for 300 epochs: the article tells the loss after 100, 200 and 300."""
    return composing.launch(tmp_path_factory.mktemp("linear") / "run", "model=linear", "trainer.max_epochs=300")


def test_the_recipe_is_the_articles():
    config = composing.compose_config("model=linear")
    assert (config.optimizer._target_, config.optimizer.lr) == ("torch.optim.SGD", LR)
    assert (config.optimizer.momentum, config.optimizer.weight_decay) == (0, 0)
    assert (config.trainer.max_epochs, config.data.batch_size, config.data.n_points) == (200, None, 5)


def test_weight_and_bias_follow_the_closed_form(article: composing.RunFolder):
    epochs = np.arange(1, 301)
    assert [row["epoch"] for row in article.rows] == [str(epoch) for epoch in epochs]
    theta = closed_form(0, epochs)
    np.testing.assert_allclose(article.column("weight"), theta[:, 0], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(article.column("bias"), theta[:, 1], rtol=0, atol=ROUNDING)


def test_losses_follow_the_closed_form(article: composing.RunFolder):
    """The loss of an epoch is the one before its step."""
    expected = loss(closed_form(0, np.arange(300)))
    assert expected[299] < expected[0] / 10
    np.testing.assert_allclose(article.column("train/loss"), expected, rtol=1e-3)


def test_the_loss_shrinks_as_the_slowest_eigenvalue_says(article: composing.RunFolder):
    losses = article.column("train/loss")
    for epoch in (100, 200):
        assert losses[epoch + 99] / losses[epoch - 1] == pytest.approx(SLOWEST**200, rel=1e-3)


def test_the_articles_losses_shrink_as_the_slowest_eigenvalue_says():
    """Whatever its initial weights were: 0.0173, 0.0088 and 0.0045, each right to half a unit of the last digit."""
    half = 0.00005
    for before, after in ((0.0173, 0.0088), (0.0088, 0.0045)):
        assert (after - half) / (before + half) <= SLOWEST**200 <= (after + half) / (before - half)


def test_far_outside_it_finds_the_line(tmp_path: Path):
    """The article trains for 100,000 epochs; 8,000 leave nothing but rounding."""
    epochs = 8_000
    assert np.abs(closed_form(0, np.array([epochs])) - BEST).max() < 1e-10
    run = composing.launch(tmp_path / "run", "model=linear", f"trainer.max_epochs={epochs}", "data.test_x=[20.0]")
    weight, bias = (tensor.item() for tensor in run.weights())
    assert weight * 20 + bias == pytest.approx(40, abs=1e-4)
    assert run.results["metrics"]["test/mae"] == pytest.approx(abs(weight * 20 + bias - 40), abs=4e-6)


@pytest.mark.parametrize("lr", [0.001, 0.08])
def test_other_learning_rates_and_seeds(launch, lr: float):
    run = launch("model=linear", f"optimizer.lr={lr}", "seed=7", "trainer.max_epochs=60")
    torch.manual_seed(7)
    start = torch.nn.Linear(1, 1)
    theta = np.array([start.weight.item(), start.bias.item()])
    for _ in range(60):
        theta = theta - lr * HESSIAN @ (theta - BEST)
    np.testing.assert_allclose([tensor.item() for tensor in run.weights()], theta, rtol=0, atol=1e-5)
