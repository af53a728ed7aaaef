"""Each statement holds for a run in which it does, fails for one in which it does not, and else is left open."""

from pathlib import Path

import pytest
from hand_made_runs import write_run

from littlenets.article import statements
from littlenets.article.measured_runs import Record
from littlenets.article.statements import STATEMENTS, verdict

NAMES = {statement.name: statement for statement in STATEMENTS}


def falling(first: float, factor: float, epochs: int) -> list[float]:
    return [first * factor**epoch for epoch in range(epochs)]


def reaching(epoch: int, epochs: int = 200) -> list[float]:
    """An accuracy that is 1 from an epoch on."""
    return [0.75] * (epoch - 1) + [1.0] * (epochs - epoch + 1)


def line(weights=(0.4, 1.9), biases=(0.6, 0.5), off=0.0) -> dict:
    """A run of `linear` whose network answers ``off`` below the truth at x = 20."""
    return {
        "history": {"train/loss": [1.0] * len(weights), "weight": weights, "bias": biases},
        "metrics": {"weight": weights[-1], "bias": biases[-1], "test/mae": off},
    }


def losses(values: list[float], **more) -> dict:
    return {"history": {"train/loss": values}, **more}


def swept(key: str, **runs: dict) -> list[dict]:
    """Runs of a sweep, by the value that was set; underscores stand for points."""
    return [run | {"overrides": [f"{key}={value.strip('_').replace('_', '.')}"]} for value, run in runs.items()]


def rates(slow: float, good: float, fast: float, last: dict) -> list[dict]:
    constants = [losses([loss] * 200) for loss in (slow, good, fast)]
    return swept("optimizer.lr", _0_001=constants[0], _0_01=constants[1], _0_05=constants[2], _0_1=last)


DIVERGED = losses([10.0, 1e30], status="diverged", epochs=2, metrics={"train/loss": float("inf")})
WAVERING = [1.0, 0.5, 0.8, 0.3] * 50


def kinds(full: list[float], two: list[float], one: list[float]) -> list[dict]:
    return swept("data.batch_size", null=losses(full), _2=losses(two), _1=losses(one))


def classifier(train: float, test: float = 1.0, **metrics: float) -> list[dict]:
    return [
        {
            "history": {"train/acc": [0.5, train]},
            "metrics": {"train/acc": train, "test/acc": test, **metrics},
            "data": "mnist",
        }
    ]


def activations(relu: int, tanh: int, sigmoid: int) -> list[dict]:
    epochs = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}
    histories = {name: {"train/loss": [0.5] * 200, "train/acc": reaching(epoch)} for name, epoch in epochs.items()}
    return swept("model.network.activation", **{name: {"history": history} for name, history in histories.items()})


def two_losses(bce: int, mse: int, final: float = 1.0) -> list[dict]:
    runs = {
        name: {"history": {"train/acc": reaching(epoch)}, "metrics": {"train/acc": share}}
        for name, epoch, share in (("bce", bce, 1.0), ("mse", mse, final))
    }
    return swept("model.module.loss", **runs)


TRUE = {
    "approaches": [line()],
    "not_there_yet": [line(off=2.0)],
    "halves": [losses(falling(1.0, 0.5**0.01, 300))],
    "patience": [line((1.0, 1.999998), (0.5, 0.00001), off=0.00003)],
    "small_rate": rates(0.2, 0.05, 0.001, DIVERGED),
    "large_rate": rates(0.2, 0.05, 0.001, DIVERGED),
    "more_steps": kinds([0.05] * 200, [0.01] * 200, [0.001] * 200),
    "noisier": kinds(falling(1.0, 0.99, 200), WAVERING, WAVERING),
    "two_arms": classifier(1.0),
    "sigmoid": activations(60, 70, 100),
    "relu": activations(60, 70, 100),
    "both_losses": two_losses(50, 60),
    "bce_sooner": two_losses(50, 60),
    "three_arms": classifier(1.0),
    "lines": classifier(1.0, **{"colour_lines/acc": 0.4}),
    "digits": classifier(0.99, 0.9801),
    "fast": classifier(0.99, 0.9901),
}
FALSE = {
    "approaches": [line((1.9, 0.4))],
    "not_there_yet": [line(off=0.1)],
    "halves": [losses(falling(1.0, 0.99, 300))],
    "patience": [line((1.0, 1.9), (0.5, 0.1), off=0.001)],
    "small_rate": rates(0.001, 0.05, 0.2, DIVERGED),
    "large_rate": rates(0.2, 0.05, 0.001, losses([0.1], metrics={"train/loss": 0.1})),
    "more_steps": kinds([0.001] * 200, [0.01] * 200, [0.05] * 200),
    "noisier": kinds(WAVERING, WAVERING, falling(1.0, 0.99, 200)),
    "two_arms": classifier(0.9999),
    "sigmoid": activations(100, 70, 60),
    "relu": activations(70, 60, 100),
    "both_losses": two_losses(50, 60, final=0.99),
    "bce_sooner": two_losses(60, 60),
    "three_arms": classifier(0.5),
    "lines": classifier(1.0, **{"colour_lines/acc": 0.9}),
    "digits": classifier(0.99, 0.98),
    "fast": classifier(0.99, 0.989),
}
# Each with what is measured on its networks, in the order of their runs.
MEASURED = {
    "far": ("certainty_far_outside", [(0.99, 0.98)], [(0.6, 0.1)]),
    "further_out": ("accuracy_further_out", [0.5], [0.9]),
    "saturates": ("saturated_share", [0.5, 0.3, 0.2], [0.5, 0.3, 0.01]),
}


def records(tmp_path: Path, runs: list[dict]) -> list[Record]:
    return [Record(write_run(tmp_path / str(number), **run)) for number, run in enumerate(runs)]


def test_every_statement_is_tested():
    assert set(TRUE) == set(FALSE) == set(NAMES) - set(MEASURED)


@pytest.mark.parametrize(
    ("name", "runs", "holds"),
    [(name, runs, holds) for cases, holds in ((TRUE, True), (FALSE, False)) for name, runs in cases.items()],
)
def test_it_holds_where_it_does(tmp_path: Path, name: str, runs: list[dict], holds: bool):
    assert verdict(NAMES[name], records(tmp_path, runs)).holds is holds


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_measured_on_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    function, true, false = MEASURED[name]
    runs = records(tmp_path, activations(60, 70, 100))
    for values, holds in ((true, True), (false, False)):
        by_folder = {run.folder: value for run, value in zip(runs, values, strict=False)}
        monkeypatch.setattr(statements, function, by_folder.__getitem__)
        assert verdict(NAMES[name], runs).holds is holds


@pytest.mark.parametrize("name", NAMES)
def test_without_runs_or_numbers_it_is_left_open(tmp_path: Path, name: str):
    assert verdict(NAMES[name], []).holds is None
    assert verdict(NAMES[name], records(tmp_path, [{"history": {"other": [1.0]}}])).holds is None


def test_a_value_is_that_of_the_runs(tmp_path: Path):
    runs = records(tmp_path, [losses([8.0] * 99 + [4.0] * 100 + [2.0] * 100 + [1.0])])
    assert verdict(NAMES["halves"], runs).value == "4.0000, 2.0000, 1.0000: times 0.50 and 0.50"
    runs = records(tmp_path / "rates", rates(0.25, 0.05, 0.001, DIVERGED))
    assert verdict(NAMES["small_rate"], runs).value == "loss 0.25 at 0.001, 0.05 at 0.01, 0.001 at 0.05"
    assert verdict(NAMES["large_rate"], runs).value == "diverged in epoch 2"


def test_all_right_is_said_of_nothing_less(tmp_path: Path):
    value = verdict(NAMES["two_arms"], records(tmp_path, classifier(0.999999))).value
    assert value.startswith("99.99% of the training points, 100% of new ones")


def test_a_history_that_is_too_short_says_so(tmp_path: Path):
    judged = verdict(NAMES["halves"], records(tmp_path, [losses([1.0, 0.5])]))
    assert judged.value == "the run has 2 epochs, of 100 that this takes"


def test_digits_that_stood_in_for_mnist_decide_nothing(tmp_path: Path):
    (run,) = classifier(0.99, 0.99)
    judged = verdict(NAMES["digits"], records(tmp_path, [run | {"data": "digits"}]))
    assert judged.holds is None
    assert "trained on digits instead" in judged.value
