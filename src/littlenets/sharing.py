"""A batch shared out among CPU threads, each of which takes its samples through the whole network.

Left to itself, PyTorch divides every operation among the threads, and at the end of each all wait for the slowest:
some thirty times a step of `cnn`. Where the samples go through the network without touching each other, the batch can
be divided instead, and the threads wait for each other once a step.

Shapes: N batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Function = TypeVar("Function", bound=Callable[..., Any])


def sample_by_sample(function: Function) -> Function:
    """Says of a network's ``forward``, or of a mean ``loss``, that a batch may be computed in parts at the same time.

    So it may not compare the samples of a batch (as batch normalisation does), draw at random (dropout) or keep
    anything in the network.
    """
    function.sample_by_sample = True
    return function


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody wants to know when this module is called, or goes backward."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def can_share(network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Whether both say that they go sample by sample, and the network has no hooks and is not compiled.

    A hook would be called for each part, on any thread, and one for accumulated gradients not at all.
    """
    said = all(getattr(function, "sample_by_sample", False) for function in (type(network).forward, loss))
    hooked = any(has_hooks(part) for part in network.modules()) or any(
        weight._backward_hooks or weight._post_accumulate_grad_hooks for weight in network.parameters()
    )
    return said and not hooked and network._compiled_call_impl is None


class SharedBatch:
    """Forward and backward of a batch on several threads, to be used where PyTorch itself has one thread.

    The parts are decided by their number alone, and summed in order, so the same seed gives the same weights whichever
    thread is ready first.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        parameters: Sequence[nn.Parameter],
        threads: int,
    ) -> None:
        self._network, self._loss, self._parameters, self._threads = network, loss, parameters, threads
        # They end when this is forgotten.
        self._others = ThreadPoolExecutor(threads - 1, "part of a batch", torch.set_num_threads, (1,))
        # As the optimizers' kernels want them: in the same order in memory as the parameters.
        self._sums = {parameter: torch.empty_like(parameter) for parameter in parameters}

    def gradients(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
        """Return the batch's mean loss, 0-dimensional, its output (N, ...), and the gradients of that loss.

        All are detached; parameters that the loss does not depend on have no gradient. The memory of the gradients is
        used again by the next call.
        """
        # A callback may freeze some for a while.
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
        """Its share of the mean loss, its output, and its share of the gradients."""
        output = self._network(x)
        loss = self._loss(output, target) * (len(x) / samples)
        # Not backward(), which is not made for several threads with the same parameters.
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        return loss.detach(), output.detach(), gradients


def _add_up(terms: Sequence[Tensor], total: Tensor) -> Tensor:
    """The terms' sum, in ``total``: memory that stays is not asked for anew at every step."""
    if len(terms) == 1:
        return total.copy_(terms[0])
    torch.add(terms[0], terms[1], out=total)
    for term in terms[2:]:
        total.add_(term)
    return total
