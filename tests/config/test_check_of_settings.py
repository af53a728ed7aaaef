"""Wrong settings are found before anything starts, all of them at once."""

import re
import sys
import types
from collections.abc import Iterator

import composing
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from littlenets.config.check import check
from littlenets.errors import SettingError


def complaints(*overrides: str) -> list[str]:
    """One line for each wrong setting."""
    with pytest.raises(SettingError) as raised:
        check(composing.compose_config(*overrides))
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        # wrong type
        ("trainer.max_epochs=many", "integer"),
        ("trainer.max_epochs=1.5", "integer"),
        ("optimizer.lr=fast", "number"),
        ("data.noise=a", "number"),
        ("data.slope=inf", "less than|finite"),
        ("data.n_points=2.5", "integer"),
        ("data.shuffle=7", "bool"),
        ("data.batch_size=all", "integer"),
        ("data.batch_size='2'", "integer"),
        ("data.test_x=20", "[Ll]ist|[Ss]equence|[Tt]uple"),
        ("seed=a", "integer"),
        ("threads=some", "integer.*auto|auto.*integer"),
        ("checkpoint.every=sometimes", "integer.*auto|auto.*integer"),
        # out of range
        ("optimizer.lr=0", "greater than 0"),
        ("optimizer.lr=-0.1", "greater than 0"),
        ("optimizer.lr=inf", "less than|finite"),
        ("optimizer.lr=nan", "than|finite"),
        ("optimizer.momentum=1", "less than 1"),
        ("optimizer.momentum=-0.1", "greater than or equal to 0"),
        ("optimizer.weight_decay=-1", "greater than or equal to 0"),
        ("trainer.max_epochs=0", "greater than 0"),
        ("trainer.max_epochs=-2", "greater than 0"),
        ("data.n_points=0", "greater than 0"),
        ("data.noise=-0.1", "greater than or equal to 0"),
        ("data.batch_size=0", "greater than 0"),
        ("data.validation=1", "less than 1"),
        ("data.validation=-0.1", "greater than or equal to 0"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=4294967296", "less than 4294967296"),
        ("threads=0", "greater than 0"),
        ("checkpoint.every=0", "greater than 0"),
        # no such choice
        ("trainer.accelerator=[1]", "string"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(override: str, says: str):
    key, _, value = override.partition("=")
    (line,) = complaints(override)
    assert line.startswith(f"{key}=")
    assert value.strip("'") in line
    assert re.search(says, line)


@pytest.mark.parametrize(
    ("overrides", "place", "names"),
    [
        (["model=spiral", "model.network.activation=gelu"], "model.network.activation", ["relu", "tanh", "sigmoid"]),
        (["model=spiral", "model.module.loss=hinge"], "model.module.loss", ["bce", "mse"]),
        (["model=spiral", "model.network.hidden=[64,0]"], "model.network.hidden", ["greater than 0"]),
        (["model=spiral", "model.network.hidden=64"], "model.network.hidden", []),
        (["model=spiral", "model.network.hidden=[a]"], "model.network.hidden", ["integer"]),
        (["model=cnn", "model.network.channels=[32,-1]"], "model.network.channels", ["greater than 0"]),
        (["model=cnn", "model.network.classes=0"], "model.network.classes", ["greater than 0"]),
        (["model=cnn", "data.std=0"], "data.std", ["greater than 0"]),
        (["model=cnn", "data.mirrors=7"], "data.mirrors", []),
        (["optimizer=adam", "optimizer.betas=[0.9,1.0]"], "optimizer.betas", ["less than 1"]),
        (["optimizer=adamw", "optimizer.betas=0.9"], "optimizer.betas", []),
        (["scheduler=step", "scheduler.step_size=0"], "scheduler.step_size", ["greater than 0"]),
        (["scheduler=step", "scheduler.gamma=-1"], "scheduler.gamma", ["greater than 0"]),
        (["scheduler=onecycle", "scheduler.max_lr=0"], "scheduler.max_lr", ["greater than 0"]),
        (["scheduler=onecycle", "scheduler.pct_start=half"], "scheduler.pct_start", ["number"]),
        (["logger=csv", "logger.every=0"], "logger.every", ["greater than 0"]),
    ],
)
def test_so_is_one_of_another_choice(overrides: list[str], place: str, names: list[str]):
    (line,) = complaints(*overrides)
    assert line.startswith(f"{place}=")
    for name in names:
        assert name in line


@pytest.mark.parametrize(
    ("override", "place", "near"),
    [
        ("+optimizer.momentun=0.9", "optimizer.momentun", "optimizer.momentum"),
        ("+data.n_point=3", "data.n_point", "data.n_points"),
        ("+trainer.max_epoch=3", "trainer.max_epoch", "trainer.max_epochs"),
        ("+model.network.hiden=[3]", "model.network.hiden", None),
    ],
)
def test_an_unknown_key_is_named_with_its_nearest(override: str, place: str, near: str | None):
    (line,) = complaints(override)
    assert line.startswith(f"{place}:")
    assert near is None or f"did you mean {near}?" in line


@pytest.mark.parametrize(
    ("target", "name"), [("torch.optim.SGDD", "SGDD"), ("littlenets.nothing.There", "littlenets.nothing"), ("", "")]
)
def test_a_target_that_does_not_exist_is_named(target: str, name: str):
    (line,) = complaints(f"optimizer._target_='{target}'")
    assert line.startswith("optimizer._target_")
    assert name in line


def test_all_that_is_wrong_is_said_at_once():
    lines = complaints(
        *("optimizer.lr=-1", "+optimizer.momentun=0.9", "data.noise=loud", "trainer.max_epochs=0", "seed=-1"),
        "threads=none",
    )
    places = {"optimizer.lr", "optimizer.momentun", "data.noise", "trainer.max_epochs", "seed", "threads"}
    assert {line.split("=")[0].split(":")[0] for line in lines} == places
    assert len(lines) == 6


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.batch_size=null", "data.noise=1", "data.slope=3"],
        ["trainer.max_epochs=-1", "+trainer.max_steps=10", "+trainer.limit_train_batches=0.5"],
        ["+trainer.limit_train_batches=3", "trainer.precision=64-true", "trainer.devices=auto"],
        ["threads=4", "checkpoint.every=3", "seed=4294967295"],
        ["model=spiral", "model.network.hidden=[]", "optimizer.betas=[0,0.5]"],
        ["optimizer=sgd", "optimizer.momentum=0.9", "+optimizer.nesterov=true"],
        ["scheduler=onecycle", "+scheduler.div_factor=10"],
        ["scheduler=cosine", "scheduler.eta_min=0.001"],
        ["logger=csv", "logger.every=5"],
        ["model=cnn", "data.mirrors=[https://example.org/mnist]", "data.stand_in=null"],
    ],
    ids=" ".join,
)
def test_what_is_right_passes(overrides: list[str]):
    check(composing.compose_config(*overrides))


class Blur(nn.Module):
    """A network as a user may write it."""

    def __init__(self, width: int, depth: int = 2, name: str = "blur", rate: float | None = None) -> None:
        super().__init__()
        assert isinstance(width, int), "the constructor must not be called with anything else"
        self.layer = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.fixture
def user_module() -> Iterator[None]:
    module = types.ModuleType("networks_of_a_user")
    module.Blur = Blur
    sys.modules[module.__name__] = module
    yield
    del sys.modules[module.__name__]


@pytest.mark.usefixtures("user_module")
@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"width": 3}, []),
        ({"width": 3, "depth": 4, "rate": 0.5}, []),
        ({"width": 3, "rate": None}, []),
        ({"width": "wide"}, ["model.network.width=wide"]),
        ({"width": "3"}, ["model.network.width=3"]),
        (
            {"width": 3, "depht": 4},
            ["model.network.depht: Blur has no such setting; did you mean model.network.depth?"],
        ),
        ({"width": 3, "zzz": 4}, ["model.network.zzz: Blur has no such setting; it takes width, depth, name, rate."]),
        ({"width": 2.5, "name": 3}, ["model.network.width=2.5", "model.network.name=3"]),
    ],
)
def test_a_network_that_was_written_today_is_checked_too(settings: dict, lines: list[str]):
    config = composing.compose_config("model=linear")
    config.model.network = OmegaConf.create({"_target_": "networks_of_a_user.Blur", **settings})
    if not lines:
        check(config)
        return
    with pytest.raises(SettingError) as raised:
        check(config)
    said = str(raised.value).splitlines()
    assert len(said) == len(lines)
    assert all(line.startswith(start) for line, start in zip(said, lines, strict=True))
