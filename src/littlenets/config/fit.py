"""Whether a network takes what the data gives, and gives what the task needs: seen with no data loaded."""

import functools
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hydra.errors import InstantiationException
from torch import Tensor, nn

from ..data import TensorDataModule
from ..errors import SettingError
from ..modules import SupervisedModule
from .constructors import instantiate


def does_not_fit(
    model: dict[str, Any], data: dict[str, Any], choice: str | None, only_tested: bool = False
) -> dict[str, str]:
    """Tries the network on two samples of zeros of the shape that the data declares.

    Args:
        model: the resolved nodes ``network`` and ``module``.
        data: the resolved node.
        choice: the name of the data as typed, for the message.
        only_tested: whether nothing is going to be trained on it.

    Returns:
        By the key at fault, a line that says what is wrong; empty where they fit, or where it cannot be known.
    """
    # The numbers that decide come back for every point of a sweep over others.
    if "seed" in data:
        # Which changes no shape, and of which a sweep may have hundreds.
        data = data | {"seed": 0}
    return _tried(json.dumps([model, data, choice, only_tested], default=str))


@functools.lru_cache(maxsize=1024)
def _tried(nodes: str) -> dict[str, str]:
    model, data, choice, only_tested = json.loads(nodes)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # Whoever builds it to train it is warned.
        warnings.simplefilter("ignore")
        try:
            datamodule = instantiate(data)
        except InstantiationException as error:
            if not isinstance(error.__cause__, ValueError | SettingError):
                raise error.__cause__ or error from None
            return {"data": f"data: {error.__cause__}"}
        if not isinstance(datamodule, TensorDataModule):
            return {}  # what its samples are is known when it loads the first
        named = f"data={choice}" if choice else f"data ({type(datamodule).__name__})"
        if datamodule.for_testing_only and not only_tested:
            said = f"{named} is for testing only; nothing is ever trained on it. Choose other data (data=...)."
            return {"data": said}
        if datamodule.sample_shape is None:
            return {}
        try:
            # On the meta device there are shapes and no numbers, so nothing to compute.
            problem, of_output = _build_and_try_out(model, datamodule, torch.device("meta"))
        except Exception:
            problem = "it needs numbers"
        if problem is not None:
            # Once more with numbers, which some networks need, and whose errors name sizes.
            try:
                problem, of_output = _build_and_try_out(model, datamodule, torch.device("cpu"))
            except InstantiationException as error:
                if not isinstance(error.__cause__, ValueError):
                    raise error.__cause__ or error from None
                return {"model": f"model: {' '.join(str(error.__cause__).split())}"}
    if problem is None:
        return {}
    network, classes = model["network"], datamodule.classes
    name = network["_target_"].rpartition(".")[2]
    if only_tested:
        return {f"also_test.{choice}": f"also_test: model.network ({name}) does not fit {named}: {problem}."}
    if of_output and classes is not None and network.get("classes", classes) != classes:
        key = "model.network.classes"
        said = f"model.network ({name}) does not fit {named}, which has {classes} classes; set {key}={classes}."
        return {key: f"{key}={network['classes']}: {said}"}
    return {"model.network": misfit(name, named, problem)}


def _build_and_try_out(
    model: dict[str, Any], datamodule: TensorDataModule, device: torch.device
) -> tuple[str | None, bool]:
    with device:
        network = instantiate(model["network"])
        module = instantiate(model["module"], network=network, optimizer=_later, scheduler=None)
        return try_out(module, torch.zeros(2, *datamodule.sample_shape), datamodule.classes)


def try_out(module: SupervisedModule, x: Tensor, classes: int | None) -> tuple[str | None, bool]:
    """What is wrong, if anything, and whether it is with what the network gives (not with what it takes)."""
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), x.dtype)
    x = x.to(dtype) if x.is_floating_point() else x
    try:
        with evaluating(module):
            output = module(x)
    # What torch raises where sizes do not fit.
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        return f"it does not take inputs of shape {tuple(x.shape[1:])} ({reason})", False
    return module.check(output, classes), True


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In the block a module is used as in evaluation: without gradients, dropout, or counts of batch normalization."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)


def misfit(network: str, data: str, problem: str) -> str:
    """The line that says so, with what to do."""
    return (
        f"model.network ({network}) does not fit {data}: {problem}. Choose other data (data=...), another model "
        "(model=...), or change model.network's sizes."
    )


def _later(*arguments: Any) -> None:
    """In the optimizer's place."""
