"""What happens to maps as images or weights change, against independent code: stability, curvature, sanity."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from parity_case import Case, Work, add_case
from parity_settings import GREY, SMOOTH, Setting, explain, in_turn, length, logits_of, map_of, quantus
from torch import Tensor, nn

from pellucid import VanillaGradient, metrics
from pellucid.metrics.families.stability import stability_column

CASES: list[Case] = []
case = partial(add_case, CASES)
NOISES = ("gaussian", "uniform", "one-sided")


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
    return [stability_column(one, form=form, noise=noise) for noise in NOISES for one in measures]


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


def top_eigenvalues(s: Setting) -> list[Tensor]:
    values = [torch.linalg.eigvalsh(hessian_of(s, i)) for i in range(len(s.x))]
    return [one[one.abs().argmax()] for one in values]


@case("top_hessian_eigenvalue", columns=["top_hessian_eigenvalue"], settings=[SMOOTH],
      reference="PyTorch `autograd.functional.hessian` and `linalg.eigvalsh`",
      note="500 iterations, so that the power iteration has converged")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: metrics.top_hessian_eigenvalue(
        s.model, s.x, s.label, iterations=500, generator=s.draws
    ), lambda: top_eigenvalues(s)


@case("top_hessian_eigenvalue", columns=["top_hessian_eigenvalue"], settings=[SMOOTH],
      reference="the same, by `method=\"difference\"` of step 1e-4")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: metrics.top_hessian_eigenvalue(
        s.model, s.x, s.label, iterations=500, method="difference", step=1e-4, generator=s.draws
    ), lambda: top_eigenvalues(s)


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
