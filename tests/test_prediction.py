"""Parts of the prediction job that need no trained network."""

import pytest
import torch

from littlenets.errors import SettingError
from littlenets.inference.samples import Samples
from littlenets.modules import Regression, SupervisedModule
from littlenets.networks import LinearRegression
from littlenets.prediction import answers, check_module


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
    x = torch.tensor([[1.0], [1e30]])
    with pytest.raises(SettingError, match="row two: too large"):
        next(answers(module, [Samples(x, ["row one", "row two"].__getitem__, {}, {})]))
