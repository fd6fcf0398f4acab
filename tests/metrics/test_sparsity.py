"""Sparsity of maps: identities and limits, an independent numpy reference, properties, bad input."""

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.measure import shannon_entropy
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.metrics.sparsity import (
    compressed_size,
    effective_complexity,
    entropy,
    gini,
    hoyer,
    pixel_entropy,
    png_size,
)

MEASURES = [gini, hoyer, effective_complexity, entropy, pixel_entropy, compressed_size, png_size]

maps = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(0, 1e6, allow_subnormal=False),
).map(torch.from_numpy)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(side: int) -> Tensor:
    heatmap = torch.zeros(1, side, side)
    heatmap[0, side // 2, side // 3] = 0.7
    return heatmap


class TestIdentities:
    @pytest.mark.parametrize("value", [0.0, 1e-30, 0.3, 1.0, 1e30])
    @pytest.mark.parametrize("side", [1, 7, 28, 224])
    def test_flat(self, value: float, side: int) -> None:
        heatmap = torch.full((2, side, side), value)
        assert gini(heatmap).tolist() == [0, 0]
        assert entropy(heatmap).tolist() == [0, 0]
        assert compressed_size(heatmap).tolist() == [0, 0]
        assert png_size(heatmap).tolist() == [0, 0]
        assert hoyer(heatmap).tolist() == [0, 0]
        assert effective_complexity(heatmap).tolist() == [side * side] * 2
        torch.testing.assert_close(pixel_entropy(heatmap), torch.full((2,), 2 * math.log2(side)))

    @pytest.mark.parametrize("side", [2, 28, 96])
    def test_one_hot(self, side: int) -> None:
        n = side * side
        share = 1 / n
        two_levels = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
        torch.testing.assert_close(gini(one_hot(side)), torch.tensor([1 - share]))
        torch.testing.assert_close(entropy(one_hot(side)), torch.tensor([two_levels]))
        assert pixel_entropy(one_hot(side)).item() == 0
        assert compressed_size(one_hot(side)).item() > 0
        assert png_size(one_hot(side)).item() >= (0 if side == 2 else 1 / 1024)
        torch.testing.assert_close(hoyer(one_hot(side)), torch.ones(1))
        assert effective_complexity(one_hot(side)).item() == 1

    def test_gini_of_distributions(self) -> None:
        normal = noise(1, 700, 700).abs()
        torch.testing.assert_close(gini(normal).item(), math.sqrt(2) - 1, atol=2e-3, rtol=0)
        exponential = -torch.rand(1, 700, 700, generator=torch.Generator().manual_seed(1)).clamp(min=1e-9).log()
        torch.testing.assert_close(gini(exponential).item(), 0.5, atol=2e-3, rtol=0)
        ramp = torch.arange(1, 10001, dtype=torch.float64).view(1, 100, 100)
        torch.testing.assert_close(gini(ramp).item(), 1 / 3 - 1 / (3 * 10000), atol=1e-9, rtol=0)

    def test_hoyer_of_distributions(self) -> None:
        torch.testing.assert_close(
            hoyer(noise(1, 700, 700).abs()).item(), 1 - math.sqrt(2 / math.pi), atol=2e-3, rtol=0
        )
        # k equal pixels of n: (sqrt(n) - sqrt(k)) / (sqrt(n) - 1).
        heatmap = torch.zeros(1, 4, 4, dtype=torch.float64)
        heatmap[:, 1] = 7
        assert hoyer(heatmap).item() == pytest.approx(2 / 3)

    def test_effective_complexity_counts_strictly_above(self) -> None:
        heatmap = torch.tensor([[[0.0, 0.5], [1.0, 2.0]]])
        counts = [effective_complexity(heatmap, threshold=t).item() for t in (0.0, 0.2, 0.25, 0.5, 0.99)]
        assert counts == [3, 3, 2, 1, 1]

    def test_effective_complexity_where_quantus_sees_the_batch(self) -> None:
        # peers.md 3: quantus 0.6.0 gives [997, 0, 0, 0] for such a batch, as it divides by the batch's maximum.
        scale = torch.tensor([1.0, 1e-7, 1e-8, 1e-9]).view(4, 1, 1)
        heatmap = torch.rand(4, 32, 32, generator=torch.Generator().manual_seed(0)) * scale
        together = effective_complexity(heatmap, threshold=1e-5)
        assert (together > 1000).all()
        assert effective_complexity(heatmap[1:], threshold=1e-5).tolist() == together[1:].tolist()

    def test_png_has_no_losses(self) -> None:
        # Two grey levels in columns take few bytes in a PNG, many in a JPEG.
        heatmap = (torch.arange(64) % 2).float().expand(1, 64, 64)
        assert png_size(heatmap).item() < 0.1
        assert compressed_size(heatmap).item() > 0.1
        random = noise(1, 64, 64).abs()
        assert png_size(random).item() > 0.8 * entropy(random).item() * 64 * 64 / 8 / 1024

    def test_half_the_pixels_equal(self) -> None:
        heatmap = torch.zeros(1, 4, 4)
        heatmap[:, :2] = 3
        assert gini(heatmap).item() == 0.5
        assert entropy(heatmap).item() == 1
        assert pixel_entropy(heatmap).item() == pytest.approx(3)

    def test_entropy_of_the_uniform_ramp_is_8_bits(self) -> None:
        ramp = torch.arange(256, dtype=torch.float32).view(1, 16, 16)
        assert entropy(ramp).item() == 8
        assert entropy(ramp / 255).item() == 8

    def test_noise_is_larger_than_a_blob(self) -> None:
        y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
        blob = torch.exp(-((x - 16) ** 2 + (y - 16) ** 2) / 50)[None]
        assert compressed_size(noise(1, 32, 32).abs()).item() > 2 * compressed_size(blob.double()).item()

    def test_gini_of_a_mean_over_channels(self) -> None:
        # The mean of 3 independent half-normals has .24 (papers.md 5.2).
        torch.testing.assert_close(gini(noise(1, 3, 500, 500)[0].abs().mean(0)[None]).item(), 0.24, atol=5e-3, rtol=0)


class TestReference:
    """Written again from the definitions, one image and one pixel at a time."""

    @staticmethod
    def gini(image: np.ndarray) -> float:
        v = np.abs(image).ravel()
        if v.sum() == 0:
            return 0.0
        return float(sum(abs(a - b) for a in v for b in v) / (2 * len(v) ** 2 * v.mean()))

    @staticmethod
    def levels(image: np.ndarray) -> np.ndarray:
        peak = image.max()
        return np.full(image.shape, 255, np.uint8) if peak == 0 else np.rint(image / peak * 255).astype(np.uint8)

    @classmethod
    def entropy(cls, image: np.ndarray) -> float:
        return float(shannon_entropy(cls.levels(image), base=2))

    @staticmethod
    def pixel_entropy(image: np.ndarray) -> float:
        p = image.ravel() / image.sum() if image.sum() > 0 else np.full(image.size, 1 / image.size)
        return -sum(float(a) * math.log2(a) for a in p if a > 0)

    @staticmethod
    def hoyer(image: np.ndarray) -> float:
        if image.max() == image.min():
            return 0.0
        v, root = image.ravel() / image.max(), math.sqrt(image.size)
        return float((root - np.abs(v).sum() / np.sqrt((v**2).sum())) / (root - 1))

    @staticmethod
    def effective_complexity(image: np.ndarray) -> float:
        return float(sum(v > 0.1 for v in image.ravel() / image.max())) if image.max() > 0 else float(image.size)

    @classmethod
    def compressed_size(cls, image: np.ndarray) -> float:
        white = np.full(image.shape, 255, np.uint8)
        return cls.extra(cls.levels(image), white, format="jpeg", quality=75)

    @classmethod
    def png_size(cls, image: np.ndarray) -> float:
        level = cls.levels(image)
        return cls.extra(level - level.min(), np.zeros_like(level), format="png", compress_level=9)

    @staticmethod
    def extra(level: np.ndarray, flat: np.ndarray, **options: Any) -> float:
        def size(level: np.ndarray) -> int:
            file = io.BytesIO()
            Image.fromarray(level).save(file, **options)
            return len(file.getvalue())

        return (size(level) - size(flat)) / 1024

    @settings(max_examples=60, deadline=None)
    @given(heatmap=maps)
    def test_random_maps(self, heatmap: Tensor) -> None:
        for measure in MEASURES:
            one = getattr(self, measure.__name__)
            reference = torch.tensor([one(image.numpy()) for image in heatmap], dtype=torch.float64)
            torch.testing.assert_close(measure(heatmap), reference, atol=1e-9, rtol=1e-9)

    def test_formula_of_hurley_and_rickard(self) -> None:
        v = noise(1, 5, 6).abs()
        value = np.sort(v.numpy().ravel())
        n = len(value)
        other = 1 - 2 * sum(value[k - 1] / value.sum() * (n - k + 0.5) / n for k in range(1, n + 1))
        assert gini(v).item() == pytest.approx(other, abs=1e-12)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(heatmap=maps, exponent=st.integers(-20, 20))
    def test_scaling_changes_nothing(self, heatmap: Tensor, exponent: int) -> None:
        for measure in MEASURES:
            torch.testing.assert_close(measure(heatmap * 2.0**exponent), measure(heatmap), atol=1e-12, rtol=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(heatmap=maps, data=st.data())
    def test_batch_mates_never_matter(self, heatmap: Tensor, data: st.DataObject) -> None:
        order = data.draw(st.permutations(range(len(heatmap))))
        for measure in MEASURES:
            together = measure(heatmap)
            torch.testing.assert_close(measure(heatmap[order]), together[order], atol=1e-12, rtol=0)
            alone = torch.cat([measure(image[None]) for image in heatmap])
            torch.testing.assert_close(alone, together, atol=1e-12, rtol=0)

    @settings(max_examples=40, deadline=None)
    @given(heatmap=maps)
    def test_range_and_pixel_order(self, heatmap: Tensor) -> None:
        n = heatmap[0].numel()
        mirrored = heatmap.flip(1, 2)
        tops = {gini: 1 - 1 / n, hoyer: 1, effective_complexity: n, entropy: 8, pixel_entropy: math.log2(n)}
        for measure, top in tops.items():
            assert ((measure(heatmap) >= 0) & (measure(heatmap) <= top + 1e-12)).all()
            torch.testing.assert_close(measure(mirrored), measure(heatmap), atol=1e-12, rtol=1e-12)

    @settings(max_examples=30, deadline=None)
    @given(heatmap=maps)
    def test_concentrating_raises_gini(self, heatmap: Tensor) -> None:
        # Squaring moves weight to the large pixels.
        peak = heatmap.amax(dim=(1, 2), keepdim=True)
        scaled = torch.where(peak > 0, heatmap / peak, 1)
        assert (gini(scaled**2) >= gini(scaled) - 1e-12).all()

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
    def test_dtype_kept_and_input_untouched(self, measure, dtype: torch.dtype) -> None:
        heatmap = noise(3, 16, 16).abs().to(dtype)
        before = heatmap.clone()
        value = measure(heatmap)
        assert (value.dtype, value.shape, value.device) == (dtype, (3,), heatmap.device)
        assert torch.equal(heatmap, before)
        torch.testing.assert_close(value.double(), measure(heatmap.double()), atol=1e-2, rtol=1e-2)

    @pytest.mark.parametrize("measure", MEASURES)
    def test_memory_layout_and_views_do_not_matter(self, measure) -> None:
        heatmap = noise(4, 12, 20).abs()
        torch.testing.assert_close(measure(heatmap.mT.contiguous().mT), measure(heatmap), atol=1e-12, rtol=0)
        torch.testing.assert_close(measure(heatmap[::2]), measure(heatmap)[::2], atol=1e-12, rtol=0)

    @pytest.mark.parametrize("measure", MEASURES)
    def test_extreme_values(self, measure) -> None:
        tiny, huge = torch.tensor([1e-38, 2e-38, 3e-38, 0]), torch.tensor([1e38, 2e38, 3e38, 0])
        expected = measure(torch.tensor([1.0, 2.0, 3.0, 0.0]).view(1, 2, 2))
        torch.testing.assert_close(measure(tiny.view(1, 2, 2)), expected)
        torch.testing.assert_close(measure(huge.view(1, 2, 2)), expected)

    def test_gini_of_many_pixels_is_exact_in_float32(self) -> None:
        heatmap = noise(2, 512, 512).abs()
        torch.testing.assert_close(gini(heatmap.float()).double(), gini(heatmap), atol=1e-6, rtol=0)


class TestBadInput:
    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize(
        ("heatmap", "message"),
        [
            (torch.tensor([[[1.0, math.nan]]]), r"heatmap must be finite, got values from nan"),
            (torch.tensor([[[1.0, math.inf]]]), r"heatmap must be finite, got values from 1 to inf"),
            (torch.tensor([[[1.0, -0.5]]]), r"heatmap must be non-negative, got -0.5"),
            (torch.ones(2, 1, 4, 4), r"heatmap must be \(n, h, w\).*got shape \(2, 1, 4, 4\)"),
            (torch.ones(4, 4), r"got shape \(4, 4\)"),
            (torch.ones(0, 4, 4), r"got shape \(0, 4, 4\)"),
            (torch.ones(1, 4, 4, dtype=torch.int64), r"heatmap must be floating point, got torch.int64"),
        ],
    )
    def test_one_sentence(self, measure, heatmap: Tensor, message: str) -> None:
        with pytest.raises(InputError, match=message):
            measure(heatmap)

    @pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
    def test_threshold_of_effective_complexity(self, threshold: float) -> None:
        with pytest.raises(InputError, match=f"threshold must be in \\[0, 1\\), got {threshold}"):
            effective_complexity(torch.ones(1, 2, 2), threshold=threshold)
