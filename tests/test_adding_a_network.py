"""A network of one's own is one Python file and one YAML file, wherever they lie."""

import sys
from pathlib import Path

import composing
import plain_pytorch
import pytest
import torch
from plain_pytorch import PlainFit
from torch import Tensor, nn

from littlenets.data import Spirals
from littlenets.errors import SettingError
from littlenets.speed.layers import accelerated

NETWORK = """
from torch import Tensor, nn


class Ring(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential({layers})

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
"""

MODEL = """
# @package _global_
defaults:
  - override /data: spiral
  - override /optimizer: adam

model:
  network:
    _target_: {module}.Ring
    width: 5
  module:
    _target_: littlenets.modules.BinaryClassification

trainer:
  max_epochs: 4
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``user(module, layers)`` writes both files and returns the overrides that use them."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(module: str, layers: str) -> list[str]:
        (tmp_path / f"{module}.py").write_text(NETWORK.format(layers=layers))
        (tmp_path / "conf" / "model").mkdir(parents=True)
        (tmp_path / "conf" / "model" / "ring.yaml").write_text(MODEL.format(module=module))
        return [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "model=ring"]

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("ring_"):
            del sys.modules[name]


def plain(network: nn.Sequential) -> PlainFit:
    data = Spirals(seed=0)
    data.setup()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    return PlainFit(network, *data.splits["train"], plain_pytorch.bce, optimizer, plain_pytorch.hits_binary)


def assert_close(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_it_trains_like_the_plain_loop(launch, user):
    run = launch(*user("ring_network", "nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1), nn.Sigmoid()"))
    torch.manual_seed(0)
    by_hand = plain(plain_pytorch.spiral([5], nn.Tanh)).run(4)
    assert run.results["model"] == "ring"
    assert (run.results["status"], run.results["epochs"]) == ("completed", 4)
    assert_close(run.weights(), by_hand.weights)
    assert run.column("train/loss") == pytest.approx(by_hand.losses, rel=1e-5)


def test_its_settings_are_on_the_command_line_and_checked(launch, user, tmp_path: Path):
    overrides = user("ring_settings", "nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1), nn.Sigmoid()")
    run = launch(*overrides, "model.network.width=3", "trainer.max_epochs=1")
    assert [tuple(weight.shape) for weight in run.weights()] == [(3, 2), (3,), (1, 3), (1,)]
    with pytest.raises(SettingError, match=r"model\.network\.width=wide"):
        launch(*overrides, "model.network.width=wide")
    with pytest.raises(SettingError, match=r"did you mean model\.network\.width\?"):
        launch(*overrides, "+model.network.widht=3")


def test_one_that_does_not_fit_is_said_to(launch, user):
    overrides = user("ring_of_three", "nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 3)")
    with pytest.raises(SettingError, match=r"Ring.*does not fit data=spiral"):
        launch(*overrides)


def test_one_that_takes_other_inputs_is_said_to(launch, user):
    overrides = user("ring_of_pictures", "nn.Linear(7, 1), nn.Sigmoid()")
    with pytest.raises(SettingError, match=r"Ring.*does not fit data=spiral.*\(2,\)"):
        launch(*overrides)


def test_one_whose_layers_count_their_batches_trains_like_the_plain_loop(launch, user):
    """Nothing but training may change what batch normalisation keeps; it takes no single sample in training."""
    run = launch(
        *user(
            "ring_normed", "nn.Linear(2, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 1), nn.Sigmoid()"
        ),
        "threads=auto",
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid())
    # The bias before a batch normalization has no effect, so its gradient is nothing but rounding, which Adam makes a
    # whole step of: it is the same only with the same accelerated layers.
    with accelerated(network):
        by_hand = plain(network).run(4)
    kept = {name.removeprefix("network.layers."): value for name, value in run.checkpoint()["state_dict"].items()}
    assert kept["1.num_batches_tracked"] == 4
    for name, value in by_hand.network.state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-5)
    network.eval()
    data = Spirals(seed=0)
    data.setup()
    x, y = data.splits["test"]
    with torch.no_grad():
        assert run.results["metrics"]["test/loss"] == pytest.approx(plain_pytorch.bce(network(x), y).item(), rel=1e-4)


def test_one_with_random_layers_draws_the_same_each_time(launch, user):
    overrides = user("ring_dropped", "nn.Linear(2, width), nn.Dropout(0.5), nn.Linear(width, 1), nn.Sigmoid()")
    first, again = launch(*overrides), launch(*overrides, "+callbacks.observer._target_=observers.EpochObserver")
    assert all(torch.equal(a, b) for a, b in zip(first.weights(), again.weights(), strict=True))
    assert first.rows == again.rows


def test_the_repositorys_files_are_found_beside_the_users(user):
    config = composing.compose_config(*user("ring_beside", "nn.Linear(2, 1)"), "scheduler=cosine", "data=multispiral")
    assert config.scheduler._target_.endswith("CosineAnnealingLR")
    assert config.data.arms == 3
