"""Accelerated layers against the same layers as PyTorch computes them."""

import copy
from collections.abc import Callable
from contextlib import suppress

import plain_pytorch
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, prune

from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet
from littlenets.speed import layers
from littlenets.speed.batch_sharing import treats_samples_alone
from littlenets.speed.layers import accelerated


class WithViews(nn.Module):
    """As many tutorials write it: `view` needs the usual memory layout."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU())
        self.out = nn.Linear(4 * 11 * 11, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.out(x.view(len(x), -1))


class View(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1)


def images() -> Tensor:
    return torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def points(features: int = 2) -> Tensor:
    return torch.randn(7, features, generator=torch.Generator().manual_seed(1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "linear": (LinearRegression, lambda: points(1)),
    "spiral": (SpiralNet, points),
    "multispiral of tanh": (lambda: MultiSpiralNet(activation="tanh"), points),
    "cnn": (lambda: CNN(channels=[3, 4], hidden=[8]), images),
    "cnn of sigmoids": (lambda: CNN(channels=[3, 4], hidden=[8], activation="sigmoid"), images),
    "one after another": (lambda: plain_pytorch.cnn([3, 4], [8]), images),
    "views": (WithViews, images),
    "a view in between": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), View(), nn.Linear(3 * 26 * 26, 2), nn.ReLU()),
        images,
    ),
    "dropout between convolutions": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.Dropout(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.ReLU()),
        images,
    ),
    "normalized": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        images,
    ),
    "inside each other": (
        lambda: nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2)), nn.ReLU(), View()),
        images,
    ),
    "ReLU after layers that need their output": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.ReLU(), nn.Tanh(), nn.ReLU(), nn.Softmax(1), nn.ReLU()),
        points,
    ),
    "ReLU at the beginning": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 5)), points),
    "a transposed batch": (lambda: nn.Sequential(nn.Linear(2, 5), nn.ReLU()), lambda: points().t().contiguous().t()),
}


def output_and_gradients(network: nn.Module, x: Tensor) -> list[Tensor]:
    """The gradients are those of a sum in which every output has a factor of its own."""
    torch.manual_seed(5)
    y = network(x)
    factors = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(y.dtype)
    return [y, *torch.autograd.grad((y * factors).sum(), list(network.parameters()))]


def built(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_the_same(name: str):
    build, data = NETWORKS[name]
    network, x = built(build), data()
    expected = output_and_gradients(network, x)
    before = x.clone()
    with accelerated(network):
        found = output_and_gradients(network, x)
    assert torch.equal(x, before)  # not overwritten
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert found[0].stride() == expected[0].stride()


def tensors_written_in_place(network: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> int:
    count, relu_ = [], Tensor.relu_
    monkeypatch.setattr(Tensor, "relu_", lambda self: count.append(1) or relu_(self))
    network(x)
    return len(count)


def test_the_shipped_networks_are_accelerated(monkeypatch: pytest.MonkeyPatch):
    """What is compared above is not the same computation twice."""
    network = built(SpiralNet)
    with accelerated(network):
        assert tensors_written_in_place(network, points(), monkeypatch) == 2
        products = []
        monkeypatch.setattr(
            layers.F, "linear", lambda x, weight, bias: products.append(weight) or x @ weight.t() + bias
        )
        network(points())
    assert [weight.is_contiguous() for weight in products] == [False, True, True]


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_left_behind(name: str):
    network = built(NETWORKS[name][0])
    before = {part: vars(part).copy() for part in network.modules()}
    classes, state = [type(part) for part in network.modules()], list(network.state_dict())
    with suppress(ZeroDivisionError), accelerated(network):
        assert [type(part) for part in network.modules()] == classes
        assert list(network.state_dict()) == state
        raise ZeroDivisionError
    assert {part: vars(part) for part in network.modules()} == before


class OwnLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class OwnSequential(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


def test_layers_of_other_classes_are_left_alone():
    network = OwnSequential(OwnLinear(2, 3), nn.ReLU())
    with accelerated(network):
        assert not any("forward" in vars(part) for part in network.modules())


def test_a_forward_of_somebody_else_stays():
    layer = nn.Linear(2, 3)
    layer.forward = own = lambda x: x
    with accelerated(layer):
        assert layer.forward is own
    assert layer.forward is own


def test_a_forward_that_somebody_sets_meanwhile_stays():
    layer = nn.Linear(2, 3)
    with accelerated(layer):
        layer.forward = own = lambda x: x
    assert layer.forward is own


@pytest.mark.parametrize("place", range(5))
def test_a_layer_with_another_forward_computes_that(place: int):
    torch.manual_seed(0)
    linear = nn.Linear(28 if place == 2 else 14, 14)  # without pooling, there are twice as many pixels in a row
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), linear, nn.ReLU())
    network[place].forward = lambda x: x
    x = images()
    expected = network(x)
    before = x.clone()
    with accelerated(network):
        found = network(x)
        assert torch.equal(x, before)
    torch.testing.assert_close(found, expected)
    assert not treats_samples_alone(network)


@pytest.mark.parametrize("place", range(3))
def test_hooks_see_what_they_would_see(place: int):
    """Convolution, activation and pooling in their order, and no output that is overwritten later."""

    def seen() -> list[Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU())
        outputs = []
        network[place].register_forward_hook(lambda module, arguments, output: outputs.extend([*arguments, output]))
        with accelerated(network):
            network(images())
        return outputs

    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 3, 3)
    steps = [images(), convolution(images())]
    steps += [steps[-1].relu(), F.max_pool2d(steps[-1].relu(), 2)]
    for one, other in zip(seen(), steps[place : place + 2], strict=True):
        torch.testing.assert_close(one, other)


def test_a_copy_computes_with_its_own_weights():
    """Callbacks that average weights copy the network while it trains."""
    network = built(SpiralNet)
    with accelerated(network):
        other = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        assert torch.equal(other(points()), torch.full((7, 1), 0.5))
        assert not torch.equal(network(points()), torch.full((7, 1), 0.5))


@pytest.mark.parametrize("name", ["linear", "spiral", "cnn"])
def test_networks_can_be_pruned_and_their_weights_put_in_a_row(name: str):
    build, data = NETWORKS[name]
    network = built(build)
    first = next(part for part in network.modules() if isinstance(part, nn.Linear | nn.Conv2d))
    assert parameters_to_vector(network.parameters()).numel() == sum(p.numel() for p in network.parameters())
    with accelerated(network):
        prune.random_unstructured(first, "weight", amount=1)
        pruned = network(data())
        assert first.weight_mask.sum() < first.weight.numel()
        prune.remove(first, "weight")
        torch.testing.assert_close(network(data()), pruned)
    torch.testing.assert_close(network(data()), pruned, rtol=1e-4, atol=1e-5)


RUNS = {
    "spiral": ["model=spiral", "data.batch_size=500", "trainer.max_epochs=3"],
    "cnn": [
        *("model=cnn", "data=digits", "data.batch_size=300", "trainer.max_epochs=2", "threads=2"),
        *("model.network.channels=[2,3]", "model.network.hidden=[8]"),
    ],
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_without_acceleration_has_the_same_weights_and_metrics(
    launch, name: str, monkeypatch: pytest.MonkeyPatch
):
    calls = []
    for kind, forward in layers._FORWARDS.items():

        def noting(layer: nn.Module, x: Tensor, forward: Callable = forward) -> Tensor:
            calls.append(layer)
            return forward(layer, x)

        monkeypatch.setitem(layers._FORWARDS, kind, noting)
    fast = launch(*RUNS[name])
    assert len(calls) >= fast.results["steps"]
    calls.clear()
    plain = launch(*RUNS[name], "accelerate=false")
    assert not calls
    for one, other in zip(fast.weights(), plain.weights(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert fast.results["metrics"] == pytest.approx(plain.results["metrics"], rel=1e-3)
