"""The gradient with respect to the image, which attacks and saliency maps share.

On a CPU the input gradient of a convolution with few input channels is the slowest part of a small network: oneDNN
takes 8.8 ms of a LeNet-5 pass of 18 ms (batch 128, one thread) where unfold-and-multiply takes 2.5 ms. Inside
`input_gradient`, convolutions on images take the latter way; weights get no gradient there, so nothing else changes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from pellucid.core.errors import InputError
from pellucid.core.outputs import told
from pellucid.core.types import Image, PerSample

__all__ = ["image_gradients", "input_gradient", "input_gradient_of", "twice_differentiable"]

_of_images_alone: ContextVar[bool] = ContextVar("of_images_alone", default=False)
"""Whether the backward pass under way is asked for gradients of images and for no other; it runs in this thread."""

IMAGE_CHANNELS = 4  # a convolution with at most so many input channels reads an image


def input_gradient(
    objective: Callable[[Tensor], PerSample], x: Image, *, create_graph: bool = False
) -> tuple[Image, PerSample]:
    r"""Gradient of each sample's objective with respect to its image, :math:`\nabla_x \sum_i o_i(x)`.

    Works under ``torch.no_grad`` and ``torch.inference_mode``. No parameter's ``.grad`` is touched, and a network that
    writes into its images is given copies.

    Args:
        objective: maps (n, c, h, w) to one value per sample, (n,). Samples must not influence each other.
        x: (n, c, h, w) images.
        create_graph: keep the graph, so that the gradient can itself be differentiated, with respect to ``x`` too.

    Returns:
        The gradient, shaped like ``x``, and the objective's values (n,), both detached unless ``create_graph``.

    Raises:
        InputError: an objective that gives something else.

    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> gradient, value = input_gradient(lambda x: (x**2).sum((1, 2, 3)), x)
    >>> gradient.tolist(), value.tolist()
    ([[[[2.0, 4.0]]]], [5.0])
    """
    if create_graph:
        with torch.enable_grad(), twice_differentiable():
            x = x if x.requires_grad else x.detach().requires_grad_()
            value = _checked(objective(x.clone()), x)
            gradient = input_gradient_of(value, x)
        return gradient, value
    with torch.inference_mode(False), torch.enable_grad(), _ImageConvolution(_convolve_image):
        x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
        value = _checked(objective(x.clone()), x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient, value.detach()


def input_gradient_of(value: Tensor, x: Image, *, create_graph: bool = True) -> Image:
    """Gradient of each sample's value with respect to its image, of a forward pass that is used further.

    Inside `image_gradients`, on a CPU, no gradient of a convolution's weights is computed, which would be thrown away:
    PyTorch does not tell a function of its own which gradients are asked for.

    Args:
        value: (n,) or a sum of such values, computed from ``x``.
        x: (n, c, h, w) images that require a gradient.
        create_graph: keep the graph of the gradient, so that it can itself be differentiated.

    Returns:
        (n, c, h, w); the gradient of the sum over the batch, so no 1/n is in it.

    >>> x = torch.tensor([[[[1.0, 2.0]]]], requires_grad=True)
    >>> input_gradient_of((x**2).sum((1, 2, 3)), x).tolist()
    [[[[2.0, 4.0]]]]
    """
    token = _of_images_alone.set(True)
    try:
        (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=create_graph, retain_graph=True)
    finally:
        _of_images_alone.reset(token)
    return gradient


def _checked(value: Any, x: Image) -> PerSample:
    """What an objective gave, unless it is something other than one number an image, or the sum of these."""
    if isinstance(value, Tensor) and value.shape in ((), (len(x),)):
        return value
    raise InputError(
        f"the objective must give one number for each of {len(x)} images, shape ({len(x)},), got {told(value)}"
    )


@contextmanager
def image_gradients(*, kept: bool = False) -> Iterator[None]:
    """Gradients with respect to images are taken, with their graph, inside the block alone.

    A loss that holds such gradients is made inside and differentiated after the block. Then, on a CPU, no gradient
    with respect to the images is computed, which would be thrown away, and those inside took the faster way that
    `input_gradient` takes; both together save two fifths of LeNet-5's step with a gradient penalty. The gradients of
    the weights are the same up to rounding.

    Args:
        kept: compute those of the backward pass after the block as well, for who wants them along with the weights'.

    >>> convolution = torch.nn.Conv2d(1, 1, 1, bias=False)
    >>> x = torch.ones(1, 1, 1, 1, requires_grad=True)
    >>> with image_gradients():
    ...     (slope,) = torch.autograd.grad(convolution(x).sum(), x, create_graph=True)
    >>> slope.sum().backward()
    >>> convolution.weight.grad.item()
    1.0
    """
    while_open = _Open()
    try:
        with _ImageConvolution(partial(_convolve_twice, while_open)), twice_differentiable():
            yield
    finally:
        while_open.value = kept


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Inside the block attention and ``hardsigmoid`` are made of what can be differentiated twice.

    PyTorch's fused attention and its ``hardsigmoid`` have no second derivative; products, and the clamp that a
    ``hardsigmoid`` is, have one. Other operations without one keep failing when it is asked for.

    >>> query = torch.ones(1, 1, 2, 1, requires_grad=True)
    >>> with twice_differentiable():
    ...     out = F.scaled_dot_product_attention(query, query, query).square().sum()
    >>> (slope,) = torch.autograd.grad(out, query, create_graph=True)
    >>> torch.autograd.grad(slope.sum(), query)[0].shape
    torch.Size([1, 1, 2, 1])
    """
    with sdpa_kernel(SDPBackend.MATH), _TwiceDifferentiable():
        yield


class _TwiceDifferentiable(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.hardsigmoid:
            return _hardsigmoid(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    value = F.relu6((input.clone() if inplace else input) + 3) / 6
    return input.copy_(value) if inplace else value


class _Open:
    """Whether gradients with respect to images are still asked for."""

    value = True


class _ImageConvolution(TorchFunctionMode):
    def __init__(self, convolve: Callable[..., Tensor | None]) -> None:
        super().__init__()
        self.convolve = convolve

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d or func is torch.conv2d:
            replaced = self.convolve(*args, **kwargs)
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
    if not _reads_images(input, padding, dilation, groups):
        return None
    return _ImageConv2d.apply(input, weight.detach(), bias, _pair(stride), _pair(padding))  # type: ignore[no-any-return, no-untyped-call]


def _convolve_twice(
    while_open: _Open,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if not (_reads_images(input, padding, dilation, groups) and _is_of_images_alone(input)):
        return None
    return _TwiceConv2d.apply(input, weight, bias, _pair(stride), _pair(padding), while_open)  # type: ignore[no-any-return, no-untyped-call]


def _reads_images(input: Tensor, padding: Any, dilation: Any, groups: int) -> bool:
    return (
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


def _is_of_images_alone(input: Tensor) -> bool:
    """Whether no weight lies between the images and a tensor, so that its gradient is theirs alone.

    A later convolution may have as few channels as an image: that of a squeeze-and-excitation block, for example.
    """
    if torch.compiler.is_compiling():
        return False
    if input.grad_fn is None:
        return not isinstance(input, nn.Parameter)
    leaf, nodes, seen = None, [input.grad_fn], {input.grad_fn}
    while nodes:
        node = nodes.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            if leaf is not None or isinstance(variable, nn.Parameter) or variable.shape[:1] != input.shape[:1]:
                return False
            leaf = variable
        new = {before for before, _ in node.next_functions if before is not None} - seen
        nodes += new
        seen |= new
    return leaf is not None


def _pair(value: Any) -> list[int]:
    """The two numbers, for rows and columns, of what torch accepts: one number, or a sequence of one or two."""
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * 2 if len(numbers) == 1 else numbers


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
        return _image_gradient(grad, input, weight, ctx.stride, ctx.padding), None, None, None, None


class _TwiceConv2d(torch.autograd.Function):
    """A convolution of images whose gradient with respect to them can be differentiated, while that is asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        while_open: _Open,
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.while_open = stride, padding, while_open
        return F.conv2d(input, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias = ctx.needs_input_grad[:3]
        if _of_images_alone.get():
            of_weight = of_bias = False
        gradient = weight_gradient = bias_gradient = None
        if of_input and ctx.while_open.value:
            gradient = _ImageGradient.apply(grad, weight, input.detach(), ctx.stride, ctx.padding)  # type: ignore[no-untyped-call]
        if of_weight:
            weight_gradient = _weight_gradient(grad, input, weight, ctx.stride, ctx.padding)
        if of_bias:
            bias_gradient = grad.sum((0, 2, 3))
        return gradient, weight_gradient, bias_gradient, None, None, None


class _ImageGradient(torch.autograd.Function):
    """The gradient with respect to a convolution's images, linear in the output's gradient and in the weight."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, input: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.stride, ctx.padding = stride, padding
        return _image_gradient(grad, input, weight, stride, padding)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        of_grad, of_weight = ctx.needs_input_grad[:2]
        return (
            F.conv2d(change, weight, None, ctx.stride, ctx.padding) if of_grad else None,
            _weight_gradient(grad, change, weight, ctx.stride, ctx.padding) if of_weight else None,
            None,
            None,
            None,
        )


def _image_gradient(grad: Tensor, input: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    (gradient, _, _) = torch.ops.aten._slow_conv2d_backward.output_mask(
        grad, input, weight, list(weight.shape[2:]), stride, padding, [True, False, False]
    )
    return cast(Tensor, gradient)


def _weight_gradient(grad: Tensor, input: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    (_, gradient, _) = torch.ops.aten.convolution_backward(
        grad, input, weight, None, stride, padding, [1, 1], False, [0, 0], 1, [False, True, False]
    )
    return cast(Tensor, gradient)
