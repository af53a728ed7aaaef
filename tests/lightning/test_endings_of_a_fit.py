"""A run ends after the step after which an ordinary run ends, says why, and is not gone on with unasked."""

from typing import Any

import composing
import own_tasks
import pytest
import torch
from comparing import named
from ordinary import BATCHES, EPOCHS, SETTING, STEPS
from pytorch_lightning.callbacks import Timer

STOP = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/loss", "min_delta": 0.5, "patience": 1}


class TestAtOnce:
    """``should_stop`` counts after the step in which it was set."""

    @pytest.mark.parametrize("step", [0, 5, 7, 8])
    def test_set_by_a_callback_within_a_step(self, train_both, step: int):
        both = train_both(callbacks={"stop": {"_target_": "own_callbacks.StopsAfter", "step": step}})
        assert both.ordinary.steps < STEPS
        assert both.run.results["steps"] == both.ordinary.steps

    def test_set_by_the_module_within_a_step(self, train_both):
        both = train_both("model.module._target_=own_tasks.StoppingTask", module=own_tasks.StoppingOrdinary)
        assert both.run.results["steps"] == 2 * BATCHES + 2

    @pytest.mark.parametrize("minimum", [{"min_steps": 14}, {"min_steps": 16}, {"min_epochs": 4}], ids=named)
    def test_early_stopping_waits_for_a_minimum_and_no_longer(self, train_both, minimum: dict[str, int]):
        both = train_both(callbacks={"stop": STOP | {"patience": 1}}, trainer=minimum)
        assert 2 * BATCHES < both.ordinary.steps < STEPS
        assert both.run.results["steps"] == both.ordinary.steps


class TestReasons:
    def test_the_planned_end_needs_none(self, launch):
        assert launch(*SETTING).results["ended"] is None
        assert launch(*SETTING, "+trainer.max_steps=5").results["ended"] is None

    def test_early_stopping_is_named(self, train_both, caplog):
        with caplog.at_level("INFO"):
            both = train_both(callbacks={"stop": STOP})
        assert "EarlyStopping" in both.run.results["ended"]
        assert both.run.results["ended"] in caplog.text
        assert both.run.results["epochs"] == both.ordinary.epochs < EPOCHS

    def test_the_end_of_the_time_is_named(self, train_both, monkeypatch: pytest.MonkeyPatch):
        """Where the clock goes on by a second a step."""

        def steps(timer: Timer, *_: Any) -> int:
            return timer.trainer.global_step if hasattr(timer, "trainer") else 0

        monkeypatch.setattr(Timer, "setup", lambda timer, trainer, *_, **__: setattr(timer, "trainer", trainer))
        monkeypatch.setattr(Timer, "time_elapsed", steps)
        both = train_both(trainer={"max_time": {"seconds": 9}})
        assert "max_time" in both.run.results["ended"]
        assert both.run.results["steps"] == both.ordinary.steps == 9

    def test_a_callback_of_ones_own_is_told_of(self, train_both):
        both = train_both(callbacks={"stop": {"_target_": "own_callbacks.StopsAfter", "step": 9}})
        assert both.run.results["ended"]


class TestGoingOn:
    @pytest.fixture
    def ended(self, train_both) -> Any:
        return train_both(callbacks={"stop": STOP})

    def test_a_run_that_ended_by_itself_is_left_alone(self, ended):
        files = {file: file.stat().st_mtime_ns for file in ended.run.path.rglob("*")}
        composing.launch(ended.run.path, f"resume={ended.run.path}")
        assert {file: file.stat().st_mtime_ns for file in ended.run.path.rglob("*")} == files

    def test_a_run_that_ended_by_itself_goes_on_if_it_is_asked_for_more(self, ended, launch):
        """Early stopping has counted on, and ends it again after the next epoch without an improvement."""
        composing.launch(ended.run.path, f"resume={ended.run.path}", f"trainer.max_epochs={2 * EPOCHS}")
        assert ended.run.results["epochs"] > ended.ordinary.epochs
        rows = ended.run.rows
        whole = launch(*SETTING, f"trainer.max_epochs={len(rows)}")
        assert rows == whole.rows
        pairs = zip(ended.run.weights(), whole.weights(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
