"""checkpoints/last.ckpt and best.ckpt: what is in them, when they are written, and that they are never half."""

from pathlib import Path
from typing import Any

import composing
import numpy as np
import plain_pytorch
import pytest
from pytorch_lightning import Trainer
from torch import Tensor

from littlenets.data import Line


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A copy of everything that a run saves, in order."""
    checkpoints = []
    save = Trainer.save_checkpoint

    def save_and_keep(trainer: Trainer, path: Path, *args: Any, **kwargs: Any) -> None:
        save(trainer, path, *args, **kwargs)
        checkpoints.append(composing.load_checkpoint(path))

    monkeypatch.setattr(Trainer, "save_checkpoint", save_and_keep)
    return checkpoints


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("scheduler", ["none", "cosine", "step", "onecycle"])
def test_checkpoints_are_data_and_never_code(launch, optimizer: str, scheduler: str):
    """torch.load(weights_only=True) reads them, and refuses anything else."""
    run = launch("model=linear", f"optimizer={optimizer}", f"scheduler={scheduler}", "trainer.max_epochs=4")
    for name in ("last", "best"):
        checkpoint = run.checkpoint(name)
        assert_plain(checkpoint)
        assert checkpoint["global_step"] == 4
    assert sorted(file.name for file in (run.path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("model", ["spiral", "multispiral"])
def test_those_of_classifiers_with_a_validation_too(launch, model: str):
    run = launch(f"model={model}", "data.validation=0.2", "trainer.max_epochs=2")
    assert_plain(run.checkpoint("best"))


def assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        assert_plain(list(value))
        assert_plain(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for entry in value:
            assert_plain(entry)
    else:
        assert value is None or isinstance(value, Tensor | int | float | str | bytes), type(value)


@pytest.mark.parametrize("lr", [0.01, 0.09])
def test_best_is_the_lowest_training_loss_of_all(launch, lr: float):
    """With the larger learning rate it rises and falls: the best is neither the first nor the last."""
    run = launch(
        "model=linear", "data.batch_size=1", f"optimizer.lr={lr}", "trainer.max_epochs=15", "checkpoint.every=1"
    )
    losses = run.column("train/loss")
    best = int(np.argmin(losses))
    checkpoint = run.checkpoint("best")
    assert (checkpoint["epoch"], checkpoint["global_step"]) == (best, 5 * (best + 1))
    assert np.float32(checkpoint["state_dict"]["network.linear.weight"].item()) == np.float32(
        run.column("weight")[best]
    )


def test_best_is_of_the_epochs_with_a_checkpoint(launch):
    run = launch("model=spiral", "trainer.max_epochs=22", "checkpoint.every=4")
    losses = run.column("train/loss")
    of = [3, 7, 11, 15, 19, 21]
    best = of[int(np.argmin(losses[of]))]
    assert run.checkpoint("best")["global_step"] == best + 1


@pytest.mark.parametrize("lr", [0.01, 0.15], ids=["falling", "rising"])
@pytest.mark.parametrize(("every", "validate_every"), [(1, 1), (3, 3), (2, 3), (5, 2)])
def test_best_has_the_lowest_validation_loss_and_that_loss_is_its_own(
    launch, saved, every: int, validate_every: int, lr: float
):
    """With the larger learning rate the loss rises from the start."""
    run = launch(
        *("model=linear", "data.validation=0.4", f"optimizer.lr={lr}", "trainer.max_epochs=12"),
        *(f"+trainer.check_val_every_n_epoch={validate_every}", f"checkpoint.every={every}"),
    )
    data = Line(validation=0.4, seed=0)
    data.setup()
    x, y = data.splits["val"]
    measured = {}
    for checkpoint in saved:
        weight, bias = composing.weights(checkpoint)
        if checkpoint["global_step"] % validate_every == 0:
            measured[checkpoint["global_step"]] = plain_pytorch.mse(x * weight + bias, y).item()
    best = run.checkpoint("best")
    assert best["global_step"] == min(measured, key=measured.get)
    (state,) = (state for name, state in best["callbacks"].items() if name.startswith("Checkpoints"))
    assert state["best"] == pytest.approx(measured[best["global_step"]], rel=1e-5)


def test_about_ten_checkpoints_a_run_and_one_at_its_end(launch, saved):
    launch("model=linear", "trainer.max_epochs=205")
    steps = [checkpoint["global_step"] for checkpoint in saved]
    assert 9 <= len(steps) <= 11
    assert steps[-1] == 205


def test_last_is_the_end_of_the_run(launch):
    run = launch("model=linear", "trainer.max_epochs=10", "checkpoint.every=4")
    assert run.checkpoint("last")["global_step"] == 10
    assert np.float32(run.weights()[0].item()) == np.float32(run.rows[-1]["weight"])


def test_a_best_checkpoint_does_not_change_with_the_last(launch):
    """The two may share a file on the disk: the last must be replaced, never written into."""
    run = launch(
        "model=linear", "data.batch_size=1", "optimizer.lr=0.09", "trainer.max_epochs=15", "checkpoint.every=1"
    )
    assert run.checkpoint("best")["global_step"] < run.checkpoint("last")["global_step"] == 75


@pytest.mark.parametrize(
    "observer", [[], ["+callbacks.observer._target_=observers.BatchObserver"]], ids=["fast", "seen"]
)
def test_best_is_of_a_whole_epoch_where_the_run_ends_within_one(launch, observer: list[str]):
    """The loss of the epoch that was begun is lower, but of few batches."""
    run = launch("model=linear", "data.batch_size=2", "+trainer.max_steps=10", "checkpoint.every=1", *observer)
    assert (run.checkpoint("last")["global_step"], run.checkpoint("best")["global_step"]) == (10, 9)
