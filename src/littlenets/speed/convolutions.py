"""Convolutions followed by max pooling, with a backward pass that skips zero gradients.

Max pooling passes the gradient of each window to its largest number, and ReLU passes none where the output is zero, so
five of six numbers in the gradient of a convolution's output are zero. PyTorch multiplies all of them. On a CPU, the
functions of this file use only the nonzero ones, in loops compiled by Numba: in convolutions whose input needs a
gradient, and in others if their filters have 9 numbers or fewer. Training `cnn` takes three quarters of the time.

Shapes: N images, C input channels, O output channels, H W pixels, h w pooled pixels, I J rows and columns of a filter.
"""

from types import ModuleType
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .hooks import has_hooks, is_replaced

# For images that need no gradient, a filter of 9 numbers takes two thirds of the layers' time in the loops, which also
# compute the pooling; a filter of 18 numbers takes the same time, and one of 27 takes longer.
FEW_INPUTS = 9


def is_plain_convolution(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a layer computes what a 2-dimensional convolution with zero padding does, and has no hooks."""
    plain = type(layer) is nn.Conv2d and layer.padding_mode == "zeros"
    return plain and not (has_hooks(layer) or is_replaced(layer))


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the output of a convolution for images (N, C, H, W), in the memory layout channels last."""
    return F.conv2d(x, _channels_last(layer), layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def pooled_convolution(x: Tensor, convolution: nn.Conv2d, pooling: nn.MaxPool2d, relu: bool) -> Tensor:
    """Return the output of a convolution, max pooling and, if ``relu``, ReLU, for images (N, C, H, W)."""
    function = _quicker(x, convolution, pooling)
    if function is not None:
        return function.apply(x, _channels_last(convolution), convolution.bias, convolution.padding, pooling, relu)
    x = pooling(convolve(convolution, x))
    return x.relu_() if relu else x


def _channels_last(convolution: nn.Conv2d) -> Tensor:
    """Return the weight in the memory layout in which convolutions are faster; their output has the same layout."""
    return convolution.weight.contiguous(memory_format=torch.channels_last)


def _quicker(x: Tensor, convolution: nn.Conv2d, pooling: nn.MaxPool2d) -> type[torch.autograd.Function] | None:
    """Return the function that is faster than the two layers; None if there is none."""
    padding = convolution.padding
    if isinstance(padding, str) or not (_is_trained_here(x) and _suits_the_loops(convolution)):
        return None
    if x.requires_grad:
        return _ManyInputs
    # The input needs no gradient, so half of the work of _ManyInputs would be wasted.
    return _FewInputs if _are_few(x, convolution, padding) and _is_two_by_two(pooling) else None


def _is_trained_here(x: Tensor) -> bool:
    """Return whether x is float32 on the CPU, and gradients are enabled without autocast."""
    return x.is_cpu and x.dtype == torch.float32 and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def _suits_the_loops(convolution: nn.Conv2d) -> bool:
    return convolution.stride == convolution.dilation == (1, 1) and convolution.groups == 1


def _are_few(x: Tensor, convolution: nn.Conv2d, padding: tuple[int, ...]) -> bool:
    """Return whether a filter has at most `FEW_INPUTS` numbers and PyTorch would accept x."""
    sizes = zip(x.shape[2:], padding, convolution.kernel_size, strict=True)
    return (
        convolution.weight[0].numel() <= FEW_INPUTS
        and convolution.weight.dtype == x.dtype
        and x.shape[1] == convolution.in_channels
        and all(size + 2 * frame - filter_size >= 1 for size, frame, filter_size in sizes)
    )


def _is_two_by_two(pooling: nn.MaxPool2d) -> bool:
    """Return whether the pooling windows are 2 by 2 pixels and do not overlap."""
    simple = pooling.padding in (0, (0, 0)) and pooling.dilation in (1, (1, 1)) and not pooling.ceil_mode
    return simple and pooling.kernel_size in (2, (2, 2)) and pooling.stride in (2, (2, 2))


def _kernels() -> ModuleType:
    # Importing takes half a second, and longer if the loops have never been compiled on this machine.
    from . import convolution_loops

    return convolution_loops


def _in_rows(images: Tensor) -> np.ndarray:
    """Return images (N, C, H, W) as an array (N, H, W, C), without a copy if their layout is channels last."""
    return images.detach().permute(0, 2, 3, 1).contiguous().numpy()


def _by_layers(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients as PyTorch computes them, in a form that can be differentiated again."""
    x, weight, bias = ctx.saved_tensors[:3]
    with torch.enable_grad():
        y = ctx.pooling(F.conv2d(x, weight, bias, padding=ctx.padding))
        y = y.relu() if ctx.relu else y
    wanted = [index for index, needed in enumerate(ctx.needs_input_grad) if needed]
    gradients = torch.autograd.grad(y, [(x, weight, bias)[index] for index in wanted], gradient, create_graph=True)
    found = dict(zip(wanted, gradients, strict=True))
    return tuple(found.get(index) for index in range(len(ctx.needs_input_grad)))


class _ManyInputs(torch.autograd.Function):
    """Forward by PyTorch's layers; backward by loops over the winners, the largest pixel of each window."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        pooling: nn.MaxPool2d,
        relu: bool,
    ) -> Tensor:
        windows = (pooling.kernel_size, pooling.stride, pooling.padding, pooling.dilation, pooling.ceil_mode)
        pooled, places = F.max_pool2d(F.conv2d(x, weight, bias, padding=padding), *windows, return_indices=True)
        if relu:
            pooled.relu_()
        ctx.save_for_backward(x, weight, bias, pooled if relu else None, places)
        ctx.padding, ctx.pooling, ctx.relu = padding, pooling, relu
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return _by_layers(ctx, gradient)
        x, weight, bias, pooled, places = ctx.saved_tensors
        filters, channels, rows, columns = weight.shape
        x_gradient = torch.empty(len(x), *x.shape[2:], channels)  # (N, H, W, C)
        weight_gradient = torch.zeros(filters, rows, columns * channels)  # (O, I, J * C)
        bias_gradient = torch.zeros(filters)
        slopes = gradient.permute(0, 2, 3, 1).numpy()  # (N, h, w, O), in any memory layout
        _kernels().many_backward(
            slopes,
            slopes if pooled is None else _in_rows(pooled),
            ctx.relu,
            _in_rows(places),
            _in_rows(x),
            _in_rows(weight).reshape(weight_gradient.shape),
            x_gradient.numpy(),
            weight_gradient.numpy(),
            bias_gradient.numpy(),
            columns,
            *ctx.padding,
        )
        weight_gradient = weight_gradient.view(filters, rows, columns, channels).permute(0, 3, 1, 2)
        x_gradient = x_gradient.permute(0, 3, 1, 2)
        return x_gradient, weight_gradient, None if bias is None else bias_gradient, None, None, None


class _FewInputs(torch.autograd.Function):
    """Convolution, pooling and ReLU in one loop, for windows of 2 by 2 pixels; images get no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        pooling: nn.MaxPool2d,
        relu: bool,
    ) -> Tensor:
        filters, _, rows, columns = weight.shape
        height, width = (
            pixels + 2 * frame - filter_size + 1
            for pixels, frame, filter_size in zip(x.shape[2:], padding, (rows, columns), strict=True)
        )
        size = (len(x), filters, height // 2, width // 2)
        # Not a view of another tensor, since the next layer could not change a view in place.
        pooled = torch.empty(size, memory_format=torch.channels_last)
        winners = torch.empty(size[0], *size[2:], filters, dtype=torch.uint8)
        _kernels().few_forward(
            _in_rows(x),
            weight.detach().permute(2, 3, 1, 0).reshape(-1, filters).contiguous().numpy(),  # (I * J * C, O)
            torch.zeros(filters).numpy() if bias is None else bias.detach().numpy(),
            relu,
            _in_rows(pooled),
            winners.numpy(),
            columns,
            *padding,
        )
        ctx.save_for_backward(x, weight, bias, winners)
        ctx.padding, ctx.pooling, ctx.relu = padding, pooling, relu
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return _by_layers(ctx, gradient)
        x, weight, bias, winners = ctx.saved_tensors
        filters, channels, rows, columns = weight.shape
        weight_gradient = torch.zeros(rows * columns * channels, filters)  # (I * J * C, O)
        bias_gradient = torch.zeros(filters)
        _kernels().few_backward(
            _in_rows(gradient),
            winners.numpy(),
            _in_rows(x),
            weight_gradient.numpy(),
            bias_gradient.numpy(),
            columns,
            *ctx.padding,
        )
        # In the memory layout of the weight: (O, I, J, C).
        weight_gradient = weight_gradient.t().contiguous().view(filters, rows, columns, channels).permute(0, 3, 1, 2)
        return None, weight_gradient, None if bias is None else bias_gradient, None, None, None
