"""Record the output of every layer of a network for an input, without changing the network.

This module does not import matplotlib.

Shapes: N batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# Functions that `forward` may call instead of a module. torch.relu, F.relu and x.relu have the same name; the in-place
# x.relu_ has an underscore at its end.
_FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class Layer(NamedTuple):
    """One call of a layer, or of a function that also exists as a layer."""

    #: Name of the module in the network, such as ``layers.0``; for a function, its name.
    name: str
    #: The module; for a function, the module that computes the same.
    module: nn.Module
    #: The output, (N, ...); None if it was not a tensor.
    output: Tensor | None
    #: Number of parameters; 0 if an earlier call of the same module has counted them.
    parameters: int
    #: Whether the same module was called before.
    again: bool
    #: Whether the input was exactly the output of the layer before: False at a fork, or if a function was called in
    #: between.
    follows: bool


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients, and restore the mode of every module afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def outputs(network: nn.Module, x: Tensor, batch: int = 10_000) -> Tensor:
    """Return the network's outputs for inputs (N, ...), on the CPU, without changing the network."""
    # Call forward instead of network(x), because a compiled network would be compiled again for another shape.
    with evaluating(network):
        return torch.cat([network.forward(suited(part, network)).cpu() for part in x.split(batch)])


def trace(network: nn.Module, x: Tensor) -> list[Layer]:
    """Return the calls of layers, in the order in which an input (N, ...) reaches them.

    A layer is a module without submodules, or a module of torch that works as a whole, such as attention. Of the
    functions that a network calls between modules, only ReLU, tanh and sigmoid are recorded.
    """
    layers: list[Layer] = []
    called: set[nn.Module] = set()
    before: list[Any] = [()]  # output of the latest layer

    def add(name: str, module: nn.Module, inputs: Sequence[Any], output: Any) -> None:
        # Copy the output, since the next layer may modify it in place.
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
            # Call forward, unless the network itself is a layer: only __call__ runs hooks, but it may be compiled.
            (network if _is_leaf(network) else network.forward)(suited(x, network))
    finally:
        for handle in handles:
            handle.remove()
    return layers


class _Functions(TorchFunctionMode):
    """Record calls of the functions in ``_FUNCTIONS`` while this mode is active, except calls within layers."""

    def __init__(self, add: Callable[[str, nn.Module, Sequence[Any], Any], None]) -> None:
        super().__init__()
        self._add = add
        #: Number of nested layers that are being called.
        self.inside = 0

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not self.inside and (kind := _FUNCTIONS.get(name.rstrip("_"))):
            self._add(name, kind(), args, output)
        return output


def blocks(layers: list[Layer]) -> list[list[Layer]]:
    """Return lists of layers: each layer with a weight matrix or kernels, and the layers up to the next such layer."""
    parts: list[list[Layer]] = []
    for layer in layers:
        if any(parameter.dim() > 1 for parameter in layer.module.parameters(recurse=False)):
            parts.append([])
        if parts:
            parts[-1].append(layer)
    return parts


def suited(x: Tensor, network: nn.Module) -> Tensor:
    """Return inputs on the network's device and, if they are floating point, in its precision."""
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
