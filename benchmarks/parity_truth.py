"""Maps beside a mask, and what is measured by exchange or removal, against independent code."""

from functools import partial
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.stats
import torch
from parity_case import Case, Work, add_case
from parity_curves import probability, ranked_map_of
from parity_settings import Setting, logits_of
from torch import Tensor

from pellucid import metrics
from pellucid.metrics import PerturbationCurves

CASES: list[Case] = []
case = partial(add_case, CASES)


def mask_of(s: Setting) -> Tensor:
    """A square at a place that depends on the image."""
    n, _, h, w = s.x.shape
    mask = torch.zeros(n, h, w, dtype=torch.bool)
    for i in range(n):
        mask[i, i % 5 : i % 5 + h // 3, 2 * i % 7 : 2 * i % 7 + w // 2] = True
    return mask


@case("relevance_mass", "rank_accuracy", "pointing_game", columns=["mass", "rank_accuracy", "pointing"],
      reference="the definitions in NumPy, of maps without ties, pixels sorted by `argsort`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, mask = ranked_map_of(s), mask_of(s)

    def ours() -> list[Tensor]:
        return [getattr(metrics, name)(value, mask) for name in ("relevance_mass", "rank_accuracy", "pointing_game")]

    def reference() -> list[np.ndarray]:
        maps, inside = value.flatten(1).numpy(), mask.flatten(1).numpy()
        order = [np.argsort(-one) for one in maps]
        ranked = [one[first[: one.sum()]].mean() for one, first in zip(inside, order, strict=True)]
        pointed = [float(one[first[0]]) for one, first in zip(inside, order, strict=True)]
        return [(maps * inside).sum(1) / maps.sum(1), np.array(ranked), np.array(pointed)]

    return ours, reference


@case("mass_chance", "mass_lift", "mass_random", "mass_edges",
      columns=["mass_chance", "mass_lift", "mass_random", "mass_edges"],
      reference="the definitions in NumPy, of SciPy's `sobel` and of the same random map")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, mask = ranked_map_of(s), mask_of(s)
    drawn = s.draws.of("truth/random_map").uniform(mask.shape).double().numpy()

    def ours() -> list[Tensor]:
        random = metrics.mass_random(mask, generator=s.draws)
        return [metrics.mass_chance(mask), metrics.mass_lift(value, mask), random, metrics.mass_edges(s.x, mask)]

    def reference() -> list[np.ndarray]:
        inside, maps = mask.numpy(), value.numpy()
        chance = inside.mean((1, 2))
        sobel = partial(scipy.ndimage.sobel, mode="nearest")
        edges = np.array([[np.hypot(sobel(one, 0), sobel(one, 1)) for one in image] for image in s.x.numpy()]).mean(1)
        share = [(one * inside).sum((1, 2)) / one.sum((1, 2)) for one in (maps, drawn, edges)]
        return [chance, (share[0] - chance) / (1 - chance), share[1], share[2]]

    return ours, reference


@case("prediction_changes", "mass_checked", "confession",
      columns=["follows_cause", "follows_rest", "reliance", "mass_checked", "confession", "decoy_mass"],
      reference="the definitions in NumPy, of logits on other images' pixels inside and outside the mask")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, mask, other = ranked_map_of(s), mask_of(s), s.x.roll(1, 0)
    cause, rest = torch.where(mask[:, None], other, s.x), torch.where(mask[:, None], s.x, other)

    def ours() -> list[Tensor]:
        follows = [metrics.prediction_changes(s.model, s.x, changed) for changed in (cause, rest)]
        checked = metrics.mass_checked(value, mask, *follows)
        return [*follows, checked, metrics.confession(value, mask, follows[1])]

    def reference() -> list[np.ndarray]:
        first, *after = (logits_of(s, image).argmax(1) for image in (s.x, cause, rest))
        follows = [first != one for one in after]
        share = (value * mask).sum((1, 2)).numpy() / value.sum((1, 2)).numpy()
        checked = np.where(follows[0] & ~follows[1], share, np.nan)
        return [*follows, checked, np.where(follows[1], share > mask.double().mean((1, 2)).numpy(), np.nan)]

    return ours, reference


@case("part_losses", "part_rank", columns=["part_rank"],
      reference="SciPy `spearmanr` over six parts, of logits without each")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, side = ranked_map_of(s), s.x.shape[-1]
    parts = {}
    for k in range(6):
        place = torch.zeros(value.shape, dtype=torch.bool)
        place[:, k * side // 6 : (k + 1) * side // 6, k : side - k] = True
        parts[str(k)] = place
    without = {name: torch.where(place[:, None], 0.5, s.x) for name, place in parts.items()}

    def ours() -> list[Tensor]:
        losses = metrics.part_losses(s.model, s.x, s.target, without)
        return [*losses.values(), metrics.part_rank(value, parts, losses)]

    def reference() -> list[np.ndarray]:
        rows, target = np.arange(len(s.x)), s.target.numpy()
        whole = logits_of(s, s.x)[rows, target]
        losses = np.array([whole - logits_of(s, image)[rows, target] for image in without.values()])
        sums = np.array([(value * place).sum((1, 2)).numpy() for place in parts.values()])
        ranks = np.array([scipy.stats.spearmanr(sums[:, i], losses[:, i]).statistic for i in rows])
        return [*losses, ranks]

    return ours, reference


@case("region_losses", "oracle_map",
      columns=["aopc_oracle", "oracle_curve", "oracle_gap", "oracle_gain", "morf_gain", "abs_lerf",
               "faithfulness_normalised", "morf_normalised", "morf_over_random", "lerf_over_random"],
      reference="one region after another in NumPy, and curves of the maps by `perturbation_curve`")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    value, region = ranked_map_of(s), 8
    settings: dict[str, Any] = {"fraction": 0.5, "steps": 4, "repeats": 2, "region": region}
    orders = ("morf", "lerf", "random", "oracle")
    further = ("abs_lerf", "oracle_gap", "morf_gain", "oracle_gain")
    curves = PerturbationCurves(orders=orders, between=True, further=further, oracle_repeats=2, **settings)
    seen = metrics.Case(
        model=s.model, x=s.x, explained=s.target, index=torch.tensor(s.draws.index), given=value, seed=s.draws.seed
    )

    noise = [s.draws.of("oracle").of(f"perturbation/{r}").uniform(s.x.shape).double() for r in range(2)]
    # The order of regions that are worth the same but for rounding is pellucid's.
    best = metrics.oracle_map(s.model, s.x, s.target, region=region, repeats=2, generator=s.draws)

    def curve(one: Tensor, order: Any) -> np.ndarray:
        return metrics.perturbation_curve(
            s.model, s.x, s.target, one, order=order, generator=s.draws, **settings
        ).numpy()

    found = [
        curve(one, order)
        for one, order in ((value, "morf"), (value, "lerf"), (best, "morf"), (best, "lerf"), (value, "random"))
    ]

    def ours() -> list[Any]:
        losses = metrics.region_losses(s.model, s.x, s.target, region=region, repeats=2, generator=s.draws)
        values = curves(seen)
        ratios = [values[column.of[0]].mean() / values[column.of[1]].mean() for column in curves.aggregates.values()]
        return [losses, values["oracle_curve"], *(values[name] for name in ("aopc_oracle", *further)), *ratios[1:]]

    def reference() -> list[Any]:
        h, w = s.x.shape[2:]
        losses = np.zeros((len(s.x), h, w))
        for top in range(0, h, region):
            for left in range(0, w, region):
                square = np.s_[..., top : top + region, left : left + region]
                for one in noise:
                    changed = s.x.clone()
                    changed[square] = one[square]
                    losses[square] += (probability(s, s.x) - probability(s, changed))[:, None, None] / 2
        morf, lerf, oracle, worst, random = (one.mean(1) for one in found)
        gains = [np.abs(lerf), oracle - worst, morf - random, oracle - random]
        ratios = [
            (morf - lerf).mean() / (oracle - worst).mean(), (morf - random).mean() / (oracle - random).mean(),
            morf.mean() / random.mean(), lerf.mean() / random.mean(),
        ]  # fmt: skip
        return [losses, found[2], oracle, *gains, *ratios]

    return ours, reference
