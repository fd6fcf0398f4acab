"""The smoothing block by itself: limits, and its filters against scipy and loops."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy import ndimage

from pellucid.edits.filters import feature_map_sigma, gaussian_kernel
from pellucid.edits.smoothing import SmoothingBlock

from .conftest import FILTERS, LOCAL, block, maps


@pytest.mark.parametrize("filter", LOCAL)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_a_constant_map_passes_a_local_filter_unchanged(filter: Any, kernel_size: int) -> None:
    x = torch.tensor([0.25, -3.0])[None, :, None, None].expand(2, 2, 6, 7)
    torch.testing.assert_close(block(filter, (2, 6, 7), kernel_size=kernel_size).filter(x), x)


@pytest.mark.parametrize("filter", FILTERS)
def test_zero_weights_make_the_identity_that_still_learns(filter: Any) -> None:
    smoothing = block(filter, (4, 6, 5), init="zero")
    x = maps(2, 4, 6, 5)
    assert torch.equal(smoothing(x), x)
    smoothing(x).square().sum().backward()
    assert smoothing.mix.weight.grad is not None
    assert smoothing.mix.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("filter", FILTERS)
def test_the_block_adds_a_mixture_of_the_filtered_map(filter: Any) -> None:
    smoothing = block(filter, (4, 6, 5))
    x = maps(2, 4, 6, 5)
    filtered = smoothing.filter(x)
    weight, bias = smoothing.mix.weight[:, :, 0, 0], smoothing.mix.bias
    expected = x + torch.einsum("om,nmhw->nohw", weight, filtered) + bias[:, None, None]  # type: ignore[index]
    torch.testing.assert_close(smoothing(x), expected)
    assert (filtered is x) == (filter == "none")


@pytest.mark.parametrize("filter", FILTERS)
def test_samples_do_not_influence_each_other(filter: Any) -> None:
    smoothing, x = block(filter, (4, 6, 5)), maps(3, 4, 6, 5)
    torch.testing.assert_close(smoothing(x)[1:2], smoothing(x[1:2]))


def test_published_gaussian_weights() -> None:
    assert gaussian_kernel(3, sigma=0.8).tolist() == pytest.approx([0.239, 0.522, 0.239], abs=5e-4)
    for size, sigma, weights in [
        (12, 2.15, [0.321, 0.358, 0.321]),
        (32, 5.15, [0.331, 0.338, 0.331]),
        (56, 8.75, [0.333, 0.335, 0.333]),
    ]:
        assert feature_map_sigma(size) == pytest.approx(sigma)
        assert gaussian_kernel(3, sigma=sigma).tolist() == pytest.approx(weights, abs=6e-4)
    assert feature_map_sigma(3) == pytest.approx(0.8)  # the same rule with the kernel's size is OpenCV's


def test_the_feature_map_rule_takes_each_axis_by_its_own_size() -> None:
    blur = block("gaussian", (1, 12, 32), sigma="feature-map").filter
    torch.testing.assert_close(blur.down, gaussian_kernel(3, sigma=2.15))
    torch.testing.assert_close(blur.across, gaussian_kernel(3, sigma=5.15))


@given(st.sampled_from([3, 5, 7]), st.floats(0.05, 50))
def test_gaussian_weights_are_a_symmetric_mean_that_falls_outwards(kernel_size: int, sigma: float) -> None:
    kernel = gaussian_kernel(kernel_size, sigma=sigma)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert torch.equal(kernel, kernel.flip(0))
    assert bool((kernel[: kernel_size // 2 + 1].diff() >= 0).all())


def scipy_filter(filter: str, image: np.ndarray, kernel_size: int) -> np.ndarray:
    """scipy's mode ``mirror`` is the border that torch calls ``reflect``."""
    if filter == "gaussian":
        reach = kernel_size // 2
        return np.asarray(ndimage.gaussian_filter(image, 0.8, mode="mirror", truncate=reach / 0.8))
    if filter == "mean":
        return np.asarray(ndimage.uniform_filter(image, kernel_size, mode="mirror"))
    return np.asarray(ndimage.median_filter(image, kernel_size, mode="mirror"))


@pytest.mark.parametrize("filter", LOCAL)
@given(kernel_size=st.sampled_from([3, 5]), height=st.integers(3, 9), width=st.integers(3, 9), seed=st.integers(0, 99))
def test_local_filters_are_scipys(filter: Any, kernel_size: int, height: int, width: int, seed: int) -> None:
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    filtered = SmoothingBlock((3, height, width), filter=filter, kernel_size=kernel_size).filter(x)
    for image, result in zip(x.flatten(0, 1), filtered.flatten(0, 1), strict=True):
        expected = scipy_filter(filter, image.double().numpy(), kernel_size)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "mixed"), [(4, 2), (5, 2), (1, 1)])
def test_non_local_means_are_those_of_naive_loops(channels: int, mixed: int) -> None:
    smoothing, x = block("non-local", (channels, 3, 2)), maps(2, channels, 3, 2)
    layers = smoothing.filter
    query, key, value = (getattr(layers, name)(x) for name in ("theta", "phi", "g"))
    expected = torch.zeros(2, mixed, 3, 2)
    pixels = [(i, j) for i in range(3) for j in range(2)]
    for n in range(2):
        for i, j in pixels:
            weight = [torch.exp((query[n, :, i, j] @ key[n, :, p, q]) / mixed**0.5) for p, q in pixels]
            for w, (p, q) in zip(weight, pixels, strict=True):
                expected[n, :, i, j] += w / sum(weight) * value[n, :, p, q]
    torch.testing.assert_close(layers(x), expected)


@pytest.mark.parametrize("filter", FILTERS)
def test_gradients_of_first_and_second_order_are_right(filter: Any) -> None:
    smoothing = block(filter, (2, 3, 4)).double()
    x = maps(1, 2, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(smoothing, x)
    assert torch.autograd.gradgradcheck(smoothing, x)


# Choices
