"""Convolutions with pooling after them, as one operation for threads that share out a batch.

Shapes: N batch, C channels, H W pixels before pooling.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..sharing import Workspace, workspace


class PooledConvolutions(nn.Sequential):
    """Computes what ``nn.Sequential`` does, the same bit for bit.

    What a convolution gives before it is pooled, and its gradient, are the largest tensors of a step by far. Where a
    thread has a workspace, the gradient is made there instead of in new memory, and the output let go as soon as it is
    pooled: on two threads a step of `cnn` takes a fifth less. On one it does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        space = workspace()
        if space is None:
            return super().forward(x)
        pooled = False
        for layer, following in pairwise([*self, None]):
            if pooled:
                pooled = False
            elif pooled := _are_simple(layer, following):
                x = _PooledConvolution.apply(x, layer.weight, layer.bias, layer, following, space)
            else:
                x = layer(x)
        return x


def _are_simple(layer: nn.Module, following: nn.Module | None) -> bool:
    """Whether they are a convolution and a pooling that `_PooledConvolution` can stand for."""
    return (
        type(layer) is nn.Conv2d
        and type(following) is nn.MaxPool2d
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.bias is not None
        and not following.return_indices
    )


class _PooledConvolution(torch.autograd.Function):
    """A convolution of x (N, C, H, W) and the largest of each of its output's windows."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        convolution: nn.Conv2d,
        pooling: nn.MaxPool2d,
        space: Workspace,
    ) -> Tensor:
        full = F.conv2d(
            x, weight, bias, convolution.stride, convolution.padding, convolution.dilation, convolution.groups
        )
        windows = (pooling.kernel_size, pooling.stride, pooling.padding, pooling.dilation, pooling.ceil_mode)
        pooled, places = F.max_pool2d(full, *windows, return_indices=True)
        ctx.save_for_backward(x, weight, places)
        ctx.shape, ctx.layers, ctx.windows, ctx.space = full.shape, convolution, windows, space
        return pooled

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, places = ctx.saved_tensors
        convolution = ctx.layers
        full = ctx.space.images(ctx.shape, gradient.dtype)
        # Of its second argument this looks at the shape alone.
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            gradient, full, *ctx.windows, places, grad_input=full
        )
        return (
            *torch.ops.aten.convolution_backward(
                full,
                x,
                weight,
                [len(weight)],
                convolution.stride,
                convolution.padding,
                convolution.dilation,
                False,
                [0, 0],
                convolution.groups,
                ctx.needs_input_grad[:3],
            ),
            *(None, None, None),
        )
