"""Split a batch among CPU threads, each of which computes the whole network for its part of the samples.

By default, PyTorch splits every operation among the threads, and all of them wait for the slowest at the end of each
operation: about thirty times in a step of `cnn`. If the samples do not interact in the network, the batch can be split
instead, and the threads wait for each other once in a step.

Shapes: N batch.
"""

import operator
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ..modules import BinaryClassification, MulticlassClassification, Regression
from .hooks import has_gradient_hooks, has_hooks, is_replaced

Function = TypeVar("Function", bound=Callable[..., Any])

# Layers that compute each sample of a batch by itself, draw no random numbers and store nothing.
_LAYERS = {nn.Linear, nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.Flatten}
_LAYERS |= {nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LayerNorm, nn.Identity}
_LAYERS |= {nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus}
# The same of functions and methods, which networks call between layers.
_FUNCTIONS: set[Callable[..., Any]] = {torch.relu, F.relu, torch.tanh, torch.sigmoid, F.leaky_relu, F.elu, F.gelu}
_FUNCTIONS |= {F.silu, F.softplus, F.max_pool2d, F.avg_pool2d, torch.max_pool2d, operator.add, torch.add}
_METHODS = {"relu", "tanh", "sigmoid", "add"}
_FLATTEN = {torch.flatten, "flatten"}
# The losses of the package are means over the samples.
_LOSSES = {BinaryClassification.loss, MulticlassClassification.loss, Regression.loss}


def sample_by_sample(loss: Function) -> Function:
    """Mark a loss as the mean of a loss of each sample, so that it can be computed in parts of a batch.

    It must draw no random numbers and store nothing.
    """
    loss.sample_by_sample = True  # type: ignore[attr-defined]  # functions have any attribute
    return loss


def is_mean_over_samples(loss: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Return whether a loss is known to be a mean over samples: one of the package, or marked by `sample_by_sample`."""
    return getattr(loss, "__func__", None) in _LOSSES or getattr(loss, "sample_by_sample", False)


def treats_samples_alone(network: nn.Module) -> bool:
    """Return whether a network is known to compute each sample by itself, without random numbers or state.

    Its ``forward`` is traced with `torch.fx`; all layers and functions that it calls must be on the lists of this file.
    """
    # PyTorch offers no public way to ask whether `nn.Module.compile` was called.
    if any(part._compiled_call_impl is not None for part in network.modules()):
        return False
    try:
        nodes = list(fx.Tracer().trace(network).nodes)
    except Exception:  # `forward` may do anything with the object that is passed for the tensor
        return False
    inputs = [node for node in nodes if node.op == "placeholder"]
    return len(inputs) == 1 and all(_is_alone(node, network) for node in nodes)


def _is_alone(node: fx.Node, network: nn.Module) -> bool:
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        return type(layer) in _LAYERS and getattr(layer, "start_dim", 1) == 1 and not is_replaced(layer)
    if node.target in _FLATTEN:
        return bool(node.args[1:] == (1,) or node.kwargs.get("start_dim") == 1)
    if node.op == "call_function":
        return node.target in _FUNCTIONS
    if node.op == "call_method":
        return node.target in _METHODS
    return node.op in ("placeholder", "output")


def is_observed(network: nn.Module) -> bool:
    """Return whether a layer or parameter of the network has hooks.

    If a batch is split, a hook is called for each part, on any thread, and a hook for accumulated gradients not at all.
    """
    return any(map(has_hooks, network.modules())) or any(map(has_gradient_hooks, network.parameters()))


class SharedBatch:
    """Forward and backward of a batch on several threads; PyTorch itself must be limited to one thread.

    The split depends only on the number of threads, and the parts are summed in order, so the same seed gives the same
    weights regardless of which thread finishes first.

    Args:
        network: a network that computes each sample by itself (`treats_samples_alone`).
        loss: the loss of output and target, a mean over the samples.
        parameters: the parameters to compute gradients for.
        threads: number of threads, including the calling one.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        parameters: Sequence[nn.Parameter],
        threads: int,
    ) -> None:
        self._network, self._loss, self._parameters, self._threads = network, loss, parameters, threads
        # The threads end when this object is deleted.
        self._others = ThreadPoolExecutor(threads - 1, "part of a batch", torch.set_num_threads, (1,))
        # The optimizers' kernels need gradients with the same memory layout as the parameters.
        self._sums = {parameter: torch.empty_like(parameter) for parameter in parameters}

    def gradients(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
        """Return the batch's mean loss, 0-dimensional, its output (N, ...), and the gradients of that loss.

        All are detached. Parameters that the loss does not depend on have no gradient. The next call reuses the memory
        of the gradients.
        """
        # A callback may freeze some parameters temporarily.
        trained = [parameter for parameter in self._parameters if parameter.requires_grad]
        count = min(self._threads, len(x))
        parts = list(zip(x.tensor_split(count), target.tensor_split(count), strict=True))
        others = [self._others.submit(self._part, *part, len(x), trained) for part in parts[1:]]
        done = [self._part(*parts[0], len(x), trained), *(other.result() for other in others)]
        losses, outputs, gradients = zip(*done, strict=True)
        sums = {
            parameter: _add_up(terms, self._sums[parameter])
            for parameter, *terms in zip(trained, *gradients, strict=True)
            if terms[0] is not None
        }
        return torch.stack(losses).sum(), torch.cat(outputs), sums

    def _part(
        self, x: Tensor, target: Tensor, samples: int, trained: Sequence[nn.Parameter]
    ) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
        """Return the loss and the gradients of a part, as its share of the batch's mean loss, and its output."""
        output = self._network(x)
        loss = self._loss(output, target) * (len(x) / samples)
        # Not backward(), which does not support several threads with the same parameters.
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        return loss.detach(), output.detach(), gradients


def _add_up(terms: Sequence[Tensor], total: Tensor) -> Tensor:
    """Return the sum of the terms in ``total``, which is reused to avoid allocating memory at every step."""
    if len(terms) == 1:
        return total.copy_(terms[0])
    torch.add(terms[0], terms[1], out=total)
    for term in terms[2:]:
        total.add_(term)
    return total
