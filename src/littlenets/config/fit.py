"""Whether a network takes what the data gives, and gives what the task needs: seen with no data loaded."""

import functools
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from hydra.errors import InstantiationException
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn

from ..data import TensorDataModule
from ..errors import SettingError
from ..modules import SupervisedModule
from .constructors import accepted, find, instantiate


def does_not_fit(
    model: dict[str, Any], data: dict[str, Any], choice: str | None, only_tested: bool = False
) -> dict[str, str]:
    """Tries the network on two samples of zeros of the shape that the data declares, where the task is a plain one.

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
        if datamodule.sample_shape is None or not is_plain_task(find(model["module"]["_target_"])):
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
    network, classes = model.get("network") or model["module"], datamodule.classes
    name = network["_target_"].rpartition(".")[2]
    if only_tested:
        return {f"also_test.{choice}": f"also_test: model.network ({name}) does not fit {named}: {problem}."}
    if of_output and classes is not None and network.get("classes", classes) != classes:
        key = "model.network.classes"
        said = f"model.network ({name}) does not fit {named}, which has {classes} classes; set {key}={classes}."
        return {key: f"{key}={network['classes']}: {said}"}
    return {"model.network": misfit(name, named, problem)}


def is_plain_task(kind: Any) -> bool:
    """Return whether a class is that of a task whose batches are inputs and targets, and whose network takes inputs."""
    return isinstance(kind, type) and issubclass(kind, SupervisedModule) and kind.step is SupervisedModule.step


def _build_and_try_out(
    model: dict[str, Any], datamodule: TensorDataModule, device: torch.device
) -> tuple[str | None, bool]:
    with device:
        network = instantiate(model["network"]) if model.get("network") else None
        parts = {"network": network, "optimizer": _later, "scheduler": None}
        module = instantiate(model["module"], **accepted(model["module"], parts))
        x = torch.zeros(2, *datamodule.sample_shape, dtype=datamodule.sample_dtype)
        return try_out(module, x, datamodule.classes)


def try_out(module: SupervisedModule, x: Tensor, classes: int | None) -> tuple[str | None, bool]:
    """What is wrong, if anything, and whether it is with what the network gives (not with what it takes)."""
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), x.dtype)
    x = x.to(dtype) if x.is_floating_point() else x
    try:
        with evaluating(module):
            output = module(x)
    # What torch raises where sizes do not fit.
    except (RuntimeError, ValueError, IndexError) as error:
        return f"it does not take inputs {form(x)} ({_reason(error)})", False
    return module.check(output, classes), True


def unfit(module: SupervisedModule, batch: Any, datamodule: LightningDataModule) -> str | None:
    """Return what is wrong with a batch for a module that has no `step` of its own; None where nothing is."""
    if not (isinstance(batch, list | tuple) and len(batch) == 2):
        return (
            f"{type(module).__name__} takes batches (x, y), and these are {form(batch)}. Write a task with a method "
            "`step` that takes them (docs/build-on-it.md)"
        )
    x, y = batch
    if not isinstance(y, Tensor):
        return f"targets should be tensors, and are {form(y)}"
    # As a run with trainer.precision=64-true or bf16-true hands them on.
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), torch.float32)
    x, y = (one.to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one for one in batch)
    try:
        with evaluating(module):
            output = module(x)
    except Exception as error:
        return f"it does not take inputs {form(x)} ({_reason(error)})"
    # Data of somebody's own need not say how many classes they have.
    if hasattr(datamodule, "classes") and (problem := module.check(output, datamodule.classes)):
        unknown = datamodule.classes is None and not y.is_floating_point()
        return f"{problem}; if its targets are classes, set data.classes to their number" if unknown else problem
    try:
        with evaluating(module), warnings.catch_warnings():
            warnings.filterwarnings("error", "Using a target size")
            module.step((x, y))
    except Exception as error:
        if "attached to" in str(error):
            return None  # a loss of somebody's own that wants the Trainer
        return f"its output {form(output)} cannot be compared with targets {form(y)} ({_reason(error)})"
    return None


def form(value: Any) -> str:
    """Describe a batch of inputs, targets or outputs: "float32 (3, 28, 28)", without the number of samples."""
    if isinstance(value, Tensor):
        shape = "of shape " + str(tuple(value.shape[1:])) if value.dim() else "without a dimension for samples"
        return f"{shape}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        return f"mappings with {', '.join(map(str, value))}"
    if isinstance(value, list | tuple):
        return f"{len(value)} values ({', '.join(type(one).__name__ for one in value[:5])})"
    return f"of type {type(value).__name__}"


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


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
