"""The figures of a number predicted from a number."""

import numpy as np
import pytest
import torch

from littlenets.figures import line

X, Y = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]


def named(figure) -> dict[str, np.ndarray]:
    """What each labelled line of the first axes shows, (2, n)."""
    shown = figure.axes[0].lines
    return {mark.get_label(): np.array(mark.get_data()) for mark in shown if not mark.get_label().startswith("_")}


def levels(figure) -> list[float]:
    """Where lines right across the picture are."""
    return [mark.get_ydata()[0] for mark in figure.axes[0].lines if list(mark.get_xdata()) == [0, 1]]


def test_weight_and_bias_are_shown_with_what_they_approach():
    figure = line.parameters([0, 1, 2], [0.1, 1.5, 1.9], torch.tensor([0.4, 0.3, 0.1]), *line.least_squares(X, Y))
    shown = named(figure)
    np.testing.assert_array_equal(shown["weight"], [[0, 1, 2], [0.1, 1.5, 1.9]])
    np.testing.assert_allclose(shown["bias"], [[0, 1, 2], [0.4, 0.3, 0.1]], rtol=1e-6)
    assert levels(figure) == pytest.approx([2, 0], abs=1e-12)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text.split()[-1] for text in texts] == ["2", "0"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("epoch", "value")


def test_least_squares_is_numpys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=20), rng.normal(size=20)
    assert line.least_squares(x, y) == pytest.approx(np.polyfit(x, y, 1))


def test_one_point_has_a_line_through_it():
    weight, bias = line.least_squares([3.0], [5.0])
    assert weight * 3 + bias == 5


def test_the_fit_shows_points_function_and_prediction():
    along = torch.linspace(1, 20, 50)
    figure = line.fit(X, Y, along, 1.9 * along, [20.0], [40.0], [38.0])
    shown = named(figure)
    np.testing.assert_array_equal(shown["trained on"], [X, Y])
    np.testing.assert_allclose(shown["network"], np.stack([along, 1.9 * along]), rtol=1e-6)
    np.testing.assert_array_equal(shown["truth"], [[20], [40]])
    np.testing.assert_array_equal(shown["prediction"], [[20], [38]])
    (text,) = figure.axes[0].texts
    assert text.get_text() == "f(20) = 38, truth 40"


def test_the_surface_is_the_mean_squared_error():
    """The valley that is drawn has its floor where NumPy's polynomial has, and the path is the one given."""
    weights, biases = [0.0, 1.0, 1.8], [0.5, 0.9, 0.6]
    figure = line.surface(X, Y, weights, biases)
    shown = named(figure)
    np.testing.assert_array_equal(shown["path of training"], [weights, biases])
    np.testing.assert_array_equal(shown["start"], [[0.0], [0.5]])
    np.testing.assert_array_equal(shown["end"], [[1.8], [0.6]])
    np.testing.assert_allclose(shown["least loss"][:, 0], np.polyfit(X, Y, 1), atol=1e-9)
    ax, bar = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight", "bias")
    assert "mean squared error" in bar.get_ylabel()
    filled, contours = ax.collections[:2]
    assert filled.levels == pytest.approx(contours.levels)
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for weight, bias in path.vertices:
            error = np.mean((weight * np.array(X) + bias - np.array(Y)) ** 2)
            # A contour is a chain of straight pieces between the places where the error is known.
            assert error == pytest.approx(level, rel=0.3, abs=0.02)


def test_a_path_that_ran_away_is_drawn_as_far_as_it_is_finite():
    figure = line.surface(X, Y, [0.0, 1e3, float("inf")], [0.0, 1.0, float("nan")])
    np.testing.assert_array_equal(named(figure)["path of training"], [[0.0, 1e3], [0.0, 1.0]])
    figure.canvas.draw()
