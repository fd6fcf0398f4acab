"""What every metric accepts; a mistake is one sentence before anything is computed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError, NotFinite
from pellucid.core.outputs import answer, check_logits
from pellucid.core.pixels import check_pixels
from pellucid.core.types import Image, Label, Logits

__all__ = [
    "all_finite",
    "check_batch",
    "check_classes",
    "check_heatmap",
    "check_images",
    "check_model",
    "clean_logits",
    "predicted_logits",
    "wide",
]


def check_heatmap(heatmap: Tensor) -> None:
    """Raise unless ``heatmap`` is (n, h, w), floating, finite and non-negative, with at least one image and pixel."""
    if heatmap.ndim != 3 or heatmap.numel() == 0:
        raise InputError(f"heatmap must be (n, h, w) with n, h, w >= 1, got shape {tuple(heatmap.shape)}")
    if not heatmap.is_floating_point():
        raise InputError(f"heatmap must be floating point, got {heatmap.dtype}")
    low, high = heatmap.detach().aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise NotFinite(f"heatmap must be finite, got values from {low:g} to {high:g}")
    if low < 0:
        raise InputError(f"heatmap must be non-negative, got {low:g}; pellucid.heatmap(attribution) makes one")


def wide(value: Tensor) -> Tensor:
    """The tensor in float64, where differences cancel; in float32 on Apple's GPUs, which have no float64."""
    return value.to(torch.float32 if value.device.type == "mps" else torch.float64)


def all_finite(value: Tensor) -> bool:
    """Whether no number is NaN or infinite: their sum tells, in a tenth of the time of a look at each.

    >>> all_finite(torch.tensor([3e38, 3e38])), all_finite(torch.tensor([1.0, float("nan")]))
    (True, False)
    """
    return bool(torch.isfinite(value.sum())) or bool(torch.isfinite(value).all())


def check_images(x: Tensor) -> None:
    """Raise unless ``x`` is floating (n, c, h, w) with at least one pixel."""
    if x.ndim != 4 or x.numel() == 0 or not x.is_floating_point():
        raise InputError(
            f"images must be floating point (n, c, h, w) with at least one pixel, got {x.dtype} {tuple(x.shape)}"
        )


def check_batch(x: Tensor, target: Tensor) -> None:
    """Raise unless ``x`` is (n, c, h, w) with pixels in [0, 1] and ``target`` holds n class numbers."""
    check_pixels(x)
    if target.ndim == 2 and len(target) == len(x):
        raise InputError(
            f"classes must be {len(x)} whole numbers, one per image, got {target.dtype} {tuple(target.shape)}; if an "
            "image has several labels, take one at a time, with the network pellucid.models.OneLabel(model, l) and "
            "label[:, l].long()"
        )
    if target.shape != x.shape[:1] or target.is_floating_point() or target.dtype == torch.bool:
        raise InputError(
            f"classes must be {len(x)} whole numbers, one per image, got {target.dtype} {tuple(target.shape)}"
        )


def check_classes(target: Tensor, logits: Tensor) -> None:
    """Raise unless ``logits`` is a finite (n, k) and every target is one of its k classes, of which there are 2."""
    check_logits(logits)
    if logits.ndim != 2 or len(logits) != len(target):
        raise InputError(f"the network must return logits ({len(target)}, classes), got shape {tuple(logits.shape)}")
    if not all_finite(logits):
        raise NotFinite(f"the network's logits must be finite, got {logits[~torch.isfinite(logits)][0]:g}")
    low, high = target.aminmax()
    if low < 0 or high >= logits.shape[1]:
        raise InputError(f"classes must be in [0, {logits.shape[1] - 1}], got values from {low} to {high}")


def check_model(model: Callable[[Tensor], Tensor]) -> None:
    """Raise if any layer is in training mode, where batch mates and dropout would change the numbers."""
    if isinstance(model, nn.Module):
        training = next((name or type(model).__name__ for name, m in model.named_modules() if m.training), None)
        if training is not None:
            raise InputError(f"the network must be in eval mode, got {training!r} in training mode; call model.eval()")


def predicted_logits(model: Callable[[Tensor], Tensor], x: Image, label: Label) -> Logits:
    """(n, classes) logits without gradients, checked by `check_classes`."""
    with torch.no_grad():
        logits = answer(model, x)
    check_classes(label, logits)
    return logits


def clean_logits(model: Callable[[Tensor], Tensor], x: Image, label: Label, chunk: int) -> Logits:
    """`predicted_logits` of ``chunk`` images at a time."""
    parts = zip(torch.split(x, chunk), torch.split(label, chunk), strict=True)
    return torch.cat([predicted_logits(model, *part) for part in parts])
