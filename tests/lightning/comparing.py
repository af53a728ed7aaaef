"""A run of the package beside an ordinary one with the same arguments and callbacks."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from composing import RunFolder
from hydra.utils import instantiate
from ordinary import SETTING, Ordinary, OrdinaryRun
from own_callbacks import Keeper, Recorder, calls
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor


def typed(value: Any) -> str:
    """Write a value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{typed(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    return "'" + value + "'" if isinstance(value, str) else json.dumps(value)


def named(values: Mapping[str, Any]) -> str:
    """Write settings as the name of a test."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def settings(group: str, values: Mapping[str, Any]) -> list[str]:
    """Return overrides that set each of ``values`` in a group, whether or not it has them."""
    return [f"++{group}.{key}={typed(value)}" for key, value in values.items()]


def network(target: str) -> list[str]:
    """Return overrides that put a network in the place of the spiral's."""
    return [f"model.network._target_={target}", "~model.network.hidden", "~model.network.activation"]


def data(target: str, **arguments: Any) -> list[str]:
    """Return overrides that put a LightningDataModule in the place of the spiral's."""
    others = ("arms", "n_points", "noise", "batch_size", "shuffle", "validation", "seed")
    removed = [f"~data.{name}" for name in others]
    # Hydra takes what is null for missing, and removes nothing.
    return [f"data._target_={target}", "data.batch_size=1", *removed, *settings("data", arguments)]


class Both(NamedTuple):
    """Two runs; of the first, ``recorder`` is None where it was not observed."""

    run: RunFolder
    ordinary: OrdinaryRun
    #: The module's state at the end of the package's run.
    state: dict[str, Tensor]
    recorder: Recorder | None
    ordinary_recorder: Recorder
    #: How often `own_callbacks.calls` counted what.
    calls: dict[str, int]
    ordinary_calls: dict[str, int]


def train_both(
    launch: Callable[..., RunFolder],
    folder: Path,
    *overrides: str,
    trainer: Mapping[str, Any] | None = None,
    callbacks: Mapping[str, Mapping[str, Any]] | None = None,
    module: Callable[[], LightningModule] = Ordinary,
    data: LightningDataModule | None = None,
    setting: tuple[str, ...] = SETTING,
    keep: bool = False,
    record: bool = False,
    equal: bool = True,
    logger: str = "none",
    ordinary: Mapping[str, Any] | None = None,
) -> Both:
    """Train both and make sure that steps, weights and counted calls are equal, bit for bit.

    Args:
        launch: the fixture.
        folder: of the ordinary run.
        overrides: of the package's run alone.
        trainer: arguments of both trainers.
        callbacks: of both, by name: ``_target_`` and arguments.
        module: makes the ordinary one.
        data: of the ordinary run.
        setting: the package's run, before ``overrides``.
        keep: whether a callback fetches the state, where the last checkpoint is no matter, or none is saved.
        record: whether the package's run is observed in every batch, as the ordinary one always is.
        equal: False leaves the comparison to the caller.
        logger: of the package's run.
        ordinary: arguments of the ordinary trainer alone.
    """
    trainer, callbacks = trainer or {}, callbacks or {}
    observers = {"keeper": "own_callbacks.Keeper"} if keep else {}
    observers |= {"recorder": "own_callbacks.Recorder"} if record else {}
    chosen = [line for name, node in callbacks.items() for line in settings(f"callbacks.{name}", node)]
    chosen += [f"+callbacks.{name}._target_={target}" for name, target in observers.items()]
    folder.mkdir()
    calls.clear()
    arguments = {"default_root_dir": folder, **trainer, **(ordinary or {})}
    made = [instantiate(dict(node), _convert_="all") for node in callbacks.values()]
    plain = OrdinaryRun(module, [*made, Recorder()], data, **instantiate(arguments, _convert_="all"))
    heard, counted = Recorder.latest, dict(calls)
    calls.clear()
    run = launch(*setting, *settings("trainer", trainer), *chosen, *overrides, logger=logger)
    state = Keeper.state if keep else run.checkpoint()["state_dict"]
    both = Both(run, plain, state, Recorder.latest if record else None, heard, dict(calls), counted)
    if equal:
        assert_same_weights(state, plain)
        assert run.results["steps"] == plain.steps
        assert both.calls == both.ordinary_calls
    return both


def assert_same_weights(state: Mapping[str, Tensor], ordinary: OrdinaryRun) -> None:
    """Bit for bit, of the network and of the module itself, buffers included."""
    theirs = ordinary.state
    different = [name for name, value in theirs.items() if name not in state or not torch.equal(state[name], value)]
    assert not different
