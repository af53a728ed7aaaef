"""Which name was meant."""

import pytest

from littlenets.config.suggestions import nearest, nearest_setting

KEYS = [
    *("seed", "threads", "compile", "checkpoint", "checkpoint.every", "data", "data.n_points", "data.noise"),
    *("data.batch_size", "data.validation", "data.seed", "model", "model.network", "model.network.hidden"),
    *("model.network.activation", "model.module", "model.module.loss", "optimizer", "optimizer.lr"),
    *("optimizer.momentum", "optimizer.weight_decay", "trainer", "trainer.max_epochs", "trainer.accelerator"),
]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("trainer.maxepochs", "trainer.max_epochs"),
        ("trainr.max_epochs", "trainer.max_epochs"),
        ("optimiser.lr", "optimizer.lr"),
        ("optimizer.learning_rate", "optimizer.lr"),
        ("learning_rate", "optimizer.lr"),
        ("lr", "optimizer.lr"),
        ("epochs", "trainer.max_epochs"),
        ("trainer.epoch", "trainer.max_epochs"),
        ("optimizer.wd", "optimizer.weight_decay"),
        ("batch_size", "data.batch_size"),
        ("data.batch", "data.batch_size"),
        ("data.points", "data.n_points"),
        ("model.hidden", "model.network.hidden"),
        ("network.activation", "model.network.activation"),
        ("loss", "model.module.loss"),
        ("modle", "model"),
        ("SEED", "seed"),
        # Of two as near, the one in the same group.
        ("data.sed", "data.seed"),
        ("sed", "seed"),
        ("foo", None),
        ("trainer.gpus", None),
    ],
)
def test_the_setting_that_was_meant(typed: str, meant: str | None):
    assert nearest_setting(typed, KEYS) == meant


@pytest.mark.parametrize(
    ("typed", "meant"), [("mnits", "mnist"), ("fashion", "fashion_mnist"), ("MNIST", "mnist"), ("cifar", None)]
)
def test_the_choice_that_was_meant(typed: str, meant: str | None):
    assert nearest(typed, ["digits", "fashion_mnist", "line", "mnist", "spiral"]) == meant


def test_nothing_is_near_nothing():
    assert nearest("a", []) is None
    assert nearest_setting("a.b", []) is None
