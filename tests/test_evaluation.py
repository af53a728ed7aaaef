"""evaluate.py's numbers against results.json and against counting by hand."""

import json
from pathlib import Path

import composing
import pytest
import torch
from composing import RunFolder
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from torch import nn

from littlenets.config.origin import Origin
from littlenets.data import ColourLines, Digits, Spirals
from littlenets.errors import SettingError
from littlenets.evaluation import evaluate


def evaluation_config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(composing.CONF), version_base="1.3"):
        config = compose("evaluate", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


def evaluated(run: RunFolder, *overrides: str) -> dict:
    return evaluate(evaluation_config(f"run={run.path}", "accelerator=cpu", *overrides), Origin.from_hydra())


@pytest.fixture(scope="module")
def spirals(tmp_path_factory) -> RunFolder:
    return composing.launch(tmp_path_factory.mktemp("spirals") / "run", "model=multispiral", "trainer.max_epochs=60")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> RunFolder:
    settings = ("model=cnn", "data=digits", "model.network.channels=[4,8]", "trainer.max_epochs=1")
    return composing.launch(tmp_path_factory.mktemp("digits") / "run", *settings)


@pytest.mark.parametrize("name", ["spirals", "digits"])
def test_metrics_on_its_own_data_are_those_of_the_run(name, request):
    run = request.getfixturevalue(name)
    tested = {key: value for key, value in run.results["metrics"].items() if key.startswith("test/")}
    assert evaluated(run)["metrics"] == tested
    assert json.loads((run.path / "evaluations" / "last.json").read_text())["metrics"] == tested


def test_a_regression_has_no_classes(launch):
    run = launch("model=linear")
    evaluation = evaluated(run)
    assert evaluation["metrics"]["test/mae"] == run.results["metrics"]["test/mae"]
    assert "classes" not in evaluation


def by_hand(run: RunFolder) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    for parameter, value in zip(network.parameters(), run.weights(), strict=True):
        parameter.data.copy_(value)
    return network


def test_classes_are_counted_right_on_other_data(spirals):
    lines = ColourLines(seed=0, noise=0.1)
    lines.setup()
    x, y = lines.splits["test"]
    predicted = by_hand(spirals)(x).argmax(dim=1)
    expected = [[int(((y == true) & (predicted == told)).sum()) for told in range(3)] for true in range(3)]

    evaluation = evaluated(spirals, "data=colour_lines", "data.noise=0.1")
    assert evaluation["data"] == "colour_lines"
    assert evaluation["confusion"] == expected
    for row, counts in zip(evaluation["classes"], expected, strict=True):
        assert row["samples"] == 1000
        assert row["acc"] == pytest.approx(counts[row["class"]] / 1000)
        told = sum(other[row["class"]] for other in expected)
        assert row["precision"] == pytest.approx(counts[row["class"]] / told)
    assert (spirals.path / "evaluations" / "last_data-colour_lines_data.noise-0.1.json").is_file()


def test_a_net_trained_on_the_stand_in_is_tested_on_mnist(digits, mnist_files: Path, tmp_path: Path):
    evaluation = evaluated(digits, "data=mnist", f"data.root={tmp_path}", f"data.mirrors=['file://{mnist_files}']")
    assert evaluation["samples"] == 10_000
    assert sum(map(sum, evaluation["confusion"])) == 10_000
    hits = sum(row[index] for index, row in enumerate(evaluation["confusion"]))
    assert evaluation["metrics"]["test/acc"] == pytest.approx(hits / 10_000)


def test_settings_of_its_own_data_can_be_changed(spirals):
    harder = evaluated(spirals, "+data.noise=2")
    assert harder["data"] == "multispiral"
    assert harder["metrics"]["test/acc"] < evaluated(spirals)["metrics"]["test/acc"]


def test_a_seed_draws_other_points(spirals):
    """And what it gave is kept beside what the run's own seed gave."""
    fresh = Spirals(arms=3, seed=5)
    fresh.setup()
    x, y = fresh.splits["test"]
    hits = (by_hand(spirals)(x).argmax(dim=1) == y).sum()
    before = {file: file.read_bytes() for file in spirals.path.glob("evaluations/*.json")}
    evaluation = evaluated(spirals, "seed=5")
    assert sum(row[index] for index, row in enumerate(evaluation["confusion"])) == hits
    assert evaluation["data"] == "multispiral"
    assert all(file.read_bytes() == content for file, content in before.items())


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["data=colour_lines", "seed=5"], "last_data-colour_lines_seed-5.json"),
        (["++data.noise=2"], "last_data.noise-2.json"),
    ],
    ids=str,
)
def test_each_data_has_a_file_of_its_own(spirals, overrides: list[str], name: str):
    evaluation = evaluated(spirals, *overrides)
    assert json.loads((spirals.path / "evaluations" / name).read_text()) == evaluation


def test_the_best_checkpoint_by_name_and_by_path(launch):
    run = launch("model=spiral", "trainer.max_epochs=40", "optimizer.lr=0.05", "checkpoint.every=10")
    torch.manual_seed(0)
    by_name = evaluated(run, "checkpoint=best")
    assert by_name["checkpoint"] == "best.ckpt"
    by_path = evaluate(evaluation_config(f"run={run.path}/checkpoints/best.ckpt"), Origin.from_hydra())
    assert by_path["metrics"] == by_name["metrics"]


class TestWrong:
    """Each is one message."""

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("accelerator=tpu", "accelerator=tpu: this machine has none; it has .*cpu"),
            ("accelerator=cpuu", "did you mean cpu?"),
            ("threads=0", "threads=0: .*greater than 0"),
            ("threads=many", "threads=many: .*integer"),
            ("seed=x", "seed=x: .*integer"),
            ("checkpoint=bset", "did you mean best?"),
            ("trust=me", "trust=me: "),
        ],
    )
    def test_settings_are_told_before_anything_is_looked_for(self, tmp_path: Path, setting: str, says: str):
        with pytest.raises(SettingError, match=says):
            evaluate(evaluation_config(f"run={tmp_path}/nothing", setting), Origin.from_hydra())

    def test_data_that_does_not_fit(self, digits):
        with pytest.raises(SettingError, match=r"does not fit data=multispiral"):
            evaluated(digits, "data=multispiral")

    def test_no_run(self, tmp_path: Path):
        with pytest.raises(SettingError, match="no such run folder"):
            evaluate(evaluation_config(f"run={tmp_path}/nothing"), Origin.from_hydra())

    @pytest.mark.parametrize("file", ["config.yaml", "results.json", "checkpoints/last.ckpt"])
    @pytest.mark.parametrize("damage", ["deleted", "emptied", "cut", "overwritten"])
    def test_damage(self, launch, file: str, damage: str):
        run = launch("model=linear", "trainer.max_epochs=3")
        path = run.path / file
        whole = path.read_bytes()
        path.unlink()
        if damage != "deleted":
            content = {"emptied": b"", "cut": whole[: len(whole) // 2], "overwritten": b"\x00\xff{[" * 50}
            path.write_bytes(content[damage])
        if (file, damage) == ("results.json", "deleted"):
            assert evaluated(run)["metrics"]  # what a killed run looks like
            return
        with pytest.raises(SettingError, match=path.name):
            evaluated(run)


def test_digits_are_what_was_tested(digits):
    data = Digits()
    data.setup()
    assert evaluated(digits)["samples"] == len(data.splits["test"].x) == 360


def test_it_takes_as_many_threads_as_the_run_had(launch, monkeypatch: pytest.MonkeyPatch):
    """Their number decides the order of sums, and so the last digit."""
    run = launch("model=linear", "trainer.max_epochs=1")
    results = run.results
    results["environment"]["threads"] = 3
    (run.path / "results.json").write_text(json.dumps(results))
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    evaluated(run)
    assert chosen == [3]
    evaluated(run, "threads=2")
    assert chosen == [3, 2]
