"""Loss and accuracy over the epochs: what is drawn is what was given."""

import math

import numpy as np
import pytest

from littlenets.figures import curves

EPOCHS = [1, 2, 3, 4, 5]
NAN = math.nan


def lines(figure) -> dict[str, tuple[list[float], list[float]]]:
    """What each labelled line shows."""
    (ax,) = figure.axes
    shown = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    return {name: (list(line.get_xdata()), list(line.get_ydata())) for name, line in shown.items()}


def test_losses_are_those_given():
    figure = curves.loss(EPOCHS, [5.0, 4.0, 3.5, 3.0, 2.0], [NAN, 6.0, NAN, 5.5, NAN], 4.5)
    assert lines(figure) == {
        "training": (EPOCHS, [5.0, 4.0, 3.5, 3.0, 2.0]),
        "validation": ([2, 4], [6.0, 5.5]),
        "test, at the end": ([5], [4.5]),
    }


@pytest.mark.parametrize(("last", "scale"), [(0.51, "linear"), (0.49, "log"), (0.0, "linear")])
def test_the_scale_is_logarithmic_where_the_loss_spans_a_decade(last: float, scale: str):
    """From 5 down to ``last``, none of which may be 0."""
    (ax,) = curves.loss(EPOCHS, [5.0, 4.0, 3.0, 2.0, last]).axes
    assert ax.get_yscale() == scale
    assert ("logarithmic" in ax.get_ylabel()) == (scale == "log")
    assert "loss" in ax.get_ylabel()
    assert ax.get_xlabel() == "epoch"


@pytest.mark.parametrize("end", [math.inf, NAN])
def test_a_diverged_loss_ends_with_a_mark(end: float):
    figure = curves.loss(EPOCHS, [5.0, 50.0, 5000.0, end, end])
    assert lines(figure)["training"] == ([1, 2, 3], [5.0, 50.0, 5000.0])
    (ax,) = figure.axes
    assert "diverged in epoch 4" in " ".join(text.get_text() for text in ax.texts)
    figure.canvas.draw()


@pytest.mark.parametrize("draw", [curves.loss, curves.accuracy])
@pytest.mark.parametrize("train", [[0.5], [NAN], [0.5, 0.5]])
def test_very_short_runs_are_drawn(draw, train: list[float]):
    figure = draw(EPOCHS[: len(train)], train)
    figure.canvas.draw()
    assert len(lines(figure)["training"][1]) == sum(map(math.isfinite, train))


def test_accuracies_are_percent():
    figure = curves.accuracy(EPOCHS[:3], [0.5, 0.75, 1.0], [0.25, NAN, 0.5], 0.9)
    shown = lines(figure)
    assert shown["training"] == ([1, 2, 3], [50, 75, 100])
    assert shown["validation"] == ([1, 3], [25, 50])
    assert shown["test, at the end"] == ([3], [90])
    (ax,) = figure.axes
    assert "%" in ax.get_ylabel()
    low, high = ax.get_ylim()
    assert low < 25
    assert high > 100


def test_ten_thousand_epochs_are_all_there():
    epochs = np.arange(1, 10_001)
    assert len(lines(curves.loss(epochs, 1 / epochs))["training"][0]) == 10_000


@pytest.mark.parametrize("draw", [curves.loss, curves.accuracy])
@pytest.mark.parametrize("epochs", [[1], [1, 2], [1, 2, 3], [7], list(range(1, 30))])
def test_ticks_are_whole_epochs_each_of_them_once(draw, epochs: list[int]):
    figure = draw(epochs, [0.5] * len(epochs))
    figure.canvas.draw()
    (ax,) = figure.axes
    low, high = ax.get_xlim()
    shown = [(at, text.get_text()) for at, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)]
    shown = [(at, text) for at, text in shown if low <= at <= high]
    assert shown
    assert [text for _, text in shown] == [f"{at:g}" for at, _ in shown]
    assert all(at in epochs or at == 0 for at, _ in shown)
