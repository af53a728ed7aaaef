"""Binary cross entropy on a CPU, and by the operations that a GPU gets, which a CPU can do as well."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from littlenets.modules.binary import cross_entropy


class ElsewhereTensor(Tensor):
    """Says that it is on another device."""

    is_cpu = False


@pytest.fixture(params=[torch.Tensor, ElsewhereTensor], ids=["cpu", "elsewhere"])
def probabilities(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return lambda *values: torch.tensor(values).unsqueeze(1).as_subclass(request.param).requires_grad_()


def test_value_and_gradient_are_those_of_torch(probabilities):
    target = torch.tensor([1.0, 0, 1, 0, 1, 0]).unsqueeze(1)
    ours, theirs = probabilities(0.9, 0.2, 0.0, 1.0, 1.0, 0.5), torch.tensor([0.9, 0.2, 0.0, 1.0, 1.0, 0.5])
    theirs = theirs.unsqueeze(1).requires_grad_()
    loss, expected = cross_entropy(ours, target), F.binary_cross_entropy(theirs, target)
    assert loss.item() == expected.item()
    loss.backward()
    expected.backward()
    assert torch.equal(torch.Tensor(ours.grad), theirs.grad)


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_diverged_network_has_no_loss(probabilities, lost: float):
    loss = cross_entropy(probabilities(0.9, lost), torch.ones(2, 1))
    assert loss.isnan().item()
    loss.backward()


def test_what_is_no_probability_is_an_error(probabilities):
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        cross_entropy(probabilities(0.9, 1.5), torch.ones(2, 1))
