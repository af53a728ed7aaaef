"""Optimizers as a user may write them."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from own_callbacks import calls
from torch.nn import Parameter
from torch.optim import Optimizer


def shrinking(step: Callable[..., Any]) -> Callable[..., Any]:
    """Shrink the weights after each step."""

    @functools.wraps(step)
    def step_and_shrink(self: Optimizer, *arguments: Any, **named: Any) -> Any:
        result = step(self, *arguments, **named)
        calls["step"] += 1
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(0.99)
        return result

    return step_and_shrink


class ShrinkingAdam(torch.optim.Adam):
    """Adam with a decorated step."""

    step = shrinking(torch.optim.Adam.step)


class TwoPoints(torch.optim.SGD):
    """Steps with the mean of the gradients here and where a first step leads; needs the closure for that."""

    def step(self, closure: Callable[[], Any]) -> Any:
        loss = closure()
        before = [(p, p.detach().clone(), p.grad.clone()) for group in self.param_groups for p in group["params"]]
        super().step()
        with torch.enable_grad():
            closure()
        with torch.no_grad():
            for parameter, value, gradient in before:
                parameter.copy_(value)
                parameter.grad.add_(gradient).mul_(0.5)
        super().step()
        return loss


def two_rates(params: Iterable[Parameter], lr: float = 0.01) -> Optimizer:
    """Make two parameter groups, of which biases are one and learn slowly."""
    params = list(params)
    groups = [
        {"params": [parameter for parameter in params if parameter.ndim > 1]},
        {"params": [parameter for parameter in params if parameter.ndim == 1], "lr": lr / 10},
    ]
    return torch.optim.Adam(groups, lr=lr)
