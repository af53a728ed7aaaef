"""Parts of the prediction job that need no trained network."""

import pytest
import torch

from littlenets.errors import SettingError
from littlenets.inference.inputs import Samples
from littlenets.modules import Regression, SupervisedModule
from littlenets.networks import LinearRegression
from littlenets.prediction import answers, check_module, with_doubts


class Silent(SupervisedModule):
    """A task of somebody's own that lacks a method."""

    def metrics(self) -> dict:
        return {}


def test_a_module_that_says_nothing_of_its_predictions_is_named():
    check_module(Regression(LinearRegression(), torch.optim.SGD))
    with pytest.raises(SettingError, match=r"Silent does not say .* predictions"):
        check_module(Silent(LinearRegression(), torch.optim.SGD))


def test_an_answer_that_is_no_number_is_a_mistake_of_its_row():
    module = Regression(LinearRegression(), torch.optim.SGD).eval()
    with torch.no_grad():
        module.network.linear.weight.fill_(1e10)
        module.network.linear.bias.fill_(3)
    samples = Samples(
        torch.tensor([[1.0], [0.0], [1e30], [2.0]]),
        ["row one", "row two", "row three", "row four"].__getitem__,
        {"name": ["a", "b", "c", "d"]},
        {"true": torch.tensor([[5.0], [6.0], [7.0], [8.0]])},
    )
    given = answers(module, [samples])
    assert list(next(given).records()) == [
        {"name": "a", "y": 1e10, "true": 5.0},
        {"name": "b", "y": 3.0, "true": 6.0},
    ]
    with pytest.raises(SettingError, match="row three: too large"):
        next(given)
    with pytest.raises(SettingError, match="row one: too large"):
        next(answers(module, [Samples(torch.tensor([[1e30]]), ["row one"].__getitem__, {}, {})]))


def test_a_picture_of_which_no_class_is_likely_is_remarked_upon():
    predictions = {"probabilities": torch.tensor([[0.9, 0.1, 0.0], [0.43, 0.37, 0.2]])}
    samples = Samples(torch.zeros(2, 1), str, {}, {}, [["printed lines"], ["wide"]])
    doubted = with_doubts(samples, predictions)
    assert doubted.remarks == [["printed lines"], ["wide", "unsure: the highest probability is 43%"]]
    numbers = samples._replace(remarks=None)
    assert with_doubts(numbers, predictions).remarks is None
