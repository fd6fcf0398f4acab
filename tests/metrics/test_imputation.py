"""Fills of removed pixels: identities and limits, scipy's filter and sparse solver, properties, bad input."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings, strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.metrics import blurred, imputation, linear_imputation


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def holes(n: int, h: int, w: int, share: float, seed: int = 0, smooth: bool = False) -> Tensor:
    """Masks of about ``share`` of the pixels, scattered or in one piece."""
    value = random(n, 1, h, w, seed=seed)
    if smooth:
        down, across = torch.linspace(-1, 1, h), torch.linspace(-1, 1, w)
        value = (down[:, None] ** 2 + across**2 + 0.1 * value) / 2
    return value < torch.quantile(value.flatten(1), share, dim=1).view(n, 1, 1, 1)


NEIGHBOURS = {(i, j): 1 / 6 if i * j == 0 else 1 / 12 for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)}


class TestBlurred:
    def test_a_flat_image_stays_flat_up_to_the_border(self) -> None:
        for side in (1, 2, 5, 28):
            flat = torch.full((2, 3, side, side + 1), 0.3)
            torch.testing.assert_close(blurred(flat), flat)

    def test_limits_of_sigma(self) -> None:
        x = random(2, 3, 7, 9)
        torch.testing.assert_close(blurred(x, sigma=0.01), x)
        torch.testing.assert_close(blurred(x, sigma=1e6), x.mean((2, 3), keepdim=True).expand_as(x))

    def test_a_tenth_of_the_shorter_side(self) -> None:
        x = random(1, 1, 20, 30)
        assert torch.equal(blurred(x), blurred(x, sigma=2.0))

    @pytest.mark.parametrize("sigma", [0.6, 2.0, 5.0])
    def test_scipy(self, sigma: float) -> None:
        x = random(2, 3, 11, 16)
        smooth = lambda a: scipy.ndimage.gaussian_filter(a, (0, 0, sigma, sigma), mode="constant", truncate=40)
        expected = smooth(x.numpy()) / smooth(np.ones(x.shape))
        torch.testing.assert_close(blurred(x, sigma=sigma), torch.from_numpy(expected))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_dtype_and_no_gradient(self, dtype: torch.dtype) -> None:
        x = random(2, 1, 6, 5).to(dtype).requires_grad_()
        kept = x.detach().clone()
        assert blurred(x).dtype == dtype
        assert not blurred(x).requires_grad
        assert torch.equal(x, kept)

    @pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
    def test_bad_sigma(self, sigma: float) -> None:
        with pytest.raises(InputError, match=f"sigma of the blur must be above 0, got {sigma}"):
            blurred(random(1, 1, 4, 4), sigma=sigma)


class TestIdentities:
    def test_nothing_removed(self) -> None:
        x = random(3, 2, 6, 7)
        assert torch.equal(linear_imputation(x, torch.zeros(3, 1, 6, 7, dtype=torch.bool)), x)

    def test_one_pixel_is_the_mean_of_its_neighbours(self) -> None:
        x = random(1, 2, 5, 5)
        removed = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
        removed[..., 2, 2] = removed[..., 0, 4] = True
        filled = linear_imputation(x, removed)
        beside = x[..., 1, 2] + x[..., 3, 2] + x[..., 2, 1] + x[..., 2, 3]
        corner = x[..., 1, 1] + x[..., 1, 3] + x[..., 3, 1] + x[..., 3, 3]
        torch.testing.assert_close(filled[..., 2, 2], beside / 6 + corner / 12)
        # In the image's corner three neighbours are left, and their weights 1/6, 1/6, 1/12 are scaled to sum 1.
        torch.testing.assert_close(filled[..., 0, 4], 0.4 * x[..., 0, 3] + 0.4 * x[..., 1, 4] + 0.2 * x[..., 1, 3])

    def test_a_hole_in_a_ramp_is_the_ramp(self) -> None:
        x = (torch.arange(20.0).double()[:, None] * 0.02 + torch.arange(30.0).double() * 0.01).expand(1, 1, 20, 30)
        removed = torch.zeros(1, 1, 20, 30, dtype=torch.bool)
        removed[..., 3:17, 2:25] = True
        torch.testing.assert_close(linear_imputation(x, removed), x, atol=1e-9, rtol=0)

    @pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4)])
    def test_everything_removed_is_the_mean_of_the_channel(self, size: tuple[int, int]) -> None:
        x = random(2, 3, *size)
        filled = linear_imputation(x, torch.ones(2, 1, *size, dtype=torch.bool))
        torch.testing.assert_close(filled, x.mean((2, 3), keepdim=True).expand_as(x))

    def test_all_but_one_removed_is_that_one(self) -> None:
        x = random(1, 3, 9, 8)
        removed = torch.ones(1, 1, 9, 8, dtype=torch.bool)
        removed[..., 3, 5] = False
        torch.testing.assert_close(linear_imputation(x, removed), x[..., 3:4, 5:6].expand_as(x))

    def test_what_was_removed_is_forgotten(self) -> None:
        x, removed = random(2, 3, 9, 8), holes(2, 9, 8, 0.7)
        other = torch.where(removed, random(2, 3, 9, 8, seed=5), x)
        torch.testing.assert_close(linear_imputation(x, removed), linear_imputation(other, removed), atol=1e-9, rtol=0)


class TestReference:
    """One image at a time, a loop over its removed pixels, and scipy's sparse LU."""

    @staticmethod
    def solve(x: np.ndarray, removed: np.ndarray) -> np.ndarray:
        unknown = {pixel: k for k, pixel in enumerate(zip(*(side.tolist() for side in removed.nonzero()), strict=True))}
        entries: list[tuple[float, int, int]] = []
        right = np.zeros((len(unknown), len(x)))
        for (i, j), row in unknown.items():
            for (down, across), weight in NEIGHBOURS.items():
                there = (i + down, j + across)
                if not (0 <= there[0] < x.shape[1] and 0 <= there[1] < x.shape[2]):
                    continue
                entries.append((weight, row, row))
                if there in unknown:
                    entries.append((-weight, row, unknown[there]))
                else:
                    right[row] += weight * x[:, *there]
        if not unknown:
            return x
        weight, row, column = zip(*entries, strict=True)
        solved = spsolve(coo_matrix((weight, (row, column))).tocsc(), right).reshape(len(unknown), len(x))
        filled = x.copy()
        filled[:, removed] = solved.T
        return filled

    @settings(max_examples=40, deadline=None)
    @given(
        n=st.integers(1, 3), c=st.integers(1, 3), h=st.integers(1, 17), w=st.integers(2, 17),
        share=st.floats(0, 0.95), smooth=st.booleans(), seed=st.integers(0, 1000),
    )  # fmt: skip
    def test_random_holes(self, n: int, c: int, h: int, w: int, share: float, smooth: bool, seed: int) -> None:
        x, removed = random(n, c, h, w, seed=seed), holes(n, h, w, share, seed, smooth)
        filled = linear_imputation(x, removed)
        for i in range(n):
            expected = self.solve(x[i].numpy(), removed[i, 0].numpy())
            torch.testing.assert_close(filled[i], torch.from_numpy(expected), atol=1e-8, rtol=0)

    @pytest.mark.parametrize("smooth", [True, False])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_images(self, smooth: bool, dtype: torch.dtype) -> None:
        x, removed = random(2, 3, 41, 64, dtype=dtype), holes(2, 41, 64, 0.9, smooth=smooth)
        filled = linear_imputation(x, removed)
        assert filled.dtype == dtype
        for i in range(2):
            expected = torch.from_numpy(self.solve(x[i].double().numpy(), removed[i, 0].numpy()))
            atol = 1e-8 if dtype == torch.float64 else 1e-6
            torch.testing.assert_close(filled[i].double(), expected, atol=atol, rtol=0)


class TestProperties:
    @settings(max_examples=25, deadline=None)
    @given(share=st.floats(0, 1), smooth=st.booleans(), seed=st.integers(0, 1000))
    def test_within_the_range_of_what_is_kept(self, share: float, smooth: bool, seed: int) -> None:
        x, removed = random(2, 2, 11, 10, seed=seed), holes(2, 11, 10, share, seed, smooth)
        filled = linear_imputation(x, removed)
        assert torch.equal(filled.masked_fill(removed, 0), x.masked_fill(removed, 0))
        kept_low = x.masked_fill(removed, math.inf).amin((2, 3), keepdim=True)
        kept_high = x.masked_fill(removed, -math.inf).amax((2, 3), keepdim=True)
        assert (filled >= kept_low - 1e-9).all() and (filled <= kept_high + 1e-9).all()

    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5))
    def test_batch_mates_never_matter(self, order: list[int], count: int) -> None:
        x = random(5, 2, 13, 9)
        removed = torch.cat(
            [holes(1, 13, 9, share, smooth=i % 2 == 0) for i, share in enumerate((0, 0.3, 0.6, 0.9, 1))]
        )
        chosen = order[:count]
        some = linear_imputation(x[chosen], removed[chosen])
        torch.testing.assert_close(some, linear_imputation(x, removed)[chosen], atol=1e-13, rtol=0)

    def test_mirrored_and_turned(self) -> None:
        x, removed = random(2, 3, 12, 9), holes(2, 12, 9, 0.8, smooth=True)
        filled = linear_imputation(x, removed)
        for turn in (lambda a: a.flip(2), lambda a: a.flip(3), lambda a: a.mT):
            torch.testing.assert_close(linear_imputation(turn(x), turn(removed)), turn(filled), atol=1e-9, rtol=0)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_dtypes_layout_and_the_callers_tensors(self, dtype: torch.dtype) -> None:
        x = random(2, 3, 8, 8).to(dtype).requires_grad_()
        removed = holes(2, 8, 8, 0.5)
        kept = x.detach().clone(), removed.clone()
        filled = linear_imputation(x, removed)
        assert filled.dtype == dtype
        assert not filled.requires_grad
        assert torch.equal(x, kept[0]) and torch.equal(removed, kept[1])
        last = x.detach().contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(linear_imputation(last, removed), filled)

    def hard(self, side: int) -> list[Tensor]:
        """Holes of all kinds: nearly everything, pieces of many sizes, corridors."""
        full = torch.ones(1, 1, side, side, dtype=torch.bool)
        corners, lattice, wall, serpentine = (full.clone() for _ in range(4))
        corners[..., 0, 0] = corners[..., -1, -1] = False
        lattice[..., ::7, ::7] = False
        wall[..., side // 2] = False
        for turn, row in enumerate(range(0, side, 4)):
            serpentine[..., row, :] = False
            serpentine[..., row, -(turn % 2)] = True
        few = random(1, 1, side, side) < 0.995
        few[..., 0, 0] = False
        blob, noise = holes(1, side, side, 0.9, smooth=True), holes(1, side, side, 0.9)
        checkers = (torch.arange(side)[:, None] + torch.arange(side)).view(1, 1, side, side) % 2 == 0
        return [corners, lattice, wall, serpentine, few, blob, noise, checkers]

    @pytest.mark.parametrize("side", [28, 96])
    def test_iterations(self, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
        # Jacobi's conjugate gradients take 390 for the blob at 96 px.
        monkeypatch.setattr(imputation, "_ITERATIONS", 36)
        for removed in self.hard(side):
            x = random(1, 1, side, side)
            filled = linear_imputation(x, removed)
            weights = imputation._neighbours(torch.ones_like(x))
            off = (imputation._neighbours(filled) / weights - filled)[removed].abs().max()
            assert off < 2e-11

    @pytest.mark.parametrize("size", [(1, 6), (8, 8), (17, 7), (5, 16)])
    def test_coarser_levels_are_galerkins(self, size: tuple[int, int]) -> None:
        # What a coarse graph does to blocks is the sum over each block of what the fine one does to flat blocks.
        h, w = size
        levels = imputation._hierarchy(holes(2, h, w, 0.7).double())
        assert max(levels[-1].leak.shape[2:]) <= 4 < max(levels[-2].leak.shape[2:])
        for fine, coarse in itertools.pairwise(levels):
            value = coarse.there * random(2, 1, *coarse.leak.shape[2:])
            h, w = fine.leak.shape[2:]
            flat = value.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :h, :w] * fine.there
            product = torch.nn.functional.pad(fine.times(flat), (0, w % 2, 0, h % 2))
            summed = 4 * torch.nn.functional.avg_pool2d(product, 2)
            torch.testing.assert_close(coarse.times(value), summed)

    def test_the_last_level_is_solved_at_once(self) -> None:
        level = imputation._hierarchy(holes(2, 16, 12, 0.7).double())[-1]
        value = level.there * random(2, 1, *level.leak.shape[2:])
        solved = imputation._cycle([], imputation._Inverted.of(level), level.times(value))
        torch.testing.assert_close(level.there * solved, value, rtol=1e-4, atol=1e-4)

    def test_no_convergence_is_no_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imputation, "_ITERATIONS", 3)
        with pytest.raises(RuntimeError, match="linear imputation has not converged in 3 iterations"):
            linear_imputation(random(1, 1, 20, 20), holes(1, 20, 20, 0.9))


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"x": random(3, 6, 6)}, r"images must be floating point .*got torch.float64 \(3, 6, 6\)"),
            ({"x": torch.zeros(2, 3, 6, 6, dtype=torch.uint8)}, "images must be floating point.*torch.uint8"),
            ({"x": torch.full((2, 3, 6, 6), math.nan)}, "pixels must be finite, got nan or infinity"),
            (
                {"removed": holes(2, 6, 6, 0.5)[:1]},
                r"removed must be bool \(2, 1, 6, 6\), got torch.bool \(1, 1, 6, 6\)",
            ),
            ({"removed": torch.zeros(2, 1, 6, 6)}, r"removed must be bool \(2, 1, 6, 6\), got torch.float32"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            linear_imputation(**{"x": random(2, 3, 6, 6), "removed": holes(2, 6, 6, 0.5)} | change)
