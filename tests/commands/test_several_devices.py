"""Several processes train one network: as one process does with batches as large as all of theirs together."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Commands, Finished, RunFolder
from processes import descendants, is_alive, wait_for

SPIRAL = ["model=spiral", "optimizer=adam", "data.n_points=53", "trainer.accelerator=cpu", "figures=none"]
TWO = ["trainer.devices=2"]
# Of float32, over a few dozen steps.
ROUNDING = 2e-6


def assert_same_network(one: RunFolder, other: RunFolder, within: float = 0.0) -> None:
    weights, others = one.weights(), other.weights()
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=0, atol=within)


def assert_same_run(one: RunFolder, other: RunFolder) -> None:
    assert_same_network(one, other, ROUNDING)
    for name in ("status", "epochs", "steps"):
        assert other.results[name] == one.results[name]
    assert other.results["metrics"] == pytest.approx(one.results["metrics"], abs=ROUNDING)
    assert len(other.history) == len(one.history)
    for row, expected in zip(other.history, one.history, strict=True):
        assert row == pytest.approx(expected, abs=ROUNDING)
    assert other.files == one.files


# 85 training samples and 21 for validation: the last batch and the validation set have no two equal halves.
UNEVEN = [*SPIRAL, "data.validation=0.2", "trainer.max_epochs=5", "checkpoint.every=2"]


@pytest.fixture(scope="module")
def alone(train: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One process, with twice the batch size."""
    return train(tmp_path_factory.mktemp("alone"), *UNEVEN, "data.batch_size=14").run


@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork", "ddp_spawn"])
def test_equal_to_one_process_with_twice_the_batch_size(train, tmp_path: Path, alone: RunFolder, strategy: str):
    """With batches of 14, the last has one sample, which leaves none for the other process."""
    done = train(tmp_path, *UNEVEN, *TWO, "data.batch_size=7", f"+trainer.strategy={strategy}")
    assert done.code == 0, done.err
    assert_same_run(alone, done.run)
    assert done.err == ""
    assert done.out.count("Training spiral") == done.out.count("epoch 5/5") == 1


def test_all_samples_at_once(train, tmp_path: Path):
    full = [*SPIRAL, "trainer.max_epochs=6", "data.batch_size=null"]
    one = train(tmp_path / "one", *full)
    two = train(tmp_path / "two", *full, *TWO, "+trainer.strategy=ddp_fork")
    assert two.code == 0, two.err
    assert_same_run(one.run, two.run)


def test_a_loss_that_is_no_number_ends_it_with_one_message(train, tmp_path: Path):
    done = train(tmp_path, "model=linear", "optimizer.lr=1e10", "figures=none", *TWO, "+trainer.strategy=ddp_fork")
    assert done.code == 1
    assert done.err.count("diverged") == 1
    assert done.run.results["status"] == "diverged"


def test_fewer_samples_than_devices_are_refused(train, tmp_path: Path):
    data = ["data.n_points=2", "data.validation=0.25", "data.batch_size=1"]
    done = train(tmp_path, *SPIRAL, *data, *TWO, "+trainer.strategy=ddp_fork")
    assert done.code == 2
    assert "2 devices cannot share 1 samples (val)" in done.err
    assert not done.runs


LONG = [*SPIRAL, "trainer.max_epochs=60", "data.batch_size=2", "checkpoint.every=3", *TWO]


@pytest.fixture(scope="module")
def whole(train: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody stopped."""
    return train(tmp_path_factory.mktemp("whole"), *LONG, "+trainer.strategy=ddp_fork").run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_gone_on_with(commands: Commands, tmp_path: Path, whole: RunFolder, number: int):
    process = commands.start(tmp_path, *LONG, "+trainer.strategy=ddp_fork")
    wait_for(lambda: list(tmp_path.glob("outputs/runs/spiral/2*/checkpoints/last.ckpt")))
    children = descendants(process.popen.pid)
    os.kill(process.popen.pid, number)
    stopped = process.finish(timeout=60)
    assert stopped.code == (-9 if number == signal.SIGKILL else 128 + number)
    wait_for(lambda: not any(map(is_alive, children)))
    if number != signal.SIGKILL:
        assert stopped.run.results["status"] == "interrupted"
        assert 0 < stopped.run.results["steps"] < whole.results["steps"]
    time.sleep(0.1)
    again = commands.train(tmp_path, f"resume={stopped.run.path}")
    assert again.code == 0, again.err
    assert_same_network(whole, again.run)
    assert again.run.history == whole.history
    assert again.run.results["status"] == "completed"
