"""What a removed pixel shows: the blurred image, or the weighted mean of its neighbours (linear imputation)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.types import Image, Mask
from pellucid.metrics.inputs import check_images, wide

__all__ = ["blurred", "linear_imputation"]

NOISE = 0.01
"""Standard deviation of the noise on linearly imputed pixels, in pixel units; ROAD's default."""

_WEIGHT = {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12, (1, -1): 1 / 12}
"""Rong et al.'s weight of a neighbour at (rows down, columns right), and of the one opposite."""

_ITERATIONS = 100


def blurred(x: Image, *, sigma: float | None = None) -> Image:
    """Each image under a Gaussian as wide as the image, its weights scaled to sum 1 at every pixel.

    So a flat image stays as it is up to its border, at any size. By default the deviation is a tenth of the shorter
    side: 2.8 pixels at 28 px, 22.4 at 224 px, where shapes are gone and only colours and their places remain.

    Args:
        x: (n, c, h, w) images.
        sigma: standard deviation in pixels, above 0; a tenth of the shorter side by default.

    Returns:
        (n, c, h, w) between the least and the largest pixel of each channel, in the dtype of ``x``.

    Raises:
        InputError: wrong shape, ``sigma`` out of range.

    >>> x = torch.tensor([[[[0.0, 0.0, 1.0, 0.0, 0.0]]]])
    >>> blurred(x, sigma=0.8).round(decimals=2)
    tensor([[[[0.0300, 0.2300, 0.5000, 0.2300, 0.0300]]]])
    """
    check_images(x)
    sigma = min(x.shape[2:]) / 10 if sigma is None else sigma
    if not 0 < sigma < float("inf"):
        raise InputError(f"sigma of the blur must be above 0, got {sigma}")
    down, across = (_gaussian(side, sigma).to(x) for side in x.shape[2:])
    return (down @ x.detach() @ across.mT).contiguous()


def linear_imputation(x: Image, removed: Mask) -> Image:
    """Each removed pixel becomes the weighted mean of its up to eight neighbours, removed ones included.

    v_i = sum_j w_ij v_j / sum_j w_ij over the neighbours j inside the image, with w = 1/6 beside, above and below and
    1/12 across a corner: one sparse linear system per image. ROAD's noise is not added here. Where nothing is left
    the system has no single solution, and every pixel becomes its channel's mean.

    The systems of all images are solved together on the device, by conjugate gradients with a multigrid
    preconditioner in single precision: 2 × 2 pixels are one of the next coarser level, down to 4 × 4 pixels, whose
    systems are inverted. They end once every pixel is the mean of its neighbours to 1e-11, or to 1e-9 where the images
    are not float64. That takes up to 36 iterations from 28 to 224 px for holes of all kinds; 100 is the bound. An
    image's solution does not change after its own convergence, so its batch mates do not matter.

    Args:
        x: (n, c, h, w) images, finite.
        removed: (n, 1, h, w), True where a pixel is replaced.

    Returns:
        (n, c, h, w) in the dtype of ``x``, within the range of the pixels kept in each channel, and equal to ``x``
        where nothing is removed. The work holds about 12 float64 numbers for each of ``x``.

    Raises:
        InputError: wrong shapes or dtypes, pixels that are not finite.
        RuntimeError: no solution after 100 iterations, which no image is known to need.

    >>> x = torch.tensor([[[[0.1, 0.9, 0.9, 0.4]]]])
    >>> linear_imputation(x, torch.tensor([[[[False, True, True, False]]]]))
    tensor([[[[0.1000, 0.2000, 0.3000, 0.4000]]]])

    Source: Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods" (ROAD),
    section 4; the weight of a neighbour outside the image is left out, as in the authors' code.
    """
    check_images(x)
    if removed.shape != (len(x), 1, *x.shape[2:]) or removed.dtype != torch.bool:
        raise InputError(
            f"removed must be bool {(len(x), 1, *x.shape[2:])}, got {removed.dtype} {tuple(removed.shape)}"
        )
    if not torch.isfinite(x.detach()).all():
        raise InputError("pixels must be finite, got nan or infinity")
    with torch.no_grad():
        # Far below the last digit of pixels in single precision, 6e-8.
        tolerance = 1e-11 if x.dtype == torch.float64 else 1e-9
        solved = _solve(wide(x.detach()), wide(removed), tolerance)
    return torch.where(removed, solved.to(x.dtype), x.detach())


def _gaussian(side: int, sigma: float) -> Tensor:
    """The matrix that blurs a row of ``side`` pixels."""
    position = torch.arange(side, dtype=torch.float64)
    return (-((position[:, None] - position) ** 2) / (2 * sigma**2)).softmax(dim=1)


def _solve(x: Tensor, removed: Tensor, tolerance: float) -> Tensor:
    """Preconditioned conjugate gradients; every image has its own step lengths, shared by its channels."""
    kept, share = x * (1 - removed), (1 - removed).mean(dim=(2, 3), keepdim=True)
    mean = torch.where(share > 0, kept.mean(dim=(2, 3), keepdim=True) / share, x.mean(dim=(2, 3), keepdim=True))
    graph, levels = _finest(removed), _hierarchy(removed.float())
    last = _Inverted.of(levels.pop())
    tolerance = tolerance if x.dtype == torch.float64 else 1e-6  # where a device has single precision alone

    value = removed * mean
    residual = removed * _neighbours(kept) - graph.times(value)
    search, before = torch.zeros_like(value), torch.ones_like(share)
    for _ in range(_ITERATIONS):
        low, high = torch.aminmax((graph.inverse * residual).flatten(1), dim=1, keepdim=True)
        open_ = torch.maximum(-low, high)[:, :, None, None] > tolerance
        if not open_.any():
            return value
        correction = _cycle(levels, last, residual.float()).to(x.dtype)
        now = _dot(residual, correction)
        search = torch.addcmul(correction, _ratio(now, before), search)
        image = graph.times(search)
        length = open_ * _ratio(now, _dot(search, image))
        value.addcmul_(length, search)
        residual.addcmul_(length, image, value=-1)
        before = now
    raise RuntimeError(f"linear imputation has not converged in {_ITERATIONS} iterations; please report the image")


@dataclass(frozen=True)
class _Level:
    """A weighted graph on a grid: ``edges`` of each direction by their upper or left end, and its Laplacian."""

    edges: dict[tuple[int, int], Tensor]
    leak: Tensor  # what joins a removed pixel to kept ones
    diagonal: Tensor
    inverse: Tensor  # of the diagonal; 0 where nothing is removed

    @classmethod
    def of(cls, edges: dict[tuple[int, int], Tensor], leak: Tensor) -> Self:
        diagonal = leak.clone()
        for direction, weight in edges.items():
            diagonal += weight
            tail, _ = _ends(weight, direction)
            _, head = _ends(diagonal, direction)
            head += tail
        inverse = torch.where(diagonal > 0, 1 / torch.where(diagonal > 0, diagonal, 1), 0)
        return cls(edges, leak, diagonal, inverse)

    @cached_property
    def there(self) -> Tensor:
        """1 where a pixel is removed, 0 elsewhere."""
        return (self.diagonal > 0).to(self.diagonal.dtype)

    @cached_property
    def _joined(self) -> dict[tuple[int, int], Tensor]:
        return {direction: _ends(weight, direction)[0] for direction, weight in self.edges.items()}

    def times(self, value: Tensor) -> Tensor:
        """The Laplacian times ``value``."""
        product = self.diagonal * value
        for direction, joined in self._joined.items():
            tail, head = _ends(value, direction)
            to_tail, to_head = _ends(product, direction)
            to_tail.addcmul_(joined, head, value=-1)
            to_head.addcmul_(joined, tail, value=-1)
        return product


class _Finest(_Level):
    """The system itself: twelve times its weights are 1 2 1 down times 1 2 1 across, without the middle."""

    @cached_property
    def _own(self) -> tuple[Tensor, Tensor]:
        return self.diagonal + self.there / 3, self.there / 12

    def times(self, value: Tensor) -> Tensor:
        """The Laplacian times a ``value`` that is 0 where nothing is removed: four sums, where edges take eight."""
        own, twelfth = self._own
        around = F.pad(value, (1, 1, 1, 1))
        for side in (2, 2, 3, 3):
            places = around.shape[side] - 1
            around = around.narrow(side, 0, places) + around.narrow(side, 1, places)
        return (own * value).addcmul_(twelfth, around, value=-1)


@dataclass(frozen=True)
class _Inverted:
    """A level of few pixels, solved at once: (n, pixels, pixels)."""

    inverse: Tensor

    @classmethod
    def of(cls, level: _Level) -> Self:
        h, w = level.leak.shape[2:]
        unit = torch.eye(h * w, dtype=level.leak.dtype, device=level.leak.device).view(1, h * w, h, w)
        diagonal = level.diagonal.flatten(1)
        # Where nothing is kept the system is singular, and what is added is all that there is to invert.
        added = torch.where(diagonal > 0, 1e-6 * diagonal, 1)
        return cls(
            torch.linalg.inv_ex(level.times(unit.expand(len(diagonal), -1, -1, -1)).flatten(2) + added.diag_embed())[0]
        )


def _hierarchy(removed: Tensor) -> list[_Level]:
    """The system and its Galerkin coarsenings down to 4 × 4 pixels or fewer."""
    levels: list[_Level] = [_finest(removed)]
    while max(levels[-1].leak.shape[2:]) > 4:
        levels.append(_coarser(levels[-1]))
    return levels


def _finest(removed: Tensor) -> _Finest:
    """The system itself."""
    edges = {direction: torch.zeros_like(removed) for direction in _WEIGHT}
    for direction, weight in _WEIGHT.items():
        (tail, head), (joined, _) = _ends(removed, direction), _ends(edges[direction], direction)
        joined += weight * tail * head
    return _Finest.of(edges, removed * _neighbours(1 - removed))


def _coarser(level: _Level) -> _Level:
    """The graph of the 2 × 2 blocks: edges inside a block vanish, parallel ones between two blocks add up."""
    leak = _summed(level.leak)
    edges = {direction: torch.zeros_like(leak) for direction in _WEIGHT}
    for (down, across), weight in level.edges.items():
        part = _blocks(weight)
        for row in (0, 1):
            for column in (0, 1):
                there = ((row + down) // 2, (column + across) // 2)
                tails = part[:, :, :, row, :, column]
                if there in edges:
                    edges[there] += tails
                elif there == (0, -1):  # leads to the left: an edge to the right of the block at its head
                    edges[0, 1][..., :-1] += tails[..., 1:]
    return _Level.of(edges, leak)


def _cycle(levels: list[_Level], last: _Inverted, residual: Tensor) -> Tensor:
    """A symmetric V-cycle, one damped Jacobi step before and after.

    Damping below 1 keeps it positive definite, as the graph's eigenvalues are at most 2. Piecewise constant
    corrections are too short, hence the factor 1.8, which halves the iterations at 224 px.
    """
    if not levels:
        return (residual.flatten(2) @ last.inverse).view_as(residual)
    level = levels[0]
    damped = 0.8 * level.inverse
    value = damped * residual
    rest = _summed(residual - level.times(value))
    coarse = _cycle(levels[1:], last, rest)
    h, w = coarse.shape[2:]
    doubled = coarse[:, :, :, None, :, None].expand(-1, -1, h, 2, w, 2).reshape(*coarse.shape[:2], 2 * h, 2 * w)
    value.addcmul_(level.there, doubled[:, :, : value.shape[2], : value.shape[3]], value=1.8)
    return value.addcmul_(damped, residual - level.times(value))


def _neighbours(value: Tensor) -> Tensor:
    """Weighted sum of each pixel's neighbours inside the image."""
    total = torch.zeros_like(value)
    for direction, weight in _WEIGHT.items():
        (tail, head), (to_tail, to_head) = _ends(value, direction), _ends(total, direction)
        to_tail.add_(head, alpha=weight)
        to_head.add_(tail, alpha=weight)
    return total


def _ends(value: Tensor, direction: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Views of all pixels with a neighbour in that direction, and of those neighbours."""
    (down, across), (h, w) = direction, value.shape[2:]
    tail = value[:, :, : h - down, max(-across, 0) : w - max(across, 0)]
    head = value[:, :, down:, max(across, 0) : w - max(-across, 0)]
    return tail, head


def _blocks(value: Tensor) -> Tensor:
    """(n, c, h/2, 2, w/2, 2), with zeros where a side is odd."""
    h, w = value.shape[2:]
    return F.pad(value, (0, w % 2, 0, h % 2)).reshape(*value.shape[:2], (h + 1) // 2, 2, (w + 1) // 2, 2)


def _summed(value: Tensor) -> Tensor:
    """The sum of each 2 × 2 block, (n, c, h/2, w/2), which are cut where a side is odd."""
    return F.avg_pool2d(value, 2, ceil_mode=True, divisor_override=1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a.flatten(1)[:, None], b.flatten(1)[:, :, None])[..., None]


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b > 0, a / torch.where(b > 0, b, 1), 0)
