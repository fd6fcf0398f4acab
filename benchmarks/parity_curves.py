"""Faithfulness against independent code: perturbation, insertion and deletion, ROAD, and what they fill in."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from parity_case import Case, Work, add_case
from parity_settings import COLOUR, GREY, Setting, logits_of, map_of, quantus
from torch import Tensor

from pellucid import metrics
from pellucid.statistics import ratio_interval

CASES: list[Case] = []
case = partial(add_case, CASES)
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
