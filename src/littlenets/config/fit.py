"""Check that network, data and task match in their shapes and classes, without loading data."""

import functools
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
from hydra.errors import InstantiationException
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn

from ..data import TensorDataModule
from ..errors import SettingError
from ..modules import SupervisedModule
from .constructors import accepted, find, instantiate


def does_not_fit(
    model: dict[str, Any], data: dict[str, Any], choice: str | None, only_tested: bool = False
) -> dict[str, str]:
    """Call the network with two samples of zeros of the shape that the data declares, and return errors.

    The network is called only if the task is a plain one; see `is_plain_task`.

    Args:
        model: the resolved nodes ``network`` and ``module``.
        data: the resolved node ``data``.
        choice: the chosen option of the group ``data``, for the message.
        only_tested: whether the data is used for testing only.

    Returns:
        Error messages by the dotted key of the wrong setting; empty if network and data match, or if this cannot be
        checked.
    """
    # The result is cached, since many points of a sweep may have the same model and data.
    if "seed" in data:
        # The seed does not change shapes, and a sweep may have hundreds of seeds.
        data = data | {"seed": 0}
    return _tried(json.dumps([model, data, choice, only_tested], default=str))


@functools.lru_cache(maxsize=1024)
def _tried(nodes: str) -> dict[str, str]:
    model, data, choice, only_tested = json.loads(nodes)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # The same warnings appear again when the network is built for training.
        warnings.simplefilter("ignore")
        try:
            datamodule = instantiate(data)
        except InstantiationException as error:
            if not isinstance(error.__cause__, ValueError | SettingError):
                raise error.__cause__ or error from None
            return {"data": f"data: {error.__cause__}"}
        if not isinstance(datamodule, TensorDataModule):
            return {}  # the shape of its samples is known only after loading data
        named = f"data={choice}" if choice else f"data ({type(datamodule).__name__})"
        if datamodule.for_testing_only and not only_tested:
            said = f"{named} is for testing only; nothing is ever trained on it. Choose other data (data=...)."
            return {"data": said}
        shape = datamodule.sample_shape
        if shape is None or not is_plain_task(find(model["module"]["_target_"])):
            return {}
        try:
            # Tensors on the meta device have shapes but no values, so nothing is computed.
            problem, of_output = _build_and_try_out(model, datamodule, shape, torch.device("meta"))
        except Exception:
            problem = "it needs numbers"
        if problem is not None:
            # Try again with values: some networks need them, and the error messages contain sizes.
            try:
                problem, of_output = _build_and_try_out(model, datamodule, shape, torch.device("cpu"))
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
    """Return whether a class is a `SupervisedModule` that does not override `step`.

    The batches of such a task are pairs of inputs and targets, and its network takes the inputs.
    """
    return isinstance(kind, type) and issubclass(kind, SupervisedModule) and kind.step is SupervisedModule.step


def has_plain_task(module: LightningModule) -> TypeGuard[SupervisedModule]:
    """Return whether `is_plain_task` is true of a module's class."""
    return is_plain_task(type(module))


def _build_and_try_out(
    model: dict[str, Any], datamodule: TensorDataModule, shape: tuple[int, ...], device: torch.device
) -> tuple[str | None, bool]:
    with device:
        network = instantiate(model["network"]) if model.get("network") else None
        parts = {"network": network, "optimizer": _later, "scheduler": None}
        module = instantiate(model["module"], **accepted(model["module"], parts))
        x = torch.zeros(2, *shape, dtype=datamodule.sample_dtype)
        return try_out(module, x, datamodule.classes)


def try_out(module: SupervisedModule, x: Tensor, classes: int | None) -> tuple[str | None, bool]:
    """Call a module with inputs, and check its output.

    Args:
        module: the module.
        x: inputs (N, ...); floating-point inputs are converted to the type of the module's parameters.
        classes: number of classes of the data; None for regression.

    Returns:
        An error message or None, and whether the error is in the output; otherwise it is in the inputs.
    """
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), x.dtype)
    x = x.to(dtype) if x.is_floating_point() else x
    try:
        with evaluating(module):
            output = module(x)
    # The errors that torch raises for wrong sizes.
    except (RuntimeError, ValueError, IndexError) as error:
        return f"it does not take inputs {form(x)} ({_reason(error)})", False
    return module.check(output, classes), True


def unfit(module: SupervisedModule, batch: Any, datamodule: LightningDataModule) -> str | None:
    """Return an error message if a batch does not suit a module that does not override `step`; otherwise None.

    Args:
        module: the module.
        batch: a batch of the data.
        datamodule: the data; its attribute ``classes`` is used if it exists.
    """
    if not (isinstance(batch, list | tuple) and len(batch) == 2):
        return (
            f"{type(module).__name__} takes batches (x, y), and these are {form(batch)}. Write a task with a method "
            "`step` that takes them (docs/build-on-it.md)"
        )
    x, y = batch
    if not isinstance(y, Tensor):
        return f"targets should be tensors, and are {form(y)}"
    # Convert to the type of the parameters, as a run with trainer.precision=64-true or bf16-true does.
    dtype = next((one.dtype for one in module.parameters() if one.is_floating_point()), torch.float32)
    x, y = (one.to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one for one in batch)
    try:
        with evaluating(module):
            output = module(x)
    except Exception as error:
        return f"it does not take inputs {form(x)} ({_reason(error)})"
    # A datamodule of the user need not have the attribute `classes`.
    if hasattr(datamodule, "classes") and (problem := module.check(output, datamodule.classes)):
        unknown = datamodule.classes is None and not y.is_floating_point()
        return f"{problem}; if its targets are classes, set data.classes to their number" if unknown else problem
    try:
        with evaluating(module), warnings.catch_warnings():
            warnings.filterwarnings("error", "Using a target size")
            module.step((x, y))
    except Exception as error:
        if "attached to" in str(error):
            return None  # a loss of the user that uses the Trainer, which is not attached yet
        return f"its output {form(output)} cannot be compared with targets {form(y)} ({_reason(error)})"
    return None


def form(value: Any) -> str:
    """Describe a batch of inputs, targets or outputs without the number of samples: "of shape (3, 28, 28), float32"."""
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
    """Set a module to evaluation mode in the block, and disable gradients; restore its mode afterwards."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)


def misfit(network: str, data: str, problem: str) -> str:
    """Return the error message for a network and data that do not match, with advice.

    Args:
        network: class name of the network.
        data: description of the data.
        problem: the mismatch, as a clause.
    """
    return (
        f"model.network ({network}) does not fit {data}: {problem}. Choose other data (data=...), another model "
        "(model=...), or change model.network's sizes."
    )


def _later(*arguments: Any) -> None:
    """Do nothing; a placeholder for the optimizer."""
