"""Find out whether somebody observes a layer or has changed what it computes."""

from functools import partial

from torch import nn
from torch.nn.modules import module as torch_modules


class FasterForward(partial):
    """The ``forward`` of an accelerated layer: a function that computes what its class does, and the layer."""


def has_hooks(layer: nn.Module) -> bool:
    """Return whether a layer has forward or backward hooks, or hooks for all layers are registered.

    PyTorch offers no public way to ask, so this reads its private dictionaries of hooks.
    """
    own = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
    return bool(own) or torch_modules._has_any_global_hook()


def is_replaced(layer: nn.Module) -> bool:
    """Return whether somebody has set another ``forward`` on this layer alone."""
    forward = vars(layer).get("forward")
    return forward is not None and not isinstance(forward, FasterForward)


def has_gradient_hooks(parameter: nn.Parameter) -> bool:
    """Return whether a parameter has hooks for its gradient."""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)
