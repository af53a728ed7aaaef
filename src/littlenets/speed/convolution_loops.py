"""Loops for convolutions followed by pooling, compiled for the CPU by Numba when they are first needed.

All arrays are float32 in channels last layout unless stated otherwise. Convolutions have stride 1. The winner of a
pooling window is its largest pixel.

Shapes: N images, H W pixels, C input channels, O output channels, I J rows and columns of a filter, h w pooled pixels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

# The only permitted change of the arithmetic is to round a product and a sum once together. NaN is preserved, so that
# a diverged run can be detected.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy", "boundscheck": False}

_IMAGES = types.Array(types.float32, 4, "C")
_ANY = types.Array(types.float32, 4, "A")
_VECTOR = types.Array(types.float32, 1, "C")


def _compiled(*arguments: types.Type) -> Callable[[Callable], Callable]:
    """Compile a function immediately for these types; the machine code is cached for other processes if possible."""

    def compile_for(function: Callable) -> Callable:
        try:
            return njit(types.void(*arguments), cache=True, **_OPTIONS)(function)
        except RuntimeError:  # there is no writable folder for the cache
            return njit(types.void(*arguments), **_OPTIONS)(function)

    return compile_for


@njit(**_OPTIONS)
def _frame(image: np.ndarray, framed: np.ndarray, row: int, top: int, left: int) -> None:
    """Copy an image (H, W, C) into ``framed``, whose rows have ``row`` numbers, and leave its margin unchanged."""
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            start = (y + top) * row + (x + left) * channels
            for c in range(channels):
                framed[start + c] = image[y, x, c]


@_compiled(
    *(_ANY, _ANY, types.boolean, types.Array(types.int64, 4, "C"), _IMAGES, types.Array(types.float32, 3, "C")),
    *(_IMAGES, types.Array(types.float32, 3, "C"), _VECTOR, types.int64, types.int64, types.int64),
)
def many_backward(
    gradient: np.ndarray,
    pooled: np.ndarray,
    relu: bool,
    places: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    x_gradient: np.ndarray,
    weight_gradient: np.ndarray,
    bias_gradient: np.ndarray,
    columns: int,
    top: int,
    left: int,
) -> None:
    """Add to the gradients of weight and bias, and set the gradient of x, using only the winners of the windows.

    Args:
        gradient: gradient of the final output (N, h, w, O).
        pooled: final output (N, h, w, O).
        relu: whether ReLU is the last layer; it passes no gradient where ``pooled`` is zero.
        places: int64 (N, h, w, O), index of the winner in the convolution's output, row by row.
        x: input (N, H, W, C).
        weight: (O, I, J * C).
        x_gradient: gradient of x (N, H, W, C), set by this function.
        weight_gradient: (O, I, J * C).
        bias_gradient: (O,).
        columns: J.
        top: number of rows of zeros above x, and below.
        left: number of columns of zeros on either side.
    """
    images, pooled_height, pooled_width, filters = gradient.shape
    _, height, width, channels = x.shape
    _, rows, reach = weight.shape
    row = (width + 2 * left) * channels
    framed = np.zeros((height + 2 * top) * row, np.float32)
    framed_gradient = np.zeros_like(framed)
    # Position of a filter's top left corner for each pixel of the convolution's output.
    output_width = width + 2 * left - columns + 1
    corners = np.empty((height + 2 * top - rows + 1) * output_width, np.int64)
    for place in range(len(corners)):
        corners[place] = place // output_width * row + place % output_width * channels
    # The winners of an image and a filter with a nonzero gradient, padded by four zeros, since they are used in fours.
    starts = np.zeros(pooled_height * pooled_width + 4, np.int64)
    slopes = np.zeros(len(starts), np.float32)
    for n in range(images):
        _frame(x[n], framed, row, top, left)
        framed_gradient[:] = 0
        for o in range(filters):
            winners = 0
            total = np.float32(0)
            for i in range(pooled_height):
                for j in range(pooled_width):
                    slope = gradient[n, i, j, o]
                    if relu and pooled[n, i, j, o] <= 0:
                        slope = np.float32(0)
                    total += slope
                    starts[winners] = corners[places[n, i, j, o]]
                    slopes[winners] = slope
                    winners += slope != 0
            bias_gradient[o] += total
            for k in range(winners, winners + 4):
                starts[k] = 0
                slopes[k] = 0
            for i in range(rows):
                down = i * row
                sums = weight_gradient[o, i]
                for k in range(0, winners, 4):
                    a, b, c, d = starts[k] + down, starts[k + 1] + down, starts[k + 2] + down, starts[k + 3] + down
                    in_a, in_b, in_c, in_d = (
                        framed[a : a + reach],
                        framed[b : b + reach],
                        framed[c : c + reach],
                        framed[d : d + reach],
                    )
                    slope_a, slope_b, slope_c, slope_d = slopes[k], slopes[k + 1], slopes[k + 2], slopes[k + 3]
                    for j in range(reach):
                        sums[j] += slope_a * in_a[j] + slope_b * in_b[j] + slope_c * in_c[j] + slope_d * in_d[j]
                factors = weight[o, i]
                for k in range(winners):
                    start, slope = starts[k] + down, slopes[k]
                    out = framed_gradient[start : start + reach]
                    for j in range(reach):
                        out[j] += slope * factors[j]
        for i in range(height):
            for j in range(width):
                start = (i + top) * row + (j + left) * channels
                for c in range(channels):
                    x_gradient[n, i, j, c] = framed_gradient[start + c]


@njit(**_OPTIONS)
def _steps(rows: int, columns: int, channels: int, row: int) -> np.ndarray:
    """Return the offset of each number of a filter from its top left corner, in an image with ``row`` numbers a row."""
    steps = np.empty(rows * columns * channels, np.int64)
    for k in range(len(steps)):
        steps[k] = k // (columns * channels) * row + k % (columns * channels)
    return steps


@_compiled(
    *(_IMAGES, types.Array(types.float32, 2, "C"), _VECTOR, types.boolean, _IMAGES, types.Array(types.uint8, 4, "C")),
    *(types.int64, types.int64, types.int64),
)
def few_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    relu: bool,
    pooled: np.ndarray,
    winners: np.ndarray,
    columns: int,
    top: int,
    left: int,
) -> None:
    """Compute convolution, pooling of 2 by 2 pixels and optionally ReLU, all filters at once, for small filters.

    Args:
        x: input (N, H, W, C).
        weight: (I * J * C, O).
        bias: (O,).
        relu: whether ReLU is the last layer.
        pooled: output (N, h, w, O), set by this function.
        winners: uint8 (N, h, w, O), set by this function: index of the largest of a window's four pixels, row by row;
            4 where ReLU sets the output to zero.
        columns: J.
        top: number of rows of zeros above x, and below.
        left: number of columns of zeros on either side.
    """
    images, height, width, channels = x.shape
    _, pooled_height, pooled_width, filters = pooled.shape
    row = (width + 2 * left) * channels
    framed = np.zeros((height + 2 * top) * row, np.float32)
    steps = _steps(len(weight) // (columns * channels), columns, channels, row)
    at_a, at_b = np.empty(filters, np.float32), np.empty(filters, np.float32)
    at_c, at_d = np.empty(filters, np.float32), np.empty(filters, np.float32)
    for n in range(images):
        _frame(x[n], framed, row, top, left)
        for i in range(pooled_height):
            for j in range(pooled_width):
                corner = 2 * i * row + 2 * j * channels
                for o in range(filters):
                    at_a[o] = at_b[o] = at_c[o] = at_d[o] = bias[o]
                for k in range(len(steps)):
                    start = corner + steps[k]
                    in_a, in_b = framed[start], framed[start + channels]
                    in_c, in_d = framed[start + row], framed[start + row + channels]
                    factors = weight[k]
                    for o in range(filters):
                        at_a[o] += in_a * factors[o]
                        at_b[o] += in_b * factors[o]
                        at_c[o] += in_c * factors[o]
                        at_d[o] += in_d * factors[o]
                out, won = pooled[n, i, j], winners[n, i, j]
                for o in range(filters):
                    largest, winner = at_a[o], np.uint8(0)
                    # NaN wins, as in PyTorch.
                    if at_b[o] > largest or at_b[o] != at_b[o]:
                        largest, winner = at_b[o], np.uint8(1)
                    if at_c[o] > largest or at_c[o] != at_c[o]:
                        largest, winner = at_c[o], np.uint8(2)
                    if at_d[o] > largest or at_d[o] != at_d[o]:
                        largest, winner = at_d[o], np.uint8(3)
                    if relu and largest <= 0:
                        largest, winner = np.float32(0), np.uint8(4)
                    out[o] = largest
                    won[o] = winner


@_compiled(
    *(_IMAGES, types.Array(types.uint8, 4, "C"), _IMAGES, types.Array(types.float32, 2, "C"), _VECTOR),
    *(types.int64, types.int64, types.int64),
)
def few_backward(
    gradient: np.ndarray,
    winners: np.ndarray,
    x: np.ndarray,
    weight_gradient: np.ndarray,
    bias_gradient: np.ndarray,
    columns: int,
    top: int,
    left: int,
) -> None:
    """Add to the gradients of weight and bias of `few_forward`.

    Args:
        gradient: gradient of the output (N, h, w, O).
        winners: uint8 (N, h, w, O), from `few_forward`.
        x: input (N, H, W, C).
        weight_gradient: (I * J * C, O).
        bias_gradient: (O,).
        columns: J.
        top: number of rows of zeros above x, and below.
        left: number of columns of zeros on either side.
    """
    images, height, width, channels = x.shape
    _, pooled_height, pooled_width, filters = gradient.shape
    row = (width + 2 * left) * channels
    framed = np.zeros((height + 2 * top) * row, np.float32)
    steps = _steps(len(weight_gradient) // (columns * channels), columns, channels, row)
    at_a, at_b = np.empty(filters, np.float32), np.empty(filters, np.float32)
    at_c, at_d = np.empty(filters, np.float32), np.empty(filters, np.float32)
    nothing = np.float32(0)
    for n in range(images):
        _frame(x[n], framed, row, top, left)
        for i in range(pooled_height):
            for j in range(pooled_width):
                corner = 2 * i * row + 2 * j * channels
                slopes, won = gradient[n, i, j], winners[n, i, j]
                for o in range(filters):
                    slope, winner = slopes[o], won[o]
                    at_a[o] = slope if winner == 0 else nothing
                    at_b[o] = slope if winner == 1 else nothing
                    at_c[o] = slope if winner == 2 else nothing
                    at_d[o] = slope if winner == 3 else nothing
                    bias_gradient[o] += slope if winner < 4 else nothing
                for k in range(len(steps)):
                    start = corner + steps[k]
                    in_a, in_b = framed[start], framed[start + channels]
                    in_c, in_d = framed[start + row], framed[start + row + channels]
                    sums = weight_gradient[k]
                    for o in range(filters):
                        sums[o] += at_a[o] * in_a + at_b[o] * in_b + at_c[o] * in_c + at_d[o] * in_d
