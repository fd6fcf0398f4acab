"""Does the map point at what the network uses?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pellucid.core.checks import at_least, one_of, some_of
from pellucid.metrics.column import Column, Direction
from pellucid.metrics.metric import Case, Images, Metric, Numbers

__all__ = ["METRICS", "ROAD", "Fill", "InsertionDeletion", "Order", "PerturbationCurves"]

Fill = Literal["uniform", "mean", "blur", "linear"]
Order = Literal["morf", "lerf", "random"]
SAMEK = "Samek et al. 2017; protocol of Xu et al. 2023 (SCAAT)"
RONG = "Rong et al. 2022"
PETSIUK = "Petsiuk, Das and Saenko 2018"

_AOPC: dict[str, Any] = {"source": SAMEK, "scale": 1000, "unit": "×10⁻³"}
_CURVE: dict[str, Any] = {"source": SAMEK, "curve": True}
_CURVES = {
    "aopc_morf": Column(
        title="MoRF", direction="higher", main=True, **_AOPC,
        plain="Most relevant first: the confidence lost while noise covers the pixels that the map calls relevant. "
        "If the map is true, much is lost.",
        contest="Which loses most when the pixels that its map calls relevant are destroyed?",
        definition="Mean loss of the target's probability while the most relevant regions are replaced first.",
    ),
    "aopc_lerf": Column(
        title="LeRF", direction="lower", main=True, **_AOPC,
        plain="Least relevant first: the confidence lost while noise covers the pixels that the map calls "
        "irrelevant. If the map is true, hardly any is lost.",
        contest="Which minds least when the pixels that its map calls irrelevant are destroyed?",
        definition="Mean loss of the target's probability while the least relevant regions are replaced first.",
    ),
    "aopc_random": Column(
        title="AOPC random", **_AOPC,
        definition="Mean loss of the target's probability while regions are replaced in random order: what a map that"
        " knows nothing would have.",
    ),
    "area_between": Column(
        title="Area between curves", direction="higher", **_AOPC | {"source": "Schulz et al. 2020; Samek et al. 2017"},
        definition="AOPC MoRF minus AOPC LeRF.",
    ),
    "morf_curve": Column(
        title="MoRF curve", direction="higher", **_CURVE,
        definition="Loss of the target's probability after each step, most relevant regions first; step 0 is 0.",
    ),
    "lerf_curve": Column(
        title="LeRF curve", direction="lower", **_CURVE,
        definition="Loss of the target's probability after each step, least relevant regions first; step 0 is 0.",
    ),
    "random_curve": Column(
        title="Random curve", **_CURVE,
        definition="Loss of the target's probability after each step, regions in random order; step 0 is 0.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PerturbationCurves(Metric):
    """`pellucid.metrics.perturbation_curves`, their means (AOPC) and the difference of two of these.

    Args:
        orders: which regions go first: ``morf``, most relevant, ``lerf``, least relevant, ``random``.
        between: whether AOPC MoRF minus AOPC LeRF is a column too; needs both orders.
        fraction: share of an image's regions that is replaced at the last step, in (0, 1].
        steps: points of a curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; 2 at 28 and 32 pixels, 8 at 96, 16 at 224 by default.
        fill: what a replaced region shows: ``uniform`` noise, the image's ``mean``, its ``blur``, or ``linear``, the
            noisy linear imputation of ROAD.
    """

    follows = {name: name for name in ("fraction", "steps", "repeats", "region", "fill")}
    orders: tuple[Order, ...] = ("morf", "lerf")
    between: bool = False
    fraction: float = 0.2
    steps: int = 20
    repeats: int = 5
    region: int | None = None
    fill: Fill = "uniform"
    aggregates = {
        "aopc_rel": Column(
            title="MoRF / LeRF", direction="higher", aggregate="ratio of means", of=("aopc_morf", "aopc_lerf"),
            source="Xu et al. 2023 (SCAAT)", parameters={"floor": 1e-6}, main=True,
            plain="How many times more the relevant pixels count than the irrelevant ones. Read it beside the other "
            "two: a network that ignores small changes anywhere scores well too, and where LeRF is about 0 the ratio "
            "says nothing.",
            definition="Mean AOPC MoRF over all images divided by mean AOPC LeRF, the latter at least 1e-6.",
        )
    }  # fmt: skip

    def __post_init__(self) -> None:
        one_of(get_args(Fill), fill=self.fill)
        at_least(1, steps=self.steps, repeats=self.repeats)
        if self.region is not None:
            at_least(1, region=self.region)
        some_of(get_args(Order), orders=self.orders)
        needed = {*self.orders, "morf", "lerf"} if self.between else {*self.orders}
        object.__setattr__(self, "orders", tuple(order for order in get_args(Order) if order in needed))

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the orders
        wanted = {name for order in self.orders for name in (f"aopc_{order}", f"{order}_curve")}
        wanted |= {"area_between"} if self.between else set()
        return {name: column for name, column in _CURVES.items() if name in wanted}

    def only(self, wanted: Collection[str]) -> Metric:
        orders = [order for order in get_args(Order) if {f"aopc_{order}", f"{order}_curve"} & set(wanted)]
        between = "area_between" in wanted
        return replace(self, orders=tuple(orders) or ("morf", "lerf"), between=between)

    def fitted(self, images: Images) -> Metric:
        from pellucid.metrics.regions import default_region

        return self if self.region is not None else replace(self, region=default_region(images.side))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.faithfulness import aopc, area_between, perturbation_curves

        curves = perturbation_curves(
            case.model, case.x, case.target, case.heatmap, orders=self.orders, fraction=self.fraction,
            steps=self.steps, repeats=self.repeats, region=self.region, fill=self.fill, generator=case.draws,
            chunk=case.chunk,
        )  # fmt: skip
        values = {f"aopc_{order}": aopc(curve) for order, curve in curves.items()}
        values |= {f"{order}_curve": curve for order, curve in curves.items()}
        if self.between:
            values["area_between"] = area_between(curves["morf"], curves["lerf"])
        return values

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        names = ("fraction", "steps", "repeats", "region", "fill")
        return {name: getattr(self, name) for name in names} | {"score": "probability"}


_GONE: dict[Order, str] = {"morf": "most relevant pixels", "lerf": "least relevant pixels", "random": "pixels"}
_TITLES: dict[Order, str] = {"morf": "MoRF", "lerf": "LeRF", "random": "random"}
_BETTER: dict[Order, Direction] = {"morf": "lower", "lerf": "higher", "random": "none"}
_ROAD = {
    f"road_{order}": Column(
        title=f"ROAD {_TITLES[order]}", unit="%", scale=100, direction=_BETTER[order], source=RONG,
        definition=f"Share of the removal steps after which the explained class is still predicted, {_GONE[order]}"
        f" removed {'in random order' if order == 'random' else 'first'} by noisy linear imputation.",
    )
    for order in get_args(Order)
} | {
    f"road_{order}_curve": Column(
        title=f"ROAD {_TITLES[order]} curve", direction=_BETTER[order], source=RONG, curve=True,
        definition=f"Whether the explained class is still predicted after each share of the {_GONE[order]} is removed"
        f"{' in random order' if order == 'random' else ''}.",
    )
    for order in get_args(Order)
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ROAD(Metric):
    """`pellucid.metrics.road`: pixels removed by noisy linear imputation.

    Args:
        orders: which pixels go first, as in `PerturbationCurves`; the random order is measured on request alone.
        shares: of the pixels that are removed, each in [0, 1].
        noise: standard deviation of the noise on removed pixels, in pixel units.
    """

    orders: tuple[Order, ...] = ("morf", "lerf")
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    noise: float = 0.01

    def __post_init__(self) -> None:
        some_of(get_args(Order), orders=self.orders)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the orders
        wanted = {name for order in self.orders for name in (f"road_{order}", f"road_{order}_curve")}
        return {name: column for name, column in _ROAD.items() if name in wanted}

    def only(self, wanted: Collection[str]) -> Metric:
        orders = [order for order in get_args(Order) if {f"road_{order}", f"road_{order}_curve"} & set(wanted)]
        return replace(self, orders=tuple(orders))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.removal import road

        kept = road(
            case.model, case.x, case.target, case.heatmap, orders=self.orders, shares=self.shares, noise=self.noise,
            generator=case.draws, chunk=case.chunk,
        )  # fmt: skip
        values = {f"road_{order}": curve.mean(dim=1) for order, curve in kept.items()}
        return values | {f"road_{order}_curve": curve for order, curve in kept.items()}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return {"shares": self.shares, "noise": self.noise}


_APPEARING = {
    "insertion": Column(
        title="Insertion", direction="higher", source=PETSIUK,
        definition="Area under the target's probability while the most relevant pixels appear on a blurred image.",
    ),
    "deletion": Column(
        title="Deletion", direction="lower", source=PETSIUK,
        definition="Area under the target's probability while the most relevant pixels are blackened.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InsertionDeletion(Metric):
    """The areas under the two curves of `pellucid.metrics.insertion_deletion`.

    Args:
        measures: ``insertion`` or ``deletion`` or both.
        steps: points of a curve.
        region: side of the regions in pixels; the perturbation curves' by default.
        sigma: standard deviation of the blur in pixels; a tenth of the shorter side by default.
        blank: value of a deleted pixel, in [0, 1].
    """

    measures: tuple[Literal["insertion", "deletion"], ...] = ("insertion", "deletion")
    steps: int = 50
    region: int | None = None
    sigma: float | None = None
    blank: float = 0.0

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the measures
        return {name: column for name, column in _APPEARING.items() if name in self.measures}

    def only(self, wanted: Collection[str]) -> Metric:
        measures: tuple[Literal["insertion", "deletion"], ...] = ("insertion", "deletion")
        return replace(self, measures=tuple(name for name in measures if name in wanted))

    def fitted(self, images: Images) -> Metric:
        from pellucid.metrics.regions import default_region

        region = default_region(images.side) if self.region is None else self.region
        return replace(self, region=region, sigma=images.side / 10 if self.sigma is None else self.sigma)

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.faithfulness import area_under
        from pellucid.metrics.removal import insertion_deletion

        curves = insertion_deletion(
            case.model, case.x, case.target, case.heatmap, steps=self.steps, region=self.region, sigma=self.sigma,
            blank=self.blank, chunk=case.chunk,
        )  # fmt: skip
        return {name: area_under(curves[name]) for name in self.measures}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        used = ("steps", "region", "sigma") if column == "insertion" else ("steps", "blank", "region")
        return {name: getattr(self, name) for name in used}


METRICS: tuple[Metric, ...] = (
    PerturbationCurves(orders=("morf", "lerf", "random"), between=True),
    ROAD(orders=("morf", "lerf", "random")),
    InsertionDeletion(),
)
"""With all their columns, in the order of every table."""
