"""Each network against a torch.nn.Sequential written from the table of the recipes."""

from collections.abc import Callable

import plain_pytorch
import pytest
import torch
from torch import Tensor, nn

from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def test_linear_has_one_weight_and_one_bias():
    network = LinearRegression()
    assert [tuple(p.shape) for p in network.parameters()] == [(1, 1), (1,)]
    with torch.no_grad():
        network.linear.weight.fill_(-3.0)
        network.linear.bias.fill_(0.5)
    assert torch.equal(network(torch.tensor([[0.0], [2.0]])), torch.tensor([[0.5], [-5.5]]))
    assert {name: value.item() for name, value in network.watched().items()} == {"weight": -3.0, "bias": 0.5}


@pytest.mark.parametrize(
    ("network", "shapes", "count"),
    [
        (SpiralNet, [(64, 2), (64,), (64, 64), (64,), (1, 64), (1,)], 2 * 64 + 64 + 64 * 64 + 64 + 64 + 1),
        (MultiSpiralNet, [(64, 2), (64,), (64, 64), (64,), (3, 64), (3,)], 2 * 64 + 64 + 64 * 64 + 64 + 3 * 64 + 3),
        (
            CNN,
            [(32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 3136), (128,), (10, 128), (10,)],
            320 + 18_496 + (3136 * 128 + 128) + (1280 + 10),
        ),
    ],
)
def test_parameters_are_those_of_the_article(network: type[nn.Module], shapes: list[tuple[int, ...]], count: int):
    parameters = list(network().parameters())
    assert [tuple(p.shape) for p in parameters] == shapes
    assert sum(p.numel() for p in parameters) == count


def output_and_gradients(network: nn.Module, x: Tensor) -> list[Tensor]:
    """The gradients are those of a sum in which every output has a factor of its own."""
    output = network(x)
    factors = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output).to(x.dtype)
    return [output.detach(), *torch.autograd.grad((output * factors).sum(), list(network.parameters()))]


def assert_same_function(network: nn.Module, plain: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        for own, other in zip(network.parameters(), plain.parameters(), strict=True):
            assert own.shape == other.shape
            other.copy_(own)
        torch.testing.assert_close(network(x), plain(x), rtol=1e-5, atol=1e-6)
    # Gradients are sums in which much cancels: a wrong one and rounding are told apart in float64.
    results = output_and_gradients(network.double(), x.double())
    for ours, theirs in zip(results, output_and_gradients(plain.double(), x.double()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(64, 64), (7,), (5, 3, 4), ()])
def test_spiral_is_the_sequential_of_the_table(activation: str, hidden: tuple[int, ...]):
    torch.manual_seed(1)
    plain = plain_pytorch.spiral(hidden, ACTIVATIONS[activation])
    assert_same_function(SpiralNet(hidden, activation), plain, 8 * torch.randn(50, 2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("classes", "hidden"), [(3, (64, 64)), (5, (6, 9)), (2, ())])
def test_multispiral_is_the_sequential_of_the_table(activation: str, classes: int, hidden: tuple[int, ...]):
    torch.manual_seed(2)
    plain = plain_pytorch.multispiral(hidden, ACTIVATIONS[activation], classes)
    assert_same_function(MultiSpiralNet(classes, hidden, activation), plain, 8 * torch.randn(50, 2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("classes", "channels", "hidden"),
    [(10, (32, 64), (128,)), (4, (3,), (6, 5)), (10, (2, 3, 5), ()), (7, (4, 2, 3, 6), (8,))],
)
def test_cnn_activates_before_it_pools_as_in_the_table(
    activation: str, classes: int, channels: tuple[int, ...], hidden: tuple[int, ...]
):
    torch.manual_seed(3)
    plain = plain_pytorch.cnn(channels, hidden, ACTIVATIONS[activation], classes)
    assert_same_function(CNN(classes, channels, hidden, activation), plain, torch.randn(6, 1, 28, 28))


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (LinearRegression, plain_pytorch.linear),
        (SpiralNet, plain_pytorch.spiral),
        (MultiSpiralNet, plain_pytorch.multispiral),
        (CNN, plain_pytorch.cnn),
    ],
)
def test_initial_weights_are_pytorchs_own(ours: Callable[[], nn.Module], plain: Callable[[], nn.Module]):
    torch.manual_seed(4)
    network = ours()
    torch.manual_seed(4)
    for own, other in zip(network.parameters(), plain().parameters(), strict=True):
        assert torch.equal(own, other)
