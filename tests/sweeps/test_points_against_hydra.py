"""Points that are composed together equal what Hydra composes one by one."""

import json
import sys

import pytest
from composing import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import OmegaConf, flag_override

from littlenets.errors import SettingError
from littlenets.runs import resolvers
from littlenets.sweeps.grid import expand
from littlenets.sweeps.points import Points, swept

SWEEPS = {
    "numbers": ["optimizer.lr=0.01,0.1,1", "trainer.max_epochs=range(1,4)"],
    "interpolated": ["scheduler=cosine", "trainer.max_epochs=5,6", "seed=1,2"],
    "groups": ["model=linear,spiral", "optimizer=sgd,adam", "optimizer.lr=0.5,0.25"],
    "group of its own": ["model=glob(*spiral)", "scheduler=none,onecycle"],
    "lists": ["model=spiral", "model.network.hidden=[8,8],[16]", "seed=3,4"],
    "words": ["model=spiral", "model.network.activation=relu,tanh,'${oc.env:NO_SUCH,sigmoid}'"],
    "nothing and flags": ["data.batch_size=null,1", "data.shuffle=true,false", "threads=auto,1"],
    "added": ["+trainer.limit_train_batches=1,2", "++trainer.max_steps=7,8"],
    "taken away": ["~threads", "seed=1,2"],
    "packages": ["+data@other=spiral,line", "seed=1,2"],
    "one": ["seed=5"],
}


@pytest.fixture(scope="module")
def hydra():
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().hydra


def parse(hydra, arguments):
    return OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(arguments)


@pytest.mark.parametrize("name", SWEEPS)
def test_points_are_those_of_hydras_own_sweeper(hydra, name):
    overrides = parse(hydra, SWEEPS[name])
    if name == "taken away":  # which Hydra's own turns into ~threads=, and then refuses
        assert expand(overrides) == [["~threads", "seed=1"], ["~threads", "seed=2"]]
    else:
        (basic,) = (found for found in Plugins.instance().discover(Sweeper) if found.__name__ == "BasicSweeper")
        (batch,) = basic.split_arguments(overrides, None)
        assert expand(overrides) == batch


@pytest.mark.parametrize("name", SWEEPS)
def test_configurations_are_those_that_hydra_composes(hydra, name):
    batch = expand(parse(hydra, SWEEPS[name]))
    master = hydra.compose_config("train", [], RunMode.MULTIRUN)
    points = Points(hydra.config_loader, master)
    composed = points.compose(batch)
    assert len(points.compositions) <= len(batch)
    for point, overrides in zip(composed, batch, strict=True):
        expected = hydra.config_loader.load_sweep_config(master, overrides)
        HydraConfig.instance().set_config(expected)
        choices = expected.hydra.runtime.choices
        with_hydra = points.compositions[point.composition]
        ours = with_hydra.config(point)
        with flag_override(expected, "struct", False):
            del expected["hydra"]
        assert OmegaConf.to_container(ours) == OmegaConf.to_container(expected)
        assert point.settings == OmegaConf.to_container(expected, resolve=True)
        assert with_hydra.hydra.hydra.runtime.choices == choices
        assert with_hydra.hydra.hydra.overrides.task == overrides
        with pytest.raises(Exception, match="no_such"):
            ours.no_such = 1


def test_what_differs_in_values_only_is_composed_once(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    points.compose(expand(parse(hydra, ["model=linear,spiral", "optimizer.lr=0.5,0.25", "seed=range(0,20)"])))
    assert len(points.compositions) == 2


def test_a_points_values_do_not_reach_the_next(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    first, second = points.compose([["seed=1"], ["optimizer.lr=5"]])
    assert (first.settings["seed"], first.settings["optimizer"]["lr"]) == (1, 0.01)
    assert (second.settings["seed"], second.settings["optimizer"]["lr"]) == (0, 5)


def test_a_fingerprint_tells_settings_apart_and_nothing_else(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    batch = [["seed=1"], ["seed=2"], ["seed=1", "optimizer.lr=0.01"], ["seed=1", "model=linear"], ["seed=1.0"]]
    one, two, same, again, _ = (point.fingerprint for point in points.compose(batch))
    assert one == same == again != two


def test_a_whole_number_is_the_same_however_it_is_written(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    common = ["model=spiral", "scheduler=cosine"]
    typed = [
        "trainer.max_epochs=1e1",
        "model.network.hidden=[8.0,4]",
        "threads=1.0",
        "+trainer.limit_train_batches=2.0",
    ]
    plain = ["trainer.max_epochs=10", "model.network.hidden=[8,4]", "threads=1", "+trainer.limit_train_batches=2"]
    one, other = points.compose([common + typed, common + plain])
    assert one.fingerprint == other.fingerprint
    assert json.dumps(one.settings) == json.dumps(other.settings)
    assert list(swept([one, other], points.compositions)) == [{}, {}]
    rows = list(swept(points.compose([["trainer.max_epochs=1e1"], ["trainer.max_epochs=2e1"]]), points.compositions))
    assert repr(rows) == "[{'trainer.max_epochs': 10}, {'trainer.max_epochs': 20}]"


def test_trust_is_no_setting_of_a_point(hydra):
    """Otherwise a job would run again because its sweep was resumed with more trust."""
    master = hydra.compose_config("train", [], RunMode.MULTIRUN)
    points = Points(hydra.config_loader, master).compose([["seed=1"], ["seed=1", "trust=[os]"], ["seed=2"]])
    first, trusting, other = (point.fingerprint for point in points)
    assert first == trusting != other


def test_settling_a_point_imports_nothing_that_is_not_trusted(hydra, tmp_path, monkeypatch):
    (tmp_path / "trap_in_a_sweep.py").write_text("class Net: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = ["model.network._target_=trap_in_a_sweep.Net", "trainer.max_epochs=1e1"]
    master = hydra.compose_config("train", [], RunMode.MULTIRUN)
    Points(hydra.config_loader, master, trusted=[]).compose([point])
    assert "trap_in_a_sweep" not in sys.modules
    (settled,) = Points(hydra.config_loader, master, trusted=["trap_in_a_sweep"]).compose([point])
    assert settled.settings["trainer"]["max_epochs"] == 10
    assert "trap_in_a_sweep" in sys.modules


def test_a_float_that_is_no_integer_stays_one(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    batch = [["optimizer.lr=1.0"], ["+trainer.limit_train_batches=1.0"], ["+trainer.limit_train_batches=1"]]
    rate, all_batches, one_batch = points.compose(batch)
    assert repr(rate.settings["optimizer"]["lr"]) == "1.0"
    assert repr(all_batches.settings["trainer"]["limit_train_batches"]) == "1.0"
    assert all_batches.fingerprint != one_batch.fingerprint


def test_what_is_wrong_in_several_points_is_told_at_once(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    batch = [["seed=1"], ["seed='${no.such}'"], ["seed='${nor.this}'"]]
    with pytest.raises(SettingError) as error:
        points.compose(batch)
    assert "no.such" in str(error.value)
    assert "nor.this" in str(error.value)


def test_swept_is_what_differs(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    # A point that was added says nothing of the seed, and takes the default.
    batch = [["model=linear", "optimizer.lr=0.5", "seed=3"], ["model=spiral", "optimizer.lr=0.5"]]
    rows = list(swept(points.compose(batch), points.compositions))
    assert rows == [{"model": "linear", "seed": 3}, {"model": "spiral", "seed": 0}]


def test_a_group_in_another_place_is_another_setting(hydra):
    points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
    composed = points.compose([["data=line", "+data@other=spiral"], ["data=line", "+data@other=line"]])
    assert list(swept(composed, points.compositions)) == [{"data@other": "spiral"}, {"data@other": "line"}]


def test_overrides_of_a_point_are_not_compared_with_each_other(hydra, monkeypatch: pytest.MonkeyPatch):
    """With hundreds of them, that would be tens of thousands of comparisons a point."""
    compared = []
    monkeypatch.setattr(Override, "__eq__", lambda self, other: compared.append(other) or self is other)
    plain = [f"+trainer.a{n}={n}" for n in range(20)]
    lists = [f"+trainer.b{n}=[{n}]" for n in range(20)]
    (point,) = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN)).compose([plain + lists])
    assert point.settings["trainer"]["a7"] == 7
    assert point.settings["trainer"]["b7"] == [7]
    assert compared == []
