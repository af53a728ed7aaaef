"""A LightningModule that somebody already has trains in the package as it does without it."""

from typing import Any

import composing
import own_modules
import pytest
import torch
from comparing import data
from ordinary import EPOCHS, STEPS
from own_data import Points

SETTING = ("model=spiral", f"trainer.max_epochs={EPOCHS}")


def of(module: str, **arguments: Any) -> list[str]:
    """Overrides that train a module without a network, an optimizer or data of the package."""
    return [
        *(f"model.module._target_=own_modules.{module}", "~model.module.loss", "model.network=null"),
        *("optimizer=none", *data("own_data.Points", **arguments)),
    ]


@pytest.mark.parametrize("name", ["Classifier", "TwoPlayers"])
def test_it_trains_alike_and_its_numbers_are_recorded(train_both, name: str):
    both = train_both(*of(name), setting=SETTING, module=getattr(own_modules, name), data=Points())
    for column in both.ordinary_recorder.metrics[-1]:
        expected = [metrics[column] for metrics in both.ordinary_recorder.metrics]
        assert both.run.column(column) == pytest.approx(expected, rel=1e-6), column
    expected = both.ordinary.metrics | both.ordinary.test()
    assert {key: both.run.results["metrics"][key] for key in expected} == pytest.approx(expected, rel=1e-6)


def test_its_settings_are_settings_of_the_run(train_both):
    both = train_both(
        *(*of("Classifier"), "+model.module.lr=0.2"),
        setting=SETTING,
        module=lambda: own_modules.Classifier(lr=0.2),
        data=Points(),
    )
    assert both.ordinary_recorder.lrs[0] == [0.2]


def test_it_is_resumed_exactly(launch):
    whole = launch(*SETTING, *of("Classifier"))
    part = launch(*SETTING, *of("Classifier"), "trainer.max_epochs=3")
    more = ("trust=[own_modules,own_data]", f"trainer.max_epochs={EPOCHS}")
    composing.launch(part.path, f"resume={part.path}", *more)
    assert part.rows == whole.rows
    saved = part.checkpoint()["state_dict"]
    assert all(torch.equal(saved[name], value) for name, value in whole.checkpoint()["state_dict"].items())


def test_two_validation_loaders_are_both_recorded(train_both):
    both = train_both(
        *of("Classifier", validations=2), setting=SETTING, module=own_modules.Classifier, data=Points(validations=2)
    )
    for name in ("val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"):
        expected = [metrics[name] for metrics in both.ordinary_recorder.metrics]
        assert both.run.column(name) == pytest.approx(expected, rel=1e-6), name


def test_batches_may_be_dictionaries(train_both):
    both = train_both(
        *of("NamedClassifier", named=True),
        setting=SETTING,
        module=own_modules.NamedClassifier,
        data=Points(named=True),
    )
    assert both.run.results["metrics"]["test_loss"] == pytest.approx(both.ordinary.test()["test_loss"], rel=1e-6)


def test_data_may_have_nothing_to_test_on(train_both):
    both = train_both(*of("Classifier", test=False), setting=SETTING, module=own_modules.Classifier, data=Points())
    assert both.run.results["status"] == "completed"
    assert both.run.results["steps"] == STEPS
    assert not any(name.startswith("test") for name in both.run.results["metrics"])


def test_a_task_of_the_package_needs_nothing_to_test_on_either(launch):
    run = launch(*SETTING, *data("own_data.Points", test=False))
    assert (run.results["status"], run.results["steps"]) == ("completed", STEPS)
    assert not any(name.startswith("test") for name in run.results["metrics"])
