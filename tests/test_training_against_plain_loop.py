"""Whole runs against a hand-written PyTorch loop: the weights at the end, loss and accuracy of every epoch.

The same initial weights, made by torch after ``torch.manual_seed``; the same data; the order of the batches from the
loader. The optimizers here are torch's plain ones, not fused, and the networks those of the recipes' table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import plain_pytorch
import pytest
import torch
from plain_pytorch import PlainFit
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler

from littlenets.data import Digits, Spirals, TensorLoader

SEED = 3


def line_data() -> tuple[Tensor, Tensor]:
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
    return x, 2 * x


def spiral_data(arms: int) -> tuple[Tensor, Tensor]:
    data = Spirals(arms=arms, seed=SEED)
    data.setup()
    return data.splits["train"]


def digits_data() -> tuple[Tensor, Tensor]:
    data = Digits(seed=SEED)
    data.setup()
    x, y = data.splits["train"]
    return (x / 255 - 0.1307) / 0.3081, y


@dataclass
class Case:
    """Overrides of a run, and the same by hand.

    Args:
        tolerance: of the weight that is furthest off. Rounding grows in training: where Adam divides a gradient that
            is nearly zero by its size, and where a ReLU opens for a sample in one run and not in the other. The
            epochs are few enough that the plain loop in float64 differs from itself in float32 by a tenth of it.
    """

    overrides: list[str]
    network: Callable[[], nn.Module]
    data: Callable[[], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[..., Optimizer]
    epochs: int
    hits: Callable[[Tensor, Tensor], int] | None = None
    batch_size: int | None = None
    scheduler: Callable[..., Any] | None = None
    tolerance: float = 1e-5
    plain_options: dict[str, Any] = field(default_factory=dict)

    def plain(self, dtype: torch.dtype = torch.float32) -> PlainFit:
        torch.manual_seed(SEED)
        network = self.network().to(dtype)
        x, y = self.data()
        loader = TensorLoader(x, y, self.batch_size, shuffle=True, seed=SEED)

        def order(epoch: int) -> list[Tensor | slice]:
            loader.sampler.set_epoch(epoch)
            return list(loader.sampler)

        optimizer = self.optimizer(network.parameters())
        return PlainFit(
            network,
            x.to(dtype),
            y.to(dtype) if y.is_floating_point() else y,
            self.loss,
            optimizer,
            self.hits,
            order,
            self.scheduler and self.scheduler(optimizer),
            **self.plain_options,
        ).run(self.epochs)


line = partial(Case, network=plain_pytorch.linear, data=line_data, loss=plain_pytorch.mse)
spiral = partial(
    Case,
    network=plain_pytorch.spiral,
    data=partial(spiral_data, 2),
    loss=plain_pytorch.bce,
    hits=plain_pytorch.hits_binary,
)
multispiral = partial(
    Case,
    network=plain_pytorch.multispiral,
    data=partial(spiral_data, 3),
    loss=plain_pytorch.cross_entropy,
    hits=plain_pytorch.hits_multiclass,
)
digits = partial(
    Case,
    network=plain_pytorch.cnn,
    data=digits_data,
    loss=plain_pytorch.cross_entropy,
    hits=plain_pytorch.hits_multiclass,
    batch_size=64,
)
PER_BATCH = {"scheduler_per_batch": True}
sgd, adam = partial(SGD, lr=0.01), partial(Adam, lr=0.01)

CASES = {
    "linear": line(["model=linear"], optimizer=sgd, epochs=200),
    "linear minibatches": line(["model=linear", "data.batch_size=2"], optimizer=sgd, epochs=50, batch_size=2),
    "linear one at a time": line(["model=linear", "data.batch_size=1"], optimizer=sgd, epochs=50, batch_size=1),
    "linear momentum": line(
        ["model=linear", "optimizer.momentum=0.9", "optimizer.lr=0.001", "optimizer.weight_decay=0.1"],
        optimizer=partial(SGD, lr=0.001, momentum=0.9, weight_decay=0.1),
        epochs=100,
    ),
    "linear adamw": line(
        ["model=linear", "optimizer=adamw", "optimizer.weight_decay=0.3", "optimizer.lr=0.05"],
        optimizer=partial(AdamW, lr=0.05, weight_decay=0.3),
        epochs=100,
    ),
    "linear adam with its defaults": line(
        ["model=linear", "optimizer=adam"], optimizer=partial(Adam, lr=0.001), epochs=100
    ),
    "linear cosine": line(
        ["model=linear", "scheduler=cosine"],
        optimizer=sgd,
        epochs=40,
        scheduler=partial(lr_scheduler.CosineAnnealingLR, T_max=40),
    ),
    "linear cosine in minibatches": line(
        ["model=linear", "scheduler=cosine", "data.batch_size=2"],
        optimizer=sgd,
        epochs=40,
        batch_size=2,
        scheduler=partial(lr_scheduler.CosineAnnealingLR, T_max=40),
    ),
    "linear step": line(
        ["model=linear", "scheduler=step", "scheduler.step_size=7", "scheduler.gamma=0.5"],
        optimizer=sgd,
        epochs=40,
        scheduler=partial(lr_scheduler.StepLR, step_size=7, gamma=0.5),
    ),
    "linear step with its defaults": line(
        ["model=linear", "scheduler=step"],
        optimizer=sgd,
        epochs=20,
        scheduler=partial(lr_scheduler.StepLR, step_size=1, gamma=0.7),
    ),
    "linear onecycle": line(
        ["model=linear", "scheduler=onecycle", "optimizer=adamw"],
        optimizer=partial(AdamW, lr=0.001),
        epochs=40,
        scheduler=partial(lr_scheduler.OneCycleLR, max_lr=0.001, total_steps=40),
        plain_options=PER_BATCH,
    ),
    "linear onecycle in minibatches": line(
        ["model=linear", "scheduler=onecycle", "scheduler.max_lr=0.02", "scheduler.pct_start=0.2", "data.batch_size=2"],
        optimizer=partial(SGD, lr=0.01),
        epochs=40,
        batch_size=2,
        scheduler=partial(lr_scheduler.OneCycleLR, max_lr=0.02, total_steps=120, pct_start=0.2),
        plain_options=PER_BATCH,
    ),
    "spiral": spiral(["model=spiral"], optimizer=adam, epochs=20),
    "spiral mse": spiral(["model=spiral", "model.module.loss=mse"], loss=plain_pytorch.mse, optimizer=adam, epochs=20),
    "spiral minibatches": spiral(
        ["model=spiral", "data.batch_size=300", "model.network.activation=tanh", "model.network.hidden=[20]"],
        network=partial(plain_pytorch.spiral, [20], nn.Tanh),
        optimizer=adam,
        epochs=8,
        batch_size=300,
    ),
    "multispiral": multispiral(["model=multispiral"], optimizer=adam, epochs=20),
    "multispiral momentum and cosine": multispiral(
        [
            "model=multispiral",
            "model.network.activation=tanh",
            "optimizer=sgd",
            "optimizer.momentum=0.9",
            "scheduler=cosine",
            "data.batch_size=700",
        ],
        network=partial(plain_pytorch.multispiral, activation=nn.Tanh),
        optimizer=partial(SGD, lr=0.01, momentum=0.9),
        epochs=10,
        batch_size=700,
        scheduler=partial(lr_scheduler.CosineAnnealingLR, T_max=10),
    ),
    "cnn": digits(["model=cnn", "data=digits"], optimizer=partial(Adam, lr=0.001), epochs=1, tolerance=1e-3),
    "small cnn": digits(
        ["model=cnn", "data=digits", "model.network.channels=[4,6]", "model.network.hidden=[16]"],
        network=partial(plain_pytorch.cnn, [4, 6], [16]),
        optimizer=partial(Adam, lr=0.001),
        epochs=2,
    ),
    "small cnn on three threads": digits(
        ["model=cnn", "data=digits", "model.network.channels=[4,6]", "model.network.hidden=[16]", "threads=3"],
        network=partial(plain_pytorch.cnn, [4, 6], [16]),
        optimizer=partial(Adam, lr=0.001),
        epochs=2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_training_is_the_plain_loop(launch, name: str):
    case = CASES[name]
    run = launch(*case.overrides, f"seed={SEED}", f"trainer.max_epochs={case.epochs}")
    plain = case.plain()
    off = torch.cat([(a - b).flatten() for a, b in zip(run.weights(), plain.weights, strict=True)])
    assert off.square().mean().sqrt() < 5e-6
    assert off.abs().max() < case.tolerance
    losses = run.column("train/loss")
    assert len(losses) == case.epochs
    np.testing.assert_allclose(losses, plain.losses, rtol=1e-5, atol=1e-6)
    if case.hits is not None:
        # One sample may lie so close to the border that rounding decides.
        np.testing.assert_allclose(run.column("train/acc"), plain.accuracies, atol=1.01 / len(plain.x))


@pytest.mark.parametrize("name", ["linear momentum", "spiral", "spiral mse", "multispiral", "small cnn"])
def test_in_double_precision_it_is_the_plain_loop_in_float64(launch, name: str):
    """Far from any rounding, and on the path where Lightning takes part in every step."""
    case = CASES[name]
    run = launch(*case.overrides, f"seed={SEED}", "trainer.max_epochs=2", "trainer.precision=64-true")
    plain = replace(case, epochs=2).plain(torch.float64)
    for ours, theirs in zip(run.weights(), plain.weights, strict=True):
        assert ours.dtype == torch.float64
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
    # Nine digits stand in the file.
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-8)


@pytest.mark.parametrize("name", ["spiral", "multispiral", "small cnn"])
def test_in_bfloat16_it_is_the_plain_loop_under_autocast(launch, name: str):
    case = replace(CASES[name], epochs=2, plain_options={"autocast": torch.bfloat16})
    run = launch(*case.overrides, f"seed={SEED}", "trainer.max_epochs=2", "trainer.precision=bf16-mixed")
    plain, exact = case.plain(), replace(case, plain_options={}).plain()
    off, rounding = (
        torch.cat([(a - b).flatten() for a, b in zip(other, plain.weights, strict=True)]).square().mean().sqrt()
        for other in (run.weights(), exact.weights)
    )
    assert all(weight.dtype == torch.float32 for weight in run.weights())
    # bfloat16 leaves its mark, and the same one.
    assert off < rounding / 10
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("linear")])
def test_the_lr_in_a_row_is_the_one_of_the_epochs_last_step(launch, name: str):
    case = CASES[name]
    run = launch(*case.overrides, f"seed={SEED}", f"trainer.max_epochs={case.epochs}")
    plain = case.plain()
    batches = plain.steps // case.epochs
    np.testing.assert_allclose(run.column("lr"), plain.lrs[batches - 1 :: batches], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ["linear", "spiral mse", "multispiral", "small cnn"])
def test_final_metrics_are_those_of_the_final_weights_on_the_test_samples(launch, name: str):
    case = replace(CASES[name], epochs=2)
    run = launch(*case.overrides, f"seed={SEED}", "trainer.max_epochs=2")
    plain, metrics = case.plain(), run.results["metrics"]
    if case.hits is None:
        x, y = torch.tensor([[20.0]]), torch.tensor([[40.0]])
    elif case.data is digits_data:
        data = Digits()
        data.setup()
        x, y = (data.splits["test"].x / 255 - 0.1307) / 0.3081, data.splits["test"].y
    else:
        data = Spirals(arms=2 if "spiral" in name.split() else 3, seed=SEED)
        data.setup()
        x, y = data.splits["test"]
    with torch.no_grad():
        output = plain.network(x)
    assert metrics["test/loss"] == pytest.approx(case.loss(output, y).item(), rel=1e-5)
    if case.hits is None:
        assert metrics["test/mae"] == pytest.approx((output - y).abs().mean().item(), rel=1e-5)
    else:
        assert metrics["test/acc"] == pytest.approx(case.hits(output, y) / len(y), abs=1.01 / len(y))
    assert metrics["train/loss"] == pytest.approx(plain.losses[-1], rel=1e-5)


def test_one_seed_decides_everything(launch):
    overrides = ["model=spiral", "data.batch_size=300", "data.validation=0.2", "trainer.max_epochs=3"]
    torch.manual_seed(0)
    first = launch(*overrides, "seed=5")
    torch.rand(1000)  # whatever ran before
    np.random.rand(10)
    again, other = launch(*overrides, "seed=5"), launch(*overrides, "seed=6")
    assert (first.path / "history.csv").read_bytes() == (again.path / "history.csv").read_bytes()
    for a, b, c in zip(first.weights(), again.weights(), other.weights(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    assert first.results["metrics"] == again.results["metrics"]
