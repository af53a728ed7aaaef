"""What a run says of a network that learned nothing; the cases are made by hand, so that the answer is known."""

import logging
from pathlib import Path

import composing
import pytest
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn

from littlenets.data import TensorDataModule
from littlenets.data.base import Split
from littlenets.diagnosis import diagnose
from littlenets.modules import BinaryClassification, MulticlassClassification, Regression, SupervisedModule

ENOUGH_STEPS = 1000


class Given(TensorDataModule):
    """The samples that it is given."""

    def __init__(self, x: Tensor, y: Tensor, classes: int | None = None) -> None:
        super().__init__(batch_size=None, shuffle=False, validation=0.0, seed=0)
        self._split, self.classes = Split(x, y), classes
        self.setup()

    def load(self) -> tuple[Split, Split]:
        return self._split, self._split


def told(
    folder: Path, module: SupervisedModule, data: LightningDataModule, *losses: float, steps: int = ENOUGH_STEPS
) -> dict[str, str]:
    rows = [f"{epoch},{loss}" for epoch, loss in enumerate(losses, 1)]
    (folder / "history.csv").write_text("\n".join(["epoch,train/loss", *rows]) + "\n")
    return diagnose(module, data, folder, steps)


def binary(*layers: nn.Module) -> BinaryClassification:
    return BinaryClassification(nn.Sequential(*layers), torch.optim.SGD)


def answering(probabilities: Tensor, labels: Tensor) -> tuple[BinaryClassification, Given]:
    """A network that gives each sample the probability (N,) of class 1, and the data with the labels (N,)."""
    return binary(nn.Identity()), Given(probabilities.unsqueeze(1), labels, 2)


def right_on(count: int, of: int = 2000) -> tuple[BinaryClassification, Given]:
    """Sure of each answer; right on so many of a balanced set, of each class as many."""
    labels = torch.arange(of) % 2
    wrong = torch.arange(of) >= count
    return answering((labels ^ wrong).float() * 0.98 + 0.01, labels)


class TestAccuracy:
    def test_of_a_network_that_always_says_one_class(self, tmp_path: Path):
        labels = torch.tensor([0] * 300 + [1] * 700)
        found = told(tmp_path, *answering(torch.full((1000,), 0.7), labels), 0.6, 0.6, 0.6)
        assert list(found) == ["learned nothing"]
        assert "right on 70.0% of 1,000 training samples" in found["learned nothing"]
        assert "always answering class 1 (70.0%)" in found["learned nothing"]

    # By the binomial distribution of 2,000 guesses: 3 * sqrt(2000 * 0.5 * 0.5) = 67 more than 1,000.
    @pytest.mark.parametrize(("right", "learned"), [(1006, False), (1066, False), (1068, True), (2000, True)])
    def test_beyond_chance(self, tmp_path: Path, right: int, learned: bool):
        found = told(tmp_path, *right_on(right), 0.7, 0.7, 0.7)
        assert list(found) == ([] if learned else ["learned nothing"])

    def test_worse_than_guessing(self, tmp_path: Path):
        assert "learned nothing" in told(tmp_path, *right_on(400), 0.7, 0.7, 0.7)

    def test_of_a_rare_class_is_judged_by_the_probabilities(self, tmp_path: Path):
        """One in a hundred is of class 1. Whoever gives those 30% knows a lot, and still answers 0 throughout."""
        labels = (torch.arange(1000) % 100 == 0).long()
        assert told(tmp_path, *answering(torch.where(labels == 1, 0.3, 0.01), labels), 0.1, 0.05, 0.05) == {}
        assert "learned nothing" in told(tmp_path, *answering(torch.full((1000,), 0.01), labels), 0.1, 0.05, 0.05)

    def test_of_few_samples_is_judged_by_the_probabilities(self, tmp_path: Path):
        assert told(tmp_path, *right_on(2, of=2), 0.7, 0.01) == {}
        assert told(tmp_path, *right_on(6, of=6), 0.7, 0.01) == {}

    def test_of_one_class_alone_says_nothing(self, tmp_path: Path):
        assert told(tmp_path, *answering(torch.full((500,), 0.01), torch.zeros(500).long()), 0.1, 0.1) == {}

    def test_of_several_classes(self, tmp_path: Path):
        labels = torch.arange(900) % 3
        module = MulticlassClassification(nn.Identity(), torch.optim.SGD)
        assert told(tmp_path, module, Given(nn.functional.one_hot(labels, 3).float() * 9, labels, 3), 1.0, 0.1) == {}
        found = told(tmp_path, module, Given(torch.ones(900, 3), labels, 3), 1.1, 1.1)
        assert "right on 33.3%" in found["learned nothing"]


class TestNumbers:
    def fitted(self, weight: float, bias: float) -> tuple[Regression, Given]:
        x = torch.arange(1.0, 101.0).unsqueeze(1)
        line = nn.Linear(1, 1)
        nn.init.constant_(line.weight, weight)
        nn.init.constant_(line.bias, bias)
        return Regression(line, torch.optim.SGD), Given(x, 2 * x)

    def test_predicting_the_mean(self, tmp_path: Path):
        """y = 2, 4, ..., 200 has the mean 101 and the variance 4 * (100^2 - 1) / 12 = 3333."""
        found = told(tmp_path, *self.fitted(0.0, 101.0), 3333.0, 3333.0, 3333.0)
        assert list(found) == ["learned nothing"]
        assert "3333" in found["learned nothing"]
        assert "their mean (3333)" in found["learned nothing"]

    def test_a_line_that_rises(self, tmp_path: Path):
        assert told(tmp_path, *self.fitted(1.0, 50.5), 3333.0, 900.0, 833.0) == {}

    def test_targets_that_are_all_alike(self, tmp_path: Path):
        module, _ = self.fitted(0.0, 3.0)
        assert told(tmp_path, module, Given(torch.rand(50, 1), torch.full((50, 1), 3.0)), 1.0, 0.0) == {}


class TestLayers:
    def points(self) -> Given:
        return Given(torch.linspace(-1, 1, 400).unsqueeze(1), (torch.arange(400) >= 200).long(), 2)

    @pytest.mark.parametrize(
        ("activation", "bias", "what"),
        [
            (nn.ReLU(inplace=True), -1e3, "give 0 for every sample"),
            (nn.Sigmoid(), 1e3, "are at an end of their range"),
            (nn.Sigmoid(), -1e3, "are at an end of their range"),
            (nn.Tanh(), 1e3, "are at an end of their range"),
        ],
    )
    def test_without_a_gradient(self, tmp_path: Path, activation: nn.Module, bias: float, what: str):
        hidden = nn.Linear(1, 8)
        nn.init.constant_(hidden.bias, bias)
        found = told(
            tmp_path, binary(hidden, activation, nn.Linear(8, 1), nn.Sigmoid()), self.points(), 0.9, 0.7, steps=1
        )
        # However short the run was: it cannot recover.
        assert list(found) == ["learned nothing"]
        assert f"layer 1 ({type(activation).__name__})" in found["learned nothing"]
        assert what in found["learned nothing"]

    def test_with_one_unit_alive(self, tmp_path: Path):
        torch.manual_seed(0)
        hidden, last = nn.Linear(1, 8), nn.Linear(8, 1)
        nn.init.constant_(hidden.bias, -1e3)
        with torch.no_grad():
            hidden.weight[3], hidden.bias[3], last.weight[0, 3], last.bias[0] = 10, 0, 5, -1
        assert told(tmp_path, binary(hidden, nn.ReLU(), last, nn.Sigmoid()), self.points(), 0.9, 0.1) == {}

    def test_a_dead_layer_that_is_gone_around(self, tmp_path: Path):
        class Around(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.hidden, self.relu, self.last = nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1)
                nn.init.constant_(self.hidden.bias, -1e3)

            def forward(self, x: Tensor) -> Tensor:
                return (50 * x + 0 * self.last(self.relu(self.hidden(x)))).sigmoid()

        found = told(tmp_path, BinaryClassification(Around(), torch.optim.SGD), self.points(), 0.9, 0.1)
        assert list(found) == ["dead layer"]

    def test_a_tanh_that_is_rightly_at_its_ends(self, tmp_path: Path):
        hidden, last = nn.Linear(1, 1), nn.Linear(1, 1)
        for parameter, value in zip((hidden.weight, hidden.bias, last.weight, last.bias), (1e4, 0, 5, 0), strict=True):
            nn.init.constant_(parameter, value)
        assert told(tmp_path, binary(hidden, nn.Tanh(), last, nn.Sigmoid()), self.points(), 0.9, 0.1) == {}


class TestLosses:
    def test_one_that_still_falls_wants_more_epochs(self, tmp_path: Path):
        found = told(tmp_path, *right_on(1000), *(3 - 0.1 * epoch for epoch in range(20)))
        assert list(found) == ["not learned yet"]
        assert "trainer.max_epochs" in found["not learned yet"]

    def test_one_that_fell_and_stopped_learned_nothing(self, tmp_path: Path):
        assert "learned nothing" in told(tmp_path, *right_on(1000), 50.0, 9.0, *[0.7] * 18)

    def test_one_that_rose_wants_a_lower_rate(self, tmp_path: Path):
        found = told(tmp_path, *right_on(1000), 1.04, 50.0, 50.0, steps=3)
        assert "from 1.04 to 50: lower optimizer.lr" in found["learned nothing"]

    def test_one_that_rose_although_something_was_learned(self, tmp_path: Path):
        assert list(told(tmp_path, *right_on(1900), 0.7, 0.1, 2.0)) == ["loss rose"]
        assert told(tmp_path, *right_on(1900), 0.7, 0.1, 0.71) == {}

    def test_after_few_steps_nobody_knows(self, tmp_path: Path):
        assert list(told(tmp_path, *right_on(1000), 0.7, 0.7, steps=2)) == ["not learned yet"]
        assert list(told(tmp_path, *right_on(1000), steps=1)) == ["not learned yet"]
        assert list(told(tmp_path, *right_on(1000), steps=900)) == ["learned nothing"]

    def test_are_all_that_is_judged_of_other_data(self, tmp_path: Path):
        module, _ = right_on(1000)
        assert told(tmp_path, module, LightningDataModule(), 1.0, 0.5) == {}
        assert list(told(tmp_path, module, LightningDataModule(), 1.0, 50.0)) == ["loss rose"]


def test_looking_leaves_no_trace(tmp_path: Path):
    layers = nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid()
    module = binary(*layers)
    module.train()
    layers[1].eval()  # as somebody may have wanted it
    before = {name: value.clone() for name, value in module.state_dict().items()}
    data = Given(torch.rand(300, 1), torch.arange(300) % 2, 2)
    random = torch.get_rng_state()
    assert told(tmp_path, module, data, 0.7, 0.7)
    assert torch.equal(torch.get_rng_state(), random)
    assert [layer.training for layer in layers] == [True, False, True, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)


def test_a_network_that_cannot_be_looked_at_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("only in training")

    module = BinaryClassification(Broken(), torch.optim.SGD)
    assert told(tmp_path, module, right_on(4, of=4)[1], 1.0, 50.0) == {}
    assert "only in training" in caplog.text


class TestRuns:
    def test_that_learned_nothing_say_so(self, launch, caplog: pytest.LogCaptureFixture):
        run = launch("model=spiral", "optimizer.lr=10", "trainer.max_epochs=30")
        assert run.results["status"] == "completed"
        (sentences,) = run.results["warnings"].values()
        assert list(run.results["warnings"]) == ["learned nothing"]
        assert "right on 50.0% of 2,000" in sentences
        assert "lower optimizer.lr" in sentences
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert warned == [f"Learned nothing. {sentences}"]

    @pytest.mark.parametrize(
        "overrides",
        [
            ["model=linear"],
            ["model=linear", "trainer.max_epochs=20", "data.noise=1"],
            ["model=linear", "data.n_points=1", "trainer.max_epochs=20"],
            ["model=spiral", "trainer.max_epochs=1"],
            ["model=spiral", "trainer.max_epochs=100"],
            ["model=spiral", "data.n_points=1", "trainer.max_epochs=20"],
            ["model=spiral", "model.network.activation=sigmoid", "trainer.max_epochs=20"],
            ["model=spiral", "model.module.loss=mse", "trainer.max_epochs=20"],
            ["model=multispiral", "trainer.max_epochs=2"],
            ["model=multispiral", "trainer.max_epochs=100"],
            ["model=cnn", "data=digits", "trainer.max_epochs=1", "model.network.channels=[8,16]"],
        ],
        ids=" ".join,
    )
    @pytest.mark.parametrize("seed", [0, 1])
    def test_that_learned_say_nothing(self, launch, overrides: list[str], seed: int):
        assert launch(*overrides, f"seed={seed}").results["warnings"] == {}

    def test_that_were_short_are_told_to_go_on(self, launch):
        for epochs in (1, 2):
            run = launch("model=linear", f"trainer.max_epochs={epochs}")
            assert list(run.results["warnings"]) == ["not learned yet"]

    def test_that_are_gone_on_with_lose_the_warning(self, launch):
        run = launch("model=linear", "trainer.max_epochs=1")
        composing.launch(run.path, f"resume={run.path}", "trainer.max_epochs=50")
        assert run.results["epochs"] == 50
        assert run.results["warnings"] == {}
