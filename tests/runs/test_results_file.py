"""results.json: how a run ended, whatever the end."""

import importlib.metadata
import json
import platform
import signal
from datetime import datetime, timedelta, timezone
from pathlib import Path

import composing
import numpy as np
import plain_pytorch
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import ListConfig, OmegaConf
from plain_pytorch import PlainFit

from littlenets.config.origin import Origin
from littlenets.errors import DivergedError, SettingError, StoppedError

KEYS = {
    *(
        "status",
        "metrics",
        "warnings",
        "epochs",
        "steps",
        "ended",
        "started",
        "seconds",
        "model",
        "data",
        "overrides",
        "seed",
        "error",
    ),
    "environment",
}
FAILING = ["+callbacks.observer._target_=observers.EpochObserver", "+callbacks.observer.fail_after=7"]


@pytest.fixture
def run(tmp_path: Path) -> composing.RunFolder:
    """The folder of the first run of the test."""
    return composing.RunFolder(tmp_path / "run1")


def test_a_completed_run(launch, run: composing.RunFolder):
    before = datetime.now(timezone.utc)
    launch("model=spiral", "data.batch_size=500", "trainer.max_epochs=3", "seed=11", "data.noise=0.3")
    results = run.results
    assert set(results) == KEYS
    assert (results["status"], results["error"]) == ("completed", None)
    assert (results["epochs"], results["steps"], results["seed"]) == (3, 12, 11)
    assert (results["model"], results["data"]) == ("spiral", "spiral")
    assert results["overrides"][-1] == "data.noise=0.3"
    assert set(results["metrics"]) >= {"train/loss", "train/acc", "test/loss", "test/acc"}
    assert all(isinstance(value, float) for value in results["metrics"].values())
    assert np.float32(results["metrics"]["train/loss"]) == pytest.approx(run.column("train/loss")[-1], rel=1e-6)
    seconds = results["seconds"]
    assert set(seconds) == {"setup", "fit", "figures", "test", "total"}
    assert seconds["setup"] + seconds["fit"] + seconds["test"] <= seconds["total"]
    started = datetime.fromisoformat(results["started"])
    # A date without an offset could not be compared.
    assert before <= started <= datetime.now(timezone.utc) - timedelta(seconds=seconds["total"])
    environment = results["environment"]
    assert environment["python"] == platform.python_version()
    assert environment["packages"]["torch"] == importlib.metadata.version("torch")
    assert environment["device"] == "cpu"
    assert environment["threads"] == 1


def test_train_returns_the_metrics_of_the_file(tmp_path: Path):
    from littlenets.training import train

    config = composing.compose_config("model=linear", "trainer.max_epochs=3", "logger=none", "trainer.accelerator=cpu")
    before = config.copy()
    result = train(config, tmp_path, Origin.from_hydra())
    assert config == before
    results = composing.RunFolder(tmp_path).results
    assert (result.metrics, result.epochs, result.steps) == (results["metrics"], 3, 3)
    assert (result.folder, result.ended, result.warnings) == (tmp_path, None, results["warnings"])


def test_train_needs_nothing_of_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from littlenets.training import train

    config = composing.compose_config("model=linear", "trainer.max_epochs=3", "logger=none", "trainer.accelerator=cpu")
    expected = train(config, Path(tmp_path), Origin.from_hydra()).metrics
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    again = composing.RunFolder(tmp_path / "again")
    again.path.mkdir()
    assert train(config, again.path).metrics == expected
    assert (again.results["model"], again.results["data"]) == ("LinearRegression", "Line")
    assert HydraConfig.instance().cfg is None


def test_the_saved_configuration_is_resolved_and_makes_the_same_run(launch, run: composing.RunFolder, tmp_path: Path):
    """All that ran stands in config.yaml: nothing to look up, and nothing that a default may change later."""
    from littlenets.training import train

    launch("model=spiral", "scheduler=cosine", "data.batch_size=400", "trainer.max_epochs=4", "seed=2")
    text = (run.path / "config.yaml").read_text()
    assert "${" not in text
    composing.compose_config("model=spiral")  # for the names of the choices
    again = composing.RunFolder(tmp_path / "again")
    again.path.mkdir()
    config = OmegaConf.create(text)
    assert config.pop("origin")["model"] == "spiral"
    train(config, again.path, Origin.from_hydra())
    assert again.rows == run.rows
    assert all(torch.equal(a, b) for a, b in zip(again.weights(), run.weights(), strict=True))


def test_a_run_whose_interruption_made_a_library_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The signal comes while a list of OmegaConf's is made, whose clean-up then raises an error of its own."""
    from littlenets import training

    def interrupted(*arguments: object) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ListConfig, "_set_item_impl", stop)
            ListConfig([1, 2])

    def stop(made: ListConfig, *arguments: object) -> None:
        OmegaConf.is_readonly(made)  # which it remembers, and forgets in the clean-up
        raise StoppedError(signal.SIGTERM)

    monkeypatch.setattr(training, "build_data", interrupted)
    with pytest.raises(StoppedError):
        composing.launch(tmp_path / "run", "model=linear")
    assert composing.RunFolder(tmp_path / "run").results["status"] == "interrupted"


def test_a_failed_run(launch, run: composing.RunFolder):
    with pytest.raises(RuntimeError, match="had enough"):
        launch("model=linear", "trainer.max_epochs=30", *FAILING)
    results = run.results
    assert set(results) == KEYS
    assert results["status"] == "failed"
    assert results["error"] == {"type": "RuntimeError", "message": "the observer had enough"}
    assert (results["model"], results["data"], results["seed"]) == ("linear", "line", 0)
    assert results["environment"]["device"] == "cpu"


def test_an_interrupted_run(launch, run: composing.RunFolder):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        launch("model=linear", "trainer.max_epochs=30", *FAILING, "+callbacks.observer.error=KeyboardInterrupt")
    assert (run.results["status"], run.results["error"]) == ("interrupted", None)
    # Lightning's own, which ignores further Ctrl-Cs, would last for the rest of the process.
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_a_run_that_did_not_complete_says_how_far_it_came(launch, run: composing.RunFolder, error: str):
    """The seventh epoch's step was taken, its end was not reached."""
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        launch(
            *("model=linear", "data.batch_size=2", "trainer.max_epochs=30", *FAILING),
            f"+callbacks.observer.error={error}",
        )
    assert run.results["epochs"] in (6, 7)
    assert run.results["steps"] == 21


def test_a_wrong_setting_is_a_failed_run(launch, run: composing.RunFolder):
    with pytest.raises(SettingError) as raised:
        launch("model=linear", "optimizer.lr=-1")
    assert run.results["status"] == "failed"
    assert run.results["error"] == {"type": "SettingError", "message": str(raised.value)}


def test_a_run_without_a_step_is_a_run_all_the_same(launch, run: composing.RunFolder):
    launch("model=linear", "+trainer.limit_train_batches=0")
    assert (run.results["status"], run.results["steps"]) == ("completed", 0)
    assert OmegaConf.load(run.path / "config.yaml").trainer.limit_train_batches == 0


def diverging(lr: float) -> PlainFit:
    """``model=linear`` by hand until the loss of an epoch is no finite number."""
    torch.manual_seed(0)
    network = plain_pytorch.linear()
    x = torch.arange(1.0, 6.0).unsqueeze(1)
    plain = PlainFit(network, x, 2 * x, plain_pytorch.mse, torch.optim.SGD(network.parameters(), lr=lr))
    while not plain.losses or np.isfinite(plain.losses[-1]):
        plain.epoch()
    return plain


@pytest.mark.parametrize("extra", [[], ["+callbacks.observer._target_=observers.EpochObserver"]], ids=["ahead", "seen"])
@pytest.mark.parametrize("lr", [0.2, 10.0, 1e25])
def test_a_diverged_run(launch, run: composing.RunFolder, lr: float, extra: list[str]):
    plain = diverging(lr)
    last = len(plain.losses)
    with pytest.raises(DivergedError) as raised:
        launch("model=linear", f"optimizer.lr={lr}", *extra)
    results = run.results
    assert (results["status"], results["epochs"]) == ("diverged", last)
    assert results["error"]["type"] == "DivergedError"
    assert f"epoch {last}" in results["error"]["message"]
    assert "optimizer.lr" in results["error"]["message"]
    # The rows that lead there, and the first that is no number.
    assert [row["epoch"] for row in run.rows] == [str(epoch) for epoch in range(1, last + 1)]
    losses = run.column("train/loss")
    np.testing.assert_allclose(losses[:-1], plain.losses[:-1], rtol=1e-4)
    assert not np.isfinite(losses[-1])
    assert raised.value.last_loss == pytest.approx(plain.losses[-2], rel=1e-4)


def test_a_loss_that_diverges_in_the_first_epoch(launch, run: composing.RunFolder):
    with pytest.raises(DivergedError, match="epoch 1"):
        launch("model=linear", "data.batch_size=1", "optimizer.lr=1e30")
    assert (run.results["status"], run.results["epochs"]) == ("diverged", 1)
    assert len(run.rows) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=linear", "data=spiral"],
        ["model=linear", "data.validation=0.95"],
        ["model=multispiral", "data=colour_lines"],
        ["model=linear", "optimizer.lr=1e25"],
        ["model=linear", *FAILING],
        ["model=linear", *FAILING, "+callbacks.observer.error=KeyboardInterrupt"],
        ["model=linear", "scheduler=onecycle", "trainer.max_epochs=-1"],
    ],
    ids=" ".join,
)
def test_a_run_that_did_not_complete_never_says_so(launch, run: composing.RunFolder, overrides: list[str]):
    with pytest.raises((SettingError, DivergedError, RuntimeError, KeyboardInterrupt)):
        launch(*overrides)
    assert json.loads((run.path / "results.json").read_text())["status"] != "completed"


def test_a_run_that_fails_in_its_test_is_failed(launch, run: composing.RunFolder, monkeypatch: pytest.MonkeyPatch):
    from littlenets.modules import Regression

    def fail(self: Regression, batch: object, batch_idx: int) -> None:
        raise RuntimeError("the test failed")

    monkeypatch.setattr(Regression, "test_step", fail)
    with pytest.raises(RuntimeError, match="the test failed"):
        launch("model=linear", "trainer.max_epochs=5")
    assert run.results["status"] == "failed"
    assert (run.results["epochs"], run.results["steps"]) == (5, 5)
    assert "train/loss" in run.results["metrics"]
    assert "test/loss" not in run.results["metrics"]


def test_nobody_finds_results_before_the_end(launch, run: composing.RunFolder, monkeypatch: pytest.MonkeyPatch):
    """The file's presence is what 'finished' means."""
    from littlenets.modules import Regression

    step, present = Regression.test_step, []

    def look(self: Regression, batch: object, batch_idx: int) -> None:
        present.append((run.path / "results.json").exists())
        step(self, batch, batch_idx)

    monkeypatch.setattr(Regression, "test_step", look)
    launch("model=linear", "trainer.max_epochs=2")
    assert present == [False]
    assert run.results["status"] == "completed"
