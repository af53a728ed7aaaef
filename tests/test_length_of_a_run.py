"""Runs that something else than a number of epochs ends."""

import math
from types import SimpleNamespace

import composing
import pytest
import torch
from composing import RunFolder

from littlenets.callbacks.epoch_counts import planned_epochs
from littlenets.errors import SettingError

SMALL = ("model=spiral", "data.n_points=50", "data.batch_size=40")  # 3 batches an epoch


def go_on(run: RunFolder, *overrides: str) -> None:
    composing.launch(run.path, f"resume={run.path}", *overrides)


@pytest.mark.parametrize(
    ("max_epochs", "max_steps", "batches", "epochs"),
    [(7, -1, 3, 7), (-1, 7, 3, 3), (None, 6, 3, 2), (1, 7, 3, 1), (None, -1, 3, None), (None, 6, math.inf, None)],
)
def test_how_long_it_will_be(max_epochs, max_steps, batches, epochs):
    trainer = SimpleNamespace(max_epochs=max_epochs, max_steps=max_steps, num_training_batches=batches)
    assert planned_epochs(trainer) == epochs


def test_steps_alone_end_a_run(launch):
    by_steps = launch(*SMALL, "trainer.max_epochs=null", "+trainer.max_steps=1.2e1")
    by_epochs = launch(*SMALL, "trainer.max_epochs=4")
    assert by_steps.results["steps"] == 12
    assert by_steps.rows == by_epochs.rows
    assert all(torch.equal(*pair) for pair in zip(by_steps.weights(), by_epochs.weights(), strict=True))


def test_a_run_that_its_steps_ended_is_gone_on_with(launch):
    run = launch(*SMALL, "trainer.max_epochs=null", "+trainer.max_steps=11")
    go_on(run, "+trainer.max_steps=15")
    assert run.rows == launch(*SMALL, "trainer.max_epochs=5").rows


@pytest.mark.parametrize("seconds", ["{seconds:1}", "00:00:00:01"])
def test_time_alone_ends_a_run_that_can_be_gone_on_with(launch, seconds: str):
    run = launch(*SMALL, "trainer.max_epochs=null", f"+trainer.max_time={seconds}")
    assert run.results["status"] == "completed"
    steps = run.results["steps"]
    assert steps > 0
    assert run.results["seconds"]["fit"] < 30
    epochs = run.results["epochs"] + 2
    go_on(run, "+trainer.max_time=null", f"trainer.max_epochs={epochs}")
    whole = launch(*SMALL, f"trainer.max_epochs={epochs}")
    assert run.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(run.weights(), whole.weights(), strict=True))


def test_another_time_takes_the_place_of_the_first(launch):
    run = launch(*SMALL, "trainer.max_epochs=2", "+trainer.max_time={hours:1}")
    go_on(run, "+trainer.max_time={minutes:3}", "trainer.max_epochs=3")
    assert "minutes: 3" in (run.path / "config.yaml").read_text()
    assert "hours" not in (run.path / "config.yaml").read_text().partition("origin:")[0]


def test_a_schedule_for_all_steps_cannot_be_stretched(launch):
    run = launch(*SMALL, "trainer.max_epochs=null", "+trainer.max_steps=6", "scheduler=onecycle")
    with pytest.raises(SettingError, match=r"trainer\.max_epochs=9: the scheduler"):
        go_on(run, "trainer.max_epochs=9")
