"""train.py logger=...: who else gets the numbers of history.csv."""

import csv

import pytest


@pytest.fixture(scope="module")
def loggers(train, tmp_path_factory):
    """A job with Lightning's CSV logger, then one with none."""
    return train(tmp_path_factory.mktemp("loggers"), "-m", "logger=csv,none", "trainer.max_epochs=5")


def folders(run) -> set[str]:
    return {path.name for path in run.path.iterdir() if path.is_dir()}


def test_every_logger_finishes(loggers):
    assert loggers.code == 0
    assert loggers.err == ""
    assert [job.results["status"] for job in loggers.jobs] == ["completed", "completed"]


def test_csv_has_the_history(loggers):
    job = loggers.jobs[0]
    assert folders(job) == {"checkpoints", "csv"}
    with (job.path / "csv" / "metrics.csv").open(newline="") as file:
        logged = {int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]}
    assert logged == pytest.approx({row["epoch"]: row["train/loss"] for row in job.history}, rel=1e-7)


def test_none_has_its_history_all_the_same(loggers, default_run):
    job = loggers.jobs[1]
    assert folders(job) == {"checkpoints"}
    assert job.history == default_run.run.history[:5]
    assert job.config["logger"] is None


def test_tensorboard_is_named_only_where_it_was_written(loggers):
    assert "tensorboard" not in loggers.out
