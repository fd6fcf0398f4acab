"""The gradient with respect to the image, which attacks and saliency maps share.

On a CPU the input gradient of a convolution with few input channels is the slowest part of a small network: oneDNN
takes 8.8 ms of a LeNet-5 pass of 18 ms (batch 128, one thread) where unfold-and-multiply takes 2.5 ms. Inside
`input_gradient`, convolutions on images take the latter way; weights get no gradient there, so nothing else changes.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pellucid.core.types import Image, PerSample

__all__ = ["input_gradient"]

IMAGE_CHANNELS = 4  # a convolution with at most so many input channels reads an image


def input_gradient(
    objective: Callable[[Tensor], PerSample], x: Image, *, create_graph: bool = False
) -> tuple[Image, PerSample]:
    r"""Gradient of each sample's objective with respect to its image, :math:`\nabla_x \sum_i o_i(x)`.

    Works under ``torch.no_grad`` and ``torch.inference_mode``. No parameter's ``.grad`` is touched.

    Args:
        objective: maps (n, c, h, w) to one value per sample, (n,). Samples must not influence each other.
        x: (n, c, h, w) images.
        create_graph: keep the graph, so that the gradient can itself be differentiated, with respect to ``x`` too.

    Returns:
        The gradient, shaped like ``x``, and the objective's values (n,), both detached unless ``create_graph``.

    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> gradient, value = input_gradient(lambda x: (x**2).sum((1, 2, 3)), x)
    >>> gradient.tolist(), value.tolist()
    ([[[[2.0, 4.0]]]], [5.0])
    """
    if create_graph:
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            value = objective(x)
            (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        return gradient, value
    with torch.inference_mode(False), torch.enable_grad(), _ImageConvolution():
        x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
        value = objective(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient, value.detach()


class _ImageConvolution(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d or func is torch.conv2d:
            replaced = _convolve_image(*args, **kwargs)
            if replaced is not None:
                return replaced
        return func(*args, **kwargs)


def _convolve_image(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    plain = (
        input.requires_grad
        and input.device.type == "cpu"
        and input.dtype == torch.float32
        and input.dim() == 4
        and input.shape[1] <= IMAGE_CHANNELS
        and groups == 1
        and not isinstance(padding, str)
        and _pair(dilation) == [1, 1]
        and not torch.is_autocast_enabled("cpu")
    )
    return _ImageConv2d.apply(input, weight.detach(), bias, _pair(stride), _pair(padding)) if plain else None  # type: ignore[no-untyped-call]


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _ImageConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int]
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(input, weight, None if bias is None else bias.detach(), stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        (gradient, _, _) = torch.ops.aten._slow_conv2d_backward.output_mask(
            grad, input, weight, list(weight.shape[2:]), ctx.stride, ctx.padding, [True, False, False]
        )
        return gradient, None, None, None, None
