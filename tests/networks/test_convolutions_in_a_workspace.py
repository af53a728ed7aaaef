"""Convolution and pooling in one, on threads that share out a batch: bit for bit what the layers give one by one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from littlenets.networks.pooling import PooledConvolutions
from littlenets.sharing import SharedBatch, Workspace

LAYERS: dict[str, Callable[[], list[nn.Module]]] = {
    "two blocks": lambda: [
        *(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(4, 3, 3, padding=1), nn.MaxPool2d(2), nn.Tanh()),
    ],
    "strides and overlapping windows": lambda: [
        *(nn.Conv2d(1, 4, 3, stride=(1, 2), padding=(2, 1)), nn.MaxPool2d(3, 1, 1, ceil_mode=True)),
        *(nn.Conv2d(4, 6, 2, dilation=2, groups=2), nn.MaxPool2d((2, 1), dilation=(1, 2))),
    ],
    "one channel": lambda: [nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)],
    "nothing for it": lambda: [
        *(nn.Conv2d(1, 2, 3, padding="same"), nn.MaxPool2d(2)),
        *(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.MaxPool2d(2)),
        *(nn.Conv2d(2, 2, 3, bias=False), nn.MaxPool2d(2)),
    ],
}


def square(output: Tensor, target: Tensor) -> Tensor:
    return (output.flatten(1).sum(1) - target).square().mean()


def together(layers: Callable[..., nn.Module], frozen: int | None = None) -> list[Tensor | None]:
    """Loss, output and gradients of the second of two batches of 5 and 4 images, on two threads."""
    torch.manual_seed(0)
    network = layers().to(memory_format=torch.channels_last)
    parameters = list(network.parameters())
    if frozen is not None:
        parameters[frozen].requires_grad_(False)
    shared = SharedBatch(network, square, parameters, 2)
    for images in (5, 4):
        with shared:
            results = shared.gradients(torch.randn(images, 1, 16, 16), torch.randn(images))
    return [*results, *(parameter.grad for parameter in parameters)]


@pytest.mark.parametrize("frozen", [None, 0, 1])
@pytest.mark.parametrize("layers", LAYERS)
def test_the_same_as_one_by_one(layers: str, frozen: int | None):
    ours = together(lambda: PooledConvolutions(*LAYERS[layers]()), frozen)
    theirs = together(lambda: nn.Sequential(*LAYERS[layers]()), frozen)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in ours[2:])
    for one, other in zip(ours, theirs, strict=True):
        assert (one is other is None) or torch.equal(one, other)


def test_gradients_before_pooling_are_made_in_memory_that_stays(monkeypatch: pytest.MonkeyPatch):
    places = []
    images = Workspace.images

    def noting(self: Workspace, shape: tuple[int, int, int, int], dtype: torch.dtype) -> Tensor:
        space = images(self, shape, dtype)
        places.append((len(space), space.data_ptr()))
        return space

    monkeypatch.setattr(Workspace, "images", noting)
    network = PooledConvolutions(*LAYERS["two blocks"]())
    shared = SharedBatch(network, square, list(network.parameters()), 2)
    with shared:
        for _ in range(4):
            shared.gradients(torch.randn(4, 1, 16, 16), torch.randn(4))
    # Two threads, two blocks, four steps; the first step's second block asks for less than its first.
    assert [samples for samples, _ in places] == [2] * 16
    assert len({place for _, place in places[4:]}) == 2


def test_alone_the_layers_are_called_one_by_one():
    network = PooledConvolutions(*LAYERS["two blocks"]())
    called = []
    for layer in network:
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
    x = torch.randn(2, 1, 16, 16)
    y = network(x)
    assert called == list(network)
    # A gradient of a gradient, which the two in one do not have.
    (gradient,) = torch.autograd.grad(y.square().sum(), network[0].weight, create_graph=True)
    gradient.square().sum().backward()
    assert network[3].weight.grad.abs().sum() > 0
