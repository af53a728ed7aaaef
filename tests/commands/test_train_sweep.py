"""train.py -m: many runs from one command."""

import re

import pytest
import torch

COMPLETE = {"config.yaml", "results.json", "history.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "train.log"}


@pytest.fixture(scope="module")
def grid(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("grid"), "-m", "optimizer.lr=0.001,0.01", "trainer.max_epochs=3,4")


@pytest.fixture(scope="module")
def partly_failing(train, tmp_path_factory):
    """A wrong setting and a diverging one between two good ones."""
    return train(tmp_path_factory.mktemp("failing"), "-m", "optimizer.lr=0.01,-1,1e10,0.02", "trainer.max_epochs=5")


@pytest.fixture(scope="module")
def digits(train, tmp_path_factory):
    """The convolutional network for five batches, so that shuffling matters."""
    arguments = ["model=cnn", "data=digits", "+trainer.limit_train_batches=5", "trainer.max_epochs=1", "threads=1"]
    return train(tmp_path_factory.mktemp("digits"), "-m", *arguments, "seed=0,1")


def test_every_combination_is_a_complete_run(grid):
    assert grid.code == 0
    assert grid.err == ""
    settings = [(job.config["optimizer"]["lr"], job.config["trainer"]["max_epochs"]) for job in grid.jobs]
    assert settings == [(0.001, 3), (0.001, 4), (0.01, 3), (0.01, 4)]
    for job, (lr, epochs) in zip(grid.jobs, settings, strict=True):
        assert job.files >= COMPLETE
        assert job.results["status"] == "completed"
        assert job.results["epochs"] == epochs
        assert job.results["overrides"] == [f"optimizer.lr={lr}", f"trainer.max_epochs={epochs}"]
        assert [(row["epoch"], row["lr"]) for row in job.history] == [(n, lr) for n in range(1, epochs + 1)]


def test_folders_are_named_by_number_and_what_was_swept(grid):
    names = [job.path.name for job in grid.jobs]
    assert [name.split("_")[0] for name in names] == ["0", "1", "2", "3"]
    for job in grid.jobs:
        for override in job.results["overrides"]:
            key, value = override.split("=")
            assert re.search(rf"{re.escape(key)}\W{re.escape(value)}(?!\d)", job.path.name)
        # = and , have a meaning in Hydra's overrides, and a folder must be usable as run=FOLDER.
        assert re.fullmatch(r"[\w.-]+", job.path.name)


def test_folders_are_not_named_by_what_was_the_same_for_all(digits):
    assert [job.path.name for job in digits.jobs] == ["0_seed-0", "1_seed-1"]


def test_one_learning_rate_gives_one_curve(grid, default_run):
    """A job is the same as a run of its own, and does not depend on the jobs before it."""
    assert grid.jobs[2].history == default_run.run.history[:3]
    assert grid.jobs[3].history == default_run.run.history[:4]


def test_a_failing_job_leaves_the_others_complete(partly_failing):
    jobs = partly_failing.jobs
    assert [job.results["status"] for job in jobs] == ["completed", "failed", "diverged", "completed"]
    for job in (jobs[0], jobs[3]):
        assert job.files >= COMPLETE
        assert job.results["epochs"] == len(job.history) == 5


def test_a_failing_job_fails_the_sweep_with_a_message(partly_failing):
    assert partly_failing.code == 2
    assert "optimizer.lr=-1: it should be greater than 0" in partly_failing.err
    assert "Traceback" not in partly_failing.out + partly_failing.err
    assert "optimizer.lr" in partly_failing.jobs[1].results["error"]["message"]


def test_every_failing_job_has_its_message(partly_failing):
    assert "diverged" in partly_failing.out + partly_failing.err


def test_every_failing_job_has_its_message_in_its_own_log(partly_failing):
    _, wrong, diverged, _ = ((job.path / "train.log").read_text() for job in partly_failing.jobs)
    assert "optimizer.lr=-1" in wrong
    assert "Lower optimizer.lr" in diverged


def test_the_seed_decides_the_order_of_batches_too(digits):
    assert digits.code == 0
    assert [job.results["status"] for job in digits.jobs] == ["completed", "completed"]
    one, other = (job.weights() for job in digits.jobs)
    assert not any(torch.equal(one[name], other[name]) for name in one)
