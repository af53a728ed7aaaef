"""Every file under conf/ as a choice of its group, with every model."""

from collections.abc import Iterator
from typing import Any

import composing
import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from littlenets.config.check import check
from littlenets.errors import SettingError

FILES = sorted(composing.CONF.glob("*/*.yaml"))
MODELS = sorted(file.stem for file in composing.CONF.glob("model/*.yaml"))


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("_target_"):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


def test_the_files_were_found():
    assert {"linear", "spiral", "multispiral", "cnn"} <= set(MODELS)
    assert {file.parent.name for file in FILES} >= {"model", "data", "optimizer", "scheduler", "trainer", "logger"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}={file.stem}")
def test_it_composes_with_every_model_and_names_what_exists(file):
    group, choice = file.parent.name, file.stem
    # An experiment brings a model of its own.
    for model in [None] if group in ("model", "experiment") else MODELS:
        config = composing.compose_config(f"{group}={choice}", *([f"model={model}"] if model else []))
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        found = list(targets(values))
        assert len(found) >= 4
        for target in found:
            assert callable(get_object(target))
        if (group, choice) == ("optimizer", "none"):
            with pytest.raises(SettingError, match="optimizer=null: this is needed"):
                check(config)
            continue
        # Not all data are for every model; whether they fit is another test's.
        check(config, saved=group == "data")


RECIPES = {
    "linear": ("LinearRegression", "Regression", "Line", "SGD", 0.01, 200, None),
    "spiral": ("SpiralNet", "BinaryClassification", "Spirals", "Adam", 0.01, 10_000, None),
    "multispiral": ("MultiSpiralNet", "MulticlassClassification", "Spirals", "Adam", 0.01, 2000, None),
    "cnn": ("CNN", "MulticlassClassification", "MNIST", "Adam", 0.001, 3, 64),
}


@pytest.mark.parametrize("model", RECIPES)
def test_the_defaults_are_the_articles(model: str):
    config = composing.compose_config(f"model={model}")
    network, module, data, optimizer, lr, epochs, batch_size = RECIPES[model]
    nodes = (config.model.network, config.model.module, config.data, config.optimizer)
    assert [node._target_.rpartition(".")[2] for node in nodes] == [network, module, data, optimizer]
    assert (config.optimizer.lr, config.trainer.max_epochs) == (lr, epochs)
    assert (config.data.batch_size, config.data.validation, config.scheduler) == (batch_size, 0, None)
    assert config.optimizer.weight_decay == 0
    if model == "cnn":
        assert (config.model.network.channels, config.model.network.hidden) == ([32, 64], [128])
        assert (config.data.mean, config.data.std, config.data.shuffle) == (0.1307, 0.3081, True)
    elif model != "linear":
        assert config.model.network.hidden == [64, 64]
        arms = {"spiral": 2, "multispiral": 3}[model]
        assert (config.data.arms, config.data.n_points, config.data.noise) == (arms, 1000, 0.2)
        assert config.model.network.activation == "relu"
    if model == "spiral":
        assert config.model.module.loss == "bce"


def test_the_command_line_beats_the_model():
    config = composing.compose_config(
        "model=cnn", "optimizer=sgd", "data=digits", "trainer.max_epochs=7", "optimizer.lr=0.5"
    )
    assert (config.optimizer._target_, config.optimizer.lr) == ("torch.optim.SGD", 0.5)
    assert (config.data._target_, config.trainer.max_epochs) == ("littlenets.data.Digits", 7)


def test_an_optimizer_brings_its_own_learning_rate():
    assert composing.compose_config("model=cnn", "optimizer=sgd").optimizer.lr == 0.01
    assert composing.compose_config("model=cnn").optimizer.lr == 0.001
