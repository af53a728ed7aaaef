"""Which runs the page takes as they are, and which it makes."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_made_runs import write_run
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from littlenets.article.experiments import (
    Experiment,
    check_names,
    compose_experiments,
    find_records,
    provide,
)
from littlenets.article.writing import EXPERIMENTS
from littlenets.errors import SettingError
from littlenets.runs import resolvers

CONF = Path(__file__).parents[2] / "conf"
RATES = ["0.001", "0.01", "0.05", "0.1"]


@pytest.fixture(scope="module", autouse=True)
def configuration() -> Iterator[None]:
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def line(configuration) -> Experiment:
    (experiment,) = compose_experiments(["linear_200_epochs"], [])
    return experiment


@pytest.fixture(scope="module")
def sweep(configuration) -> Experiment:
    (experiment,) = compose_experiments(["linear_learning_rates"], [])
    return experiment


@functools.cache
def config_of(*overrides: str, **origin) -> dict:
    """What a run with these overrides has in its config.yaml."""
    return OmegaConf.to_container(compose("train", list(overrides)), resolve=True) | {
        "origin": {"model": "linear", "data": "line", "overrides": list(overrides), "stand_in_for": None, **origin}
    }


def write_line(outputs: Path, name: str, overrides=("experiment=linear_200_epochs",), **more) -> Path:
    return write_run(outputs / "runs/linear" / name, overrides, **{"config": config_of(*overrides), **more})


def write_sweep(outputs: Path, name: str, rates: list[str], **last) -> Path:
    folder = outputs / "sweeps/linear" / name
    for number, rate in enumerate(rates):
        # Hydra puts what was swept first.
        overrides = [f"optimizer.lr={rate}", "experiment=linear_learning_rates"]
        more = last if rate == rates[-1] else {}
        write_run(folder / f"{number}_optimizer.lr-{rate}", overrides, config=config_of(*overrides), **more)
    return folder


def test_every_experiment_has_its_part_in_the_story():
    assert set(EXPERIMENTS) == {file.stem for file in CONF.glob("experiment/*.yaml")}


def test_commands_and_jobs(line: Experiment, sweep: Experiment):
    assert line.command == "python train.py experiment=linear_200_epochs"
    assert (line.is_sweep, line.jobs) == (False, [[]])
    assert (sweep.is_sweep, sweep.jobs) == (True, [[f"optimizer.lr={rate}"] for rate in RATES])


def test_settings_are_passed_on_to_those_that_have_them():
    overrides = ["data.root=/elsewhere", "trainer.max_epochs=3"]
    line, digits = compose_experiments(["linear_200_epochs", "mnist_digits"], overrides)
    assert line.overrides == ["trainer.max_epochs=3"]
    assert digits.overrides == overrides
    assert digits.command == "python train.py experiment=mnist_digits data.root=/elsewhere trainer.max_epochs=3"
    with pytest.raises(SettingError, match=r"data\.rot=1"):
        compose_experiments(["linear_200_epochs", "mnist_digits"], ["data.rot=1"])


def test_names_are_checked():
    check_names(["linear_200_epochs"], EXPERIMENTS)
    with pytest.raises(SettingError, match="did you mean mnist_digits"):
        check_names(["mnist_digit"], EXPERIMENTS)


def test_the_newest_run_of_the_command_is_found(line: Experiment, tmp_path: Path):
    write_line(tmp_path, "2026-01-01_10-00-00-aaaa")
    newest = write_line(tmp_path, "2026-01-02_09-00-00-0000")
    (tmp_path / "runs/linear/latest").symlink_to(newest.name)
    (record,) = find_records(line, tmp_path)
    assert record.folder == newest


@pytest.mark.parametrize(
    "other",
    [
        {"status": "failed"},
        {"status": "diverged"},
        {"overrides": ("experiment=linear_200_epochs", "seed=1")},
        {"overrides": ("model=linear",)},
        {"config": {}},
        {"config": None},
    ],
    ids=str,
)
def test_others_are_not(line: Experiment, tmp_path: Path, other: dict):
    write_line(tmp_path, "2026-01-01_10-00-00-aaaa", **other)
    assert find_records(line, tmp_path) == []


@pytest.mark.parametrize("changed", ["optimizer.lr=0.02", "trainer.max_epochs=100", "data.n_points=6"])
def test_a_run_with_settings_that_the_experiment_no_longer_has_is_not(line: Experiment, tmp_path: Path, changed: str):
    write_line(tmp_path, "2026-01-01_10-00-00-aaaa", config=config_of("experiment=linear_200_epochs", changed))
    assert find_records(line, tmp_path) == []


def test_a_damaged_run_is_passed_over(line: Experiment, tmp_path: Path):
    whole = write_line(tmp_path, "2026-01-01_10-00-00-aaaa")
    for number, content in enumerate(["{", "[]", '{"status": "completed"}']):
        damaged = write_line(tmp_path, f"2026-01-02_10-00-00-000{number}")
        (damaged / "results.json").write_text(content)
    assert [record.folder for record in find_records(line, tmp_path)] == [whole]


def test_data_that_stood_in_count_as_what_was_asked_for(tmp_path: Path):
    (digits,) = compose_experiments(["mnist_fast"], [])
    config = config_of("experiment=mnist_fast", "data=digits", stand_in_for="mnist")
    write_run(tmp_path / "runs/cnn/2026-01-01_10-00-00-aaaa", ["experiment=mnist_fast"], config=config, data="digits")
    assert len(find_records(digits, tmp_path)) == 1


def test_a_sweep_is_found_where_all_its_runs_came_to_an_end(sweep: Experiment, tmp_path: Path):
    folder = write_sweep(tmp_path, "2026-01-01_10-00-00-aaaa", RATES, status="diverged")
    write_sweep(tmp_path, "2026-01-02_10-00-00-aaaa", RATES[:3])
    write_sweep(tmp_path, "2026-01-03_10-00-00-aaaa", [*RATES, "0.2"])
    write_sweep(tmp_path, "2026-01-04_10-00-00-aaaa", RATES, status="interrupted")
    records = find_records(sweep, tmp_path)
    assert [record.folder.name for record in records] == [f"{n}_optimizer.lr-{rate}" for n, rate in enumerate(RATES)]
    assert {record.folder.parent for record in records} == {folder}


SCRIPT = """
import json, sys
from pathlib import Path
folder = Path("outputs/runs/linear/2026-02-01_10-00-00-aaaa")
folder.mkdir(parents=True)
(folder / "results.json").write_text(json.dumps({"status": "completed", "overrides": sys.argv[1:]}))
(folder / "config.yaml").write_text(Path("config.yaml").read_text())
print("trained with", *sys.argv[1:])
sys.exit(1)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of train.py; and tests run in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(json.dumps(config_of("experiment=linear_200_epochs")))
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def test_what_is_not_there_is_made_and_shown(line: Experiment, script: Path, capsys: pytest.CaptureFixture):
    outcome = provide(line, Path("outputs"), script, reuse=True, run=True)
    # Whatever its exit code: a sweep in which a run diverges has 1.
    assert [record.folder.name for record in outcome.records] == ["2026-02-01_10-00-00-aaaa"]
    assert "trained with experiment=linear_200_epochs" in capsys.readouterr().out


def test_what_is_there_is_not_made_again_unless_asked(line: Experiment, script: Path):
    old = write_line(Path("outputs"), "2026-01-01_10-00-00-aaaa")
    for run in (True, False):
        (record,) = provide(line, Path("outputs"), script, reuse=True, run=run).records
        assert record.folder == old
    (record,) = provide(line, Path("outputs"), script, reuse=False, run=True).records
    assert record.folder.name == "2026-02-01_10-00-00-aaaa"


def test_what_fails_is_a_gap_with_its_reason(line: Experiment, tmp_path: Path, script: Path):
    script.write_text("import sys; print('Starting.'); sys.exit('No data far and wide.')")
    write_line(Path("outputs"), "2026-01-01_10-00-00-aaaa")
    outcome = provide(line, Path("outputs"), script, reuse=False, run=True)
    assert outcome.records == []
    assert outcome.problem == "Its command ended with code 1, and said: Starting. No data far and wide."
    assert provide(line, tmp_path / "nowhere", script, reuse=True, run=False).problem == "It has not been run."


@pytest.mark.parametrize(
    ("override", "said"), [("a b", "a b"), ("optimizer=sdg", "optimizer/sdg.*adam"), ("data.rot=1", "data.rot=1")]
)
def test_what_can_be_passed_on_to_none_is_named(override: str, said: str):
    with pytest.raises(SettingError, match=said):
        compose_experiments(["linear_200_epochs"], [override])
