"""Every schedule of torch gives the learning rates of an ordinary run, in every step and in history.csv."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from comparing import named, typed
from ordinary import EPOCHS, STEPS, Ordinary, spirals
from torch.optim import lr_scheduler

PLAIN = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "MultiStepLR": {"milestones": [1, 4], "gamma": 0.3},
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "LinearLR": {"start_factor": 0.2, "total_iters": 4},
    "ExponentialLR": {"gamma": 0.8},
    "PolynomialLR": {"total_iters": 5, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 5, "eta_min": 0.001},
    "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 2},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.02, "step_size_up": 2, "cycle_momentum": False},
    "OneCycleLR": {"max_lr": 0.05, "total_steps": STEPS},
}
PLATEAU = {"factor": 0.5, "patience": 0, "threshold": 0.2}


def schedule(name: str, **arguments: Any) -> list[str]:
    """Overrides that put a schedule in the place of ``scheduler=step``."""
    return [
        *("scheduler=step", "~scheduler.step_size", "~scheduler.gamma"),
        f"scheduler._target_=torch.optim.lr_scheduler.{name}",
        *(f"++scheduler.{key}={typed(value)}" for key, value in arguments.items()),
    ]


def ordinary(name: str, arguments: dict[str, Any], **lightning: Any) -> Callable[[], Ordinary]:
    return lambda: Ordinary(
        scheduler=lambda optimizer: getattr(lr_scheduler, name)(optimizer, **arguments), **lightning
    )


def assert_same_rates(both) -> None:
    assert list(both.run.column("lr")) == pytest.approx(both.ordinary_recorder.last_lrs, rel=1e-8)
    assert len({lr for (lr,) in both.ordinary_recorder.lrs}) > 1
    if both.recorder is not None:
        assert both.recorder.lrs == both.ordinary_recorder.lrs


@pytest.mark.parametrize("name", PLAIN)
def test_a_schedule_of_torch(train_both, name: str):
    """One that counts the steps of the run has their number filled in, and is stepped after every batch."""
    per_batch = name == "OneCycleLR"
    written = {key: value for key, value in PLAIN[name].items() if key != "total_steps"}
    interval = {"interval": "step"} if per_batch else {}
    assert_same_rates(train_both(*schedule(name, **written), module=ordinary(name, PLAIN[name], **interval)))


@pytest.mark.parametrize(
    "lightning", [{"interval": "step"}, {"frequency": 2}, {"interval": "step", "frequency": 3}], ids=named
)
def test_interval_and_frequency_stand_beside_the_settings_of_the_class(train_both, lightning: dict[str, Any]):
    both = train_both(
        *schedule("ExponentialLR", gamma=0.9, **lightning),
        module=ordinary("ExponentialLR", {"gamma": 0.9}, **lightning),
    )
    assert_same_rates(both)


class TestPlateau:
    def test_plateau_follows_the_validation_loss(self, train_both):
        both = train_both(
            *("scheduler=plateau", *(f"++scheduler.{key}={value}" for key, value in PLATEAU.items())),
            module=ordinary("ReduceLROnPlateau", PLATEAU, monitor="val/loss"),
        )
        assert_same_rates(both)

    def test_plateau_follows_the_training_loss_where_nothing_is_validated(self, train_both):
        both = train_both(
            *(
                "data.validation=0",
                "scheduler=plateau",
                *(f"++scheduler.{key}={value}" for key, value in PLATEAU.items()),
            ),
            module=ordinary("ReduceLROnPlateau", PLATEAU, monitor="train/loss"),
            data=spirals(validation=0.0),
            ordinary={"limit_val_batches": 0},
        )
        assert_same_rates(both)

    def test_plateau_by_its_class_with_a_monitor(self, train_both):
        greedy = PLATEAU | {"mode": "max"}
        both = train_both(
            *schedule("ReduceLROnPlateau", monitor="val/acc", **greedy),
            module=ordinary("ReduceLROnPlateau", greedy, monitor="val/acc"),
            record=True,
        )
        assert_same_rates(both)


class TestSchedulesOfSchedules:
    PARTS = (
        {"_target_": "torch.optim.lr_scheduler.LinearLR", "_partial_": True, "start_factor": 0.1, "total_iters": 2},
        {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "_partial_": True, "gamma": 0.7},
    )

    @staticmethod
    def parts(optimizer: torch.optim.Optimizer) -> list[lr_scheduler.LRScheduler]:
        return [
            lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=2),
            lr_scheduler.ExponentialLR(optimizer, gamma=0.7),
        ]

    def test_sequential_from_yaml(self, train_both):
        both = train_both(
            *schedule("SequentialLR", schedulers=list(self.PARTS), milestones=[2]),
            module=lambda: Ordinary(
                scheduler=lambda optimizer: lr_scheduler.SequentialLR(optimizer, self.parts(optimizer), [2])
            ),
        )
        assert_same_rates(both)

    def test_chained_from_yaml(self, train_both):
        both = train_both(
            *schedule("ChainedScheduler", schedulers=list(self.PARTS)),
            module=lambda: Ordinary(
                scheduler=lambda optimizer: lr_scheduler.ChainedScheduler(self.parts(optimizer), optimizer)
            ),
        )
        assert_same_rates(both)
        assert len(both.run.rows) == EPOCHS
