"""train.py -m: many runs from one command."""

import re

import pytest
import torch

COMPLETE = {"config.yaml", "results.json", "history.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "train.log"}


@pytest.fixture(scope="module")
def grid(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("grid"), "-m", "optimizer.lr=0.001,0.01", "trainer.max_epochs=3,4")


@pytest.fixture(scope="module")
def partly_diverging(train, tmp_path_factory):
    """One after another: a diverging job between two good ones."""
    arguments = ["-m", "hydra/launcher=basic", "optimizer.lr=0.01,1e10,0.02", "trainer.max_epochs=5"]
    return train(tmp_path_factory.mktemp("diverging"), *arguments)


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


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("grid", [f"lr={lr}, max_epochs={epochs}" for lr in (0.001, 0.01) for epochs in (3, 4)]),
        ("partly_diverging", ["lr=0.01", "lr=10000000000.0", "lr=0.02"]),
        ("digits", ["seed=0", "seed=1"]),
    ],
)
def test_tensorboard_shows_what_was_swept(request: pytest.FixtureRequest, name: str, labels: list[str]):
    jobs = request.getfixturevalue(name).jobs
    assert [[folder.name for folder in (job.path / "tensorboard").iterdir()] for job in jobs] == [[x] for x in labels]


def test_one_learning_rate_gives_one_curve(grid, default_run):
    """A job is the same as a run of its own, and does not depend on the jobs before it."""
    assert grid.jobs[2].history == default_run.run.history[:3]
    assert grid.jobs[3].history == default_run.run.history[:4]


def test_a_diverging_job_leaves_the_others_complete(partly_diverging):
    jobs = partly_diverging.jobs
    assert [job.results["status"] for job in jobs] == ["completed", "diverged", "completed"]
    for job in (jobs[0], jobs[2]):
        assert job.files >= COMPLETE
        assert job.results["epochs"] == len(job.history) == 5


def test_a_diverged_job_is_a_result(partly_diverging):
    assert partly_diverging.code == 0
    assert "diverged at epoch" in partly_diverging.out
    assert "Traceback" not in partly_diverging.out + partly_diverging.err
    assert "Lower optimizer.lr" in (partly_diverging.jobs[1].path / "train.log").read_text()


def test_the_seed_decides_the_order_of_batches_too(digits):
    assert digits.code == 0
    assert [job.results["status"] for job in digits.jobs] == ["completed", "completed"]
    one, other = (job.weights() for job in digits.jobs)
    assert not any(torch.equal(one[name], other[name]) for name in one)
