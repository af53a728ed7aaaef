"""What is wrong with single points of a sweep."""

import pytest
from composing import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from littlenets.config import resolvers
from littlenets.config.metrics import unmeasured_objective
from littlenets.sweeps.checking import check_points, expected_of_points
from littlenets.sweeps.points import Composition, Point, Points


def compose(*batch: list[str]) -> tuple[list[Point], list[Composition]]:
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
        return points.compose(batch), points.compositions


def problems(*batch: list[str], trusted: list[str] | None = None) -> list[str]:
    return check_points(*compose(*batch), trusted)


def test_each_point_has_its_own():
    found = problems(["optimizer.lr=0.1"], ["optimizer.lr=-1"], ["optimizer.lr=oops"])
    assert found[0] == ""
    assert "optimizer.lr=-1" in found[1]
    assert "optimizer.lr=oops" in found[2]


@pytest.mark.parametrize("devices", ["1", "'1'", "[3]", "auto", "2", "-1", "'4'", "[0,1]"])
def test_a_job_may_have_any_number_of_devices(devices):
    assert problems([f"trainer.devices={devices}"]) == [""]


@pytest.mark.parametrize(
    ("objective", "batch", "says"),
    [
        ("val/mae", [["seed=1"], ["seed=2"]], "data.validation="),
        ("val/mae", [["seed=1"], ["data.validation=0.2"]], None),
        ("test/accuracy", [["model=spiral"], ["model=linear"]], "did you mean test/acc?"),
        ("test/acc", [["model=spiral"], ["model=linear"]], None),
        ("weight", [["model=spiral"], ["model=linear"]], None),
        ("weight", [["model=spiral"]], "sweep.objective=weight: no run will have this metric"),
        ("colour_lines/acc", [["model=multispiral", "also_test=[colour_lines]"]], None),
        ("digits/acc", [["model=multispiral", "also_test=[colour_lines]"]], "colour_lines/acc"),
        ("test/mae", [["+trainer.limit_test_batches=0"]], "train/loss"),
        ("gradient_norm", [["gradient_norm=true"]], None),
        ("gradient_norm", [["seed=1"]], "no run will have"),
        # What a class of a user's logs is not known.
        ("their/own", [["seed=1"], ["model.module._target_=outside_callbacks.Measures"]], None),
    ],
)
def test_a_metric_to_compare_by_that_no_run_will_have(objective: str, batch: list[list[str]], says: str | None):
    wrong = unmeasured_objective(objective, expected_of_points(*compose(*batch)))
    assert wrong is None if says is None else says in wrong


def test_what_a_folder_says_is_trusted_only_where_the_user_says_so():
    point = ["model.network._target_=outside_networks.OutOfOrder"]
    assert "trust=" in problems(point, trusted=[])[0]
    assert problems(point, trusted=["outside_networks"]) == problems(point) == [""]
