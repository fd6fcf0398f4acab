"""What `metrics_parity.py` compares: of each measure pellucid's call and the reference's."""

import copy
import io
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from parity_settings import (
    COLOUR,
    GREY,
    SMOOTH,
    Setting,
    captum_gradient,
    explain,
    in_turn,
    length,
    logits_of,
    map_of,
    quantus,
    settings,
)
from torch import Tensor, nn

from pellucid import PGD, IntegratedGradients, SmoothGrad, VanillaGradient, metrics
from pellucid.metrics import definitions
from pellucid.statistics import ratio_interval

Work = Callable[[], Any]
NOISES = ("gaussian", "uniform", "one-sided")
PROBES = ("one_step", "many_step", "long", "restarts", "unbounded", "transfer")


@dataclass(frozen=True, eq=False)
class Case:
    """What a row of the table compares."""

    measures: tuple[str, ...]
    columns: tuple[str, ...]
    reference: str
    make: Callable[[Setting], tuple[Work, Work]]
    settings: tuple[str, ...]
    note: str


CASES: list[Case] = []


def case(
    *measures: str,
    reference: str,
    columns: Sequence[str] = (),
    settings: Sequence[str] = (GREY, COLOUR),
    note: str = "",
) -> Callable[[Callable[[Setting], tuple[Work, Work]]], Callable[[Setting], tuple[Work, Work]]]:
    def add(make: Callable[[Setting], tuple[Work, Work]]) -> Callable[[Setting], tuple[Work, Work]]:
        CASES.append(Case(measures, tuple(columns), reference, make, tuple(settings), note))
        return make

    return add


# Sparsity.


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


# Faithfulness.

ORDERS = ("morf", "lerf", "random")


def ranked_map_of(s: Setting) -> Tensor:
    """A map without ties: Quantus leaves their order to the sort, here it is reading order."""
    value = map_of(s)
    return value + 1e-3 * value.amax() * s.draws.of("ties").uniform(value.shape).double()


@case("perturbation_curve", "perturbation_curves", columns=["morf_curve", "lerf_curve", "random_curve"],
      reference="Quantus `RegionPerturbation` with the same noise, one region a step, three orders")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    curves, reference = both_curves(s, repeats=2)

    def ours() -> Tensor:
        found = curves()
        return torch.stack([found[order][:, 1:] for order in ORDERS])

    return ours, reference


@case("aopc", "area_between", columns=["aopc_morf", "aopc_lerf", "aopc_random", "area_between", "aopc_rel"],
      reference="equation 12 of Samek et al. in NumPy, of Quantus's curves; the ratio is that of means")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    curves, theirs = both_curves(s, repeats=1)

    def ours() -> list[Any]:
        found = curves()
        area = [metrics.aopc(found[order]) for order in ORDERS]
        between = metrics.area_between(found["morf"], found["lerf"])
        return [*area, between, ratio_interval(area[0], area[1], resamples=10).mean]

    def reference() -> list[np.ndarray]:
        morf, lerf, random = np.pad(theirs(), ((0, 0), (0, 0), (1, 0))).mean(-1)
        return [morf, lerf, random, morf - lerf, morf.mean() / max(lerf.mean(), 1e-6)]

    return ours, reference


def both_curves(s: Setting, *, repeats: int) -> tuple[Callable[[], dict[str, Tensor]], Callable[[], np.ndarray]]:
    steps, region, side = 10, 4, s.x.shape[-1] // 4
    value, noise = (
        ranked_map_of(s),
        [s.draws.of(f"perturbation/{r}").uniform(s.x.shape).double() for r in range(repeats)],
    )
    # The random order of pellucid as a map: what is drawn smallest goes first.
    drawn = s.draws.of("perturbation/random").uniform((len(s.x), 1, side, side)).double()
    chance = F.interpolate(1 - drawn, scale_factor=region)[:, 0]

    def ours() -> dict[str, Tensor]:
        return metrics.perturbation_curves(
            s.model, s.x, s.target, value, orders=ORDERS, fraction=steps / side**2, steps=steps, repeats=repeats,
            region=region, generator=s.draws,
        )  # fmt: skip

    def reference() -> np.ndarray:
        asked = (("morf", value), ("lerf", value), ("morf", chance))
        return np.array([
            np.mean([decay(s, own, s.x, fill, order=order, steps=steps, region=region) for fill in noise], axis=0)
            for order, own in asked
        ])  # fmt: skip

    return ours, reference


def decay(s: Setting, value: Tensor, x: Tensor, fill: Tensor, *, order: str, steps: int, region: int) -> Any:
    """Quantus's loss of probability while regions of ``x`` become those of ``fill``."""
    filled = fill.flatten(1).numpy()

    def replace(arr: np.ndarray, indices: np.ndarray, **options: Any) -> np.ndarray:
        rows, arr = np.arange(len(arr))[:, None], arr.copy()
        arr[rows, indices] = filled[rows, indices]
        return arr

    return quantus(
        "RegionPerturbation", s, value[:, None].expand_as(x).numpy(), x=x, softmax=True, patch_size=region,
        order=order, regions_evaluation=steps, perturb_func=replace,
    )  # fmt: skip


@case("insertion_deletion", "area_under", columns=["insertion", "deletion"],
      reference="Quantus `RegionPerturbation` to black, and from SciPy's blur on; NumPy `trapezoid`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    region, steps, value = 4, (s.x.shape[-1] // 4) ** 2, ranked_map_of(s)

    def ours() -> list[Tensor]:
        curves = metrics.insertion_deletion(s.model, s.x, s.target, value, steps=steps, region=region)
        return [curves["insertion"], curves["deletion"], *(metrics.area_under(one) for one in curves.values())]

    def reference() -> list[np.ndarray]:
        found = []
        for start, fill in ((scipy_blur(s.x), s.x), (s.x, torch.zeros_like(s.x))):
            first = probability(s, start)
            lost = decay(s, value, start, fill, order="morf", steps=steps, region=region)
            found.append(np.hstack([first[:, None], first[:, None] - np.array(lost)]))
        return [*found, *(np.trapezoid(curve, dx=1 / steps, axis=1) for curve in found)]

    return ours, reference


def probability(s: Setting, x: Tensor) -> np.ndarray:
    from scipy.special import softmax

    return softmax(logits_of(s, x), axis=1)[np.arange(len(x)), s.target.numpy()]


def scipy_blur(x: Tensor) -> Tensor:
    from scipy.ndimage import gaussian_filter

    sigma = (0, 0, x.shape[-1] / 10, x.shape[-1] / 10)
    whole = {"mode": "constant", "truncate": 20}
    return torch.from_numpy(
        gaussian_filter(x.numpy(), sigma, **whole) / gaussian_filter(np.ones_like(x), sigma, **whole)
    )


@case("blurred", reference="SciPy `gaussian_filter`, divided by that of ones")
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: metrics.blurred(s.x), lambda: scipy_blur(s.x)


def road_imputed(image: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """The sparse solve of ROAD's authors as Quantus has it, without noise."""
    from quantus.functions.perturb_func import noisy_linear_imputation

    return noisy_linear_imputation(image, gone, noise=0)


@case("linear_imputation", reference="Quantus `noisy_linear_imputation` (SciPy `spsolve`), image by image")
def _(s: Setting) -> tuple[Work, Work]:
    removed = s.draws.of("parity").uniform((len(s.x), 1, *s.x.shape[2:])) < 0.6

    def reference() -> list[np.ndarray]:
        pairs = zip(s.x.numpy(), removed.numpy(), strict=True)
        return [road_imputed(image, np.flatnonzero(gone)) for image, gone in pairs]

    return lambda: metrics.linear_imputation(s.x, removed), reference


SHARES = (0.1, 0.3, 0.5, 0.7)


@case("road", columns=["road_morf", "road_lerf", "road_morf_curve", "road_lerf_curve"], settings=[GREY],
      reference="Quantus `ROAD` with the same noise, means over images")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, noise = ranked_map_of(s), 0.01 * s.draws.of("road").normal(s.x.shape).double().numpy()

    def curve(own: Tensor) -> Any:
        images = itertools.cycle(noise)

        def impute(arr: np.ndarray, indices: np.ndarray, **options: Any) -> np.ndarray:
            changed, one = road_imputed(arr, indices), next(images)
            changed.reshape(-1)[indices] += one.reshape(-1)[indices]
            return changed

        percentages = [100 * one for one in SHARES]
        return list(quantus("ROAD", s, own[:, None].numpy(), percentages=percentages, perturb_func=impute).values())

    return lambda: [one.mean(0) for one in road_of(s, value)], lambda: [curve(value), curve(value.amax() - value)]


@case("road", columns=["road_morf", "road_lerf", "road_morf_curve", "road_lerf_curve"], settings=[COLOUR],
      reference="Quantus `noisy_linear_imputation`, image by image, most relevant pixels by NumPy `argsort`",
      note="Quantus `ROAD` itself fails on colour images, see below")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, noise = ranked_map_of(s), 0.01 * s.draws.of("road").normal(s.x.shape).double().numpy()

    def curve(own: np.ndarray) -> np.ndarray:
        kept = []
        for share in SHARES:
            changed = s.x.numpy().copy()
            for i, order in enumerate(np.argsort(-own.reshape(len(own), -1), axis=1)):
                gone = order[: int(own[0].size * share)]
                filled, rows = road_imputed(changed[i], gone).reshape(changed.shape[1], -1), changed[i]
                filled[:, gone] += noise[i].reshape(len(rows), -1)[:, gone]
                changed[i] = filled.reshape(rows.shape)
            kept.append(logits_of(s, changed).argmax(1) == s.target.numpy())
        return np.stack(kept, 1)

    return lambda: road_of(s, value), lambda: [curve(value.numpy()), curve(-value.numpy())]


def road_of(s: Setting, value: Tensor) -> list[Tensor]:
    found = metrics.road(s.model, s.x, s.target, value, shares=SHARES, generator=s.draws)
    return [found["morf"], found["lerf"]]


# Stability.


def change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OpenXAI's relative change, ||a - b|| / ||a||."""
    return length(a - b) / length(a)


def hidden_of(s: Setting, x: np.ndarray) -> np.ndarray:
    seen: list[Tensor] = []
    handle = s.model.get_submodule(s.layer).register_forward_hook(lambda m, i, output: seen.append(output.clone()))
    logits_of(s, x)
    handle.remove()
    return seen[0].numpy()


def stability_columns(form: str) -> list[str]:
    measures = ["ris", "ros", "rrs"] + ["stability_coverage"] * (form == "norm")
    return [definitions.stability_column(one, form=form, noise=noise) for noise in NOISES for one in measures]


@case("relative_stability", columns=stability_columns("norm"), settings=[GREY, SMOOTH],
      reference="OpenXAI's formula (the norm form) in NumPy, three noises")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    sigma, draws = 0.1, 4
    names, copies = ("ris", "ros", "rrs", "coverage"), [s.noisy(draws, sigma, kind) for kind in NOISES]

    def ours() -> list[Tensor]:
        found = [
            metrics.relative_stability(
                s.model, s.x, s.target, VanillaGradient(), layer=s.layer, noise=kind, sigma=sigma, draws=draws,
                generator=s.draws,
            )
            for kind in NOISES
        ]  # fmt: skip
        return [one[name] for one in found for name in names]

    def stability(noisy_images: Sequence[np.ndarray]) -> np.ndarray:
        clean, target = s.x.numpy(), s.target.numpy()
        e, f, h = explain(s.model, clean, target), logits_of(s, clean), hidden_of(s, clean)
        worst, kept = np.full((3, len(clean)), np.nan), np.zeros(len(clean))
        for noisy in noisy_images:
            e2, f2, h2 = explain(s.model, noisy, target), logits_of(s, noisy), hidden_of(s, noisy)
            same = f2.argmax(1) == f.argmax(1)
            kept += same
            for row, cause in enumerate((change(clean, noisy), change(f, f2), change(h, h2))):
                found = change(e, e2) / np.maximum(cause, 1e-6)
                worst[row] = np.where(same, np.fmax(worst[row], found), worst[row])
        return np.vstack([worst, kept / len(noisy_images)])

    return ours, lambda: [stability(noisy_images) for noisy_images in copies]


@case("relative_stability", columns=stability_columns("elementwise"), settings=[GREY, SMOOTH],
      reference="Quantus `RelativeInputStability`, `RelativeOutputStability`, `RelativeRepresentationStability`, three"
      " noises", note="images without a changed prediction: one is enough for Quantus to have NaN")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    sigma, draws = 0.03, 4
    names, copies = (
        ("ris_elementwise", "ros_elementwise", "rrs_elementwise"),
        [s.noisy(draws, sigma, kind) for kind in NOISES],
    )

    def ours() -> list[Tensor]:
        found = [
            metrics.relative_stability(
                s.model, s.x, s.target, VanillaGradient(), form="elementwise", layer=s.layer, noise=kind, sigma=sigma,
                draws=draws, generator=s.draws,
            )
            for kind in NOISES
        ]  # fmt: skip
        return [torch.where(one["coverage"] == 1, one[name], torch.nan) for one in found for name in names]

    def reference() -> list[Any]:
        return [
            quantus(name, s, nr_samples=draws, perturb_func=in_turn(noisy), **options)
            for noisy in copies
            for name, options in (
                ("RelativeInputStability", {}),
                ("RelativeOutputStability", {}),
                ("RelativeRepresentationStability", {"layer_names": [s.layer]}),
            )
        ]

    return ours, reference


# Similarity and sensitivity.


@case("ssim", reference="scikit-image `structural_similarity`")
def _(s: Setting) -> tuple[Work, Work]:
    from skimage.metrics import structural_similarity

    value = map_of(s)
    one = value / value.amax((1, 2), keepdim=True)
    two = one.roll(1, 0)
    return lambda: metrics.ssim(one, two), lambda: [
        structural_similarity(a, b, data_range=1.0) for a, b in zip(one.numpy(), two.numpy(), strict=True)
    ]


@case("rank_correlation", reference="SciPy `spearmanr`, maps with ties")
def _(s: Setting) -> tuple[Work, Work]:
    from scipy.stats import spearmanr

    one = (map_of(s) * 50).round() / 50
    two = one.roll(1, 0)
    return lambda: metrics.rank_correlation(one, two), lambda: [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one.numpy(), two.numpy(), strict=True)
    ]


@case("map_similarity", columns=["map_ssim", "map_rank_correlation", "stability_coverage"],
      reference="scikit-image `structural_similarity` and SciPy `spearmanr`, map by map")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from scipy.stats import spearmanr
    from skimage.metrics import structural_similarity

    sigma, draws = 0.1, 4
    copies = s.noisy(draws, sigma)

    def ours() -> list[Tensor]:
        return list(
            metrics.map_similarity(
                s.model, s.x, s.target, VanillaGradient(), sigma=sigma, draws=draws, generator=s.draws
            ).values()
        )

    def drawn(gradient: np.ndarray) -> np.ndarray:
        value = np.abs(gradient).mean(0)
        return value / value.max()

    def reference() -> np.ndarray:
        target, clean = s.target.numpy(), logits_of(s, s.x).argmax(1)
        before = [drawn(one) for one in explain(s.model, s.x, target)]
        found = np.zeros((3, len(before)))
        for noisy in copies:
            same = logits_of(s, noisy).argmax(1) == clean
            for i, one in enumerate(explain(s.model, noisy, target)):
                if same[i]:
                    after = drawn(one)
                    found[0, i] += structural_similarity(before[i], after, data_range=1.0)
                    found[1, i] += spearmanr(before[i].ravel(), after.ravel()).statistic
                    found[2, i] += 1
        with np.errstate(invalid="ignore"):
            return np.vstack([found[:2] / found[2], found[2] / draws])

    return ours, reference


@case("local_lipschitz", columns=["local_lipschitz"], reference="Quantus `LocalLipschitzEstimate`")
def _(s: Setting) -> tuple[Work, Work]:
    radius, draws = 0.02, 5
    copies = s.boxed(draws, radius)

    def reference() -> Any:
        from quantus.functions.similarity_func import distance_euclidean

        return quantus(
            "LocalLipschitzEstimate", s, nr_samples=draws, perturb_func=in_turn(copies),
            norm_numerator=distance_euclidean, norm_denominator=distance_euclidean,
        )  # fmt: skip

    return lambda: metrics.local_lipschitz(
        s.model, s.x, s.target, VanillaGradient(), radius=radius, draws=draws, generator=s.draws
    ), reference


def _max_sensitivity(s: Setting, *, radius: float = 0.02, draws: int = 5) -> Tensor:
    return metrics.max_sensitivity(
        s.model, s.x, s.target, VanillaGradient(), radius=radius, draws=draws, generator=s.draws
    )


@case("max_sensitivity", columns=["max_sensitivity"], reference="Captum `sensitivity_max`")
def _(s: Setting) -> tuple[Work, Work]:
    from captum.attr import Saliency
    from captum.metrics import sensitivity_max

    noisy = torch.from_numpy(np.stack(s.boxed(5, 0.02), axis=1)).flatten(0, 1)

    def reference() -> Tensor:
        return sensitivity_max(
            Saliency(s.model).attribute, s.x, perturb_func=lambda inputs, radius: noisy, n_perturb_samples=5,
            target=s.target, abs=False,
        ).detach()  # fmt: skip

    return lambda: _max_sensitivity(s), reference


@case("max_sensitivity", columns=["max_sensitivity"], reference="Quantus `MaxSensitivity`")
def _(s: Setting) -> tuple[Work, Work]:
    copies = s.boxed(5, 0.02)
    return lambda: _max_sensitivity(s), lambda: quantus("MaxSensitivity", s, nr_samples=5, perturb_func=in_turn(copies))


# Curvature.


def hessian_of(s: Setting, image: int) -> Tensor:
    shape = s.x[image].shape

    def loss(flat: Tensor) -> Tensor:
        return F.cross_entropy(s.model(flat.view(1, *shape)), s.label[image : image + 1])

    return torch.autograd.functional.hessian(loss, s.x[image].flatten())


@case("gradient_variation", columns=["gradient_variation"], reference="its formula in NumPy, of Captum's gradients")
def _(s: Setting) -> tuple[Work, Work]:
    radius, draws = 0.1, 4
    ways = [s.draws.of(f"curvature/{i}").normal(s.x.shape).double().numpy() for i in range(draws)]

    def reference() -> np.ndarray:
        clean, target = s.x.numpy(), s.target.numpy()
        gradient, total = explain(s.model, clean, target), np.zeros(len(clean))
        for way in ways:
            moved = clean + radius * way / length(way)[:, None, None, None]
            total += length(explain(s.model, moved, target) - gradient) / length(moved - clean)
        return total / draws

    return lambda: metrics.gradient_variation(
        s.model, s.x, s.target, radius=radius, draws=draws, generator=s.draws
    ), reference


@case("top_hessian_eigenvalue", columns=["top_hessian_eigenvalue"], settings=[SMOOTH],
      reference="PyTorch `autograd.functional.hessian` and `linalg.eigvalsh`",
      note="500 iterations, so that the power iteration has converged")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    def reference() -> list[Tensor]:
        values = [torch.linalg.eigvalsh(hessian_of(s, i)) for i in range(len(s.x))]
        return [one[one.abs().argmax()] for one in values]

    return lambda: metrics.top_hessian_eigenvalue(s.model, s.x, s.label, iterations=500, generator=s.draws), reference


@case("top_hessian_eigenvalue", columns=["top_hessian_eigenvalue"], settings=[SMOOTH],
      reference="the same, by `method=\"difference\"` of step 1e-4")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    def reference() -> list[Tensor]:
        values = [torch.linalg.eigvalsh(hessian_of(s, i)) for i in range(len(s.x))]
        return [one[one.abs().argmax()] for one in values]

    return lambda: metrics.top_hessian_eigenvalue(
        s.model, s.x, s.label, iterations=500, method="difference", step=1e-4, generator=s.draws
    ), reference


@case("hessian_trace", columns=["hessian_trace"], settings=[SMOOTH],
      reference="PyTorch `autograd.functional.hessian`, Hutchinson's sum with the same signs")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    draws = 10
    share = torch.stack([s.draws.of(f"curvature/{i}").uniform(s.x.shape) for i in range(draws)]).flatten(2)
    signs = torch.where(share < 0.5, -1.0, 1.0).double()

    def reference() -> list[float]:
        values = ((hessian_of(s, i), signs[:, i]) for i in range(len(s.x)))
        return [float(((z @ hessian) * z).sum(1).mean()) for hessian, z in values]

    return lambda: metrics.hessian_trace(s.model, s.x, s.label, draws=draws, generator=s.draws), reference


# Sanity.


@case("randomise", "randomisation_similarity", columns=["randomisation", "randomisation_last"],
      settings=[GREY, SMOOTH],
      reference="Quantus `MPRT`, top down, with its seed for every layer")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    def reset(layer: nn.Module) -> None:
        torch.manual_seed(43)
        layer.reset_parameters()

    def mean_abs(model: nn.Module, inputs: Any, targets: Any, **keywords: Any) -> np.ndarray:
        return np.abs(explain(model, inputs, targets)).mean(1, keepdims=True)

    def reference() -> list[Any]:
        found = quantus("MPRT", s, layer_order="top_down", seed=42, explain_func=mean_abs)
        return [value for name, value in found.items() if name != "original"]

    return lambda: list(
        metrics.randomisation_similarity(s.model, s.x, s.target, VanillaGradient(), reset=reset).values()
    ), reference


@case(
    "baseline_similarity",
    columns=["randomisation_networks", "randomisation_edges"],
    settings=[GREY, SMOOTH],
    reference="SciPy `spearmanr` and `ndimage.sobel`, of Captum's gradients",
)
def _(s: Setting) -> tuple[Work, Work]:
    from scipy.stats import spearmanr

    networks = [list(metrics.randomise(s.model, seed=seed))[-1][1] for seed in (0, 1)]

    def map_by_captum(model: nn.Module) -> np.ndarray:
        return np.abs(explain(model, s.x, s.target)).mean(1)

    def alike(one: np.ndarray, other: np.ndarray) -> list[float]:
        return [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)]

    def ours() -> list[Tensor]:
        found = metrics.baseline_similarity(s.model, s.x, s.target, VanillaGradient(), generator=s.draws)
        return [found["random_networks"], found["edge_map"]]

    def reference() -> list[list[float]]:
        own, one, other = (map_by_captum(model) for model in (s.model, *networks))
        return [alike(one, other), alike(own, scipy_edges(s).mean(1))]

    return ours, reference


def scipy_edges(s: Setting) -> np.ndarray:
    from scipy.ndimage import sobel

    planes = s.x.flatten(0, 1).numpy()
    edges = [np.hypot(*(sobel(one, axis=axis, mode="nearest") for axis in (0, 1))) / 8 for one in planes]
    return np.reshape(edges, s.x.shape)


@case("edge_map", reference="SciPy `ndimage.sobel`, divided by 8")
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: metrics.edge_map(s.model, s.x, s.target), lambda: scipy_edges(s)


# Robustness.


def captum_right(
    s: Setting, *, eps: float, step_size: float, steps: int, on: nn.Module | None = None, least: float = 0
) -> np.ndarray:
    """Whether the network is right on the image and after Captum's PGD, made on it or on another network."""
    from captum.robust import PGD as CaptumPGD

    loss = nn.CrossEntropyLoss(reduction="none")
    attack = CaptumPGD(s.model if on is None else on, loss_func=loss, lower_bound=0, upper_bound=1)
    attack.fgsm.zero_thresh = least
    changed = attack.perturb(s.x, radius=eps, step_size=step_size, step_num=steps, target=s.label)
    return np.all([logits_of(s, one).argmax(1) == s.label.numpy() for one in (s.x, changed)], axis=0)


@case("robust_correct", columns=["robust_correct", "robust_accuracy"], reference="Captum `robust.PGD`")
def _(s: Setting) -> tuple[Work, Work]:
    attack = PGD(eps=0.03, step_size=0.01, steps=8, random_start=False)

    def ours() -> Tensor:
        correct = metrics.robust_correct(s.model, s.x, s.label, attack).double()
        return torch.cat([correct, correct.mean()[None]])

    def reference() -> np.ndarray:
        correct = captum_right(s, eps=0.03, step_size=0.01, steps=8)
        return np.append(correct, correct.mean())

    return ours, reference


@case("robustness_curve", columns=["robust_curve"], settings=[GREY],
      reference="Captum `robust.PGD`, radius by radius", note="lost once is lost at larger radii")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    radii, attack = (0.02, 0.05, 0.1), PGD(eps=0.1, step_size=0.02, steps=8, random_start=False)

    def reference() -> np.ndarray:
        right = [captum_right(s, eps=eps, step_size=eps / 5, steps=8) for eps in radii]
        return np.logical_and.accumulate(right).T

    return lambda: metrics.robustness_curve(s.model, s.x, s.label, attack, eps=radii), reference


@case("masking_probe", columns=[f"masking_{one}" for one in PROBES], settings=[GREY],
      reference="Captum `robust.PGD`, probe by probe, without random starts")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    attack = PGD(eps=0.06, step_size=0.02, steps=5, random_start=False)
    other = next(iter(settings([GREY], seed=5).values())).model

    def ours() -> list[Tensor]:
        found = metrics.masking_probe(s.model, s.x, s.label, attack, transfer=other)
        return [found[name] for name in PROBES]

    def reference() -> list[np.ndarray]:
        own = {"eps": 0.06, "step_size": 0.02, "steps": 5}
        asked = (
            {"eps": 0.06, "step_size": 0.06, "steps": 1}, own, own | {"steps": 25}, own,
            {"eps": 1.0, "step_size": 0.05, "steps": 50}, own | {"on": other},
        )  # fmt: skip
        return [captum_right(s, **one) for one in asked]

    return ours, reference


@case("autoattack_correct", columns=["autoattack_correct"], settings=[GREY],
      reference="pyautoattack, called directly in float32 with the same seed",
      note="the same package: what is checked is how it is asked, here its two APGD attacks")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    attacks = ["apgd-ce", "apgd-dlr"]

    def reference() -> np.ndarray:
        from pyautoattack import AutoAttack

        model, x = copy.deepcopy(s.model).float(), s.x.float()
        torch.set_default_dtype(torch.float32)
        evaluation = AutoAttack(model, norm="Linf", eps=0.05, seed=0, device="cpu")
        evaluation.attacks_to_run = attacks
        evaluation.logger.setLevel("ERROR")
        attacked = evaluation.run_standard_evaluation(x, s.label, batch_size=250)[0]
        with torch.no_grad():
            return (model(attacked).argmax(1) == s.label).numpy()

    single = copy.deepcopy(s.model).float()
    return (
        lambda: metrics.autoattack_correct(single, s.x.float(), s.label, eps=0.05, attacks=attacks, seed=0),
        reference,
    )


# Scores: arrays over a test set.


def scores(n: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of three classes with ties, predictions, labels."""
    random = np.random.default_rng(0)
    p = random.dirichlet([1, 1, 2], n).round(2)
    label = np.array([random.choice(3, p=(row + 0.2) / (row + 0.2).sum()) for row in p])
    return p, p.argmax(1), label


@case("auc", columns=["auc"], settings=[GREY], reference="scikit-learn `roc_auc_score`")
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import roc_auc_score

    p, _, label = scores()
    return lambda: metrics.auc(p[:, 1], label == 1), lambda: roc_auc_score(label == 1, p[:, 1])


@case("balanced_accuracy", columns=["balanced_accuracy"], settings=[GREY],
      reference="scikit-learn `balanced_accuracy_score`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    from sklearn.metrics import balanced_accuracy_score

    _, prediction, label = scores()
    return lambda: metrics.balanced_accuracy(prediction, label), lambda: balanced_accuracy_score(label, prediction)


@case("expected_calibration_error", columns=["calibration_error"], settings=[GREY],
      reference="equation 3 of Guo et al. in Python, bin by bin")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    p, prediction, label = scores()
    confidence, correct = p.max(1).clip(0, 1), prediction == label

    def reference() -> float:
        total = 0.0
        for i in range(15):
            inside = (confidence > i / 15) & (confidence <= (i + 1) / 15) | ((i == 0) & (confidence == 0))
            if inside.any():
                total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
        return total

    return lambda: metrics.expected_calibration_error(confidence, correct), reference


# Maps.


@case("VanillaGradient", reference="Captum `Saliency`")
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: VanillaGradient()(s.model, s.x, s.target), lambda: captum_gradient(s.model, s.x, s.target)


@case("IntegratedGradients", reference="Captum `IntegratedGradients`, 20 steps")
def _(s: Setting) -> tuple[Work, Work]:
    from captum.attr import IntegratedGradients as Theirs

    return (
        lambda: IntegratedGradients(steps=20)(s.model, s.x, s.target),
        lambda: Theirs(s.model).attribute(s.x, target=s.target, n_steps=20, internal_batch_size=len(s.x)).detach(),
    )


class Given:
    """Draws that are Captum's: noise drawn once for every copy of every image."""

    def __init__(self, noise: Tensor, sample: int = 0) -> None:
        self.noise, self.sample = noise, sample

    def of(self, purpose: str) -> "Given":
        return Given(self.noise, int(purpose.removeprefix("smoothgrad")))

    def normal(self, shape: Sequence[int], *, device: Any = "cpu") -> Tensor:
        return self.noise[:, self.sample]

    def uniform(self, shape: Sequence[int], *, device: Any = "cpu") -> Tensor:
        raise NotImplementedError


@case("SmoothGrad", reference="Captum `NoiseTunnel` of `Saliency`, 10 samples")
def _(s: Setting) -> tuple[Work, Work]:
    from captum.attr import NoiseTunnel, Saliency

    samples = 10
    shape = (len(s.x) * samples, *s.x.shape[1:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)

    def reference() -> Tensor:
        torch.manual_seed(7)
        tunnel = NoiseTunnel(Saliency(s.model))
        return tunnel.attribute(s.x, nt_samples=samples, stdevs=0.15, target=s.target, abs=False).detach()

    given = Given(noise.view(len(s.x), samples, *s.x.shape[1:]))
    return lambda: SmoothGrad(samples=samples)(s.model, s.x, s.target, generator=given), reference
