"""The labels of runs, which are folder names."""

import os

import pytest

from littlenets.config.labels import LONGEST, overrides_label


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ([], ""),
        (["model=cnn", "data.root=/data", "hydra.run.dir=x", "threads=1", "logger.every=3", "seed=3"], "seed=3"),
        (["+trainer.limit_train_batches=3", "optimizer=sgd"], "limit_train_batches=3, optimizer=sgd"),
        (["model.network.name=a", "data.name=b"], "network.name=a, data.name=b"),
        (["+data.file=/a/b"], "file=-a-b"),
        (["+trainer.max_time={minutes:10}", "data.seed=${seed}"], "max_time={minutes-10}, seed=-{seed}"),
        (["+data.name='a\n\x7f\\b'"], "name='a-\x7f-b'"),
    ],
)
def test_what_was_said_on_the_command_line(overrides: list[str], label: str):
    assert overrides_label(overrides) == label


def test_settings_that_are_named_are_left_out():
    assert overrides_label(["optimizer.lr=0.1", "+data.x=1", "seed=3"], ["data.x", "seed"]) == "lr=0.1"


@pytest.mark.parametrize("character", ["a", "é", "語", "🙂", "\udcff"])
def test_they_are_cut_where_they_would_be_too_long(character: str):
    label = overrides_label([f"data.something_{number}={character * 9}" for number in range(30)])
    assert len(label) == LONGEST
    assert label.endswith("…")
    assert len(os.fsencode(label)) < 256
    assert len(os.fsencode(overrides_label([f"seed={character * 300}"]))) < 256
