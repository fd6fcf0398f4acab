"""The derivatives of layers written as operations that every runtime knows.

Automatic differentiation leaves operations such as ``convolution_backward``, which no runtime but torch has. Each
function here says the same in terms of forward operations; those that torch can take apart itself are taken from it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

__all__ = ["decompositions", "median"]

aten = torch.ops.aten

KNOWN_TO_TORCH = (
    aten._adaptive_avg_pool2d_backward,
    aten._log_softmax_backward_data,
    aten._softmax_backward_data,
    aten.elu_backward,
    aten.gelu_backward,
    aten.hardsigmoid_backward,
    aten.hardswish_backward,
    aten.hardtanh_backward,
    aten.leaky_relu_backward,
    aten.mish_backward,
    aten.native_batch_norm_backward,
    aten.native_group_norm_backward,
    aten.native_layer_norm_backward,
    aten.select_backward,
    aten.sigmoid_backward,
    aten.silu_backward,
    aten.slice_backward,
    aten.softplus_backward,
    aten.tanh_backward,
    aten.threshold_backward,
)
"""Derivatives that torch takes apart itself."""


def decompositions() -> dict[Any, Callable[..., Any]]:
    """By operation, a function of the same arguments and results that uses none of the operations without a runtime."""
    table: dict[Any, Callable[..., Any]] = dict(get_decompositions(KNOWN_TO_TORCH))
    return table | {
        aten.avg_pool2d_backward.default: _mean_pool_gradient,
        aten.constant_pad_nd.default: _padded,
        aten.convolution_backward.default: _convolution_gradient,
        aten.max_pool2d_with_indices_backward.default: _maximum_pool_gradient,
        aten.median.dim: median,
        aten.reflection_pad2d_backward.default: _reflection_gradient,
        aten.unfold_backward.default: _windows_gradient,
    }


def _convolution_gradient(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    asked: Sequence[bool],
) -> Any:
    """The gradient with respect to the input alone: the transposed convolution of the output's gradient."""
    if transposed or asked[1] or asked[2]:
        return NotImplemented
    reached = [
        (size - 1) * step - 2 * pad + wide * (side - 1) + 1
        for size, step, pad, wide, side in zip(grad.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True)
    ]
    # Pixels at the far edges that no window reached have gradient 0.
    missed = [size - there for size, there in zip(x.shape[2:], reached, strict=True)]
    return aten.convolution.default(grad, weight, None, stride, padding, dilation, True, missed, groups), None, None


def _maximum_pool_gradient(
    grad: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Each window's gradient goes to the pixel that was its maximum."""
    nothing = torch.zeros_like(x).flatten(2)
    return nothing.scatter_add(2, indices.flatten(2), grad.flatten(2)).reshape(x.shape)


def _mean_pool_gradient(
    grad: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    """Each window's gradient is spread evenly over its pixels, by a transposed convolution with a constant."""
    padded = any(padding) and not count_include_pad
    if ceil_mode or padded or divisor_override is not None:
        return NotImplemented
    down, across = kernel[0], kernel[-1]
    steps = list(stride or kernel)
    even = torch.full((x.shape[1], 1, down, across), 1 / (down * across), dtype=grad.dtype, device=grad.device)
    pads, steps = [padding[0], padding[-1]], [steps[0], steps[-1]]
    reached = [
        (size - 1) * step - 2 * pad + side
        for size, step, pad, side in zip(grad.shape[2:], steps, pads, (down, across), strict=True)
    ]
    missed = [size - there for size, there in zip(x.shape[2:], reached, strict=True)]
    return aten.convolution.default(grad, even, None, steps, pads, [1, 1], True, missed, x.shape[1])


def median(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The median and its place, by sorting; of an even number of values the lower of the middle two."""
    values, places = torch.sort(x, dim=dim)
    middle = (x.shape[dim] - 1) // 2
    value, place = values.select(dim, middle), places.select(dim, middle)
    return (value.unsqueeze(dim), place.unsqueeze(dim)) if keepdim else (value, place)


def _windows_gradient(grad: Tensor, sizes: Sequence[int], dim: int, size: int, step: int) -> Any:
    """What every window, one pixel after the other, adds to the pixels that it was cut from."""
    if step != 1:
        return NotImplemented
    dim %= len(sizes)
    windows = grad.shape[dim]
    parts = [_placed(grad.select(-1, k), k, sizes[dim] - windows - k, dim) for k in range(size)]
    return torch.stack(parts).sum(0)


def _reflection_gradient(grad: Tensor, x: Tensor, padding: Sequence[int]) -> Tensor:
    """What the reflected border adds to the pixels that it repeats."""
    left, right, top, bottom = padding
    return _unreflected(_unreflected(grad, x.shape[-1], left, right, -1), x.shape[-2], top, bottom, -2)


def _unreflected(grad: Tensor, size: int, before: int, after: int, dim: int) -> Tensor:
    whole = grad.narrow(dim, before, size)
    if before:
        whole = whole + _placed(grad.narrow(dim, 0, before).flip(dim), 1, size - 1 - before, dim)
    if after:
        whole = whole + _placed(grad.narrow(dim, before + size, after).flip(dim), size - 1 - after, 1, dim)
    return whole


def _placed(part: Tensor, before: int, after: int, dim: int) -> Tensor:
    """Zeros around ``part`` along one dimension."""
    return _padded(part, [0, 0] * (-dim - 1 if dim < 0 else part.ndim - 1 - dim) + [before, after])


def _padded(x: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """Constant borders, or with negative numbers none of the outermost pixels; the last dimension's come first.

    torch's own code of it fixes the number of images where a graph is traced.
    """
    for place, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = x.ndim - 1 - place
        if before < 0 or after < 0:
            cut = max(0, -before)
            x = x.narrow(dim, cut, x.shape[dim] - cut - max(0, -after))
        sizes = list(x.shape)
        whole = [x]
        if before > 0:
            whole.insert(0, x.new_full([*sizes[:dim], before, *sizes[dim + 1 :]], value))
        if after > 0:
            whole.append(x.new_full([*sizes[:dim], after, *sizes[dim + 1 :]], value))
        x = torch.cat(whole, dim) if len(whole) > 1 else x
    return x
