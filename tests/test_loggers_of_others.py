"""logger=wandb, and MLflow: their packages are not installed with this one."""

import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytorch_lightning.loggers import MLFlowLogger

from littlenets.errors import SettingError
from littlenets.loggers import open_logger


class Run:
    """One of Weights & Biases, as far as Lightning needs it."""

    def __init__(self, **given: Any) -> None:
        self.given, self.config, self.logged = given, {}, []

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def define_metric(self, *names: str, **how: Any) -> None:
        pass

    def finish(self) -> None:
        sys.modules["wandb"].run = None


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """In place of the package: ``run`` is the one under way in this process, which Lightning would go on with."""
    package, lib, run_module = ModuleType("wandb"), ModuleType("wandb.sdk.lib"), ModuleType("wandb.wandb_run")
    package.run, package.all_runs = None, []
    lib.RunDisabled, run_module.Run = type("RunDisabled", (), {}), Run

    def init(**given: Any) -> Run:
        package.run = Run(**given)
        package.all_runs.append(package.run)
        return package.run

    package.init = init
    for module in (package, ModuleType("wandb.sdk"), lib, run_module):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", True)
    return package


def test_each_run_of_a_process_is_one_of_its_own_there(launch, wandb: ModuleType, tmp_path: Path):
    for epochs in (3, 2):
        launch(f"trainer.max_epochs={epochs}", "optimizer.lr=0.02", logger="wandb")
    assert wandb.run is None
    assert [run.given["name"] for run in wandb.all_runs] == [f"{tmp_path.name}/run1", f"{tmp_path.name}/run2"]
    for run, epochs in zip(wandb.all_runs, (3, 2), strict=True):
        assert (run.config["model"], run.config["lr"]) == ("linear", 0.02)
        steps = [values["trainer/global_step"] for values in run.logged if "train/loss" in values]
        assert steps == list(range(1, epochs + 1))
        assert "test/loss" in run.logged[-1]


def test_one_that_failed_is_finished_as_well(launch, wandb: ModuleType):
    with pytest.raises(ValueError, match="out of order"):
        launch(
            "model.network._target_=outside_networks.OutOfOrder",
            "+model.network.breaks=true",
            logger="wandb",
        )
    assert len(wandb.all_runs) == 1
    assert wandb.run is None


def test_a_name_that_was_given_is_kept(launch, wandb: ModuleType):
    launch("trainer.max_epochs=1", "logger.wandb.name=mine", logger="wandb")
    assert wandb.all_runs[0].given["name"] == "mine"


def test_a_package_that_is_not_there_is_named(launch, monkeypatch: pytest.MonkeyPatch):
    missing = Missing("Requirement 'wandb>=1' not met.\nTry `pip install wandb`.")
    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", missing)
    with pytest.raises(SettingError, match=r"^logger: .*not met\. Try `pip install wandb`\.$"):
        launch("trainer.max_epochs=1", logger="wandb")


class Missing:
    """What Lightning knows of a package that is not installed."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return self.message


def test_mlflow_gets_the_runs_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    given = {}
    monkeypatch.setattr(MLFlowLogger, "__init__", lambda self, **arguments: given.update(arguments))
    open_logger(functools.partial(MLFlowLogger), tmp_path / "spiral" / "one", None)
    assert given == {"save_dir": tmp_path / "spiral" / "one", "run_name": "spiral/one"}
