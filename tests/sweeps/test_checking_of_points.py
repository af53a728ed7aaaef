"""What is wrong with single points of a sweep."""

import pytest
import torch
from composing import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from littlenets.config.metrics import unmeasured_objective
from littlenets.runs import resolvers
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


STOPPING = "pytorch_lightning.callbacks.EarlyStopping"


@pytest.mark.parametrize(
    ("point", "says"),
    [
        (["+trainer.val_check_interval=0.5", "+trainer.check_val_every_n_epoch=null"], "trainer: `val_check_interval`"),
        (["trainer.accelerator=cpu", "trainer.strategy=fsdp"], "trainer: The strategy `fsdp` requires a GPU"),
        (["trainer.precision=transformer-engine"], "trainer: Requirement 'transformer_engine"),
        (["+trainer.barebones=true", "+trainer.profiler=simple"], "Profiling can impact raw speed"),
        (
            [f"+callbacks.early={{_target_:{STOPPING},monitor:train/loss,mode:mni}}"],
            "callbacks.early: `mode` can be min, max",
        ),
        (
            [
                "trainer.enable_checkpointing=false",
                "+callbacks.saved._target_=pytorch_lightning.callbacks.ModelCheckpoint",
            ],
            "but found `ModelCheckpoint` in callbacks list",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_lightning_refuses_is_told_before_any_job(point: list[str], says: str):
    """Of settings that are right one by one."""
    found, right = problems(["model=spiral", "data.validation=0.2", *point], ["model=spiral"])
    assert says in found
    assert right == ""


@pytest.mark.parametrize(
    "point",
    [
        ["+trainer.barebones=true"],
        ["trainer.enable_progress_bar=false", "trainer.enable_checkpointing=false"],
        ["trainer.max_epochs=null", "+trainer.max_time={seconds:3}"],
        ["trainer.precision=bf16-mixed", "+trainer.profiler=simple", "trainer.enable_model_summary=true"],
        ["+trainer.gradient_clip_val=1", "+trainer.gradient_clip_algorithm=value", "trainer.strategy=auto"],
        # What the whole process computes with stays as it is.
        ["trainer.deterministic=false", "+trainer.benchmark=true"],
    ],
    ids=lambda point: point[0],
)
def test_what_lightning_takes_is_not_complained_about(point: list[str]):
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    assert problems(point) == [""]
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before


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
