"""One run of train.py: what it prints, what it leaves behind, and what decides its numbers."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

RUN_FILES = {
    "config.yaml",
    "results.json",
    "history.csv",
    "checkpoints/last.ckpt",
    "checkpoints/best.ckpt",
    "tensorboard/events",
    *(f"figures/{name}.png" for name in ("loss", "parameters", "fit", "surface", "network")),
    "train.log",
}


@pytest.fixture(scope="module")
def simultaneous(commands, tmp_path_factory):
    """Two runs started at once in one folder: the default, and another seed."""
    cwd = tmp_path_factory.mktemp("simultaneous")
    return [process.finish() for process in [commands.start(cwd), commands.start(cwd, "seed=1")]]


def test_it_succeeds_without_a_warning(default_run):
    assert default_run.code == 0
    assert default_run.err == ""
    assert "Traceback" not in default_run.out
    assert "warning" not in default_run.out.lower()


def test_its_first_line_says_what_is_trained(default_run):
    first = default_run.out.splitlines()[0]
    for fact in ("linear", "2 parameters", "line", "5 points", "full batch", "200 epochs"):
        assert fact in first


def test_it_prints_few_lines_in_between(default_run):
    epochs = [line for line in default_run.out.splitlines() if line.startswith("epoch ")]
    assert 5 <= len(epochs) <= 20
    assert epochs[-1].startswith("epoch 200/200 ")


def test_it_ends_with_metrics_folders_and_tensorboard_line(default_run):
    lines = default_run.out.splitlines()
    table = dict(re.fullmatch(r"  (\S+) +(\S+)", line).groups() for line in lines if line.startswith("  "))
    metrics = default_run.run.results["metrics"]
    assert {name: float(value) for name, value in table.items()} == pytest.approx(metrics, rel=1e-4)
    folder = default_run.run.path.relative_to(default_run.cwd)
    assert lines[-3].split() == ["Run", "folder", str(folder)]
    assert lines[-2].split() == ["Figures", f"{folder}/figures"]
    assert lines[-1].endswith(f" tensorboard --logdir {folder}")


def test_its_folder_has_just_the_files_of_a_run(default_run):
    assert default_run.run.files == RUN_FILES
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{4}", default_run.run.path.name)


def test_it_writes_nowhere_else(default_run):
    below = {str(path.relative_to(default_run.cwd)) for path in default_run.cwd.glob("**/*")}
    run = f"outputs/runs/linear/{default_run.run.path.name}"
    outside = {name for name in below if not name.startswith(run)}
    assert outside == {"outputs", "outputs/runs", "outputs/runs/linear", "outputs/runs/linear/latest"}


def test_latest_is_a_relative_link_to_it(default_run):
    latest = default_run.cwd / "outputs" / "runs" / "linear" / "latest"
    assert latest.readlink() == Path(default_run.run.path.name)


def test_its_log_has_what_was_printed(default_run):
    log = (default_run.run.path / "train.log").read_text()
    for line in default_run.out.splitlines():
        assert line in log


def test_its_results(default_run):
    results = default_run.run.results
    assert results.keys() == {
        *("status", "metrics", "warnings", "epochs", "steps", "ended", "started", "seconds"),
        *("model", "data", "overrides", "seed", "error", "environment"),
    }
    assert results["status"] == "completed"
    assert (results["model"], results["data"], results["overrides"]) == ("linear", "line", [])
    assert (results["seed"], results["epochs"], results["steps"], results["error"]) == (0, 200, 200, None)
    assert {"setup", "fit", "test", "figures"} <= results["seconds"].keys()
    assert all(seconds >= 0 for seconds in results["seconds"].values())
    assert all(isinstance(value, float) for value in results["metrics"].values())
    assert {"train/loss", "weight", "bias", "test/loss", "test/mae"} <= results["metrics"].keys()
    environment = results["environment"]
    assert environment["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert environment["python"].startswith("3.")
    assert environment["device"]
    assert environment["git"] is None or environment["git"].keys() == {"commit", "clean"}


def test_its_config_is_resolved(default_run):
    assert "${" not in (default_run.run.path / "config.yaml").read_text()
    config = default_run.run.config
    assert config["data"]["seed"] == config["seed"] == 0
    assert config["trainer"]["max_epochs"] == 200
    assert config["optimizer"]["lr"] == 0.01


def test_its_history_is_gradient_descent(default_run):
    """Every row follows from the one before by the derivatives of mean((w x + b - 2 x)^2)."""
    rows = default_run.run.history
    assert [row["epoch"] for row in rows] == list(range(1, 201))
    x = np.arange(1.0, 6.0)
    for row, following in pairwise(rows):
        errors = row["weight"] * x + row["bias"] - 2 * x
        assert following["train/loss"] == pytest.approx(np.mean(errors**2), rel=1e-4)
        # float32 keeps seven digits of a weight.
        assert following["weight"] == pytest.approx(row["weight"] - 0.01 * np.mean(2 * errors * x), abs=1e-6)
        assert following["bias"] == pytest.approx(row["bias"] - 0.01 * np.mean(2 * errors), abs=1e-6)


def test_checkpoints_history_and_results_agree(default_run):
    run = default_run.run
    weight, bias = (value.item() for value in run.weights().values())
    last, metrics = run.history[-1], run.results["metrics"]
    assert (last["weight"], last["bias"]) == pytest.approx((weight, bias), rel=1e-8)
    assert (metrics["weight"], metrics["bias"]) == (weight, bias)
    # float32 has steps of 4e-6 where the prediction is, just below 40.
    assert metrics["test/mae"] == pytest.approx(abs(20 * weight + bias - 40), abs=1e-5)
    assert metrics["test/loss"] == pytest.approx((20 * weight + bias - 40) ** 2, rel=1e-5)
    # The loss falls in every epoch, so the best epoch is the last one.
    assert [row["train/loss"] for row in run.history] == sorted(
        (row["train/loss"] for row in run.history), reverse=True
    )
    assert all(map(torch.equal, run.weights("best.ckpt").values(), run.weights().values()))


def test_tensorboard_shows_history_and_settings(default_run):
    curve = default_run.run.events().Scalars("train/loss")
    history = {row["epoch"]: pytest.approx(row["train/loss"], rel=1e-6) for row in default_run.run.history}
    assert {point.step: point.value for point in curve} == history
    shown = default_run.run.hyperparameters()
    assert (shown["model"], shown["data"], shown["lr"]) == ("linear", "line", pytest.approx(0.01))


def test_two_at_once_do_not_share_a_folder(simultaneous):
    first, second = simultaneous
    assert (first.code, second.code) == (0, 0)
    assert len(first.runs) == 2
    assert [run.files for run in first.runs] == [RUN_FILES, RUN_FILES]
    assert [run.results["status"] for run in first.runs] == ["completed", "completed"]
    assert sorted(run.results["seed"] for run in first.runs) == [0, 1]
    printed = {str(run.path.relative_to(first.cwd)) for run in first.runs}
    assert {re.search(r"Run folder +(\S+)", done.out)[1] for done in simultaneous} == printed
    latest = first.cwd / "outputs" / "runs" / "linear" / "latest"
    assert latest.resolve() in {run.path.resolve() for run in first.runs}


def test_the_seed_decides_the_weights(default_run, simultaneous):
    """The same seed in two processes gives the same bits."""
    runs = {run.results["seed"]: run.weights() for run in simultaneous[0].runs}
    expected = default_run.run.weights()
    assert runs[0].keys() == runs[1].keys() == expected.keys()
    assert all(torch.equal(runs[0][name], expected[name]) for name in expected)
    assert not any(torch.equal(runs[1][name], expected[name]) for name in expected)


def test_the_config_is_shown_without_importing_what_trains(commands, default_run, tmp_path):
    shown, imported = commands.train_and_list_imports(tmp_path, "--cfg", "job", "--resolve")
    assert shown.code == 0
    assert shown.err == ""
    # The file also says where the configuration came from.
    origin = {"model": "linear", "data": "line", "stand_in_for": None, "overrides": []}
    assert yaml.safe_load(shown.out) | {"origin": origin} == default_run.run.config
    assert "hydra" in imported
    slow = {"torch", "pytorch_lightning", "torchmetrics", "torchvision", "matplotlib", "sklearn", "tensorboard"}
    assert not imported & slow
    assert not list(tmp_path.iterdir())
