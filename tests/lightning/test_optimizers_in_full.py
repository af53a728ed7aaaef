"""Every optimizer trains as in an ordinary run: torch's, and those that somebody wrote."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from comparing import typed
from ordinary import EPOCHS, STEPS, Ordinary, spirals
from own_optimizers import ShrinkingAdam, TwoPoints, two_rates


def of_torch(name: str, **arguments: Any) -> list[str]:
    """Overrides that put an optimizer in the place of ``optimizer=sgd``."""
    chosen = [f"++optimizer.{key}={typed(value)}" for key, value in arguments.items()]
    target = name if "." in name else f"torch.optim.{name}"
    return [
        *("optimizer=sgd", "~optimizer.momentum", "~optimizer.weight_decay"),
        *(f"optimizer._target_={target}", *chosen),
    ]


# Name, arguments, and whether torch has a kernel that steps all parameters at once, which the package then takes.
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}, True),
    "SGD with Nesterov's momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, True),
    "Adam": ("Adam", {"lr": 0.02, "betas": [0.8, 0.99], "weight_decay": 0.1}, True),
    "Adam with amsgrad": ("Adam", {"lr": 0.02, "amsgrad": True}, True),
    "AdamW": ("AdamW", {"lr": 0.02, "weight_decay": 0.1}, True),
    "Adagrad": ("Adagrad", {"lr": 0.05}, True),
    "RMSprop": ("RMSprop", {"lr": 0.005, "momentum": 0.5}, False),
    "Adadelta": ("Adadelta", {"lr": 0.5}, False),
    "Adamax": ("Adamax", {"lr": 0.02}, False),
    "NAdam": ("NAdam", {"lr": 0.02}, False),
    "RAdam": ("RAdam", {"lr": 0.02}, False),
    "Rprop": ("Rprop", {"lr": 0.01}, False),
    "ASGD": ("ASGD", {"lr": 0.1}, False),
    "Adafactor": ("Adafactor", {"lr": 0.05}, False),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_torch(train_both, name: str):
    kind, arguments, fused = OPTIMIZERS[name]
    make = partial(getattr(torch.optim, kind), **arguments, **({"fused": True} if fused else {}))
    train_both(*of_torch(kind, **arguments), module=lambda: Ordinary(optimizer=make))


def test_two_parameter_groups_from_ones_own_function(train_both):
    train_both(
        *of_torch("own_optimizers.two_rates", lr=0.02), module=lambda: Ordinary(optimizer=partial(two_rates, lr=0.02))
    )


@pytest.mark.parametrize("batch_size", ["null", "16"])
def test_lbfgs_steps_with_its_closure(train_both, batch_size: str):
    arguments = {"lr": 0.5, "max_iter": 3, "history_size": 5}
    both = train_both(
        *(f"data.batch_size={batch_size}", *of_torch("LBFGS", **arguments)),
        module=lambda: Ordinary(optimizer=partial(torch.optim.LBFGS, **arguments)),
        data=spirals(batch_size=None if batch_size == "null" else 16),
    )
    losses = both.run.column("train/loss")
    assert losses[-1] < losses[0]


def test_an_optimizer_of_ones_own_that_needs_the_closure(train_both):
    train_both(
        *of_torch("own_optimizers.TwoPoints", lr=0.1),
        module=lambda: Ordinary(optimizer=partial(TwoPoints, lr=0.1, fused=True)),
    )


def test_a_decorated_step_is_called_with_its_decorator(train_both):
    both = train_both(
        *of_torch("own_optimizers.ShrinkingAdam", lr=0.01),
        module=lambda: Ordinary(optimizer=partial(ShrinkingAdam, lr=0.01, fused=True)),
    )
    assert both.calls == {"step": STEPS}


class TestLearningRateOfAFile:
    def test_adamw_has_the_rate_of_its_own_file_under_a_model_with_another(self, train_both):
        adamw = partial(torch.optim.AdamW, lr=0.001, weight_decay=0.01, fused=True)
        both = train_both("optimizer=adamw", module=lambda: Ordinary(optimizer=adamw))
        assert list(both.run.column("lr")) == [0.001] * EPOCHS

    def test_a_file_of_ones_own_has_its_own_rate(self, train_both, tmp_path: Path):
        (tmp_path / "conf" / "optimizer").mkdir(parents=True)
        text = "_target_: torch.optim.RMSprop\n_partial_: true\nlr: 0.02\nalpha: 0.9\n"
        (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text(text)
        rmsprop = partial(torch.optim.RMSprop, lr=0.02, alpha=0.9)
        both = train_both(
            *(f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "optimizer=mine"),
            module=lambda: Ordinary(optimizer=rmsprop),
        )
        assert list(both.run.column("lr")) == [0.02] * EPOCHS

    def test_the_rate_of_the_command_line_wins(self, train_both):
        adamw = partial(torch.optim.AdamW, lr=0.03, weight_decay=0.01, fused=True)
        train_both("optimizer=adamw", "optimizer.lr=0.03", module=lambda: Ordinary(optimizer=adamw))

    def test_a_model_alone_is_trained_with_its_own_optimizer_and_rate(self, train_both):
        assert list(train_both().run.column("lr")) == [0.01] * EPOCHS
