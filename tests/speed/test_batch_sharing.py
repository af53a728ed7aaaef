"""A batch shared out among threads: the same mean loss and gradients as in one piece, and only where that is so."""

import threading
from collections.abc import Callable
from functools import partial

import plain_pytorch
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from littlenets.modules import BinaryClassification, MulticlassClassification, Regression
from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet
from littlenets.speed.batch_sharing import (
    SharedBatch,
    is_mean_over_samples,
    is_observed,
    sample_by_sample,
    treats_samples_alone,
)


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target)


def small_cnn() -> CNN:
    torch.manual_seed(0)
    return CNN(channels=[3, 4], hidden=[8])


def batch(samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 1, 28, 28, generator=generator)
    return x, torch.randint(10, (samples,), generator=generator)


@pytest.mark.parametrize(("threads", "samples"), [(2, 8), (2, 7), (3, 64), (4, 3), (2, 1)])
def test_gradients_are_those_of_the_batch_in_one_piece(threads: int, samples: int):
    network, (x, y) = small_cnn(), batch(samples)
    shared = SharedBatch(network, cross_entropy, list(network.parameters()), threads)
    for _ in range(2):  # the second time into memory that was used
        loss, output, gradients = shared.gradients(x, y)

    whole = plain_pytorch.cnn([3, 4], [8]).double()
    for theirs, ours in zip(whole.parameters(), network.parameters(), strict=True):
        theirs.data.copy_(ours.data)
    expected = whole(x.double())
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-5)
    expected_loss = F.cross_entropy(expected, y)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-5, atol=1e-6)
    assert not loss.requires_grad
    assert not output.requires_grad
    expected_loss.backward()
    for ours, theirs in zip(network.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(gradients[ours].double(), theirs.grad, rtol=1e-4, atol=1e-6)
        # Fused optimizers go through both as they lie in memory.
        assert gradients[ours].stride() == ours.stride()


def test_each_part_has_a_thread_of_its_own_and_pytorch_none_beside():
    network, (x, y) = small_cnn(), batch(9)
    seen, meeting = [], threading.Barrier(3, timeout=60)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        meeting.wait()  # passes only where three are under way at once
        seen.append((len(output), torch.get_num_threads(), threading.get_ident()))
        return F.cross_entropy(output, target)

    torch.set_num_threads(1)
    SharedBatch(network, loss, list(network.parameters()), 3).gradients(x, y)
    assert [part[:2] for part in seen] == [(3, 1)] * 3
    assert len({ident for *_, ident in seen}) == 3
    assert threading.get_ident() in {ident for *_, ident in seen}


@pytest.mark.parametrize("where", ["in the calling thread", "in another"])
def test_an_error_of_a_part_is_an_error_of_the_batch(where: str):
    network, (x, y) = small_cnn(), batch(8)
    caller = threading.get_ident()

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if (threading.get_ident() == caller) == (where == "in the calling thread"):
            raise ZeroDivisionError(where)
        return F.cross_entropy(output, target)

    shared = SharedBatch(network, loss, list(network.parameters()), 2)
    with pytest.raises(ZeroDivisionError, match=where):
        shared.gradients(x, y)


def test_frozen_and_unneeded_parameters_have_no_gradient():
    network, (x, y) = small_cnn(), batch(8)
    unneeded = nn.Parameter(torch.ones(3))
    frozen, *others = network.parameters()
    frozen.requires_grad_(False)
    shared = SharedBatch(network, cross_entropy, [frozen, unneeded, *others], 2)
    *_, gradients = shared.gradients(x, y)
    assert list(gradients) == others
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


HOOKS = {
    "forward": lambda network: network.features[0].register_forward_hook,
    "before forward": lambda network: network.features[0].register_forward_pre_hook,
    "backward": lambda network: network.classifier[1].register_full_backward_hook,
    "before backward": lambda network: network.classifier[1].register_full_backward_pre_hook,
    "gradient": lambda network: network.classifier[1].weight.register_hook,
    "accumulated gradient": lambda network: network.features[0].bias.register_post_accumulate_grad_hook,
}


@pytest.mark.parametrize("where", HOOKS)
def test_not_shared_where_somebody_listens(where: str):
    network = small_cnn()
    handle = HOOKS[where](network)(lambda *_: None)
    assert is_observed(network)
    handle.remove()
    assert not is_observed(network)


def test_not_shared_where_somebody_listens_to_all_layers():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert is_observed(small_cnn())
    finally:
        handle.remove()


def compiled() -> nn.Module:
    network = small_cnn()
    network.compile(backend="eager")
    return network


class Calls(nn.Module):
    """Calls a function between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2 * 14 * 14, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.flatten(self.function(self.before(x)), 1))


class Scaled(nn.Linear):
    """A layer of somebody's own."""


ALONE: dict[str, Callable[[], nn.Module]] = {
    "cnn": small_cnn,
    "linear": LinearRegression,
    "spiral": SpiralNet,
    "multispiral": MultiSpiralNet,
    "functions between the layers": lambda: Calls(lambda x: F.max_pool2d(F.relu(x), 2)),
    "methods of tensors": lambda: Calls(lambda x: x.sigmoid().tanh()),
    "a residual connection": lambda: Calls(lambda x: x + torch.relu(x)),
}
TOGETHER: dict[str, Callable[[], nn.Module]] = {
    "compiled": compiled,
    "batch normalization": lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
    "dropout": lambda: nn.Sequential(nn.Linear(2, 3), nn.Dropout()),
    "dropout as a function": lambda: Calls(F.dropout),
    "the mean of the batch": lambda: Calls(lambda x: x + x.mean(0)),
    "samples in another order": lambda: Calls(lambda x: x.flip(0)),
    "one row for all samples": lambda: nn.Flatten(0),
    "a condition on the values": lambda: Calls(lambda x: x if x.sum() > 0 else -x),
    "a layer of another class": lambda: nn.Sequential(Scaled(2, 3)),
    "several samples in a row": lambda: Calls(lambda x: torch.flatten(x, 0, 1)),
}


@pytest.mark.parametrize("name", ALONE)
def test_networks_that_treat_samples_alone(name: str):
    assert treats_samples_alone(ALONE[name]())


@pytest.mark.parametrize("name", TOGETHER)
def test_networks_that_are_not_known_to(name: str):
    assert not treats_samples_alone(TOGETHER[name]())


def test_losses_that_are_means_over_samples():
    settings = {"network": nn.Linear(1, 1), "optimizer": partial(torch.optim.SGD, lr=0.1)}
    for task in (Regression, BinaryClassification, MulticlassClassification):
        assert is_mean_over_samples(task(**settings).loss)
    assert is_mean_over_samples(sample_by_sample(lambda output, target: (output - target).mean()))
    assert not is_mean_over_samples(lambda output, target: output.std())

    class Own(Regression):
        def loss(self, output: Tensor, target: Tensor) -> Tensor:
            return (output - target).std()

    assert not is_mean_over_samples(Own(**settings).loss)


def test_a_run_shares_where_it_has_threads_and_gives_the_same_weights_each_time(
    launch, monkeypatch: pytest.MonkeyPatch
):
    sizes = []
    gradients = SharedBatch.gradients

    def counting(self: SharedBatch, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
        sizes.append(len(x))
        return gradients(self, x, target)

    monkeypatch.setattr(SharedBatch, "gradients", counting)
    overrides = ["model=cnn", "data=digits", "model.network.channels=[2,3]", "model.network.hidden=[8]"]
    overrides += ["data.batch_size=300", "trainer.max_epochs=2"]
    first, again = (launch(*overrides, "threads=2") for _ in range(2))
    assert len(sizes) == first.results["steps"] + again.results["steps"]
    for one, other in zip(first.weights(), again.weights(), strict=True):
        assert torch.equal(one, other)
    launch(*overrides, "threads=1")
    launch(*overrides, "threads=2", "accelerate=false")
    launch(*overrides, "threads=2", "trainer.precision=bf16-mixed")
    assert len(sizes) == 2 * first.results["steps"]
