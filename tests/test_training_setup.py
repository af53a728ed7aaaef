"""What a run does before it trains: stand-ins for data that is not there, and combinations that make no sense."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from littlenets.errors import SettingError

TINY = ["model=cnn", "model.network.channels=[2]", "model.network.hidden=[4]", "trainer.max_epochs=1"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model=linear", "data=spiral"], r"LinearRegression.*does not fit data=spiral"),
        (["model=linear", "data=digits"], r"LinearRegression.*does not fit data=digits"),
        (["model=spiral", "data=multispiral"], r"SpiralNet.*does not fit data=multispiral.*3 classes"),
        (["model=spiral", "data=line"], r"SpiralNet.*does not fit data=line"),
        (["model=multispiral", "data.arms=4"], r"MultiSpiralNet.*does not fit data=multispiral.*4 classes"),
        (["model=cnn", "data=spiral"], r"CNN.*does not fit data=spiral"),
        (["model=multispiral", "data=colour_lines"], r"colour_lines is for testing only"),
        (["model=spiral", "data=colour_lines"], r"colour_lines is for testing only"),
    ],
)
def test_what_does_not_fit_is_said_before_training(launch, overrides: list[str], says: str):
    with pytest.raises(SettingError, match=says):
        launch(*overrides)


def test_more_arms_and_more_classes_fit(launch):
    run = launch("model=multispiral", "data.arms=4", "model.network.classes=4", "trainer.max_epochs=1")
    assert run.weights()[-1].shape == (4,)


@pytest.mark.parametrize("data", ["mnist", "fashion_mnist"])
def test_digits_stand_in_for_files_that_are_not_there(launch, tmp_path: Path, data: str):
    absent = [f"data={data}", f"data.root={tmp_path}", "data.mirrors=[]", "data.batch_size=100"]
    run, chosen = launch(*TINY, *absent), launch(*TINY, "data=digits", "data.batch_size=100")
    assert run.results["data"] == "digits"
    config = OmegaConf.load(run.path / "config.yaml")
    assert (config.data._target_, config.data.batch_size) == ("littlenets.data.Digits", 100)
    assert run.rows == chosen.rows
    assert run.results["metrics"] == chosen.results["metrics"]


def test_without_a_stand_in_it_is_an_error(launch, tmp_path: Path):
    with pytest.raises(SettingError, match="data=digits"):
        launch(*TINY, f"data.root={tmp_path}", "data.mirrors=[]", "data.stand_in=null")


def test_a_stand_in_that_does_not_exist_is_named_with_those_that_do(launch, tmp_path: Path):
    with pytest.raises(SettingError, match=r"no data=number.*digits"):
        launch(*TINY, f"data.root={tmp_path}", "data.mirrors=[]", "data.stand_in=number")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["+trainer.gradient_clip_val=1.0", "+trainer.gradient_clip_algorithm=some"], "trainer.*some"),
        (["+trainer.accumulate_grad_batches=2.5"], "accumulate_grad_batches"),
        (["trainer.precision=7"], "trainer.*precision|precision"),
        (["trainer.accelerator=abacus"], "trainer.*abacus"),
        (["scheduler=onecycle", "trainer.max_epochs=-1"], "max_epochs|total_steps"),
        (["scheduler=onecycle", "scheduler.pct_start=1.5"], "scheduler.*pct_start"),
        (["optimizer=sgd", "+optimizer.nesterov=true"], "optimizer.*[Nn]esterov"),
    ],
)
def test_what_torch_or_lightning_refuse_is_a_wrong_setting(launch, overrides: list[str], says: str):
    with pytest.raises(SettingError, match=says):
        launch("model=linear", *overrides)


@pytest.mark.parametrize("overrides", [["+optimizer.foreach=true"], ["+optimizer.fused=false"]], ids=str)
def test_how_the_optimizer_computes_may_be_chosen(launch, overrides: list[str]):
    """Fused where nothing is said, and the same numbers in each way."""
    plain, chosen = launch("trainer.max_epochs=3"), launch("trainer.max_epochs=3", *overrides)
    assert chosen.column("train/loss") == pytest.approx(plain.column("train/loss"), rel=1e-6)
    (key, value) = overrides[0].removeprefix("+optimizer.").split("=")
    (group,) = chosen.checkpoint()["optimizer_states"][0]["param_groups"]
    assert group[key] == (value == "true")
