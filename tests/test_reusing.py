"""A new run with the settings of an earlier one: the same configuration, and what is said besides."""

from pathlib import Path
from typing import Any

import composing
import pytest
import torch
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from littlenets.cli.like import expand_like
from littlenets.config.origin import Origin
from littlenets.errors import SettingError
from littlenets.training import train

TRAIN = composing.CONF.parent / "train.py"
OWN = "model.network._target_=outside_networks.OutOfOrder"
# Each of them as it is typed.
RUNS = {
    "defaults": ["model=linear"],
    "values": ["model=spiral", "data.n_points=20", "data.noise=0.5", "seed=3", "optimizer.lr=0.02"],
    "lists, words and nothing": [
        "model=multispiral",
        "model.network.hidden=[8,4]",
        "data.batch_size=null",
        "threads=2",
    ],
    "groups": ["model=cnn", "data=digits", "optimizer=sgd", "scheduler=onecycle", "logger=csv", "figures=none"],
    "a schedule of its own length": ["model=linear", "scheduler=cosine", "scheduler.T_max=7"],
    "added": ["model=linear", "+trainer.max_steps=7", "+optimizer.nesterov=true", "optimizer.momentum=0.9"],
    "taken away": ["model=linear", "~callbacks.gradients", "~trainer.num_sanity_val_steps"],
    "no callbacks": ["model=linear", "callbacks=none", "logger=none"],
    "an experiment": ["experiment=spiral_on_lines", "optimizer.lr=0.5"],
    "one of a sweep": ["experiment=linear_learning_rates", "optimizer.lr=0.05"],
    "text": ["model=linear", OWN, "+model.network.waits_for='1, \"2\"'"],
    "text that looks like a number": ["model=linear", OWN, "+model.network.waits_for='1'"],
    "a callback": ["model=linear", "+callbacks.mine={_target_:observers.Talker}"],
}


def resolved(config: Any) -> dict[str, Any]:
    return OmegaConf.to_container(config, resolve=True)


@pytest.fixture
def saved(tmp_path: Path):
    """``saved(*overrides)`` is a folder with the config.yaml of such a run."""

    def save(*overrides: str, **changes: Any) -> Path:
        config = composing.compose_config(*overrides)
        choices = HydraConfig.get().runtime.choices
        origin = {"model": choices.model, "data": choices.data, "stand_in_for": None, "overrides": list(overrides)}
        folder = tmp_path / "run"
        folder.mkdir()
        values = resolved(config) | {"origin": origin} | changes
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        return folder

    return save


def compose_like(folder: Path, *arguments: str, trust: str = "trust=[]") -> Any:
    """What ``python train.py like=FOLDER ...`` composes."""
    return composing.compose_config(*expand_like(TRAIN, [f"like={folder}", trust, *arguments]))


@pytest.mark.parametrize("name", RUNS)
def test_its_settings_are_those_of_the_run(saved, name: str):
    trust = "trust=[outside_networks,observers]"
    folder = saved(*RUNS[name])
    again = resolved(compose_like(folder, trust=trust))
    before = yaml.safe_load((folder / "config.yaml").read_text())
    del before["origin"]
    assert again | {"trust": []} == before


@pytest.mark.parametrize("name", ["values", "groups", "added", "an experiment"])
def test_it_is_the_command_with_the_changes_added(saved, name: str):
    changes = ["seed=11", "trainer.max_epochs=13"]
    folder = saved(*RUNS[name])
    expected = resolved(composing.compose_config(*RUNS[name], *changes))
    assert resolved(compose_like(folder, *changes)) == expected | {"trust": []}


def test_what_follows_another_value_goes_on_doing_so(saved):
    config = compose_like(saved("model=spiral", "seed=3", "scheduler=cosine"), "seed=4", "trainer.max_epochs=70")
    assert (config.seed, config.data.seed, config.scheduler.T_max) == (4, 4, 70)


def test_what_was_said_is_said_again_and_no_more(saved):
    overrides = ["model=spiral", "seed=3", "optimizer.lr=0.02", "data.noise=2"]
    folder = saved(*overrides)
    expanded = expand_like(TRAIN, ["optimizer.lr=0.1", f"like={folder}", "--cfg", "job"])
    assert sorted(expanded) == sorted(["model=spiral", "seed=3", "data.noise=2", "optimizer.lr=0.1", "--cfg", "job"])
    # So that argparse takes the overrides for one block.
    assert expanded[-2:] == ["--cfg", "job"]


def test_the_settings_that_were_used_count_where_conf_has_changed(saved):
    folder = saved("model=linear")
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["optimizer"]["lr"] = 0.3  # another default then
    values["trainer"]["benchmark"] = True  # which conf/ no longer lists
    del values["data"]["noise"]  # which it did not list
    del values["gradient_norm"]
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    config = compose_like(folder, "seed=1")
    assert (config.optimizer.lr, config.trainer.benchmark) == (0.3, True)
    assert "noise" not in config.data
    assert config.gradient_norm is False


def test_a_choice_replaces_all_of_its_group(saved):
    folder = saved("model=spiral", "optimizer=sgd", "optimizer.lr=0.5", "data.noise=2", "+optimizer.nesterov=true")
    config = resolved(compose_like(folder, "optimizer=adam"))
    assert config == resolved(composing.compose_config("model=spiral", "optimizer=adam", "data.noise=2"))


def test_a_model_brings_its_data_and_its_optimizer(saved):
    folder = saved("model=linear", "data.n_points=9", "optimizer.lr=0.5", OWN, "seed=5")
    config = resolved(compose_like(folder, "model=cnn", trust="trust=[outside_networks]"))
    assert config == resolved(composing.compose_config("model=cnn", "seed=5", "trust=[outside_networks]"))


def test_data_that_stood_in_for_others_are_those(saved):
    digits = resolved(composing.compose_config("model=cnn", "data=digits").data)
    origin = {"model": "cnn", "data": "digits", "stand_in_for": "mnist", "overrides": ["model=cnn", "data.root=/away"]}
    folder = saved("model=cnn", "data.root=/away", data=digits, origin=origin)
    assert resolved(compose_like(folder)) == resolved(composing.compose_config("model=cnn", "data=digits"))


def test_figures_that_a_sweep_left_out_are_drawn(saved):
    config = compose_like(saved("model=linear", "seed=3", figures=None))
    assert config.figures == composing.compose_config("model=linear").figures


class TestOfASweepingExperiment:
    """``experiment=linear_learning_rates`` sweeps over optimizer.lr by itself; the run is one of its jobs."""

    @pytest.fixture
    def folder(self, saved) -> Path:
        return saved("experiment=linear_learning_rates", "optimizer.lr=0.01")  # as conf/optimizer has it

    def test_it_is_one_run(self, folder):
        assert expand_like(TRAIN, [f"like={folder}", "seed=1"]) == [
            *("experiment=linear_learning_rates", "hydra.mode=RUN", "seed=1")
        ]

    def test_a_sweep_is_over_what_is_asked_for_alone(self, folder):
        assert expand_like(TRAIN, ["-m", f"like={folder}", "seed=1,2"]) == [
            *("experiment=linear_learning_rates", "optimizer.lr=0.01", "seed=1,2", "-m")
        ]


def test_it_trains_as_the_command_does(tmp_path: Path):
    settings = ["model=spiral", "data.n_points=20", "trainer.max_epochs=4", "scheduler=cosine"]
    first = composing.launch(tmp_path / "first", *settings)
    whole = composing.launch(tmp_path / "whole", *settings, "seed=8")
    config = compose_like(first.path / "checkpoints" / "last.ckpt", "seed=8")
    (tmp_path / "new").mkdir()
    train(config, tmp_path / "new", Origin.from_hydra())
    new = composing.RunFolder(tmp_path / "new")
    assert new.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(new.weights(), whole.weights(), strict=True))
    assert "resumed" not in new.results
    assert {*settings, "seed=8"} <= {*new.results["overrides"]}
    origin = yaml.safe_load((new.path / "config.yaml").read_text())["origin"]
    assert (origin["model"], origin["overrides"]) == ("spiral", new.results["overrides"])


class TestOfSomebodyElse:
    """The folder is data: it names no code, no file and nothing of Hydra's."""

    def test_code_that_is_not_trusted(self, saved):
        folder = saved("model=linear", "model.network._target_=os.system")
        with pytest.raises(SettingError, match=r"model\.network\._target_=os\.system.*trust=\[os\]"):
            compose_like(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"hydra": {"mode": "MULTIRUN", "run": {"dir": "elsewhere"}}},
            {"defaults": ["/data/../../elsewhere"]},
            {"experiment": "../../elsewhere"},
            {"hydra/launcher": "basic"},
            {"sweep": {"on_error": "stop"}},
            {"trust": ["os"]},
            {"resume": "elsewhere"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_what_is_no_setting_of_a_run(self, saved, change: dict[str, Any]):
        folder = saved("model=linear", "seed=3", **change)
        assert expand_like(TRAIN, [f"like={folder}"]) == ["model=linear", "seed=3"]

    @pytest.mark.parametrize(
        "override",
        [
            "hydra.run.dir=elsewhere",
            "+hydra.job_logging.handlers.x.()=os.system",
            "hydra/launcher=basic",
            "data=../../../elsewhere",
            "experiment=/elsewhere",
            "+data@hydra=digits",
            "not an override",
        ],
    )
    def test_overrides_that_are_no_choice(self, saved, override: str):
        origin = {"model": "linear", "data": "line", "stand_in_for": None, "overrides": [override, "model=linear"]}
        folder = saved("model=linear", origin=origin)
        assert expand_like(TRAIN, [f"like={folder}"]) == ["model=linear"]

    def test_what_would_be_resolved(self, saved):
        folder = saved("model=linear", "seed=3")
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(text.replace("seed: 3", "seed: ${oc.env:HOME}"))
        with pytest.raises(SettingError, match="no interpolations"):
            compose_like(folder)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["like=a,b"], "of one run"),
        (["-m", "like=a,b"], "of one run"),
        (["like=a", "like=b"], "of one run"),
        (["like=a", "resume=b"], "give one of them"),
        (["like=nowhere"], "nowhere: there is no such run folder"),
    ],
)
def test_one_run_that_is_there(arguments: list[str], says: str):
    with pytest.raises(SettingError, match=says):
        expand_like(TRAIN, arguments)


@pytest.mark.parametrize("arguments", [["seed=1"], ["like=null", "seed=1"], ["resume=a", "-m"]])
def test_other_commands_are_left_alone(arguments: list[str]):
    assert [text for text in arguments if text != "like=null"] == expand_like(TRAIN, arguments)
