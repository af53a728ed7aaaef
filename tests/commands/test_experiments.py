"""conf/experiment/: every file runs as `python train.py experiment=NAME`, shortened, and says what to expect of it."""

import re
from pathlib import Path

import pytest

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(file.stem for file in CONF.glob("experiment/*.yaml"))

# What shortens it, the number of epochs that are left, and the values it sweeps over by itself.
SHORTENED = {
    "linear_200_epochs": ([], 200, [None]),
    "linear_100000_epochs": (["trainer.max_epochs=50"], 50, [None]),
    # The whole of it: it takes 135 epochs to diverge.
    "linear_learning_rates": ([], 200, ["0.001", "0.01", "0.05", "0.1"]),
    "gradient_descent_kinds": (["trainer.max_epochs=3"], 3, ["null", "2", "1"]),
    "spiral_two_arms": (["trainer.max_epochs=3"], 3, [None]),
    "spiral_mse_against_bce": (["trainer.max_epochs=3"], 3, ["bce", "mse"]),
    "spiral_activations": (["trainer.max_epochs=3"], 3, ["relu", "tanh", "sigmoid"]),
    "spiral_three_arms": (["trainer.max_epochs=3"], 3, [None]),
    "spiral_on_lines": (["trainer.max_epochs=3"], 3, [None]),
    "mnist_digits": (["data=digits", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"], 1, [None]),
    "mnist_fast": (["data=digits", "+trainer.limit_train_batches=2"], 2, [None]),
}
CHANGED = {
    "another list": ["experiment=linear_learning_rates", "optimizer.lr=0.02,0.03", "trainer.max_epochs=2"],
    "one value": ["experiment=linear_learning_rates", "optimizer.lr=0.02", "trainer.max_epochs=2"],
    "one run": ["experiment=linear_learning_rates", "hydra.mode=RUN", "optimizer.lr=0.02", "trainer.max_epochs=2"],
    "another model": ["experiment=spiral_on_lines", "model=spiral", "trainer.max_epochs=2"],
}


@pytest.fixture(scope="module")
def ends(commands, tmp_path_factory):
    """How each command of SHORTENED and CHANGED ended."""
    arguments = {name: [f"experiment={name}", *shorter] for name, (shorter, _, _) in SHORTENED.items()} | CHANGED
    quick = ["logger=none", "figures=none", "trainer.accelerator=cpu"]
    lists = [[*these, *quick] for these in arguments.values()]
    done = commands.train_in_one_process(tmp_path_factory.mktemp("experiments"), lists)
    return dict(zip(arguments, done, strict=True))


def results(done) -> list[dict]:
    """Of all its runs, in their order."""
    sweeps = list(done.cwd.glob("outputs/sweeps/*/*"))
    return [run.results for run in (done.jobs if sweeps else done.runs)]


def test_every_file_is_run():
    assert set(SHORTENED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(ends, name):
    _, epochs, values = SHORTENED[name]
    runs = results(ends[name])
    assert len(runs) == len(values)
    for run, value in zip(runs, values, strict=True):
        if (name, value) == ("linear_learning_rates", "0.1"):
            assert run["status"] == "diverged"
            continue
        assert (run["status"], run["epochs"]) == ("completed", epochs)
        assert value is None or any(override.endswith(f"={value}") for override in run["overrides"])
    if name != "linear_learning_rates":
        assert ends[name].code == 0


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_its_command_and_what_to_expect(name):
    comments = [line for line in (CONF / "experiment" / f"{name}.yaml").read_text().splitlines() if line[:1] == "#"]
    assert comments[:2] == ["# @package _global_", f"# python train.py experiment={name}"]
    text = "\n".join(comments)
    for word in ("Shows", "Takes", "Expect"):
        assert re.search(rf"^# {word} +\S", text, flags=re.MULTILINE)


def test_the_command_line_changes_any_part(ends):
    swept = [[text for text in run["overrides"] if "optimizer.lr" in text] for run in results(ends["another list"])]
    assert swept == [["optimizer.lr=0.02"], ["optimizer.lr=0.03"]]
    assert len(results(ends["one value"])) == 1
    (run,) = results(ends["one run"])
    assert run["status"] == "completed"
    assert not list(ends["one run"].cwd.glob("outputs/sweeps"))
    (run,) = results(ends["another model"])
    assert (run["model"], run["data"]) == ("spiral", "spiral")


def test_a_network_trained_on_arms_is_tested_on_lines_as_well(ends):
    (run,) = results(ends["spiral_on_lines"])
    assert {"test/acc", "test/loss", "colour_lines/acc", "colour_lines/loss"} <= set(run["metrics"])
    assert "colour_lines/acc" in ends["spiral_on_lines"].out
    # Two arms, two lines.
    (run,) = results(ends["another model"])
    assert {"test/acc", "colour_lines/acc"} <= set(run["metrics"])
