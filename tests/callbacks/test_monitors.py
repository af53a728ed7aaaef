"""Callbacks that monitor a metric, when training is about to begin."""

import pytest

from littlenets.errors import SettingError

STOP = "{_target_:pytorch_lightning.callbacks.EarlyStopping,patience:1,monitor:"


def test_one_that_will_not_be_measured_is_told_before_there_is_a_run(launch, tmp_path):
    with pytest.raises(
        SettingError, match=r"EarlyStopping, monitor=val/loss: .*validation.*train/loss, lr, weight, bias"
    ):
        # A twentieth of five points is none.
        launch("data.validation=0.05", f"+callbacks.stop={STOP}val/loss}}")
    assert not (tmp_path / "run1" / "config.yaml").exists()


@pytest.mark.parametrize(
    "own", ["+callbacks.own._target_=outside_callbacks.Logs", "model.module._target_=outside_callbacks.Measures"]
)
def test_what_a_class_of_a_users_logs_is_monitored_with_a_warning(launch, caplog, own):
    run = launch("trainer.max_epochs=4", own, f"+callbacks.stop={STOP}their/own}}")
    assert run.results["epochs"] == 4  # it becomes smaller all the time
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "their/own" in said


def test_one_that_is_measured_stops_the_run(launch):
    run = launch("trainer.max_epochs=50", "optimizer.lr=0.05", f"+callbacks.stop={STOP}weight,mode:max}}")
    weights = run.column("weight")
    assert len(weights) < 50
    assert weights[-1] <= weights[:-1].max()
