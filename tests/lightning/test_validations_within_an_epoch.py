"""Validations between the batches of an epoch: each takes place, is recorded, and can be the best."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import composing
import numpy as np
import pytest
import torch
from comparing import named
from composing import RunFolder, load_checkpoint
from ordinary import BATCHES, SETTING, STEPS, Ordinary, OrdinaryRun
from pytorch_lightning.callbacks import ModelCheckpoint

# So large that the loss goes up and down.
LR = 0.05


def validations(run: RunFolder) -> list[dict[str, float]]:
    """Return the rows of validations.csv, each of which must be whole."""
    with (run.path / "validations.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return [{name: float(cell or "nan") for name, cell in zip(header, row, strict=True)} for row in rows]


@pytest.mark.parametrize(
    "interval", [{"val_check_interval": 0.25}, {"val_check_interval": 3, "check_val_every_n_epoch": None}], ids=named
)
def test_every_validation_is_recorded(train_both, interval: dict[str, Any]):
    both = train_both(trainer=interval)
    heard = both.ordinary_recorder
    rows = validations(both.run)
    assert len(rows) == len(heard.validations) == {0.25: STEPS, 3: STEPS // 3}[interval["val_check_interval"]]
    ends = [(epoch + 1, step) for hook, epoch, step in heard.hooks if hook == "on_validation_end"]
    assert [(row["epoch"], row["step"]) for row in rows] == ends
    for name in ("val/loss", "val/acc"):
        expected = [metrics[name] for metrics in heard.validations]
        assert [row[name] for row in rows] == pytest.approx(expected, rel=1e-6)


def test_a_run_that_is_gone_on_with_records_each_validation_once(launch, tmp_path: Path):
    """It goes on from the last checkpoint, after which there had been more validations."""
    settings = (*SETTING, "+trainer.val_check_interval=0.5", "checkpoint.every=2")
    whole = launch(*settings)
    observer = ("+callbacks.observer._target_=observers.EpochObserver", "+callbacks.observer.fail_after=5")
    with pytest.raises(RuntimeError, match="had enough"):
        launch(*settings, *observer)
    part = RunFolder(tmp_path / "run2")
    composing.launch(part.path, f"resume={part.path}", "trust=[observers]")
    assert validations(part) == validations(whole)
    assert part.rows == whole.rows


def test_weights_stay_those_of_the_ordinary_run(train_both):
    both = train_both(trainer={"val_check_interval": 0.5}, record=True)
    assert both.recorder.hooks == both.ordinary_recorder.hooks


def test_the_best_checkpoint_may_be_of_any_validation(launch, tmp_path: Path):
    best = ModelCheckpoint(tmp_path / "best", monitor="val/loss")
    adam = partial(torch.optim.Adam, lr=LR, fused=True)
    OrdinaryRun(lambda: Ordinary(optimizer=adam), [best], val_check_interval=0.25)
    expected = torch.load(best.best_model_path, weights_only=True)
    assert expected["global_step"] % BATCHES, "the best is at the end of an epoch: this would test nothing"
    run = launch(*SETTING, f"optimizer.lr={LR}", "+trainer.val_check_interval=0.25")
    found = load_checkpoint(run.path / "checkpoints" / "best.ckpt")
    assert found["global_step"] == expected["global_step"]
    assert all(torch.equal(found["state_dict"][name], value) for name, value in expected["state_dict"].items())


def test_a_metric_that_is_logged_later_has_a_column_of_its_own(launch):
    run = launch(*SETTING, "+trainer.val_check_interval=0.5", "model.module._target_=own_tasks.MeasuresLater")
    rows = validations(run)
    assert [row["val/1;5"] for row in rows if row["epoch"] > 1] == [row["step"] for row in rows if row["epoch"] > 1]
    assert all(np.isnan(row["val/1;5"]) for row in rows if row["epoch"] == 1)
    # Of several validations in an epoch, the last.
    by_epoch = {row["epoch"]: row["val/1;5"] for row in rows}
    assert np.array_equal(run.column("val/1;5"), list(by_epoch.values()), equal_nan=True)
