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

from littlenets.config.check import check, check_settings
from littlenets.config.origin import Origin
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
        ("trainer.max_epochs=1.5", ": it should be an integer or -1\\.$"),
        ("seed=2.5", ": it should be an integer\\.$"),
        ("checkpoint.every=2.5", "integer"),
        ("+trainer.max_time=10", '"00:01:30:00"'),
        ("+trainer.max_time=10 minutes", '"00:01:30:00"'),
        ("+trainer.max_time={minute:1}", "{minutes:90}"),
        ("+trainer.max_time={minutes:0}", "{minutes:90}"),
        # what other languages write for null
        ("data.batch_size=None", "write null"),
        ("data.batch_size=none", "write null"),
        ("data.batch_size=nil", "write null"),
        ("data.batch_size=nan", "write null"),
        ("sweep.objective=None", "write null"),
        ("figures.only=None", "write null"),
        ("data.n_points=None", "integer"),
        ("optimizer.lr=None", "number"),
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
        ("trainer.devices=abc", "auto, a number of devices"),
        ("trainer.devices=0", "greater than 0"),
        ("checkpoint.every=x", '"200 batches" or "5 minutes"'),
        ("checkpoint.every=3 weeks", '"200 batches" or "5 minutes"'),
        ("trainer.accelerator=cpuu", "auto, gpu, .*cpu.*did you mean cpu\\?"),
        ("trainer.accelerator=foo", "one of auto, gpu, .*cpu.*\\.$"),
        ("+trainer.gradient_clip_algorithm=nrom", "'norm' or 'value'; did you mean norm\\?"),
        ("+trainer.val_check_interval=1.5", "an integer or less than or equal to 1"),
        ("+trainer.val_check_interval=-1", "greater than or equal to 0"),
        ("+trainer.fast_dev_run=-1", "greater than or equal to 0"),
        ("+trainer.min_epochs=-1", "greater than or equal to 0"),
        ("+trainer.min_steps=-4", "greater than or equal to 0"),
        ("+trainer.num_nodes=0", "greater than 0"),
        ("+trainer.reload_dataloaders_every_n_epochs=-1", "greater than or equal to 0"),
        ("+trainer.profiler=simpel", "'simple', .*; did you mean simple\\?"),
        ("trainer.strategy=ddpp", "one of auto, ddp, .*did you mean ddp\\?"),
        ("+trainer.logger=csv", "settings of a logger with a _target_"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(override: str, says: str):
    key, _, value = override.lstrip("+").partition("=")
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
        (["model=spiral", "model.network.hidden=[6.4,64]"], "model.network.hidden", ["it should be an integer."]),
        (["model=spiral", "model.network.hidden=['64']"], "model.network.hidden", ["64 in it should be a number"]),
        (["model=cnn", "data.stand_in=None"], "data.stand_in", ["write null"]),
        (["trainer.max_epochs=null"], "trainer.max_epochs", ["+trainer.max_steps", "+trainer.max_time", "=-1"]),
        (
            ["trainer.max_epochs=null", "+trainer.max_steps=9", "scheduler=cosine"],
            "trainer.max_epochs",
            ["scheduler.T_max takes it over", "integer"],
        ),
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
        ["trainer.max_epochs=null", "+trainer.max_steps=10", "scheduler=onecycle"],
        ["trainer.max_epochs=null", "+trainer.max_time={hours:1.5,seconds:3}"],
        ["trainer.max_epochs=null", "+trainer.max_time=00:00:10:00"],
        ["+trainer.max_time=null", "trainer.max_epochs=null", "+trainer.fast_dev_run=true"],
        ["+trainer.limit_train_batches=3", "trainer.precision=64-true", "trainer.devices=auto"],
        ["threads=4", "checkpoint.every=3", "seed=4294967295"],
        ["checkpoint.every=200 batches", "trainer.devices=[0,1]"],
        ["checkpoint.every=5 minutes", "trainer.devices='0,1'"],
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


@pytest.mark.parametrize(
    ("override", "says"),
    [
        # Nothing would read it.
        ("+foo=1", "foo: there is no such setting; nothing reads it."),
        ("+max_epochs=1", "max_epochs: there is no such setting; did you mean trainer.max_epochs?"),
        ("+model.hidden=[3]", "model.hidden: there is no such setting; nothing reads it."),
        ("+checkpoint.evry=3", "checkpoint.evry: there is no such setting; did you mean checkpoint.every?"),
        ("+logger.evry=3", "logger.evry: there is no such setting; did you mean logger.every?"),
        ("+foo._target_=torch.nn.Linear", "foo: there is no such setting"),
        ("+callbacks.mine.width=3", "callbacks.mine: there is no such setting"),
        # Given by training, so that setting it would do nothing.
        (
            "+trainer.callbacks=[]",
            "trainer.callbacks: this is no setting; each callback has a name in the group callbacks",
        ),
        (
            "+trainer.default_root_dir=x",
            "trainer.default_root_dir: this is no setting; it is the run's folder: hydra.run",
        ),
        ("+optimizer.params=[]", "optimizer.params: this is no setting"),
        # Needed.
        ("~seed", "seed: this is missing"),
        ("~data", "data: this is missing"),
        ("~model.network", "model.network=null: this is needed"),
        ("model.module=null", "model.module=null: this is needed"),
        ("~data._target_", "data._target_: this is missing"),
        ("model.network=cnn", "model.network=cnn: it takes settings of its own"),
        ("data.noise=???", "data.noise: needs a value"),
        ("data.noise=${nothing.there}", "data.noise: Interpolation key 'nothing.there' not found"),
        ("data.noise=${oc.env:LITTLENETS_NOT_SET}", "data.noise: KeyError raised"),
    ],
)
def test_a_setting_too_many_or_too_few(override: str, says: str):
    (line,) = complaints(override)
    assert line.startswith(says)


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["trainer.max_epochs=1e1"], "trainer.max_epochs", 10),
        (["trainer.max_epochs=1e5", "scheduler=cosine"], "scheduler.T_max", 100_000),
        (["+trainer.max_steps=3.0"], "trainer.max_steps", 3),
        (["data.batch_size=4.0"], "data.batch_size", 4),
        (["data.n_points=1e1"], "data.n_points", 10),
        (["seed=3.0"], "seed", 3),
        (["seed=3.0"], "data.seed", 3),
        (["threads=2e0"], "threads", 2),
        (["checkpoint.every=5.0"], "checkpoint.every", 5),
        (["checkpoint.every=5.0"], "callbacks.checkpoints.every", 5),
        (["model=spiral", "model.network.hidden=[6.4e1,8]"], "model.network.hidden", [64, 8]),
        (["model=spiral", "+width=6.4e1", "model.network.hidden=[${width}]"], "model.network.hidden", [64]),
        (["scheduler=step", "scheduler.step_size=2.0"], "scheduler.step_size", 2),
        (["figures.moments=4.0"], "figures.moments", 4),
        # Ten batches; one of everything, which 1 would not be.
        (["+trainer.limit_train_batches=1e1"], "trainer.limit_train_batches", 10),
        (["+trainer.limit_train_batches=1.0"], "trainer.limit_train_batches", 1.0),
        (["optimizer.lr=1.0"], "optimizer.lr", 1.0),
        (["data.slope=1e1"], "data.slope", 10.0),
        (["optimizer.lr=1"], "optimizer.lr", 1),
    ],
)
def test_a_whole_number_written_as_a_float_is_one_where_an_integer_is_taken(overrides, key, value):
    config = composing.compose_config(*overrides)
    check(config)
    found = OmegaConf.to_container(config, resolve=True)
    for name in key.split("."):
        found = found[name]
    assert repr(found) == repr(value)


@pytest.mark.parametrize("key", ["optimizer.lr", "seed"])
def test_a_number_from_the_environment_wants_decoding(monkeypatch, key: str):
    monkeypatch.setenv("LITTLENETS_NUMBER", "3")
    (line,) = complaints(f"{key}=${{oc.env:LITTLENETS_NUMBER}}")
    right = f'{key}="${{oc.decode:${{oc.env:LITTLENETS_NUMBER}}}}"'
    assert right in line
    config = composing.compose_config(right)
    check(config)
    assert OmegaConf.select(config, key) == 3


def test_a_number_inside_a_list_from_the_environment_wants_it_too(monkeypatch):
    monkeypatch.setenv("LITTLENETS_NUMBER", "3")
    (line,) = complaints("model=spiral", "model.network.hidden=[${oc.env:LITTLENETS_NUMBER},4]")
    assert "${oc.decode:${oc.env:LITTLENETS_NUMBER}}" in line


def stop(monitor: str) -> str:
    return f"+callbacks.stop={{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:{monitor}}}"


def keep(monitor: str) -> str:
    return f"+callbacks.keep={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,monitor:{monitor}}}"


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([stop("val/loss")], ["callbacks.stop.monitor=val/loss", "data.validation=", "train/loss, lr, weight, bias"]),
        ([stop("val_loss")], ["did you mean val/loss?", "data.validation="]),
        (["model=spiral", stop("val/accuracy"), "data.validation=0.2"], ["did you mean val/acc?"]),
        (["model=spiral", stop("test/acc")], ["train/loss, train/acc, lr"]),
        ([stop("train/mae")], ["callbacks.stop.monitor=train/mae"]),
        ([stop("val/loss"), "data.validation=0.2", "+trainer.limit_val_batches=0"], ["val/loss"]),
        ([keep("loss")], ["callbacks.keep.monitor=loss", "did you mean"]),
        ([stop("step")], ["there are train/loss"]),
        ([stop("gradient_norm")], ["there are train/loss"]),
    ],
)
def test_a_metric_that_will_not_be_measured_cannot_be_monitored(overrides, names):
    (line,) = complaints(*overrides)
    for name in names:
        assert name in line


@pytest.mark.parametrize(
    "overrides",
    [
        [stop("train/loss")],
        [stop("weight")],
        [stop("lr")],
        [stop("gradient_norm"), "gradient_norm=true"],
        [stop("val/mae"), "data.validation=0.2"],
        [stop("val/loss,strict:false")],
        [keep("step,mode:max")],
        [keep("null")],
        ["+callbacks.rates._target_=pytorch_lightning.callbacks.LearningRateMonitor", stop("lr-SGD")],
        # A class of a user's may log anything.
        ["+callbacks.own._target_=outside_callbacks.Logs", stop("their/own")],
        ["model.module._target_=outside_callbacks.Measures", stop("their/own")],
    ],
)
def test_what_may_be_measured_can_be_monitored(overrides):
    check(composing.compose_config(*overrides))


def test_a_class_of_lightning_is_that_of_the_package_that_is_installed():
    config = composing.compose_config(
        "+callbacks.stop={_target_:lightning.pytorch.callbacks.EarlyStopping,monitor:train/loss,patience:2.0}"
    )
    check(config)
    assert config.callbacks.stop._target_ == "pytorch_lightning.callbacks.EarlyStopping"
    assert repr(config.callbacks.stop.patience) == "2"
    (line,) = complaints("+callbacks.stop._target_=lightning.pytorch.callbacks.EarlyStoping")
    assert "EarlyStoping" in line


def test_a_class_made_for_the_other_package_is_refused(user_module):
    base = type("Callback", (), {"__module__": "lightning.pytorch.callbacks.callback"})
    sys.modules["networks_of_a_user"].Mine = type("Mine", (base,), {})
    (line,) = complaints("+callbacks.mine._target_=networks_of_a_user.Mine")
    assert "lightning.pytorch" in line
    assert "pytorch_lightning" in line


def test_settings_of_other_commands_are_settled_too():
    config = OmegaConf.create({"threads": 2e0, "index": 3.0})
    check_settings(config, {"threads": int, "index": int | None})
    assert repr([config.threads, config.index]) == "[2, 3]"


def test_a_value_that_others_are_made_from_may_stand_anywhere():
    check(composing.compose_config("+width=8", "model=spiral", "model.network.hidden=[${width},${width}]"))


def test_a_value_taken_over_twice_is_reported_once_by_the_key_to_set():
    (line,) = complaints("scheduler=cosine", "trainer.max_epochs=many")
    assert line.startswith("trainer.max_epochs=many")
    (line,) = complaints("seed=x")
    assert line.startswith("seed=x")


def test_what_a_schedule_needs_is_named():
    (line,) = complaints("scheduler=step", "~scheduler.step_size")
    assert line.startswith("scheduler.step_size: StepLR needs this setting")


def test_a_word_that_is_nearly_right():
    (line,) = complaints("model=spiral", "model.module.loss=bse")
    assert line.endswith("did you mean bce?")


@pytest.mark.usefixtures("user_module")
def test_what_a_users_network_needs_is_named():
    config = composing.compose_config("model=linear")
    config.model.network = OmegaConf.create({"_target_": "networks_of_a_user.Blur", "depth": 3})
    with pytest.raises(SettingError, match=r"^model\.network\.width: Blur needs this setting"):
        check(config)


@pytest.mark.usefixtures("user_module")
def test_what_is_inside_an_argument_is_checked_too():
    config = composing.compose_config("model=linear")
    inner = {"_target_": "networks_of_a_user.Blur", "width": "wide"}
    config.model.network = OmegaConf.create({"_target_": "torch.nn.Sequential", "_args_": [inner]})
    with pytest.raises(SettingError, match=r"^model\.network\._args_\.0\.width=wide"):
        check(config)


class Hinted(nn.Module):
    """One annotation exists for type checkers only; the others count all the same."""

    def __init__(self, width: int, other: "NotImported" = None) -> None:  # noqa: F821
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_an_annotation_that_cannot_be_read_hides_no_other(user_module):
    sys.modules["networks_of_a_user"].Hinted = Hinted
    config = composing.compose_config("model=linear")
    config.model.network = OmegaConf.create({"_target_": "networks_of_a_user.Hinted", "width": "wide", "other": 3})
    with pytest.raises(SettingError, match=r"^model\.network\.width=wide: [^\n]*integer[^\n]*$"):
        check(config)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        # Nothing there could be downloaded from: that it does not fit is known before.
        (["model=spiral", "data=mnist", "data.mirrors=[]"], r"model\.network \(SpiralNet\).*\(1, 28, 28\)"),
        (["model=cnn", "data=spiral"], r"model\.network \(CNN\).*\(2,\)"),
        (["model=cnn", "data=line"], r"model\.network \(CNN\).*\(1,\)"),
        (["model=multispiral", "model.network.classes=2"], r"model\.network\.classes=2: .*3 classes.*classes=3"),
        (["model=cnn", "model.network.classes=7"], r"model\.network\.classes=7: .*10 classes.*classes=10"),
        (["model=multispiral", "data.arms=5"], r"model\.network\.classes=3: .*5 classes.*classes=5"),
        (["model=spiral", "data=multispiral"], r"model\.network \(SpiralNet\).*3 classes"),
        (["model=multispiral", "data=colour_lines"], "testing only"),
    ],
)
def test_a_network_and_data_that_do_not_fit(overrides: list[str], says: str):
    (line,) = complaints(*overrides)
    assert re.search(says, line)


def test_the_data_are_named_as_they_were_typed():
    config = composing.compose_config("model=cnn", "data=spiral")
    with pytest.raises(SettingError, match="does not fit data=spiral"):
        check(config, Origin({"data": "spiral"}))


def test_looking_whether_they_fit_leaves_random_numbers_alone():
    before = torch.random.get_rng_state()
    check(composing.compose_config("model=cnn", "model.network.hidden=[11]"))
    complaints("model=cnn", "data=spiral", "model.network.hidden=[11]")
    assert torch.equal(torch.random.get_rng_state(), before)


class Counted(nn.Module):
    """Counts how often it is made."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.made += 1
        self.layer = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_the_points_of_a_sweep_try_one_network_once(user_module):
    sys.modules["networks_of_a_user"].Counted = Counted
    for lr in (0.1, 0.2, 0.3):
        config = composing.compose_config("model=linear", f"optimizer.lr={lr}")
        config.model.network = OmegaConf.create({"_target_": "networks_of_a_user.Counted"})
        check(config)
    assert Counted.made == 1


def test_a_saved_configuration_may_have_other_settings():
    """Of another version of the package; what is there must still be right."""
    config = composing.compose_config("model=cnn", "data=spiral", "~threads", "+was_there=1")
    check(config, saved=True)
    config.optimizer.lr = -1
    with pytest.raises(SettingError, match=r"^optimizer\.lr=-1[^\n]*$"):
        check(config, saved=True)


def test_what_this_machine_has_not_is_no_mistake_of_a_saved_configuration():
    config = composing.compose_config("trainer.accelerator=tpu")
    check(config, saved=True)
    with pytest.raises(SettingError, match=r"^trainer\.accelerator=tpu: this machine has none; it has .*cpu.*$"):
        check(config)


@pytest.mark.parametrize(
    ("also_test", "says"),
    [
        ("[colour_lines]", []),
        ("[colour_linse]", ["There is no data=colour_linse"]),
        ("[digits,line]", ["does not fit data=digits", "does not fit data=line"]),
    ],
)
def test_what_is_tested_on_as_well_is_looked_at_too(also_test: str, says: list[str]):
    overrides = ["model=multispiral", f"also_test={also_test}"]
    lines = complaints(*overrides) if says else check(composing.compose_config(*overrides)) or []
    assert len(lines) == len(says)
    assert all(part in line for part, line in zip(says, lines, strict=True))


def test_a_stand_in_is_looked_up_before_it_is_needed():
    (line,) = complaints("model=cnn", "data.stand_in=numbers")
    assert line.startswith("data.stand_in: There is no data=numbers")
