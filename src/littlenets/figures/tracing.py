"""What every layer of a network gives for an input, seen from outside. Needs no matplotlib.

Shapes: N batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# What `forward` may use instead of a module: torch.relu, F.relu and x.relu have one name; the last may be in place.
_FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class Layer(NamedTuple):
    """One call of a layer, or of a function that there is a layer of as well."""

    #: Where the network has it, such as ``layers.0``; of a function, its name.
    name: str
    #: Of a function, the module that does the same.
    module: nn.Module
    #: What it gave, (N, ...); None where that was no tensor.
    output: Tensor | None
    #: Its parameters; 0 where an earlier call of it has counted them.
    parameters: int
    #: Whether it was called before.
    again: bool
    #: Whether it took just what the layer before it gave: not so at a fork, or where a function comes between.
    follows: bool


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and afterwards every module in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def outputs(network: nn.Module, x: Tensor, batch: int = 10_000) -> Tensor:
    """What the network gives for inputs (N, ...), on the CPU, leaving no trace in it."""
    # Not network(x): a compiled network would be compiled once more for another shape.
    with evaluating(network):
        return torch.cat([network.forward(suited(part, network)).cpu() for part in x.split(batch)])


def trace(network: nn.Module, x: Tensor) -> list[Layer]:
    """The layers in the order in which an input (N, ...) reaches them.

    A layer is a module without modules in it, or one of torch's own that works as a whole, such as attention. Of what a
    network does with functions between them, ReLU, tanh and sigmoid are seen, and nothing else.
    """
    layers: list[Layer] = []
    called: set[nn.Module] = set()
    before: list[Any] = [()]  # what the latest layer gave

    def add(name: str, module: nn.Module, inputs: Sequence[Any], output: Any) -> None:
        # A copy, since the next layer may work in place.
        tensor = next((value.detach().clone() for value in _flattened(output) if isinstance(value, Tensor)), None)
        again = module in called
        called.add(module)
        count = 0 if again else sum(parameter.numel() for parameter in module.parameters())
        follows = not layers or (len(inputs) > 0 and inputs[0] is before[0])
        before[0] = output
        layers.append(Layer(name, module, tensor, count, again, follows))

    functions = _Functions(add)

    def enter(module: nn.Module, inputs: Any) -> None:
        functions.inside += 1

    def leave(name: str) -> Any:
        def record(module: nn.Module, inputs: Any, output: Any) -> None:
            functions.inside -= 1
            add(name, module, inputs, output)

        return record

    handles = []
    for name, module in _leaves(network):
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave(name))]
    try:
        with evaluating(network), functions:
            # Hooks of the network itself are called by its __call__ alone, which may be compiled.
            (network if _is_leaf(network) else network.forward)(suited(x, network))
    finally:
        for handle in handles:
            handle.remove()
    return layers


class _Functions(TorchFunctionMode):
    """Reports the functions of ``_FUNCTIONS`` that are called while it is on, but for those of layers themselves."""

    def __init__(self, add: Callable[[str, nn.Module, Sequence[Any], Any], None]) -> None:
        super().__init__()
        self._add = add
        #: How many layers are being called, one within the other.
        self.inside = 0

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not self.inside and (kind := _FUNCTIONS.get(name.rstrip("_"))):
            self._add(name, kind(), args, output)
        return output


def blocks(layers: list[Layer]) -> list[list[Layer]]:
    """Each layer with a matrix or kernels of weights, together with what follows it up to the next such layer."""
    parts: list[list[Layer]] = []
    for layer in layers:
        if any(parameter.dim() > 1 for parameter in layer.module.parameters(recurse=False)):
            parts.append([])
        if parts:
            parts[-1].append(layer)
    return parts


def suited(x: Tensor, network: nn.Module) -> Tensor:
    """Inputs on the network's device, in its precision."""
    parameter = next(network.parameters(), None)
    if parameter is None:
        return x
    return x.to(parameter.device, parameter.dtype if x.is_floating_point() else x.dtype)


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if _is_leaf(module):
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _leaves(child, f"{name}.{child_name}" if name else child_name)


def _is_leaf(module: nn.Module) -> bool:
    whole = type(module).__module__.startswith("torch.nn.") and not isinstance(module, _CONTAINERS)
    return whole or next(module.children(), None) is None


def _flattened(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        yield value
        return
    for entry in value:
        yield from _flattened(entry)
