"""What stands in the way of public networks and tasks, one case each."""

import json
import logging
from pathlib import Path

import composing
import pytest
import torch
from cases import FILES
from composing import RunFolder
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from torch.nn import functional as F

from littlenets.config.origin import Origin
from littlenets.data import Spirals
from littlenets.errors import SettingError
from littlenets.evaluation import evaluate
from littlenets.prediction import predict

TRUST = "trust=[other_cases]"


def command(name: str, run: RunFolder, *overrides: str) -> DictConfig:
    """What ``python NAME.py run=FOLDER OVERRIDES`` composes."""
    with initialize_config_dir(str(composing.CONF), version_base="1.3"):
        config = compose(name, overrides=[f"run={run.path}", TRUST, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


def evaluated(run: RunFolder) -> dict:
    return evaluate(command("evaluate", run, "accelerator=cpu"), Origin.from_hydra())


def of_the_test(run: RunFolder) -> dict[str, float]:
    return {name: value for name, value in run.results["metrics"].items() if name.startswith("test")}


def answers(capsys: pytest.CaptureFixture, run: RunFolder, *overrides: str) -> list[dict]:
    capsys.readouterr()
    predict(command("predict", run, "format=json", *overrides))
    return json.loads(capsys.readouterr().out)


def task(name: str, network: str, *others: str) -> list[str]:
    return [
        *(FILES, "model=linear", f"model.module._target_=other_cases.{name}", f"model.network._target_={network}"),
        *("optimizer=adam", "optimizer.lr=0.02", "logger=none", *others),
    ]


class TestALossThatNeedsGradients:
    SETTINGS = task("SolvesEquation", "other_cases.Curve", "data.n_points=20", "trainer.max_epochs=300")

    def test_its_test_and_evaluation_compute_them(self, launch, capsys):
        run = launch(*self.SETTINGS, "+trainer.inference_mode=false")
        losses = run.column("train/loss")
        assert losses[-1] < 0.1 * losses[0]
        assert of_the_test(run).keys() == {"test/loss", "test/slope"}
        assert evaluated(run)["metrics"] == of_the_test(run)
        (answer,) = answers(capsys, run, "x=0")
        assert answer["u"] == pytest.approx(1, abs=0.2)


class TestSeveralLabels:
    @pytest.fixture
    def run(self, launch) -> RunFolder:
        network = ("littlenets.networks.MultiSpiralNet", "+model.network.classes=3")
        return launch(*task("MultiLabel", *network, "data=tags", "figures=all", "trainer.max_epochs=60"))

    def test_they_are_learned_evaluated_and_told(self, run, capsys, caplog):
        assert run.results["metrics"]["test/all_right"] > 0.7
        evaluation = evaluated(run)
        assert evaluation["metrics"] == of_the_test(run)
        assert "classes" not in evaluation
        (answer,) = answers(capsys, run, "x=[2,-2]")
        assert answer["labels"] == [1, 0, 1]
        assert len(answer["probabilities"]) == 3
        assert (run.path / "figures" / "loss.png").is_file()
        assert "could not be" not in (run.path / "figures").name + caplog.text


class TestWords:
    """A transformer that takes integers, and shares its first layer's weights with its last."""

    @pytest.fixture
    def run(self, launch) -> RunFolder:
        return launch(*task("NextWord", "other_cases.TinyGPT", "data=text", "trainer.max_epochs=150"))

    def test_they_are_learned_evaluated_and_told(self, run, capsys, tmp_path: Path):
        assert run.results["metrics"]["test/loss"] < 0.5
        assert evaluated(run)["metrics"] == of_the_test(run)
        assert answers(capsys, run, "x=[[0,1,2,3,4,0],[3,4,0,1,2,3]]") == [{"next": 1}, {"next": 4}]
        predict(command("predict", run, f"export={tmp_path / 'gpt.pt2'}"))
        exported = torch.export.load(tmp_path / "gpt.pt2").module()
        assert exported(torch.tensor([[0, 1, 2, 3, 4, 0]] * 3))["next"].tolist() == [1, 1, 1]

    def test_what_is_no_word_is_said_to_be_none(self, run):
        with pytest.raises(SettingError, match=r"1\.5 is not an integer"):
            predict(command("predict", run, "x=[0,1,2,3,4,1.5]"))
        with pytest.raises(SettingError, match=r"NextWord\.predict_step cannot take this: .*index"):
            predict(command("predict", run, "x=[0,1,2,3,4,5]"))


def test_targets_need_not_be_contiguous(launch):
    run = launch("model=multispiral", FILES, "data=columns", "trainer.max_epochs=3")
    assert of_the_test(run).keys() == {"test/loss", "test/acc"}
    assert evaluated(run)["metrics"] == of_the_test(run)


def test_classes_may_weigh_differently(launch):
    settings = ("model=multispiral", "data.n_points=20", "trainer.max_epochs=1", "optimizer=sgd", "optimizer.lr=0.001")
    run = launch(*settings, "model.module._target_=other_cases.Weighted", "+model.module.weights=[1.0,2.0,5.0]")
    plain = launch(*settings)
    state = run.checkpoint()["state_dict"]
    assert state["weights"].tolist() == [1, 2, 5]
    data = Spirals(arms=3, n_points=20, seed=0)
    data.setup()
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        *(torch.nn.Linear(2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    )
    x, y = data.splits["train"]
    expected = F.cross_entropy(network(x), y, torch.tensor([1.0, 2.0, 5.0])).item()
    assert run.column("train/loss")[0] == pytest.approx(expected, rel=1e-5)
    assert run.column("train/loss")[0] != plain.column("train/loss")[0]
    assert evaluated(run)["metrics"] == of_the_test(run)


@pytest.mark.filterwarnings("ignore:Attribute 'net' is an instance of")
class TestAModuleThatTakesItsParts:
    """As lightning-hydra-template writes them; it saves its network and its optimizer as hyperparameters."""

    NESTED = (
        *("model=linear", "model.network=null", "optimizer=none", "model.module._target_=other_cases.Template"),
        *("+model.module.net._target_=littlenets.networks.LinearRegression", "trainer.max_epochs=4"),
        *("+model.module.optimizer._target_=torch.optim.Adam", "+model.module.optimizer._partial_=true"),
        *("+model.module.optimizer.lr=0.1", "checkpoint.every=2"),
    )

    def test_its_checkpoints_hold_data_and_say_what_they_lack(self, launch, caplog):
        with caplog.at_level(logging.INFO):
            run = launch(*self.NESTED)
        parameters = run.checkpoint()["hyper_parameters"]
        assert parameters == {"scheduler": None, "compile": False}
        told = [line for line in caplog.messages if line.startswith("Checkpoints hold data only")]
        assert sorted(line.split("lack ")[1].partition(",")[0] for line in told) == [
            "hyper_parameters.net",
            "hyper_parameters.optimizer",
        ]

    def test_it_is_gone_on_with(self, launch):
        whole = launch(*self.NESTED)
        part = launch(*self.NESTED, "trainer.max_epochs=2")
        composing.launch(part.path, f"resume={part.path}", "trainer.max_epochs=4", TRUST)
        assert part.rows == whole.rows
        ours, theirs = part.checkpoint()["state_dict"], whole.checkpoint()["state_dict"]
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())

    def test_the_packages_own_groups_give_them(self, launch):
        """`scheduler` is called with the optimizer, as in its own code."""
        run = launch(
            *("model=linear", "model.network=null", "optimizer=adam", "optimizer.lr=0.1"),
            *(
                "model.module._target_=other_cases.Template",
                "+model.module.net._target_=littlenets.networks.LinearRegression",
                "scheduler=step",
            ),
            *("scheduler.step_size=1", "scheduler.gamma=0.5", "trainer.max_epochs=3"),
        )
        assert run.column("lr").tolist() == [0.1, 0.05, 0.025]


def test_further_data_do_not_take_the_place_of_the_runs_own(launch):
    """A module of another's hand calls its metrics as it likes."""
    run = launch(FILES, "model=lstm", "also_test=[other_sentences]", "trainer.max_epochs=1")
    metrics = run.results["metrics"]
    assert metrics.keys() >= {"test_loss", "test_acc", "other_sentences/loss", "other_sentences/acc"}
    assert metrics["test_loss"] != metrics["other_sentences/loss"]


class TestWhatIsGivenAndTaken:
    OTHER = ("model=linear", "model.module._target_=other_cases.NamesItsOptimizer", "trainer.max_epochs=2")

    def test_a_network_or_an_optimizer_that_nobody_takes_is_refused(self, launch):
        with pytest.raises(SettingError) as refused:
            launch(*self.OTHER, "+model.module.optimizer=Adam")
        assert str(refused.value).splitlines() == [
            "model.module.optimizer: this is no setting; training itself gives it.",
            "model.network: NamesItsOptimizer takes no network, and brings what it needs; set model.network=null.",
        ]

    def test_without_them_their_names_are_settings_like_others(self, launch):
        run = launch(*self.OTHER, "model.network=null", "optimizer=none", "+model.module.optimizer=Adam")
        assert run.checkpoint()["hyper_parameters"] == {"optimizer": "Adam", "scheduler": 0.1}
        assert run.rows[0].keys() == {"epoch", "lr"}

    def test_what_a_module_saves_that_is_no_data_is_left_out_and_named(self, launch, caplog):
        run = launch(*self.OTHER, "model.network=null", "optimizer=none")
        assert run.checkpoint()["of_its_own"] == {"number": 3}
        (warning,) = [line for line in caplog.messages if "of_its_own.function" in line]
        assert "data only" in warning
        composing.launch(run.path, f"resume={run.path}", "trainer.max_epochs=3", TRUST)
        assert len(run.rows) == 3

    def test_a_task_needs_both(self, launch):
        with pytest.raises(SettingError) as refused:
            launch("model=linear", "model.network=null", "optimizer=none")
        assert str(refused.value).splitlines() == [
            "model.network=null: this is needed; it takes settings of its own.",
            "optimizer=null: this is needed; it takes settings of its own.",
        ]


@pytest.mark.parametrize("schedule", ["plateau", "step"])
def test_a_schedule_that_waits_for_a_metric_goes_on_as_if_never_stopped(launch, schedule: str):
    """Lightning saves at an epoch's end before the schedule has looked at the metric."""
    settings = ["model=spiral", "data.n_points=20", "data.validation=0.2", f"scheduler={schedule}", "optimizer.lr=0.1"]
    settings += {"plateau": ["scheduler.patience=0"], "step": ["scheduler.step_size=2"]}[schedule]
    whole = launch(*settings, "trainer.max_epochs=12")
    part = launch(*settings, "trainer.max_epochs=3")
    for epochs in (5, 6, 12):
        composing.launch(part.path, f"resume={part.path}", f"trainer.max_epochs={epochs}")
    assert len(set(whole.column("lr"))) > 2
    assert part.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(part.weights(), whole.weights(), strict=True))
