"""What the other tests here rest on: a run of the package equals an ordinary run of Lightning, bit for bit."""

import own_networks
import pytest
import torch
from comparing import network
from ordinary import BATCHES, EPOCHS, SETTING, STEPS, Ordinary


def test_weights_and_metrics_are_equal(train_both):
    both = train_both()
    assert (both.ordinary.steps, both.ordinary.epochs) == (STEPS, EPOCHS)
    assert (both.run.results["epochs"], both.run.results["status"]) == (EPOCHS, "completed")
    expected = both.ordinary.metrics | both.ordinary.test()
    measured = both.run.results["metrics"]
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_history_is_what_the_ordinary_run_measures_in_each_epoch(train_both):
    both = train_both()
    assert len(both.run.rows) == EPOCHS
    for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
        expected = [metrics[name] for metrics in both.ordinary_recorder.metrics]
        assert both.run.column(name) == pytest.approx(expected, rel=1e-6), name
    assert list(both.run.column("lr")) == both.ordinary_recorder.last_lrs


def test_an_observer_of_everything_hears_the_same_in_both(train_both):
    both = train_both(record=True)
    ours, theirs = both.recorder, both.ordinary_recorder
    assert len(theirs.losses) == EPOCHS * BATCHES
    assert ours.hooks == theirs.hooks
    assert ours.norms == theirs.norms
    assert ours.lrs == theirs.lrs
    assert [loss.item() for loss in ours.losses] == [loss.item() for loss in theirs.losses]
    for epoch, (one, other) in enumerate(zip(ours.metrics, theirs.metrics, strict=True)):
        assert {name: one[name] for name in other} == pytest.approx(other, rel=1e-6), epoch


def test_run_ahead_can_be_switched_off(launch):
    ahead, alone = launch(*SETTING), launch(*SETTING, "run_ahead=false")
    assert alone.rows == ahead.rows
    assert all(torch.equal(*pair) for pair in zip(alone.weights(), ahead.weights(), strict=True))


@pytest.mark.parametrize("name", ["BatchNormNet", "DropoutNet"])
def test_networks_with_statistics_and_with_chance_train_alike(train_both, name: str):
    both = train_both(*network(f"own_networks.{name}"), module=lambda: Ordinary(getattr(own_networks, name)()))
    assert both.run.column("val/loss") == pytest.approx(
        [metrics["val/loss"] for metrics in both.ordinary_recorder.metrics], rel=1e-6
    )
