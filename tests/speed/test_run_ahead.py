"""Running ahead of Lightning changes nothing but the time: against the same runs with every batch and epoch seen.

Time never decides here how far ahead a run goes: it has all the time in the world, or none.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import composing
import numpy as np
import observers
import plain_pytorch
import pytest
import torch
from plain_pytorch import PlainFit
from pytorch_lightning import Trainer
from torch import Tensor

from littlenets.data import Spirals, TensorLoader
from littlenets.networks import LinearRegression
from littlenets.speed import run_ahead

SEE_EVERY_EPOCH = "+callbacks.observer._target_=observers.EpochObserver"


@pytest.fixture(autouse=True)
def all_the_time_in_the_world(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 1e9)


@pytest.fixture
def launch(launch: Callable[..., composing.RunFolder]) -> Callable[..., composing.RunFolder]:
    """With no checkpoint but at the end, since a short run would otherwise have one every epoch."""
    return partial(launch, "checkpoint.every=1000")


def observe(name: str, **settings: Any) -> list[str]:
    return [
        f"+callbacks.observer._target_=observers.{name}",
        *(f"+callbacks.observer.{key}={value}" for key, value in settings.items()),
    ]


def assert_same_run(one: composing.RunFolder, other: composing.RunFolder) -> None:
    for name in ("epochs", "steps", "metrics", "status"):
        assert one.results[name] == other.results[name]
    assert (one.path / "history.csv").read_bytes() == (other.path / "history.csv").read_bytes()
    saved, also_saved = (sorted(file.stem for file in run.path.glob("checkpoints/*")) for run in (one, other))
    assert saved == also_saved
    assert "last" in saved
    for name in saved:
        ours, theirs = one.checkpoint(name), other.checkpoint(name)
        # Lightning counts batches under "loops", from where it would go on.
        for part in ("epoch", "global_step", "loops", "lr_schedulers"):
            assert ours[part] == theirs[part], (name, part)
        assert_same_tensors(ours["state_dict"], theirs["state_dict"])
        assert_same_tensors(ours["optimizer_states"], theirs["optimizer_states"])


def assert_same_tensors(one: Any, other: Any) -> None:
    """Bit by bit, through lists and dictionaries."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_tensors(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same_tensors(a, b)
    else:
        assert one == other


RUNS = {
    "full batch": ["model=linear", "trainer.max_epochs=50"],
    "minibatches": ["model=spiral", "data.batch_size=300", "trainer.max_epochs=12"],
    "last batch smaller": ["model=linear", "data.batch_size=2", "trainer.max_epochs=20"],
    "cosine": ["model=linear", "scheduler=cosine", "trainer.max_epochs=30"],
    "step": ["model=linear", "scheduler=step", "scheduler.step_size=3", "data.batch_size=2", "trainer.max_epochs=30"],
    "onecycle": ["model=linear", "scheduler=onecycle", "data.batch_size=2", "trainer.max_epochs=30"],
    "validation": [
        *("model=spiral", "data.validation=0.3", "+trainer.check_val_every_n_epoch=4", "trainer.max_epochs=18"),
    ],
    "checkpoints": ["model=linear", "checkpoint.every=7", "trainer.max_epochs=30"],
    "max_steps": ["model=linear", "data.batch_size=2", "trainer.max_epochs=100", "+trainer.max_steps=40"],
    "max_steps only": ["model=linear", "data.batch_size=2", "trainer.max_epochs=-1", "+trainer.max_steps=39"],
    "clipped by norm": [
        *("model=spiral", "data.batch_size=300", "+trainer.gradient_clip_val=0.05", "gradient_norm=true"),
        "trainer.max_epochs=12",
    ],
    "clipped by value": [
        *("model=linear", "data.batch_size=2", "+trainer.gradient_clip_val=0.5", "trainer.max_epochs=20"),
        *("+trainer.gradient_clip_algorithm=value", "optimizer=sgd"),
    ],
    "momentum": ["model=multispiral", "optimizer=sgd", "optimizer.momentum=0.9", "trainer.max_epochs=10"],
    "cnn": [
        *("model=cnn", "data=digits", "data.batch_size=600", "trainer.max_epochs=3"),
        *("model.network.channels=[2,2]", "model.network.hidden=[8]"),
    ],
    "cnn on two threads": [
        *("model=cnn", "data=digits", "data.batch_size=600", "trainer.max_epochs=3", "threads=2"),
        *("model.network.channels=[2,2]", "model.network.hidden=[8]"),
    ],
    "stopped early": [
        *("model=linear", "data.validation=0.4", "+trainer.check_val_every_n_epoch=5", "trainer.max_epochs=60"),
        "+callbacks.stop._target_=pytorch_lightning.callbacks.EarlyStopping",
        *("+callbacks.stop.monitor=val/loss", "+callbacks.stop.stopping_threshold=0.5"),
        "+callbacks.stop.check_on_train_epoch_end=false",
    ],
}
# Callbacks that Lightning brings see every epoch, like a user's.
NEVER_AHEAD = {"stopped early"}


@pytest.mark.parametrize("name", RUNS)
def test_run_ahead_changes_nothing(launch, name: str):
    ahead = launch(*RUNS[name], *observe("DueObserver", every=1000))
    if name not in NEVER_AHEAD:
        assert len(observers.seen) < len(ahead.rows)
    seen = launch(*RUNS[name], *observe("BatchObserver"))
    assert len(observers.seen) == ahead.results["steps"]
    assert_same_run(ahead, seen)


def test_without_time_to_run_ahead_it_is_the_same_run(launch, monkeypatch: pytest.MonkeyPatch):
    ahead = launch(*RUNS["checkpoints"])
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.0)
    assert_same_run(ahead, launch(*RUNS["checkpoints"]))


def test_lightning_hears_of_no_more_epochs_than_somebody_needs(launch):
    """Which is what the other tests of this file rest on."""
    launch("model=linear", "trainer.max_epochs=50", *observe("DueObserver", every=20))
    assert observers.seen == [0, 19, 39, 49]  # how long an epoch takes is known after the first


def test_with_no_time_lightning_hears_of_every_epoch(launch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.0)
    launch("model=linear", "trainer.max_epochs=30", *observe("DueObserver", every=30))
    assert observers.seen == list(range(30))


def test_lightning_hears_of_no_more_batches_than_somebody_needs(launch):
    """An epoch's last batch is always Lightning's."""
    launch("model=linear", "data.batch_size=1", "trainer.max_epochs=3", *observe("DueBatchObserver", every=4))
    assert observers.seen == [(0, 4), (0, 5), (1, 8), (1, 10), (2, 12), (2, 15)]


def test_batches_pass_where_a_callback_sees_every_epoch(launch):
    launch(
        *("model=linear", "data.batch_size=1", "trainer.max_epochs=3", SEE_EVERY_EPOCH),
        "+callbacks.other._target_=observers.DueBatchObserver",
        "+callbacks.other.every=1000",
    )
    assert observers.seen == [(0, 5), (0, 5), (1, 10), (1, 10), (2, 15), (2, 15)]


def test_with_no_time_lightning_hears_of_every_batch(launch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.0)
    launch("model=linear", "data.batch_size=1", "trainer.max_epochs=2", *observe("DueBatchObserver", every=1000))
    assert observers.seen == [(epoch, step + 5 * epoch) for epoch in range(2) for step in range(1, 6)]


@pytest.mark.parametrize(("observer", "steps_at_first"), [("EpochObserver", 3), ("EpochStartObserver", 0)])
def test_a_callback_with_a_hook_for_epochs_sees_each_one_once(launch, observer: str, steps_at_first: int):
    run = launch("model=linear", "data.batch_size=2", "trainer.max_epochs=25", *observe(observer))
    assert observers.seen == [(epoch, steps_at_first + 3 * epoch) for epoch in range(25)]
    assert (run.results["epochs"], run.results["steps"]) == (25, 75)


def test_a_callback_with_a_hook_for_batches_sees_each_one_once(launch):
    launch("model=linear", "data.batch_size=2", "trainer.max_epochs=8", *observe("BatchObserver"))
    assert observers.seen == [(epoch, batch, 3 * epoch + batch + 1) for epoch in range(8) for batch in range(3)]


def test_a_callback_with_a_hook_for_gradients_sees_those_of_each_step(launch):
    """And the run that goes through Lightning's own optimizer step is the same, bit by bit."""
    overrides = ["model=spiral", "data.batch_size=900", "trainer.max_epochs=5"]
    observed = launch(*overrides, *observe("GradientObserver"))
    assert len(observers.seen) == 3 * 5
    alone = launch(*overrides)
    assert_same_tensors(observed.weights(), alone.weights())
    assert_same_tensors(observed.checkpoint()["optimizer_states"], alone.checkpoint()["optimizer_states"])
    assert observed.rows == alone.rows
    assert observed.results["steps"] == alone.results["steps"] == 15

    torch.manual_seed(0)
    network = plain_pytorch.spiral()
    data = Spirals(seed=0)
    data.setup()
    x, y = next(iter(TensorLoader(*data.splits["train"], 900, shuffle=True, seed=0)))
    gradients = torch.autograd.grad(plain_pytorch.bce(network(x), y), list(network.parameters()))
    for ours, theirs in zip(observers.seen[0], gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_request_to_stop_ends_the_run_after_that_epoch(launch):
    run = launch("model=linear", "trainer.max_epochs=50", *observe("EpochObserver", stop_after=6))
    assert (run.results["epochs"], run.results["steps"], len(run.rows)) == (6, 6, 6)


def plain_line(batch_size: int | None = None) -> PlainFit:
    """``model=linear`` by hand."""
    torch.manual_seed(0)
    network = plain_pytorch.linear()
    x = torch.arange(1.0, 6.0).unsqueeze(1)
    loader = TensorLoader(x, 2 * x, batch_size, shuffle=True, seed=0)

    def order(epoch: int) -> list[Tensor | slice]:
        loader.sampler.set_epoch(epoch)
        return list(loader.sampler)

    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    return PlainFit(network, x, 2 * x, plain_pytorch.mse, optimizer, order=order)


def assert_close(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("max_steps", [1, 2, 3, 9, 10])
def test_max_steps_is_the_number_of_optimizer_steps(launch, max_steps: int):
    """Three batches an epoch: the last epoch may end in its middle, and its row is of what there was."""
    run = launch(
        *("model=linear", "data.batch_size=2", "trainer.max_epochs=50", f"+trainer.max_steps={max_steps}"),
    )
    plain = plain_line(2)
    while plain.steps < max_steps:
        plain.epoch(max_steps)
    assert run.results["steps"] == max_steps
    assert_close(run.weights(), plain.weights)
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-5, atol=1e-6)


def test_limited_training_batches_are_the_first_of_each_order(launch):
    run = launch("model=linear", "data.batch_size=1", "trainer.max_epochs=12", "+trainer.limit_train_batches=3")
    plain = plain_line(1)
    whole = plain.order
    plain.order = lambda epoch: whole(epoch)[:3]
    plain.run(12)
    assert run.results["steps"] == 36
    assert_close(run.weights(), plain.weights)
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("extra", [[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def test_validation_is_measured_after_every_nth_epoch(launch, extra: list[str]):
    run = launch(
        *("model=spiral", "data.validation=0.25", "+trainer.check_val_every_n_epoch=3", "trainer.max_epochs=10"),
        *extra,
    )
    data = Spirals(validation=0.25, seed=0)
    data.setup()
    torch.manual_seed(0)
    network = plain_pytorch.spiral()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    plain = PlainFit(network, *data.splits["train"], plain_pytorch.bce, optimizer)
    x, y = data.splits["val"]
    losses, accuracies = np.full(10, np.nan), np.full(10, np.nan)
    for epoch in range(10):
        plain.epoch()
        if epoch % 3 == 2:
            with torch.no_grad():
                output = network(x)
            losses[epoch] = plain_pytorch.bce(output, y).item()
            accuracies[epoch] = plain_pytorch.hits_binary(output, y) / len(y)
    np.testing.assert_allclose(run.column("val/loss"), losses, rtol=1e-5)
    np.testing.assert_allclose(run.column("val/acc"), accuracies, atol=1.01 / len(y))
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-5)


def test_validation_within_an_epoch_takes_place_where_it_was_asked_for(launch):
    """After batches 2 and 4 of every third epoch of 4 batches."""
    launch(
        *("model=spiral", "data.validation=0.2", "data.batch_size=400", "trainer.max_epochs=7"),
        *("+trainer.check_val_every_n_epoch=3", "+trainer.val_check_interval=0.5"),
        *observe("ValidationObserver"),
    )
    assert observers.seen == [(2, 10), (2, 12), (5, 22), (5, 24)]


def test_a_validation_before_training_is_in_no_row(launch):
    run = launch(
        *("model=spiral", "data.validation=0.2", "trainer.max_epochs=7", "+trainer.check_val_every_n_epoch=3"),
        *("trainer.num_sanity_val_steps=1", SEE_EVERY_EPOCH),
    )
    measured = np.isfinite(run.column("val/loss"))
    assert list(np.flatnonzero(measured) + 1) == [3, 6]


@pytest.mark.parametrize("extra", [[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def test_checkpoints_hold_what_the_plain_loop_has_after_as_many_epochs(
    launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: list[str]
):
    saved = []
    save = Trainer.save_checkpoint

    def save_and_keep(trainer: Trainer, path: Path, *args: Any, **kwargs: Any) -> None:
        save(trainer, path, *args, **kwargs)
        saved.append(composing.load_checkpoint(path))

    monkeypatch.setattr(Trainer, "save_checkpoint", save_and_keep)
    launch("model=linear", "data.batch_size=2", "trainer.max_epochs=23", "checkpoint.every=5", *extra)
    plain = plain_line(2)
    # Lightning counts from 0, and the last epoch is over when the run ends.
    assert [checkpoint["epoch"] for checkpoint in saved] == [4, 9, 14, 19, 23]
    for checkpoint, epochs in zip(saved, (5, 10, 15, 20, 23), strict=True):
        plain.run(epochs - len(plain.losses))
        assert checkpoint["global_step"] == 3 * epochs
        assert_close(composing.weights(checkpoint), plain.weights)


def test_a_fast_dev_run_is_one_batch_and_leaves_no_checkpoint(launch):
    """Lightning's own words: it runs one batch of each stage and disables loggers and checkpoint callbacks."""
    run = launch("model=linear", "data.batch_size=2", "+trainer.fast_dev_run=true", logger="tensorboard")
    plain = plain_line(2)
    plain.epoch(max_steps=1)
    assert (run.results["status"], run.results["steps"], run.results["epochs"]) == ("completed", 1, 1)
    np.testing.assert_allclose(run.column("train/loss"), plain.losses, rtol=1e-5)
    assert not list(run.path.rglob("*.ckpt"))
    assert not list(run.path.rglob("*tfevents*"))


class ShiftedSpirals(Spirals):
    """Does to each batch what Lightning's documentation suggests for augmentation."""

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        x, y = batch
        return x + 1, y


@pytest.mark.parametrize("extra", [[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def test_a_datamodules_hook_for_batches_sees_every_batch(launch, extra: list[str]):
    run = launch(
        *("model=spiral", "data._target_=test_run_ahead.ShiftedSpirals", "trainer.max_epochs=8"),
        *extra,
    )
    data = Spirals(seed=0)
    data.setup()
    x, y = data.splits["train"]
    torch.manual_seed(0)
    network = plain_pytorch.spiral()
    plain = PlainFit(network, x + 1, y, plain_pytorch.bce, torch.optim.Adam(network.parameters(), lr=0.01))
    np.testing.assert_allclose(run.column("train/loss"), plain.run(8).losses, rtol=1e-5)


def test_long_epochs_are_shown_one_by_one(launch, monkeypatch: pytest.MonkeyPatch):
    """No bar stands still, and no Ctrl-C waits, for an epoch that takes longer than running ahead may."""
    forward = LinearRegression.forward

    def slowly(network: LinearRegression, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return forward(network, x)

    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.01)
    monkeypatch.setattr(LinearRegression, "forward", slowly)
    launch("model=linear", "trainer.max_epochs=6", *observe("DueObserver", every=1000))
    assert observers.seen == list(range(6))
