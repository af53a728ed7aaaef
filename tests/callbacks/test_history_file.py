"""history.csv, and the curves that loggers are given."""

import csv
import gc
import io
from collections import Counter
from pathlib import Path

import composing
import numpy as np
import pytest
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from littlenets.speed import run_ahead

SEE_EVERY_EPOCH = "+callbacks.observer._target_=observers.EpochObserver"


@pytest.mark.parametrize(
    ("overrides", "columns"),
    [
        (["model=linear"], ["train/loss", "weight", "bias", "lr"]),
        (["model=linear", "data.validation=0.4"], ["train/loss", "weight", "bias", "lr", "val/loss", "val/mae"]),
        (["model=spiral"], ["train/loss", "train/acc", "lr"]),
        (["model=multispiral", "data.validation=0.1"], ["train/loss", "train/acc", "lr", "val/loss", "val/acc"]),
    ],
)
def test_every_epoch_has_a_row_with_every_quantity(launch, overrides: list[str], columns: list[str]):
    run = launch(*overrides, "trainer.max_epochs=12")
    assert [row["epoch"] for row in run.rows] == [str(epoch) for epoch in range(1, 13)]
    assert set(run.rows[0]) == {"epoch", *columns}
    for name in columns:
        assert np.isfinite(run.column(name)).all()
    # Lines end as everywhere else, and no cell is quoted.
    text = (run.path / "history.csv").read_bytes()
    assert text.endswith(b"\n")
    assert b"\r" not in text
    assert b'"' not in text


def test_numbers_in_the_file_are_the_float32s_themselves(launch):
    run = launch("model=linear", "trainer.max_epochs=37")
    weight, bias = run.weights()
    assert np.float32(run.rows[-1]["weight"]) == np.float32(weight.item())
    assert np.float32(run.rows[-1]["bias"]) == np.float32(bias.item())
    # A full batch's loss is one float32 as well: nine digits of it, and no others.
    for row in run.rows:
        for name in ("train/loss", "weight", "bias"):
            assert float(row[name]) == float(f"{float(np.float32(row[name])):.9g}")


@pytest.mark.parametrize("seen", [[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def test_a_comma_in_a_name_makes_no_column(launch, seen: list[str]):
    run = launch("model=linear", "model.network._target_=outside_networks.Watched", "trainer.max_epochs=200", *seen)
    assert list(run.rows[0]) == ["epoch", "train/loss", "slope; weight", "lr"]
    weight, _ = run.weights()
    assert np.float32(run.rows[-1]["slope; weight"]) == np.float32(weight.item())
    assert run.results["metrics"]["slope, weight"] == weight.item()


@pytest.fixture(scope="module", params=[[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def with_tensorboard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """14 epochs, of which 4, 8 and 12 end with a validation; and TensorBoard's own reader of its event files."""
    run = composing.launch(
        tmp_path_factory.mktemp("tensorboard") / "run",
        *("model=spiral", "data.validation=0.2", "+trainer.check_val_every_n_epoch=4", "trainer.max_epochs=14"),
        *("checkpoint.every=1000", *request.param),
        logger="tensorboard",
    )
    return run, EventAccumulator(str(run.events), size_guidance={"scalars": 0}).Reload()


@pytest.mark.parametrize("name", ["train/loss", "train/acc", "lr", "val/loss", "val/acc"])
def test_tensorboard_has_the_numbers_of_the_file(with_tensorboard, name: str):
    run, events = with_tensorboard
    points = [(scalar.step, np.float32(scalar.value)) for scalar in events.Scalars(name)]
    assert points == [(int(row["epoch"]), np.float32(row[name])) for row in run.rows if row[name]]
    assert len(points) == (14 if name in ("train/loss", "train/acc", "lr") else 3)


def test_tensorboard_has_the_test_metrics(with_tensorboard):
    run, events = with_tensorboard
    tested = {name: value for name, value in run.results["metrics"].items() if name.startswith("test/")}
    assert set(tested) == {"test/loss", "test/acc"}
    for name, value in tested.items():
        assert [np.float32(scalar.value) for scalar in events.Scalars(name)] == [np.float32(value)]


def csv_logger_points(run: composing.RunFolder, name: str) -> dict[int, float]:
    with next(run.path.rglob("metrics.csv")).open() as file:
        return {int(row["step"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}


@pytest.mark.parametrize("every", [1, 7, 500])
def test_curves_are_thinned_as_told_and_the_file_is_not(launch, every: int):
    run = launch("model=linear", "trainer.max_epochs=40", f"logger.every={every}", logger="csv")
    points = csv_logger_points(run, "train/loss")
    assert sorted(points) == sorted({1, *range(every, 41, every), 40})
    losses = run.column("train/loss")
    assert len(losses) == 40
    assert points == {epoch: pytest.approx(losses[epoch - 1], rel=1e-7) for epoch in points}


@pytest.mark.parametrize("epochs", [450, 999, 1500])
def test_a_curve_has_at_most_about_five_hundred_points(launch, epochs: int):
    run = launch("model=linear", f"trainer.max_epochs={epochs}", logger="csv")
    points = sorted(csv_logger_points(run, "train/loss"))
    assert min(epochs, 250) <= len(points) <= 550
    assert (points[0], points[-1]) == (1, epochs)
    # Equally far apart, but for the first and the last.
    assert len(set(np.diff(points[1:-1]))) == 1
    assert len(run.rows) == epochs


def test_a_validation_is_always_in_the_curves(launch):
    run = launch(
        *("model=linear", "data.validation=0.4", "+trainer.check_val_every_n_epoch=3", "trainer.max_epochs=20"),
        "logger.every=8",
        logger="csv",
    )
    measured = {epoch: loss for epoch, loss in enumerate(run.column("val/loss"), 1) if np.isfinite(loss)}
    assert sorted(measured) == [3, 6, 9, 12, 15, 18]
    assert csv_logger_points(run, "val/loss") == {epoch: pytest.approx(loss) for epoch, loss in measured.items()}
    assert {1, 8, 16, 20} <= set(csv_logger_points(run, "train/loss"))


class Calls:
    """Counts the calls of methods, which work as before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.counts = monkeypatch, Counter()

    def count(self, owner: type, method: str) -> None:
        original = getattr(owner, method)

        def counted(*args, **kwargs):
            self.counts[f"{owner.__name__}.{method}"] += 1
            return original(*args, **kwargs)

        self.monkeypatch.setattr(owner, method, counted)


@pytest.mark.parametrize("logger", ["tensorboard", "csv"])
def test_no_logger_is_saved_or_flushed_every_epoch(launch, monkeypatch: pytest.MonkeyPatch, logger: str):
    """Flushing TensorBoard's file takes longer than an epoch. Every epoch is seen here, so none is saved by chance."""
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.0)
    counts = []
    for epochs in (10, 90):
        with monkeypatch.context() as context:
            calls = Calls(context)
            for owner in (TensorBoardLogger, CSVLogger):
                calls.count(owner, "save")
            calls.count(SummaryWriter, "flush")
            run = launch(
                *("model=linear", "data.batch_size=2", f"trainer.max_epochs={epochs}", "checkpoint.every=1000"),
                logger=logger,
            )
        assert len(run.rows) == epochs
        counts.append(calls.counts)
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) > 0


def test_a_run_that_fails_leaves_no_file_open(launch):
    with pytest.raises(RuntimeError, match="had enough"):
        launch("model=linear", SEE_EVERY_EPOCH, "+callbacks.observer.fail_after=5", "trainer.max_epochs=30")
    files = [entry for entry in gc.get_objects() if type(entry) is io.TextIOWrapper and not entry.closed]
    assert not [file.name for file in files if str(file.name).endswith("history.csv")]


def test_rows_of_a_run_that_fails_are_those_of_the_epochs_that_lightning_heard_of(launch, tmp_path: Path):
    with pytest.raises(RuntimeError, match="had enough"):
        launch("model=linear", SEE_EVERY_EPOCH, "+callbacks.observer.fail_after=9", "trainer.max_epochs=30")
    run = composing.RunFolder(tmp_path / "run1")
    assert [row["epoch"] for row in run.rows] == [str(epoch) for epoch in range(1, 10)]


def tensorboard_points(run: composing.RunFolder, name: str) -> dict[int, float]:
    events = EventAccumulator(str(run.events), size_guidance={"scalars": 0}).Reload()
    return {point.step: point.value for point in events.Scalars(name)} if name in events.Tags()["scalars"] else {}


@pytest.mark.parametrize("extra", [[], [SEE_EVERY_EPOCH]], ids=["ahead", "seen"])
def test_many_batches_have_a_curve_over_steps(launch, extra: list[str]):
    """25 batches an epoch, of 8 points but for a last one of 3: their losses average to that of the epoch."""
    run = launch(
        *("model=multispiral", "data.n_points=65", "data.batch_size=8", "trainer.max_epochs=3", *extra),
        logger="tensorboard",
    )
    points = tensorboard_points(run, "train/batch_loss")
    assert sorted(points) == list(range(1, 76))
    for epoch, loss in enumerate(run.column("train/loss")):
        losses = [points[step] for step in range(25 * epoch + 1, 25 * epoch + 26)]
        assert np.average(losses, weights=[8] * 24 + [3]) == pytest.approx(loss, rel=1e-5)


def test_a_curve_over_steps_is_thinned(launch):
    run = launch(
        *("model=multispiral", "data.n_points=100", "data.batch_size=10", "trainer.max_epochs=40"),
        logger="tensorboard",
    )
    steps = sorted(tensorboard_points(run, "train/batch_loss"))
    assert 250 <= len(steps) <= 500
    assert len(set(np.diff(steps))) == 1
    assert steps[-1] >= 1195


def test_few_batches_have_none(launch):
    run = launch("model=linear", "data.batch_size=1", "trainer.max_epochs=30", logger="tensorboard")
    assert tensorboard_points(run, "train/loss")
    assert not tensorboard_points(run, "train/batch_loss")
