"""Split a batch among CPU threads, each of which computes the whole network for its part of the samples.

By default, PyTorch splits every operation among the threads, and all of them wait for the slowest at the end of each
operation: about thirty times in a step of `cnn`. If the samples do not interact in the network, the batch can be split
instead, and the threads wait for each other once in a step.

Shapes: N batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Function = TypeVar("Function", bound=Callable[..., Any])


def sample_by_sample(function: Function) -> Function:
    """Mark a network's ``forward``, or a mean ``loss``, as computable in parts of a batch at the same time.

    Such a function must not combine the samples of a batch (as batch normalization does), use random numbers (dropout)
    or store anything in the network.
    """
    function.sample_by_sample = True
    return function


def has_hooks(module: nn.Module) -> bool:
    """Return whether a module has forward or backward hooks."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def can_share(network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Return whether a batch can be split among threads.

    Network and loss must be marked by `sample_by_sample`, and the network must have no hooks and not be compiled. A
    hook would be called for each part, on any thread, and a hook for accumulated gradients not at all.
    """
    said = all(getattr(function, "sample_by_sample", False) for function in (type(network).forward, loss))
    hooked = any(has_hooks(part) for part in network.modules()) or any(
        weight._backward_hooks or weight._post_accumulate_grad_hooks for weight in network.parameters()
    )
    return said and not hooked and network._compiled_call_impl is None


class SharedBatch:
    """Forward and backward of a batch on several threads; PyTorch itself must be limited to one thread.

    The split depends only on the number of threads, and the parts are summed in order, so the same seed gives the same
    weights regardless of which thread finishes first.

    Args:
        network: the network, whose ``forward`` is marked by `sample_by_sample`.
        loss: the mean loss of output and target, marked by `sample_by_sample`.
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
