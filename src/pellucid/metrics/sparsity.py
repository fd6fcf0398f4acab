"""How concentrated a map is: measures of the map alone.

An all-zero map points nowhere in particular, so every measure treats it as a flat map. Maps of a wrong shape or dtype,
with a negative value, NaN or infinity are refused by each as by `gini`.
"""

import io
import math
from typing import Any

import torch
from PIL import Image as PillowImage
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.types import Heatmap, PerSample
from pellucid.metrics.families.sparsity import EffectiveComplexity
from pellucid.metrics.inputs import check_heatmap
from pellucid.saliency import sorted_rows

__all__ = ["compressed_size", "effective_complexity", "entropy", "gini", "hoyer", "pixel_entropy", "png_size"]


def gini(heatmap: Heatmap) -> PerSample:
    r"""Gini index: 0 when all pixels weigh the same, 1 - 1/(h w) when one pixel holds everything.

    With the n = h w values sorted ascending, i = 1..n:  G = sum_i (2i - n - 1) v_i / (n sum_i v_i).
    Unchanged by scaling; half-normal noise has sqrt(2) - 1 = .414.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero included, has 0.

    Returns:
        (n,) in [0, 1), the map's dtype and device; higher is sparser.

    Raises:
        InputError: wrong shape or dtype, a negative value, NaN or infinity.

    >>> gini(torch.tensor([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    tensor([0.7500, 0.0000])

    Source: Hurley and Rickard, "Comparing measures of sparsity", 2009.
    """
    check_heatmap(heatmap)
    value = sorted_rows(_peak_normalised(heatmap).flatten(1))
    n = value.shape[1]
    weight = torch.arange(1 - n, n, 2, device=value.device, dtype=value.dtype) / n
    # Paired from both ends every term is non-negative, so nothing cancels and a flat map is exactly 0.
    paired = (weight * (value - value.flip(1))).sum(dim=1) / 2
    return (paired / value.sum(dim=1)).to(heatmap.dtype)


def hoyer(heatmap: Heatmap) -> PerSample:
    r"""Hoyer's measure: 0 when all pixels weigh the same, 1 when one pixel holds everything.

    With the n = h w values v:  (sqrt(n) - ||v||_1 / ||v||_2) / (sqrt(n) - 1). Unchanged by scaling; half-normal noise
    has about 1 - sqrt(2 / pi) = .202 when n is large.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero and one-pixel ones included, has 0.

    Returns:
        (n,) in [0, 1], the map's dtype and device; higher is sparser.

    >>> hoyer(torch.tensor([[[0.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    tensor([1., 0.])

    Source: Hoyer 2004, "Non-negative matrix factorization with sparseness constraints", section 3.1.
    """
    check_heatmap(heatmap)
    value = _peak_normalised(heatmap).flatten(1)
    n = value.shape[1]
    if n == 1:
        return torch.zeros_like(heatmap[:, 0, 0])
    mean, square = value.mean(dim=1, keepdim=True), value.square().mean(dim=1)
    # 1 - r for r = ||v||_1 / (sqrt(n) ||v||_2), by way of 1 - r² = variance / mean square: exactly 0 for a flat map.
    short = (value - mean).square().mean(dim=1) / square / (1 + mean[:, 0] / square.sqrt())
    return (short * math.sqrt(n) / (math.sqrt(n) - 1)).clamp(max=1).to(heatmap.dtype)


def effective_complexity(heatmap: Heatmap, *, threshold: float = EffectiveComplexity.threshold) -> PerSample:
    """Number of pixels above ``threshold`` times the map's own maximum: how many one must look at.

    Each map is divided by its own maximum, so batch mates never matter (in Quantus they do, which divides by the
    batch's). Quantus's threshold is 1e-5, at which almost every pixel of a gradient counts.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero included, has h w.
        threshold: share of the maximum, in [0, 1).

    Returns:
        (n,) whole numbers from 1 to h w, in the map's dtype (so rounded in half precision) and on its device; lower
        is sparser.

    Raises:
        InputError: as `gini`, or a threshold out of range.

    >>> effective_complexity(torch.tensor([[[0.0, 0.05], [0.5, 1.0]]]))
    tensor([2.])

    Source: Nguyen and Martínez 2020, "On quantitative aspects of model interpretability", in Quantus's form: pixels
    below the threshold stand for those whose removal would not change the prediction.
    """
    check_heatmap(heatmap)
    if not 0 <= threshold < 1:
        raise InputError(f"threshold must be in [0, 1), got {threshold}")
    return (_peak_normalised(heatmap) > threshold).flatten(1).sum(dim=1).to(heatmap.dtype)


def entropy(heatmap: Heatmap) -> PerSample:
    """Entropy of the map's grey levels in bits: 0 for one level, 8 when all 256 are equally frequent.

    The map is divided by its own maximum and rounded to 0..255 (halves to even); with p_g the share of pixels of
    level g, the value is -sum_g p_g log2 p_g. It sees how many grey levels are in use, not where they lie.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero included, has 0.

    Returns:
        (n,) in [0, 8] bits, the map's dtype and device; lower is sparser.

    >>> entropy(torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]))
    tensor([1.])

    Source: the entropy column of SCAAT's table 1 (Xu et al. 2023), as its numbers imply.
    """
    check_heatmap(heatmap)
    level = _grey(heatmap).flatten(1).long()
    count = torch.zeros(len(level), 256, dtype=torch.float64 if heatmap.dtype == torch.float64 else torch.float32)
    count = count.to(level.device).scatter_add_(1, level, torch.ones_like(level, dtype=count.dtype))
    bits: Tensor = torch.special.entr(count / level.shape[1]).sum(dim=1) / math.log(2)
    return bits.to(heatmap.dtype)


def pixel_entropy(heatmap: Heatmap) -> PerSample:
    """Entropy in bits of the map as a distribution over pixels: 0 for one pixel, log2(h w) for a flat map.

    With p = heatmap / sum(heatmap):  -sum p log2 p. Unchanged by scaling and by moving pixels about.

    Args:
        heatmap: (n, h, w), non-negative, finite; an all-zero map has log2(h w), as any flat one.

    Returns:
        (n,) in [0, log2(h w)] bits, the map's dtype and device; lower is sparser.

    >>> pixel_entropy(torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 3.0]]]))
    tensor([2., 0.])
    """
    check_heatmap(heatmap)
    value = _peak_normalised(heatmap).flatten(1)
    share = value / value.sum(dim=1, keepdim=True)
    bits: Tensor = torch.special.entr(share).sum(dim=1) / math.log(2)
    return bits.to(heatmap.dtype)


def compressed_size(heatmap: Heatmap) -> PerSample:
    """Size of the map as a JPEG, in KiB beyond that of a flat image: what it takes to describe the map.

    The map is divided by its own maximum, rounded to 0..255 and written by Pillow as a one-channel baseline JPEG at
    native size: quality 75, standard Huffman tables, no metadata. The bytes of a flat (white) image of the same size,
    about 340 at 28 px, are subtracted. Compare only maps of equal size.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero included, has 0.

    Returns:
        (n,) KiB (1024 bytes), the map's dtype and device; lower is simpler.

    >>> compressed_size(torch.zeros(1, 28, 28))
    tensor([0.])

    Source: the size column of SCAAT's table 1 (Xu et al. 2023); codec and quality as its numbers imply.
    """
    check_heatmap(heatmap)
    level = _grey(heatmap)
    flat = torch.full_like(level[0], 255)
    return _extra_kib(level, flat, "JPEG", quality=75, optimize=False, progressive=False).to(heatmap)


def png_size(heatmap: Heatmap) -> PerSample:
    """Size of the map as a PNG, in KiB beyond that of a flat image: `compressed_size` without the JPEG's losses.

    The map is divided by its own maximum, rounded to 0..255, shifted so that its darkest level is 0 and written by
    Pillow as an 8-bit grey PNG at native size, with the highest compression and no metadata. The bytes of a flat
    (black) image of the same size are subtracted: a white one takes more than a black one with a dot. Compare only
    maps of equal size; another zlib may give a few bytes more or less.

    Args:
        heatmap: (n, h, w), non-negative, finite; a flat map, all-zero included, has 0.

    Returns:
        (n,) KiB (1024 bytes), the map's dtype and device; lower is simpler.

    >>> png_size(torch.zeros(1, 28, 28))
    tensor([0.])
    """
    check_heatmap(heatmap)
    level = _grey(heatmap)
    level = level - level.amin(dim=(1, 2), keepdim=True)
    return _extra_kib(level, torch.zeros_like(level[0]), "PNG", optimize=False, compress_level=9).to(heatmap)


def _peak_normalised(heatmap: Tensor) -> Tensor:
    """Divide each map by its maximum, at least in float32; an all-zero map becomes all ones."""
    value = heatmap.to(torch.promote_types(heatmap.dtype, torch.float32))
    peak = value.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, value / peak, torch.ones_like(value))


def _grey(heatmap: Tensor) -> Tensor:
    return (_peak_normalised(heatmap.detach()) * 255).round().to(torch.uint8)


def _extra_kib(level: Tensor, flat: Tensor, codec: str, **options: Any) -> Tensor:
    least = _written_bytes(flat.cpu(), codec, options)
    extra = [(_written_bytes(image, codec, options) - least) / 1024 for image in level.cpu()]
    return torch.tensor(extra, dtype=torch.float64)


def _written_bytes(level: Tensor, codec: str, options: dict[str, Any]) -> int:
    written = io.BytesIO()
    PillowImage.fromarray(level.numpy()).save(written, codec, **options)
    return written.tell()
