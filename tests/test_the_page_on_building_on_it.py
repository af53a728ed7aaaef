"""docs/build-on-it.md does what it says: a run with data, loss, callbacks, optimizer and logger from its files."""

import csv
import json
from pathlib import Path

import pages
import pytest
import torch
import yaml

PAGE, PAGE_BEFORE = "docs/build-on-it.md", "docs/add-a-network.md"
NEW = {
    "rings.py",
    "smoothed.py",
    "vae.py",
    "tags.py",
    "gan.py",
    "conf/data/tags.yaml",
    "conf/model/vae.yaml",
    "conf/model/tags.yaml",
    "conf/model/gan.yaml",
    "weight_norm.py",
    "conf/data/rings.yaml",
    "conf/optimizer/rmsprop.yaml",
    "conf/callbacks/mine.yaml",
    "conf/experiment/rings.yaml",
    "conf/logger/mlflow.yaml",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page's run."""
    written = pages.files(PAGE_BEFORE) | pages.files(PAGE)
    return pages.follow(PAGE, tmp_path_factory.mktemp("page"), written) / "outputs/runs/polar/latest"


@pytest.fixture(scope="module")
def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_has_its_files():
    assert set(pages.files(PAGE)) == {f"mynets/{name}" for name in NEW}
    assert len(pages.shell_blocks(PAGE)) == 5


def test_all_of_them_were_used(run: Path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["_target_"] == "rings.Rings"
    assert config["optimizer"]["_target_"] == "torch.optim.RMSprop"
    assert (config["model"]["module"]["_target_"], config["model"]["module"]["smoothing"]) == ("smoothed.Smoothed", 0.2)
    assert config["callbacks"].keys() >= {"history", "checkpoints", "early_stopping", "weight_norm"}
    assert (run / "csv" / "metrics.csv").is_file()


def test_the_rings_are_told_apart(run: Path):
    results = json.loads((run / "results.json").read_text())
    assert results["status"] == "completed"
    assert results["metrics"]["test/acc"] > 0.95


def test_smoothed_labels_leave_a_loss(run: Path):
    """With a share of 0.2 spread over three classes, no answer has less than the entropy of the smoothed label."""
    label = torch.tensor([0.2 / 3 + 0.8, 0.2 / 3, 0.2 / 3])
    results = json.loads((run / "results.json").read_text())
    assert -(label * label.log()).sum() < results["metrics"]["test/loss"] < 1


def test_it_ended_early(run: Path, history):
    """Twenty epochs after the last that was better than all before it."""
    ended = json.loads((run / "results.json").read_text())["ended"]
    assert "EarlyStopping: val/loss was no better for 20 checks" in ended
    losses = [float(row["val/loss"]) for row in history]
    assert len(losses) < 500
    assert losses.index(min(losses)) == len(losses) - 1 - 20


def test_the_history_has_the_length_of_the_weights(run: Path, history):
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    weights = torch.cat([value.flatten() for name, value in state.items() if name.startswith("network.")])
    assert float(history[-1]["weight_norm"]) == pytest.approx(weights.norm().item(), rel=1e-5)


def test_the_length_of_the_weights_is_drawn(run: Path):
    assert (run / "figures" / "weight_norm.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_evaluated_from_its_folder(run: Path):
    trained = json.loads((run / "results.json").read_text())["metrics"]
    (file,) = (run / "evaluations").glob("*.json")
    evaluated = json.loads(file.read_text())["metrics"]
    assert evaluated == pytest.approx({name: trained[name] for name in ("test/acc", "test/loss")})


def of_model(run: Path, name: str) -> Path:
    return run.parents[1] / name / "latest"


def test_a_code_of_one_number_keeps_most_of_a_point(run: Path):
    """By the mean of all points, the error would be the mean square of the radii, 4, 8 and 12."""
    metrics = json.loads((of_model(run, "vae") / "results.json").read_text())["metrics"]
    assert metrics["test/error"] < 0.5 * (4**2 + 8**2 + 12**2) / 3
    assert metrics["test/loss"] == pytest.approx(metrics["test/error"] + 0.1 * metrics["test/divergence"], rel=1e-5)


def test_several_labels_are_learned(run: Path):
    folder = of_model(run, "tags")
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    assert metrics["test/acc"] > 0.8
    assert metrics["test/f1"] > 0.9
    (file,) = (folder / "evaluations").glob("*.json")
    tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
    assert json.loads(file.read_text())["metrics"] == pytest.approx(tested)


def test_a_module_with_two_optimizers_is_swept_and_gone_on_with(run: Path):
    folder = of_model(run, "gan")
    results = json.loads((folder / "results.json").read_text())
    assert (results["status"], results["epochs"], len(results["resumed"])) == ("completed", 80, 1)
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert rows[0].keys() == {"epoch", "g_loss", "d_loss", "lr", "lr_2"}
    (table,) = run.parents[2].glob("sweeps/gan/2*/sweep.csv")
    with table.open(newline="") as file:
        losses = [float(row["d_loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 2
    assert losses == sorted(losses)
