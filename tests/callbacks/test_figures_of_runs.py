"""The figures of whole runs: which there are, that they show the run's own network, and that they cost it nothing."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import composing
import numpy as np
import observers
import pages
import plain_pytorch
import pytest
import torch
from matplotlib.figure import Figure
from plain_pytorch import PlainFit
from pytorch_lightning import Callback, LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torchvision.datasets import FakeData
from torchvision.transforms import ToTensor

from littlenets.callbacks import Figures
from littlenets.config.origin import Origin
from littlenets.data import Digits, Spirals
from littlenets.errors import DivergedError, SettingError
from littlenets.figures import images, plane, saturation
from littlenets.figures.snapshots import moments_of
from littlenets.run_figures import FIGURES, PICTURES, POINTS, STATES, TEST, Trained, figure
from littlenets.training import figures_wanted

SPIRAL = ["model=spiral", "model.network.hidden=[4,4]", "data.n_points=40", "trainer.max_epochs=9"]
TINY_CNN = [
    *("model=cnn", "data=digits", "data.batch_size=600", "trainer.max_epochs=2"),
    *("model.network.channels=[2,2]", "model.network.hidden=[8]"),
]


def drawn(run: composing.RunFolder) -> set[str]:
    return {file.name for file in (run.path / "figures").glob("*")}


def png(*names: str) -> set[str]:
    return {f"{name}.png" for name in names}


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[tuple]]:
    """``arguments(module, name)`` is a list of what a figure is drawn from from now on."""

    def spy(module: Any, name: str) -> list[tuple]:
        calls = []
        draw = getattr(module, name)

        def record(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return draw(*args, **kwargs)

        monkeypatch.setattr(module, name, record)
        return calls

    return spy


def test_a_line_gets_its_figures(launch):
    run = launch("model=linear", "figures=all")
    assert drawn(run) == png("loss", "parameters", "surface", "fit", "network")
    assert run.results["seconds"]["figures"] > 0


def test_a_spiral_gets_its_figures(launch):
    run = launch(*SPIRAL, "figures=all", "figures.moments=3")
    expected = png(
        *("loss", "accuracy", "data", "regions", "far", "lines", "moments", "neurons_1", "neurons_2"),
        *("network", "activations", "saturation"),
    )
    assert drawn(run) == {*expected, "regions.gif"}


def test_images_get_their_figures(launch):
    run = launch(*TINY_CNN, "figures=all")
    assert drawn(run) == png(
        *("loss", "accuracy", "predictions", "mistakes", "confusion", "kernels", "feature_maps"),
        *("network", "activations", "saturation"),
    )


def test_a_line_has_neither_moments_nor_their_cost(launch):
    launch("model=linear", "figures=all", "figures.only=[parameters]", "trainer.max_epochs=50", *SEES_LITTLE)
    assert len(observers.seen) < 50


SEES_LITTLE = ["+callbacks.observer._target_=observers.DueObserver", "+callbacks.observer.every=1000"]


def by_hand(epochs: int) -> nn.Module:
    """The network of SPIRAL after some epochs, trained without the package."""
    torch.manual_seed(0)
    network = plain_pytorch.spiral([4, 4])
    data = Spirals(n_points=40, seed=0)
    data.setup()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    PlainFit(network, *data.splits["train"], plain_pytorch.bce, optimizer).run(epochs)
    return network


def answers(network: nn.Module, extent: plane.Extent, side: int) -> Tensor:
    """Probabilities (side, side, 2) in the middles of pixels, the lowest row first."""
    left, right, bottom, top = extent
    xs = left + (np.arange(side) + 0.5) / side * (right - left)
    ys = bottom + (np.arange(side) + 0.5) / side * (top - bottom)
    places = torch.tensor(np.stack(np.meshgrid(xs, ys), axis=2), dtype=torch.float32)
    with torch.no_grad():
        one = network(places.view(-1, 2)).view(side, side)
    return torch.stack([1 - one, one], dim=2)


def test_regions_are_those_of_the_network_at_its_end_and_at_each_moment(launch, arguments):
    regions, moments = arguments(plane, "regions"), arguments(plane, "moments")
    launch(*SPIRAL, "figures=all", "figures.only=[regions,moments]", "figures.moments=3")
    at_end, *frames = regions
    (epochs, small, extent, *_), *none = moments
    assert none == []
    assert (epochs[0], epochs[-1], len(epochs)) == (0, 9, len(small))
    for epoch, probabilities in zip(epochs, small, strict=True):
        torch.testing.assert_close(
            probabilities, answers(by_hand(epoch), extent, len(probabilities)), atol=1e-4, rtol=1e-4
        )
    for epoch, (probabilities, *_, text) in zip(epochs, frames, strict=True):
        expected = answers(by_hand(epoch), extent, len(probabilities))
        torch.testing.assert_close(probabilities, expected, atol=1e-4, rtol=1e-4)
        assert (f"after {epoch:,} epoch" if epoch else "before training") in text
    probabilities, *_ = at_end
    torch.testing.assert_close(probabilities, answers(by_hand(9), extent, len(probabilities)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("also", ["also_test=[]", "also_test=[digits]"])
def test_confusion_is_that_of_the_test(launch, arguments, also: str):
    confusions = arguments(images, "confusion")
    run = launch(*TINY_CNN, "figures=all", "figures.only=[confusion]", also)
    ((labels, answered, classes, names),) = confusions
    assert names is None
    data = Digits(seed=0)
    data.setup()
    x, y = data.splits["test"]
    network = plain_pytorch.cnn([2, 2], [8])
    for parameter, saved in zip(network.parameters(), run.weights(), strict=True):
        parameter.data = saved
    with torch.no_grad():
        expected = network((x / 255 - 0.1307) / 0.3081).argmax(dim=1)
    assert classes == 10
    assert torch.equal(labels, y)
    # Another order of additions may turn the odd image around.
    assert (answered != expected).sum() <= 1
    assert run.results["metrics"]["test/acc"] == pytest.approx((answered == y).float().mean().item(), abs=1e-6)


def test_pictures_of_a_data_set_that_loads_them_one_by_one(launch, arguments):
    fake = "{_target_:torchvision.datasets.FakeData,size:24,image_size:[3,8,9],num_classes:3}"
    cells, confusions = arguments(images, "_cells"), arguments(images, "confusion")
    run = launch(
        *("model=multispiral", "model.network._target_=outside_networks.Colours", "trust=[outside_networks]"),
        *("~model.network.hidden", "~model.network.activation", "~data.arms", "~data.n_points", "~data.noise"),
        *("data._target_=littlenets.data.DatasetModule", f"+data.train={fake}", f"+data.test={fake}"),
        *("+data.names=[cat,dog,cow]", "data.batch_size=5", "trainer.max_epochs=1", "figures=all"),
    )
    assert drawn(run) >= png("predictions", "confusion", "kernels", "feature_maps", "network", "accuracy")
    stored = FakeData(24, (3, 8, 9), 3, transform=ToTensor())
    labels = torch.tensor([int(y) for _, y in stored])
    ((true, _, classes, names),) = confusions
    assert torch.equal(true, labels)
    assert (classes, names) == (3, ["cat", "dog", "cow"])
    shown, of_classes, *_, names = cells[0]
    assert names == ["cat", "dog", "cow"]
    # One of each class first.
    for k, image in zip(of_classes.tolist()[:3], shown, strict=False):
        assert torch.equal(image, stored[labels.tolist().index(k)][0])


def test_drawing_changes_nothing_but_time(launch):
    with_figures = launch(*SPIRAL, "figures=all", "figures.only=[moments,saturation,loss]", *SEES_LITTLE)
    seen = list(observers.seen)
    without = launch(*SPIRAL)
    assert all(torch.equal(a, b) for a, b in zip(with_figures.weights(), without.weights(), strict=True))
    assert with_figures.rows == without.rows
    assert with_figures.results["metrics"] == without.results["metrics"]
    # Lightning hears of the epochs that are looked at; of ten thousand that is a dozen.
    assert {epoch + 1 for epoch in seen} >= set(moments_of(9, 12)) - {0}


def test_many_epochs_are_run_ahead_between_the_moments(launch, monkeypatch: pytest.MonkeyPatch):
    from littlenets.speed import run_ahead

    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 1e9)
    overrides = [*SPIRAL, "trainer.max_epochs=150", "checkpoint.every=1000", *SEES_LITTLE]
    launch(*overrides, "figures=all", "figures.only=[saturation]", "figures.moments=5")
    assert [epoch + 1 for epoch in observers.seen] == moments_of(150, 5)[1:]


@pytest.mark.parametrize("epochs", [1, 3, 12, 100, 10_000])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_moments_reach_from_before_the_first_to_after_the_last_epoch(epochs: int, count: int):
    moments = moments_of(epochs, count)
    assert (moments[0], moments[-1]) == (0, epochs)
    assert moments == sorted(set(moments))
    assert len(moments) <= max(count, 2) + 1
    if epochs == 10_000 and count == 12:
        assert len(moments) == 12
        assert sum(epoch <= 100 for epoch in moments) >= 4


def test_a_run_without_an_end_has_moments_too():
    assert moments_of(-1, 12)[:5] == [0, 1, 2, 4, 8]


def test_a_figure_that_fails_is_one_warning(launch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def fail(run: Trained) -> Any:
        raise ZeroDivisionError("there is\nno such thing")

    monkeypatch.setitem(FIGURES, "loss", FIGURES["loss"]._replace(draw=fail))
    run = launch("model=linear", "figures=all", "trainer.max_epochs=20")
    assert run.results["status"] == "completed"
    assert drawn(run) == png("parameters", "surface", "fit", "network")
    (message,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert message == "The figure loss could not be drawn: ZeroDivisionError: there is no such thing"


def test_a_look_that_fails_is_one_warning(launch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def fail(*args: Any) -> Any:
        raise ZeroDivisionError("no such layer")

    monkeypatch.setattr(saturation, "saturated_shares", fail)
    run = launch(*SPIRAL, "figures=all", "figures.only=[loss,saturation]")
    assert (run.results["status"], len(run.rows)) == ("completed", 9)
    assert drawn(run) == png("loss")
    failed, absent = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "no such layer" in failed
    assert "saturation" in absent


def test_a_full_disk_does_not_harm_the_run(launch, monkeypatch: pytest.MonkeyPatch, caplog):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    run = launch("model=linear", "figures=all", "figures.only=[loss,fit]", "trainer.max_epochs=3")
    assert run.results["status"] == "completed"
    assert sum("No space left" in record.getMessage() for record in caplog.records) >= 2


def test_single_ones_are_drawn_by_name(launch, caplog: pytest.LogCaptureFixture):
    run = launch("model=linear", "figures=all", "figures.only=[loss,confusion]", "trainer.max_epochs=20")
    assert drawn(run) == png("loss")
    (message,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "confusion" in message
    assert "needs pictures with a class each" in message


def test_none_are_drawn_where_none_are_wanted(launch):
    run = launch("model=linear", "figures=none", "trainer.max_epochs=3")
    assert not (run.path / "figures").exists()


@pytest.mark.parametrize(
    ("name", "hint"), [("los", "did you mean loss?"), ("confusoin", "did you mean confusion?"), ("x1", "regions")]
)
def test_a_wrong_name_is_told_with_the_right_ones(launch, name: str, hint: str):
    with pytest.raises(SettingError) as error:
        launch("model=linear", "figures=all", f"figures.only=[{name}]")
    assert "figures.only" in str(error.value)
    assert name in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["hydra.mode=RUN"], True),
        (["hydra.mode=MULTIRUN", "seed=3"], False),
        (["hydra.mode=MULTIRUN", "figures=all"], True),
        (["hydra.mode=MULTIRUN", "figures.only=[loss]"], True),
        (["hydra.mode=MULTIRUN", "figures=none"], False),
        (["hydra.mode=MULTIRUN", "experiment=spiral_activations"], True),
    ],
)
def test_the_jobs_of_a_sweep_draw_on_request_alone(overrides: list[str], wanted: bool):
    config = composing.compose_config(*overrides)
    assert figures_wanted(config, Origin.from_hydra()) == wanted


class Interrupting(Callback):
    """Ctrl-C in the fourth epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_run_has_its_curves(launch, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        launch(*SPIRAL, "figures=all", "+callbacks.observer._target_=test_figures_of_runs.Interrupting")
    run = composing.RunFolder(tmp_path / "run1")
    assert run.results["status"] == "interrupted"
    assert drawn(run) == png("loss", "accuracy")


def test_a_diverged_run_has_its_curve(launch, tmp_path: Path):
    with pytest.raises(DivergedError):
        launch("model=linear", "figures=all", "optimizer.lr=1e10", "trainer.max_epochs=20")
    assert "loss.png" in drawn(composing.RunFolder(tmp_path / "run1"))


def test_tensorboard_has_the_pictures_and_a_slider_for_the_regions(launch):
    run = launch(
        *SPIRAL, "figures=all", "figures.only=[regions,moments,loss]", "figures.moments=3", logger="tensorboard"
    )
    events = EventAccumulator(str(run.events), size_guidance={"images": 0}).Reload()
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps["figures/loss"] == steps["figures/moments"] == [9]
    assert steps["figures/regions"] == moments_of(9, 3)
    (picture,) = events.Images("figures/loss")
    assert picture.encoded_image_string == (run.path / "figures" / "loss.png").read_bytes()
    assert (picture.width, picture.height) == (900, 540)


def test_what_was_seen_is_in_the_checkpoint_and_comes_back(launch):
    run = launch(*SPIRAL, "figures=all", "figures.moments=4", "figures.only=[moments,saturation]")
    (state,) = (state for name, state in run.checkpoint()["callbacks"].items() if name.startswith("Figures"))
    callback = Figures()
    callback.load_state_dict(state)
    again = callback.state_dict()
    assert again["others"] == state["others"]
    assert torch.equal(again["states"], state["states"])
    epochs = [epoch for epoch, *_ in state["others"]]
    assert epochs == moments_of(9, 4)
    for epoch, row in zip(epochs, state["states"], strict=True):
        torch.testing.assert_close(row, flat(by_hand(epoch)), atol=1e-5, rtol=1e-5)


def test_a_resumed_run_shows_its_first_part_too(tmp_path: Path, arguments):
    overrides = [*SPIRAL[:-1], "figures=all", "figures.only=[moments,saturation]"]
    composing.launch(tmp_path / "run", *overrides, "trainer.max_epochs=4")
    moments = arguments(plane, "moments")
    composing.launch(tmp_path / "run", *overrides, f"resume={tmp_path / 'run'}", "trainer.max_epochs=9")
    ((epochs, small, extent, *_),) = moments
    assert epochs == list(range(10))
    for epoch in (0, 3, 4, 5, 9):
        expected = answers(by_hand(epoch), extent, len(small[epoch]))
        torch.testing.assert_close(small[epoch], expected, atol=1e-4, rtol=1e-4)


def test_a_run_that_was_killed_after_its_last_epoch_gets_its_figures(tmp_path: Path):
    overrides = [*SPIRAL, "figures=all", "figures.moments=3"]
    run = composing.launch(tmp_path / "run", *overrides)
    before = drawn(run)
    assert "regions.png" in before
    (run.path / "results.json").unlink()
    for file in (run.path / "figures").iterdir():
        file.unlink()
    composing.launch(tmp_path / "run", *overrides, f"resume={tmp_path / 'run'}")
    assert run.results["status"] == "completed"
    assert drawn(run) == before


NETWORK = """
import torch
from torch import Tensor, nn


class Forked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(2, 6), nn.Linear(2, 6)
        self.normed, self.bend = nn.BatchNorm1d(12), nn.Tanh()
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.bend(self.normed(torch.cat([self.left(x), self.right(x)], dim=1))))
"""


def test_a_network_from_elsewhere_gets_its_figures(launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "forked_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        run = launch(
            *("model=multispiral", "model.network._target_=forked_network.Forked", "data.n_points=30"),
            *("~model.network.classes", "~model.network.hidden", "~model.network.activation"),
            *("trainer.max_epochs=3", "figures=all", "figures.moments=2"),
        )
    finally:
        sys.modules.pop("forked_network", None)
    assert run.results["status"] == "completed"
    assert drawn(run) >= {
        *png("loss", "regions", "far", "moments", "neurons_1", "neurons_2", "network", "saturation"),
        "regions.gif",
    }


@pytest.fixture
def own_figures() -> Iterator[None]:
    """What a test adds to the figures is gone after it."""
    before = dict(FIGURES)
    yield
    FIGURES.clear()
    FIGURES.update(before)


@pytest.mark.usefixtures("own_figures")
def test_a_figure_of_ones_own_gets_the_states_that_it_needs(launch):
    seen, of_pictures = {}, []

    @figure("drift", POINTS, TEST, STATES)
    def drift(run: Trained) -> Figure:
        seen.update({moment.epoch: flat(run.network_at(moment)) for moment in run.moments})
        return Figure()

    figure("never", PICTURES)(of_pictures.append)
    run = launch(*SPIRAL, "figures=all", "figures.only=[drift,never]", "figures.moments=3")
    assert drawn(run) == png("drift")
    assert list(seen) == moments_of(9, 3)
    for epoch, weights in seen.items():
        torch.testing.assert_close(weights, flat(by_hand(epoch)), atol=1e-5, rtol=1e-5)
    assert of_pictures == []


def flat(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_the_page_has_all_figures_and_what_they_need():
    rows = [line.strip("| ").split(" | ") for line in pages.PAGES["docs/figures.md"].splitlines() if line[:3] == "| `"]
    needs = {name.strip("`"): needs.replace("`", "") for name, _, _, needs in rows[1:]}
    expected = {name: ", ".join(need.what for need in figure.needs) or "every run" for name, figure in FIGURES.items()}
    assert list(needs.items()) == list(expected.items())
