"""A step reads no number off the device, which on a GPU would wait for it; here without a GPU.

One half looks for such reads in real training on the CPU, the other goes through a step's forward part with tensors
that say they are on a GPU and have no values, so that reading one, or mixing devices, is an error.
"""

from collections.abc import Callable
from typing import Any

import composing
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode

from littlenets.data import MNIST, Spirals, TensorLoader
from littlenets.modules import BinaryClassification, MulticlassClassification, SupervisedModule
from littlenets.modules.records import EpochRecords
from littlenets.networks import CNN, MultiSpiralNet, SpiralNet
from littlenets.speed import run_ahead

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::masked_select"}


class Reads(TorchDispatchMode):
    """Notes the operations that give Python a number, or a tensor whose size depends on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if (name := func.name().partition(".")[0]) in READS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("read", [lambda x: x.item(), lambda x: bool(x > 0), lambda x: torch.ones(2)[x > 0]])
def test_reads_are_noticed(read: Callable[[Tensor], Any]):
    with Reads() as reads:
        read(torch.ones(()))
    assert reads.seen


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=linear"],
        ["model=linear", "data.batch_size=2", "scheduler=onecycle", "optimizer=adam", "gradient_norm=true"],
        ["model=spiral"],
        ["model=spiral", "model.module.loss=mse", "scheduler=cosine"],
        ["model=multispiral", "optimizer=sgd", "optimizer.momentum=0.9", "data.batch_size=1000"],
        ["model=cnn", "data=digits", "data.batch_size=700", "model.network.channels=[2,2]"],
    ],
    ids=" ".join,
)
def test_training_reads_nothing(
    launch: Callable[..., composing.RunFolder], monkeypatch: pytest.MonkeyPatch, overrides: list[str]
):
    reads, steps = Reads(), 0

    def watch(owner: type, name: str, counted: bool = False) -> None:
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += counted
            with reads:
                return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    watch(run_ahead._Turn, "_train", counted=True)
    watch(EpochRecords, "end_epoch")
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 1e9)
    run = launch(*overrides, "trainer.max_epochs=5", "checkpoint.every=1000")
    assert run.results["steps"] - 3 <= steps > 0
    assert reads.seen == []


GPU = torch.device("cuda:0")


class Fetches(TorchDispatchMode):
    """Notes the operations with something on a GPU whose result is not."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [value.device for value in args if isinstance(value, Tensor)]
        if GPU in given and isinstance(result, Tensor) and result.device != GPU:
            self.seen.append(func.name())
        return result


def test_fetches_are_noticed():
    mode = FakeTensorMode()
    one = on_gpu(mode, torch.ones(()))
    with mode, Fetches() as fetches:
        one.cpu()
        torch.empty(()).copy_(one)
    assert fetches.seen == ["aten::_to_copy", "aten::copy_"]


def on_gpu(mode: FakeTensorMode, tensor: Tensor) -> FakeTensor:
    return FakeTensor(mode, tensor.to("meta"), GPU)


@pytest.mark.parametrize(
    ("network", "task", "data"),
    [
        (SpiralNet, BinaryClassification, Spirals(n_points=50)),
        (MultiSpiralNet, MulticlassClassification, Spirals(arms=3, n_points=50)),
        (CNN, MulticlassClassification, MNIST()),
    ],
)
def test_what_a_step_computes_with_is_all_on_the_gpu(
    network: type[nn.Module], task: type[SupervisedModule], data: Spirals | MNIST
):
    module, mode = task(network(), Adam), FakeTensorMode()
    for part in module.network.modules():
        for name, parameter in part._parameters.items():
            part._parameters[name] = nn.Parameter(on_gpu(mode, parameter.data))
    x = torch.zeros(100, *data.sample_shape, dtype=torch.uint8 if isinstance(data, MNIST) else torch.float32)
    x, y = on_gpu(mode, x), on_gpu(mode, torch.zeros(100, dtype=torch.int64))
    records, losses = EpochRecords(), []
    with mode, Fetches() as fetches:
        transform = data.transform if isinstance(data, MNIST) else None
        for inputs, labels in TensorLoader(x, y, 30, shuffle=True, seed=0, transform=transform):
            step = module.step((inputs, labels))
            losses.append(step.loss)
            records.add(step)
        records.end_epoch({}, lr=0.1)
        assert [loss.device for loss in losses] == [GPU] * 4
        assert fetches.seen == []
        with pytest.raises(DataDependentOutputException):
            losses[0].item()
