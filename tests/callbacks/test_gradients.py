"""Gradients and weights as recorded on request, against the plain loop."""

import composing
import numpy as np
import observers
import plain_pytorch
import pytest
import torch
from plain_pytorch import PlainFit
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from littlenets.data import Spirals
from littlenets.errors import SettingError
from littlenets.speed import run_ahead

SPIRAL = ["model=spiral", "data.n_points=100", "checkpoint.every=1000"]


@pytest.fixture(autouse=True)
def all_the_time_in_the_world(monkeypatch: pytest.MonkeyPatch):
    """Only what somebody needs to see ends running ahead."""
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 1e9)


def by_hand() -> PlainFit:
    torch.manual_seed(0)
    network = plain_pytorch.spiral()
    data = Spirals(n_points=100, seed=0)
    data.setup()
    return PlainFit(network, *data.splits["train"], plain_pytorch.bce, torch.optim.Adam(network.parameters(), lr=0.01))


def histograms(run: composing.RunFolder) -> EventAccumulator:
    return EventAccumulator(str(run.events), size_guidance={"histograms": 0, "tensors": 0}).Reload()


def test_the_gradient_norm_is_that_of_the_plain_loop(launch):
    run = launch(*SPIRAL, "trainer.max_epochs=6", "gradient_norm=true")
    plain, norms = by_hand(), []
    for _ in range(6):
        plain.epoch()
        norms.append(torch.cat([p.grad.flatten() for p in plain.network.parameters()]).norm().item())
    np.testing.assert_allclose(run.column("gradient_norm"), norms, rtol=1e-4)


def test_nobody_pays_who_did_not_ask(launch):
    run = launch(*SPIRAL, "trainer.max_epochs=6", logger="tensorboard")
    assert "gradient_norm" not in run.rows[0]
    assert histograms(run).Tags()["histograms"] == []


@pytest.mark.parametrize("extra", [[], ["data.validation=0.2"]], ids=["", "validated"])
@pytest.mark.parametrize(("epochs", "drawn"), [(5, [0, 1, 2, 3, 4, 5]), (60, [0, *range(5, 61, 5)])])
def test_histograms_are_drawn_about_twelve_times(launch, epochs: int, drawn: list[int], extra: list[str]):
    run = launch(*SPIRAL, f"trainer.max_epochs={epochs}", "histograms=true", *extra, logger="tensorboard")
    events = histograms(run)
    names = [f"layers.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    assert len(events.Tags()["histograms"]) == 2 * len(names)
    for tag in events.Tags()["histograms"]:
        # There is no gradient before the first epoch.
        assert [event.step for event in events.Histograms(tag)] == drawn[tag.startswith("gradients/") :]


def test_histograms_are_of_the_plain_loops_weights_and_gradients(launch):
    run = launch(*SPIRAL, "trainer.max_epochs=4", "histograms=true", logger="tensorboard")
    events, plain = histograms(run), by_hand()
    weights = dict(plain.network.named_parameters())
    names = {tag.partition("/")[2] for tag in events.Tags()["histograms"]}
    assert {name.removeprefix("layers.") for name in names} == set(weights)
    for epoch in range(5):
        if epoch:
            plain.epoch()
        for name, weight in weights.items():
            shown = {event.step: event.histogram_value for event in events.Histograms(f"weights/layers.{name}")}
            compare(shown[epoch], weight)
            if epoch:
                shown = {event.step: event.histogram_value for event in events.Histograms(f"gradients/layers.{name}")}
                compare(shown[epoch], weight.grad)


def compare(shown, tensor: torch.Tensor) -> None:
    values = tensor.detach().double()
    assert shown.num == values.numel()
    expected = (values.min().item(), values.max().item(), values.square().sum().item())
    assert (shown.min, shown.max, shown.sum_squares) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_both_leave_the_run_as_it_is_and_let_it_run_ahead(launch):
    observe = ["+callbacks.observer._target_=observers.DueObserver", "+callbacks.observer.every=1000"]
    asked = launch(
        *(*SPIRAL, "trainer.max_epochs=60", "histograms=true", "gradient_norm=true", *observe), logger="tensorboard"
    )
    assert observers.seen == [0, *range(4, 60, 5)]
    plain = launch(*SPIRAL, "trainer.max_epochs=60")
    assert all(torch.equal(one, other) for one, other in zip(asked.weights(), plain.weights(), strict=True))
    assert [row["train/loss"] for row in asked.rows] == [row["train/loss"] for row in plain.rows]


@pytest.mark.parametrize("logger", ["none", "csv"])
def test_histograms_without_tensorboard_are_an_error_that_says_so(launch, logger: str):
    with pytest.raises(SettingError, match=r"histograms=true.*logger=tensorboard"):
        launch(*SPIRAL, "histograms=true", logger=logger)
