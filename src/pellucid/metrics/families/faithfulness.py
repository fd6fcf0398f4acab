"""Does the map point at what the network uses?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pellucid.core.checks import some_of
from pellucid.metrics.column import Column, Direction
from pellucid.metrics.families.curves import CurveOrder, Fill, Further, Order, PerturbationCurves
from pellucid.metrics.metric import Case, Images, Metric, Numbers

__all__ = ["METRICS", "ROAD", "CurveOrder", "Fill", "InsertionDeletion", "Order", "PerturbationCurves"]

RONG = "Rong et al. 2022"
PETSIUK = "Petsiuk, Das and Saenko 2018"

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
    PerturbationCurves(orders=get_args(CurveOrder), between=True, further=get_args(Further)),
    PerturbationCurves(
        orders=get_args(CurveOrder), between=True, further=get_args(Further), fill="mean", suffix="mean"
    ),
    ROAD(orders=("morf", "lerf", "random")),
    InsertionDeletion(),
)
"""With all their columns, in the order of every table."""
