"""How many CPU threads a run takes."""

import pytest
import torch
from torch import nn

from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet
from littlenets.speed import threads
from littlenets.speed.threads import choose_threads

RECIPES = {
    "linear": (LinearRegression, (2, 1), 5),
    "spiral": (SpiralNet, (2, 2), 2000),
    "multispiral": (MultiSpiralNet, (2, 2), 3000),
    "cnn": (CNN, (2, 1, 28, 28), 64),
}


def cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(threads, "AVAILABLE", count)


def choose(model: str, wanted: int | str = "auto") -> int:
    network, shape, batch_size = RECIPES[model]
    chosen = choose_threads(wanted, network(), torch.zeros(shape), batch_size)
    assert torch.get_num_threads() == chosen
    return chosen


@pytest.mark.parametrize("model", ["linear", "spiral", "multispiral"])
def test_small_steps_get_one_thread_however_many_cores(monkeypatch: pytest.MonkeyPatch, model: str):
    cores(monkeypatch, 64)
    assert choose(model) == 1


def test_convolutions_get_several_but_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch):
    chosen = []
    for count in (1, 2, 64):
        cores(monkeypatch, count)
        chosen.append(choose("cnn"))
    assert chosen[:2] == [1, 2]
    assert 2 <= chosen[2] < 64


def test_larger_batches_get_no_fewer(monkeypatch: pytest.MonkeyPatch):
    cores(monkeypatch, 16)
    sample = torch.zeros(2, 1, 28, 28)
    chosen = [choose_threads("auto", CNN(), sample, batch_size) for batch_size in (1, 64, 10_000)]
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (1, 16)


@pytest.mark.parametrize("model", RECIPES)
def test_a_number_that_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch, model: str):
    cores(monkeypatch, 2)
    assert choose(model, 3) == 3


def test_choosing_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    state = torch.get_rng_state()
    choose_threads("auto", network.eval(), torch.randn(2, 2, generator=torch.Generator().manual_seed(0)), 10)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("overrides", "count"), [(["threads=auto"], 1), (["threads=2"], 2)])
def test_a_run_trains_with_that_number(launch, monkeypatch: pytest.MonkeyPatch, overrides: list[str], count: int):
    cores(monkeypatch, 8)
    run = launch("model=spiral", "trainer.max_epochs=1", *overrides)
    assert run.results["environment"]["threads"] == count
    assert torch.get_num_threads() == count


def test_a_run_of_the_cnn_uses_the_cores(launch, monkeypatch: pytest.MonkeyPatch):
    cores(monkeypatch, 2)
    run = launch(
        *("model=cnn", "data=digits", "trainer.max_epochs=1", "+trainer.limit_train_batches=1", "threads=auto"),
        "+trainer.limit_test_batches=1",
    )
    assert run.results["environment"]["threads"] == 2
