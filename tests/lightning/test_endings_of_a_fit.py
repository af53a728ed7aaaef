"""A run ends after the step after which an ordinary run ends, says why, and is not gone on with unasked."""

from types import SimpleNamespace
from typing import Any

import composing
import own_tasks
import pytest
import torch
from comparing import named, settings
from ordinary import BATCHES, EPOCHS, SETTING, STEPS
from pytorch_lightning.callbacks import EarlyStopping, Timer

from littlenets.callbacks.stopping import early_end

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

    @pytest.mark.parametrize(
        ("limit", "reason"),
        [
            ({"stopping_threshold": 0.5}, "reached stopping_threshold=0.5"),
            # From the first check on, which is in epoch 0 as Lightning counts.
            ({"divergence_threshold": 0.1}, "went beyond divergence_threshold=0.1"),
            ({"patience": 1, "min_delta": 10}, "no better for 1 check,"),
            ({"patience": 2, "min_delta": 10}, "no better for 2 checks,"),
        ],
        ids=["stopping", "divergence", "one check", "two checks"],
    )
    def test_what_early_stopping_saw_is_told(self, train_both, limit: dict[str, float], reason: str):
        both = train_both(callbacks={"stop": {"_target_": STOP["_target_"], "monitor": "val/loss", **limit}})
        assert reason in both.run.results["ended"]
        assert both.run.results["epochs"] == both.ordinary.epochs < EPOCHS

    def test_early_stopping_that_goes_on_is_not_named(self, launch):
        """With a patience of 0 it has waited for nothing, as each check is better by its min_delta."""
        early = STOP | {"patience": 0, "min_delta": -10}
        stops = {"_target_": "own_callbacks.StopsAfter", "step": BATCHES + 1}
        run = launch(*SETTING, *settings("callbacks.early", early), *settings("callbacks.stop", stops))
        assert "should_stop" in run.results["ended"]

    def test_an_earlier_stop_is_not_named_again(self):
        """It keeps its ``stopped_epoch`` when a run is gone on with, which another callback ends."""
        early = EarlyStopping("val/loss")
        early.stopped_epoch = 3
        trainer = SimpleNamespace(
            **{"current_epoch": 5, "global_step": 20, "max_epochs": 10, "max_steps": -1, "should_stop": True},
            **{"callbacks": [early], "callback_metrics": {"val/loss": torch.tensor(0.3)}},
        )
        assert "should_stop" in early_end(trainer)

    def test_no_line_tells_of_an_epoch_that_was_not_finished(self, launch, caplog):
        stops = ["+callbacks.stop._target_=own_callbacks.StopsAfter", f"+callbacks.stop.step={BATCHES + 1}"]
        with caplog.at_level("INFO"):
            run = launch(*SETTING, *stops)
        assert run.results["epochs"] == len(run.rows) == 1
        assert "epoch 1/6" in caplog.text
        assert "epoch 2/6" not in caplog.text

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

    def test_an_end_is_put_to_a_run_that_has_none(self, launch):
        """Early stopping ended it; a number of epochs that is still to come is more."""
        stop = [f"+callbacks.stop.{name}={value}" for name, value in STOP.items()]
        run = launch(*SETTING[:-1], "trainer.max_epochs=-1", *stop)
        ended = run.results["epochs"]
        composing.launch(run.path, f"resume={run.path}", f"trainer.max_epochs={ended}")
        assert run.results["epochs"] == ended
        composing.launch(run.path, f"resume={run.path}", f"trainer.max_epochs={ended + 1}")
        assert (run.results["epochs"], run.results["ended"]) == (ended + 1, None)


class TestTime:
    """A run whose time is up goes on when it is given more, by what it says itself."""

    @pytest.fixture(params=[None, EPOCHS], ids=["no other end", "epochs as well"])
    def ended(self, request: pytest.FixtureRequest, launch, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Where the clock goes on by a second a step."""
        monkeypatch.setattr(Timer, "setup", lambda timer, trainer, *_, **__: setattr(timer, "trainer", trainer))
        measured = Timer.time_elapsed

        def steps(timer: Timer, *stage: Any) -> float:
            return timer.trainer.global_step if hasattr(timer, "trainer") else measured(timer, *stage)

        monkeypatch.setattr(Timer, "time_elapsed", steps)
        return launch(*SETTING[:-1], f"trainer.max_epochs={request.param or 'null'}", "+trainer.max_time={seconds:9}")

    def test_more_epochs_are_not_enough(self, ended, caplog):
        """It would end after one more step."""
        files = {file: file.stat().st_mtime_ns for file in ended.path.rglob("*")}
        with caplog.at_level("INFO"):
            composing.launch(ended.path, f"resume={ended.path}", f"trainer.max_epochs={2 * EPOCHS}")
        assert {file: file.stat().st_mtime_ns for file in ended.path.rglob("*")} == files
        assert "+trainer.max_time={seconds:18}" in caplog.text

    def test_it_goes_on_by_what_it_says(self, ended, launch):
        composing.launch(ended.path, f"resume={ended.path}", "+trainer.max_time={seconds:18}")
        assert (ended.results["steps"], "max_time" in ended.results["ended"]) == (18, True)
        # Without a limit of time, and with an end.
        composing.launch(ended.path, f"resume={ended.path}", "+trainer.max_time=null", f"trainer.max_epochs={EPOCHS}")
        whole = launch(*SETTING)
        assert (ended.results["steps"], ended.results["ended"]) == (STEPS, None)
        assert ended.rows == whole.rows
        assert all(torch.equal(*pair) for pair in zip(ended.weights(), whole.weights(), strict=True))
