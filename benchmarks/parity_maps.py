"""Measures of a map alone against independent code: its sparsity, entropy and size."""

import io
import math
from functools import partial

import numpy as np
from parity_case import Case, Work, add_case
from parity_settings import GREY, Setting, map_of, quantus

from pellucid import metrics

CASES: list[Case] = []
case = partial(add_case, CASES)


@case("gini", columns=["gini"], reference="Quantus `Sparseness`, of maps scaled to a maximum of 1000",
      note="Quantus adds 1e-7 to every pixel, so small maps differ; see below")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value = map_of(s)
    large = (value / value.amax((1, 2), keepdim=True) * 1000)[:, None].numpy()
    return lambda: metrics.gini(value), lambda: quantus("Sparseness", s, large)


@case("hoyer", columns=["hoyer"], reference="Hoyer's formula in NumPy")
def _(s: Setting) -> tuple[Work, Work]:
    value = map_of(s)

    def reference() -> list[float]:
        found = []
        for one in value.numpy():
            n = one.size
            found.append((math.sqrt(n) - np.abs(one).sum() / np.linalg.norm(one)) / (math.sqrt(n) - 1))
        return found

    return lambda: metrics.hoyer(value), reference


@case("effective_complexity", columns=["effective_complexity"], settings=[GREY],
      reference="Quantus `EffectiveComplexity`, one image at a time")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value = map_of(s)

    def reference() -> list[float]:
        singles = [Setting(s.name, s.model, one[None], s.label[:1], s.layer, s.draws) for one in s.x]
        return [
            quantus("EffectiveComplexity", one, own[None, None].numpy(), eps=0.1, normalise=True)[0]
            for one, own in zip(singles, value, strict=True)
        ]

    return lambda: metrics.effective_complexity(value), reference


@case("entropy", columns=["entropy"], reference="scikit-image `shannon_entropy` of the 8-bit map")
def _(s: Setting) -> tuple[Work, Work]:
    from skimage.measure import shannon_entropy

    value = map_of(s)
    return lambda: metrics.entropy(value), lambda: [shannon_entropy(grey(one), base=2) for one in value.numpy()]


@case("pixel_entropy", columns=["pixel_entropy"], reference="SciPy `entropy`, base 2")
def _(s: Setting) -> tuple[Work, Work]:
    from scipy.stats import entropy

    value = map_of(s)
    return lambda: metrics.pixel_entropy(value), lambda: entropy(value.flatten(1).numpy(), base=2, axis=1)


@case("pixel_entropy", columns=["pixel_entropy"], reference="Quantus `Complexity`, in bits",
      note="Quantus adds 1e-12 under the logarithm and writes into the caller's array")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value = map_of(s)
    return (
        lambda: metrics.pixel_entropy(value),
        lambda: np.array(quantus("Complexity", s, value[:, None].numpy())) / math.log(2),
    )


def grey(value: np.ndarray) -> np.ndarray:
    return np.round(value / value.max() * 255).astype(np.uint8)


@case("compressed_size", columns=["size_kb"], reference="OpenCV `imencode`, JPEG of quality 75",
      note="not Pillow, which pellucid itself writes with")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    import cv2

    value = map_of(s)

    def size(level: np.ndarray) -> int:
        return len(cv2.imencode(".jpg", level, [cv2.IMWRITE_JPEG_QUALITY, 75])[1])

    def reference() -> list[float]:
        flat = size(np.full(value.shape[1:], 255, np.uint8))
        return [(size(grey(one)) - flat) / 1024 for one in value.numpy()]

    return lambda: metrics.compressed_size(value), reference


@case("png_size", columns=["png_kb"], reference="Pillow's bytes", note="the same encoder: only the steps before it are"
      " independent")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from PIL import Image

    value = map_of(s)

    def size(level: np.ndarray) -> int:
        written = io.BytesIO()
        Image.fromarray(level).save(written, "PNG", compress_level=9)
        return len(written.getvalue())

    def reference() -> list[float]:
        flat = size(np.zeros(value.shape[1:], np.uint8))
        return [(size(grey(one) - grey(one).min()) - flat) / 1024 for one in value.numpy()]

    return lambda: metrics.png_size(value), reference
