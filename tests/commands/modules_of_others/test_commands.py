"""train.py, a sweep, evaluate.py and predict.py with modules of others, each run as a user would."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cases import CASES, HERE
from conftest import IN_ONE_PROCESS, TRAIN, Commands, Finished, RunFolder

FILES = ("--config-dir", str(HERE / "conf"))
QUICK = ("trainer.accelerator=cpu", "threads=1", "logger=csv")


@pytest.fixture(scope="module")
def run_all(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Finished]]:
    """``run_all(name)`` calls every command for a case, in one process, and returns how each ended."""
    cache: dict[str, dict[str, Finished]] = {}

    def of(name: str) -> dict[str, Finished]:
        if name not in cache:
            cwd, case = tmp_path_factory.mktemp(name), CASES[name]
            run, trust = f"run={cwd / 'run'}", f"trust=[{case.trust}]"
            settings = [*FILES, f"model={name}", *QUICK, "trainer.max_epochs=3"]
            calls = {
                "train": ["train.py", *settings, f"hydra.run.dir={cwd / 'run'}"],
                "evaluate": ["evaluate.py", run, trust, "accelerator=cpu"],
                "index": ["predict.py", run, trust, "index=3", "format=json"],
                "x": ["predict.py", run, trust, "x=[1.5,-2]", "format=json"],
                "image": ["predict.py", run, trust, "image=digit.png"],
                "export": ["predict.py", run, trust, f"export={cwd / 'network.pt2'}"],
                "untrusted": ["evaluate.py", run],
                "sweep": [
                    *("train.py", "-m", *settings, "hydra/launcher=basic", case.swept, "figures=none"),
                    *(f"sweep.objective={case.objective}", f"hydra.sweep.dir={cwd / 'sweep'}"),
                ],
            }
            started = commands.start_python(cwd, IN_ONE_PROCESS, TRAIN.parent, json.dumps(list(calls.values())))
            done = started.finish()
            assert done.code == 0, done.err
            ends = (Finished(*end[:3], cwd) for end in json.loads(done.out))
            cache[name] = dict(zip(calls, ends, strict=True))
        return cache[name]

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *([before] if before else [])])
    yield of
    os.environ.pop("PYTHONPATH")
    if before:
        os.environ["PYTHONPATH"] = before


def run_of(done: Finished) -> RunFolder:
    return RunFolder(done.cwd / "run")


@pytest.mark.parametrize("name", CASES)
def test_what_it_logs_is_recorded(run_all, name: str):
    done = run_all(name)["train"]
    assert (done.code, done.err) == (0, "")
    run = run_of(done)
    assert (run.results["status"], run.results["epochs"]) == ("completed", 3)
    header, *rows = csv.reader((run.path / "history.csv").read_text().splitlines())
    assert CASES[name].recorded <= set(header)
    assert len(rows) == 3
    assert all("" not in row for row in rows)
    metrics = run.results["metrics"]
    last = {column: float(cell) for column, cell in zip(header[1:], rows[-1][1:], strict=True)}
    assert {column: metrics[column] for column in last} == pytest.approx(last, rel=1e-6)
    assert (run.path / "figures" / "loss.png").is_file() == any(column.endswith("loss") for column in header)
    assert run.config["model"]["network"] is None or name == "vae_task"
    # All that is needed to go on, and nothing but data.
    checkpoint = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(checkpoint["optimizer_states"]) == 1 + (name == "gan")


@pytest.mark.parametrize("name", CASES)
def test_a_sweep_compares_by_what_it_logs(run_all, name: str):
    done, case = run_all(name)["sweep"], CASES[name]
    assert done.code == 0, done.err
    with (done.cwd / "sweep" / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    values = [float(row[case.objective]) for row in table]
    assert len(values) == 2
    assert values == sorted(values, reverse=case.objective.endswith("acc")), "the best first"
    key, both = case.swept.split("=")
    assert {row[key] if key in row else row[key.rpartition(".")[2]] for row in table} == set(both.split(","))


@pytest.mark.parametrize("name", [name for name in CASES if name != "gan"])
def test_it_is_evaluated(run_all, name: str):
    done = run_all(name)["evaluate"]
    assert done.code == 0, done.err
    run = run_of(done)
    (file,) = (run.path / "evaluations").glob("*.json")
    evaluation = json.loads(file.read_text())
    tested = {key: value for key, value in run.results["metrics"].items() if key.startswith("test")}
    assert len(tested) >= 2
    assert evaluation["metrics"] == tested
    assert "classes" not in evaluation


def test_what_has_no_test_is_not_tested_and_says_so(run_all):
    assert not any(key.startswith("test") for key in run_of(run_all("gan")["train"]).results["metrics"])
    done = run_all("gan")["evaluate"]
    assert (done.code, done.err) == (2, "GAN has no test_step, so there is nothing to evaluate.\n")


@pytest.mark.parametrize("name", CASES)
def test_its_code_runs_on_the_users_word_only(run_all, name: str):
    done = run_all(name)["untrusted"]
    assert done.code == 2
    assert f"trust=[{CASES[name].trust}]" in done.err


@pytest.mark.parametrize("name", ["vae_task", "vae"])
def test_it_says_what_it_predicts_of_points(run_all, name: str):
    by_number, by_value, exported = (run_all(name)[request] for request in ("index", "x", "export"))
    assert (by_number.code, by_value.code, exported.code) == (0, 0, 0), by_number.err + by_value.err + exported.err
    (answer,), (other,) = json.loads(by_number.out), json.loads(by_value.out)
    assert answer.keys() == {"index", "reconstruction", "code", "true"}
    assert other.keys() == {"reconstruction", "code"}
    network = torch.export.load(run_of(exported).path.parent / "network.pt2").module()
    found = network(torch.tensor([[1.5, -2.0], [0.0, 0.0], [3.0, 1.0]]))
    assert found["reconstruction"][0].tolist() == pytest.approx(other["reconstruction"], rel=1e-5)


def test_it_says_what_it_predicts_of_sentences(run_all):
    done = run_all("lstm")["index"]
    assert done.code == 0, done.err
    (answer,) = json.loads(done.out)
    assert answer.keys() == {"index", "class", "probabilities"}
    assert sum(answer["probabilities"]) == pytest.approx(1)


@pytest.mark.parametrize("request_", ["x", "export"])
def test_what_takes_no_tensor_says_so(run_all, request_: str):
    done = run_all("lstm")[request_]
    assert done.code == 2
    assert "index=NUMBER" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("request_", ["x", "index", "export"])
def test_what_takes_noise_cannot_take_points(run_all, request_: str):
    done = run_all("gan")[request_]
    assert done.code == 2
    assert done.err.startswith("GAN.predict_step cannot take this: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("name", CASES)
def test_none_of_them_takes_pictures(run_all, name: str):
    done = run_all(name)["image"]
    assert done.code == 2
    assert "takes numbers" in done.err


def test_weights_are_where_the_module_has_them(run_all: Callable, tmp_path: Path):
    weights = run_of(run_all("gan")["train"]).weights()
    assert weights.keys() >= {"generator.0.weight", "discriminator.0.weight"}
