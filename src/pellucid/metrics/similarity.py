"""Do two maps look alike: structural similarity, rank correlation, and both between clean and noisy images."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.types import Heatmap, Image, Label, PerSample
from pellucid.metrics.families.similarity import MapSimilarity
from pellucid.metrics.inputs import all_finite, wide
from pellucid.metrics.perturbation import Noise, NoisyCopies, Observation
from pellucid.saliency import Channels, heatmap

__all__ = ["map_similarity", "rank_correlation", "rank_correlation_with", "similarity_of", "ssim"]


def ssim(
    one: Heatmap, other: Heatmap, *, window: int = MapSimilarity.window, data_range: float = MapSimilarity.data_range
) -> PerSample:
    r"""Structural similarity of two maps: 1 for equal maps, about 0 for unrelated ones.

    The mean, over all ``window`` x ``window`` squares that lie inside the map, of
    (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a² + m_b² + C1) (s_a² + s_b² + C2)), with the means, sample variances and
    sample covariance of the square, C1 = (.01 data_range)², C2 = (.03 data_range)². This is scikit-image's default.

    Args:
        one: (n, h, w), finite, may be signed.
        other: (n, h, w), likewise.
        window: side of the squares in pixels, odd, at least 3, no larger than the map.
        data_range: largest minus smallest value that a map can have, above 0: much too large a one makes any two
            maps alike.

    Returns:
        (n,) in [-1, 1], the dtype and device of ``one``.

    Raises:
        InputError: wrong or different shapes, NaN or infinity, a window or range that does not fit.

    >>> ssim(torch.eye(8)[None], torch.eye(8)[None])
    tensor([1.])

    Source: Wang et al. 2004, equation 13, with scikit-image's uniform window.
    """
    _check_maps(one, other)
    _check_window(window, data_range, one.shape[1:])
    return _likeness(_pooled(one, window), _pooled(other, window), window, data_range).to(one.dtype)


def rank_correlation(one: Heatmap, other: Heatmap) -> PerSample:
    """Spearman's correlation of the pixels of two maps: 1 for the same order of pixels, -1 for the opposite one.

    Equal pixels share the mean of their ranks, as in scipy. A flat map orders nothing: its correlation, undefined in
    scipy, is 0 here, or 1 where both maps are flat.

    Args:
        one: (n, h, w), finite, may be signed.
        other: (n, h, w), likewise.

    Returns:
        (n,) in [-1, 1], the dtype and device of ``one``.

    Raises:
        InputError: wrong or different shapes, NaN or infinity.

    >>> ramp = torch.arange(6.0).view(1, 2, 3)
    >>> rank_correlation(ramp, ramp**2), rank_correlation(ramp, -ramp)
    (tensor([1.]), tensor([-1.]))

    Source: Spearman 1904; for maps, Ghorbani, Abid and Zou 2019.
    """
    return rank_correlation_with(one)(other)


def rank_correlation_with(one: Heatmap) -> Callable[[Heatmap], PerSample]:
    """`rank_correlation` with one map, whose pixels are ranked once however many others it is compared with.

    >>> ramp = torch.arange(6.0).view(1, 2, 3)
    >>> with_ramp = rank_correlation_with(ramp)
    >>> with_ramp(ramp**2), with_ramp(-ramp)
    (tensor([1.]), tensor([-1.]))
    """
    _check_shapes(one, one)
    _check_map(one)
    ranked = _ranked(one)

    def correlation(other: Heatmap) -> PerSample:
        _check_shapes(one, other)
        _check_map(other)
        return _correlation(ranked, _ranked(other)).to(one.dtype)

    return correlation


def map_similarity(
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    channels: Channels = "mean_abs",
    normalise: bool = MapSimilarity.normalise,
    window: int = MapSimilarity.window,
    data_range: float = MapSimilarity.data_range,
    noise: Noise = MapSimilarity.noise,
    sigma: float = MapSimilarity.sigma,
    between: tuple[float, float] = MapSimilarity.between,
    draws: int = MapSimilarity.draws,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> dict[str, PerSample]:
    """How alike the maps of the clean and the noisy image look: SSIM and rank correlation, means over the draws.

    Over the noisy images that keep the predicted class, the same ones that `relative_stability` sees. Each map is
    divided by its own largest magnitude (an all-zero one is kept), so that ``data_range`` 1 is right; without that,
    gradients far below 1 are alike under any noise. The seed paper has ``normalise=False, window=5, data_range=2``.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained, usually the predicted one.
        saliency: whatever `pellucid.saliency.as_saliency` accepts; one that draws gets the same numbers every time.
        channels: how an attribution becomes a map, see `pellucid.heatmap`.
        normalise: divide each map by its own largest magnitude.
        window: side of SSIM's squares in pixels, odd, at least 3, no larger than the image.
        data_range: range of a map's values that SSIM assumes, above 0.
        noise: ``gaussian`` and ``uniform``, clipped to [0, 1], or ``one-sided``, not clipped.
        sigma: standard deviation of gaussian and uniform noise in pixel units, above 0.
        between: lowest and highest value of one-sided noise.
        draws: number of noisy images; draw i is from ``randomness.of(generator, f"stability/{i}")``.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the noise.

    Returns:
        ``ssim`` and ``rank_correlation``, (n,) in [-1, 1], higher is more stable, NaN only where no draw keeps the
        prediction; ``coverage``, (n,) in [0, 1], the share of draws that keep it. In the dtype of ``x``.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode, with
            non-finite logits or attributions, numbers out of range.

    >>> score = lambda x: torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], dim=1)
    >>> constant_map = lambda model, x, target: torch.ones_like(x)
    >>> map_similarity(score, torch.full((1, 1, 8, 8), 0.5), torch.tensor([0]), constant_map)
    {'ssim': tensor([1.]), 'rank_correlation': tensor([1.]), 'coverage': tensor([1.])}

    Source: Bhusal, Alam and Rastogi 2026 (SSIM); Ghorbani, Abid and Zou 2019 (rank correlation).
    """
    copies = NoisyCopies(model, x, target, saliency, chunk=chunk, generator=generator, keep=False)
    seen = copies.observe(noise=noise, sigma=sigma, between=between, draws=draws)
    return similarity_of(seen, channels=channels, normalise=normalise, window=window, data_range=data_range)


def similarity_of(
    seen: Iterable[Observation],
    *,
    channels: Channels = "mean_abs",
    normalise: bool = MapSimilarity.normalise,
    window: int = MapSimilarity.window,
    data_range: float = MapSimilarity.data_range,
) -> dict[str, PerSample]:
    """`map_similarity` of images that were observed already.

    Args:
        seen: the clean images first, then their noisy copies, with their logits.
        channels: as there, as are all other arguments.
        normalise: divide each map by its own largest magnitude.
        window: side of SSIM's squares.
        data_range: range of a map's values.
    """
    copies = iter(seen)
    clean = next(copies)
    _check_window(window, data_range, clean.image.shape[2:])
    prediction = clean.logits.argmax(dim=1)

    def drawn_map(attribution: Tensor) -> Tensor:
        value = heatmap(attribution, channels=channels)
        peak = value.abs().amax(dim=(1, 2), keepdim=True)
        return value / torch.where(peak == 0, 1, peak) if normalise else value

    reference = drawn_map(clean.attribution)
    ranked, pooled = _ranked(reference), _pooled(reference, window)  # once for all draws
    kept, draws = torch.zeros_like(clean.image[:, 0, 0, 0]), 0
    total = {"ssim": torch.zeros_like(kept), "rank_correlation": torch.zeros_like(kept)}
    for noisy in copies:
        same = noisy.logits.argmax(dim=1) == prediction
        drawn = drawn_map(noisy.attribution)
        likeness = _likeness(pooled, _pooled(drawn, window), window, data_range)
        total["ssim"] += torch.where(same, likeness.to(kept.dtype), 0)
        total["rank_correlation"] += torch.where(same, _correlation(ranked, _ranked(drawn)).to(kept.dtype), 0)
        kept += same
        draws += 1
    # 0 / 0 is NaN just where no draw kept the prediction.
    return {**{name: value / kept for name, value in total.items()}, "coverage": kept / draws}


class _Pooled(NamedTuple):
    """A map, (n, 1, h, w), and the mean, its square and the variance of each of its windows."""

    value: Tensor
    mean: Tensor
    square: Tensor
    variance: Tensor


def _window_mean(value: Tensor, window: int) -> Tensor:
    """The mean of every window, by adding shifted maps: a fifth of the time of pooling, which no CPU vectorises."""
    for side in (2, 3):
        value = _window_sum(value, side, window)
    return value / window**2


def _window_sum(value: Tensor, side: int, window: int) -> Tensor:
    """The sum of ``window`` neighbours along a side, 7 of them by adding sums of 1, 2 and 4."""
    places, start, size, total = value.shape[side] - window + 1, 0, 1, None
    while True:
        if window & size:
            part = value.narrow(side, start, places)
            total = part if total is None else total + part
            start += size
        if 2 * size > window:
            assert total is not None  # as a window is odd
            return total
        further = value.shape[side] - size
        value = value.narrow(side, 0, further) + value.narrow(side, size, further)
        size *= 2


def _pooled(heatmap: Heatmap, window: int) -> _Pooled:
    value = wide(heatmap)[:, None]
    mean, sample = _window_mean(value, window), window**2 / (window**2 - 1)
    square = mean * mean
    return _Pooled(value, mean, square, _window_mean(value * value, window).sub_(square).mul_(sample))


def _likeness(a: _Pooled, b: _Pooled, window: int, data_range: float) -> Tensor:
    c1, c2, sample = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2, window**2 / (window**2 - 1)
    means = a.mean * b.mean
    covariance = _window_mean(a.value * b.value, window).sub_(means).mul_(sample)
    alike = means.mul_(2).add_(c1).mul_(covariance.mul_(2).add_(c2))
    sizes = (a.square + b.square).add_(c1).mul_((a.variance + b.variance).add_(c2))
    return alike.div_(sizes).mean(dim=(1, 2, 3))


class _Ranked(NamedTuple):
    """A map's pixels by rank, (n, pixels) less their mean, and the length of that, (n,)."""

    ranks: Tensor
    length: Tensor


def _ranked(value: Tensor) -> _Ranked:
    flat = value.detach().flatten(1).to(torch.promote_types(value.dtype, torch.float32)).contiguous()
    ranks = _ranks(flat) if flat.device.type == "cpu" else _ranks_on_device(flat)
    return _Ranked(ranks, ranks.norm(dim=1))


def _ranks(flat: Tensor) -> Tensor:
    """Ranks less their mean, (n, pixels) float64: exact in halves, so that a flat map has ranks of exactly 0."""
    pixels = flat.shape[1]
    order, repeats = _ordered(flat.numpy())
    rising = np.tile(np.arange(pixels) - (pixels - 1) / 2, len(flat))
    # Equal pixels share their mean rank: only these are looked at, which are few or lie side by side.
    tied = np.flatnonzero(repeats)
    first, last = tied[np.diff(tied, prepend=-2) > 1] - 1, tied[np.diff(tied, append=repeats.size + 1) > 1]
    size = last - first + 1
    inside = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    rising[np.repeat(first, size) + inside] = np.repeat((rising[first] + rising[last]) / 2, size)
    ranks = torch.from_numpy(rising).view(flat.shape)
    return torch.empty_like(ranks).scatter_(1, torch.from_numpy(order), ranks)


def _ordered(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of the numbers from the least to the largest, and which of these equals the one before it."""
    repeats = np.zeros(flat.shape, dtype=np.bool_)
    if flat.dtype == np.float32:
        # NumPy sorts whole numbers faster than it finds the order of fractions. The bits of a fraction rise with it,
        # once those of a negative one are turned round; its place follows in the same number.
        bits = (flat + np.float32(0)).view(np.int32)  # 0 for -0
        bits ^= (bits >> 31) & 0x7FFFFFFF
        keys = bits.astype(np.int64)
        keys <<= 32
        keys |= np.arange(flat.shape[1])
        keys.sort(axis=1)
        values = keys >> 32
        keys &= 0xFFFFFFFF
    else:
        keys = np.argsort(flat, axis=1)
        values = np.take_along_axis(flat, keys, axis=1)
    np.equal(values[:, 1:], values[:, :-1], out=repeats[:, 1:])
    return keys, repeats


def _ranks_on_device(flat: Tensor) -> Tensor:
    """`_ranks` without waiting for an answer from a GPU."""
    pixels = flat.shape[1]
    order = flat.argsort(dim=1)
    rising = flat.gather(1, order)
    place = torch.arange(pixels, device=flat.device).expand_as(order)
    starts = torch.ones_like(order, dtype=torch.bool)
    starts[:, 1:] = rising[:, 1:] > rising[:, :-1]
    ends = torch.ones_like(starts)
    ends[:, :-1] = starts[:, 1:]
    first = torch.where(starts, place, 0).cummax(dim=1).values
    last = torch.where(ends, place, pixels).flip(1).cummin(dim=1).values.flip(1)
    mean = wide(first + last - (pixels - 1)) / 2
    return torch.empty_like(mean).scatter_(1, order, mean)


def _correlation(one: _Ranked, other: _Ranked) -> Tensor:
    size = one.length * other.length
    both_flat = (one.length == 0) & (other.length == 0)
    value = torch.linalg.vecdot(one.ranks, other.ranks) / torch.where(size == 0, 1, size)
    return torch.where(both_flat, 1, value.clamp(-1, 1))


def _check_maps(one: Tensor, other: Tensor) -> None:
    _check_shapes(one, other)
    for value in (one, other):
        _check_map(value)


def _check_shapes(one: Tensor, other: Tensor) -> None:
    if one.ndim != 3 or one.numel() == 0 or one.shape != other.shape:
        raise InputError(f"maps must be two equal (n, h, w), got shapes {tuple(one.shape)} and {tuple(other.shape)}")


def _check_map(value: Tensor) -> None:
    if not value.is_floating_point():
        raise InputError(f"maps must be floating point, got {value.dtype}")
    if not all_finite(value):
        raise InputError(f"maps must be finite, got {value[~torch.isfinite(value)][0]:g}")


def _check_window(window: int, data_range: float, size: torch.Size) -> None:
    if window < 3 or window % 2 == 0 or window > min(size):
        h, w = size
        raise InputError(f"window must be odd, from 3 to the map's smaller side, got {window} for {h} x {w} pixels")
    if not 0 < data_range < float("inf"):
        raise InputError(f"data_range must be above 0, got {data_range}")
