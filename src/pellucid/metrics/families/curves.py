"""Does the map point at what the network uses: curves of its probability while regions are replaced."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pellucid.core.checks import at_least, one_of, some_of
from pellucid.core.errors import InputError
from pellucid.metrics.column import Column
from pellucid.metrics.metric import Case, Images, Metric, Numbers

__all__ = ["CurveOrder", "Fill", "Further", "Order", "PerturbationCurves"]

Fill = Literal["uniform", "mean", "blur", "linear"]
Order = Literal["morf", "lerf", "random"]
CurveOrder = Literal["morf", "lerf", "random", "oracle"]
Further = Literal["abs_lerf", "oracle_gap", "morf_gain", "oracle_gain"]
SAMEK = "Samek et al. 2017; protocol of Xu et al. 2023 (SCAAT)"

_AOPC: dict[str, Any] = {"source": SAMEK, "scale": 1000, "unit": "×10⁻³"}
_CURVE: dict[str, Any] = {"source": SAMEK, "curve": True}
_CURVES = {
    "aopc_morf": Column(
        title="MoRF", direction="higher", main=True, **_AOPC,
        plain="Most relevant first: the confidence that the network loses while noise covers the pixels that the map "
        "marks most. It compares maps of one network; networks differ in how they react to noise anywhere.",
        definition="Mean loss of the target's probability while the most relevant regions are replaced first.",
    ),
    "aopc_lerf": Column(
        title="LeRF", direction="lower", main=True, **_AOPC,
        plain="Least relevant first: the confidence that the network loses while noise covers the pixels that the map "
        "marks least. It compares maps of one network; networks differ in how they react to noise anywhere.",
        definition="Mean loss of the target's probability while the least relevant regions are replaced first.",
    ),
    "aopc_random": Column(
        title="AOPC random", **_AOPC,
        definition="Mean loss of the target's probability while regions are replaced in random order: what a map that"
        " knows nothing would have.",
    ),
    "aopc_oracle": Column(
        title="AOPC oracle", **_AOPC,
        definition="Mean loss of the target's probability while those regions are replaced first whose replacement"
        " alone loses most: near the most that a map can have.",
    ),
    "area_between": Column(
        title="Area between curves", direction="higher", **_AOPC | {"source": "Schulz et al. 2020; Samek et al. 2017"},
        definition="AOPC MoRF minus AOPC LeRF.",
    ),
    "abs_lerf": Column(
        title="Size of LeRF", direction="lower", **_AOPC,
        definition="Size, without its sign, of an image's mean loss of the target's probability while the least"
        " relevant regions are replaced first, so that gains of one image do not hide losses of another.",
    ),
    "oracle_gap": Column(
        title="Oracle's area between curves", **_AOPC,
        definition="Area between the curves of the oracle order, which ranks the regions by the measured loss of the"
        " target's probability when each alone is replaced: near the most that a map can have.",
    ),
    "morf_gain": Column(
        title="MoRF above random", direction="higher", shown=False, **_AOPC,
        definition="AOPC MoRF minus that of a random order.",
    ),
    "oracle_gain": Column(
        title="Oracle above random", shown=False, **_AOPC,
        definition="AOPC of the oracle order minus that of a random order.",
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
    "oracle_curve": Column(
        title="Oracle curve", **_CURVE,
        definition="Loss of the target's probability after each step, regions in the oracle order; step 0 is 0.",
    ),
}  # fmt: skip
_NEEDED: dict[str, tuple[CurveOrder, ...]] = {
    "area_between": ("morf", "lerf"),
    "abs_lerf": ("lerf",),
    "oracle_gap": ("oracle",),
    "morf_gain": ("morf", "random"),
    "oracle_gain": ("oracle", "random"),
}
"""The curves that each of the further numbers is made of."""
_FILLED: dict[Fill, str] = {
    "uniform": "uniform noise",
    "mean": "the image's mean",
    "blur": "the blurred image",
    "linear": "linear imputation",
}
_ORACLE = "Samek et al. 2017, divided by what the same network's oracle and random orders have"
_RATIOS = {
    "aopc_rel": Column(
        title="MoRF / LeRF", direction="higher", aggregate="ratio of means", of=("aopc_morf", "aopc_lerf"),
        source="Xu et al. 2023 (SCAAT)", parameters={"floor": 1e-6}, main=True,
        plain="How many times more confidence is lost where the map marks most than where it marks least. A network "
        "that ignores small changes anywhere scores well too, and where LeRF may be 0 the ratio does not exist.",
        definition="Mean AOPC MoRF over all images divided by mean AOPC LeRF, where the interval of the latter is above"
        " 0.",
    ),
    "faithfulness_normalised": Column(
        title="Normalised faithfulness", direction="higher", aggregate="ratio of means",
        of=("area_between", "oracle_gap"), source=_ORACLE, unit="%", scale=100,
        plain="How much of what any map could show of this network its map does show: 0 % for a random map, about 100 %"
        " for one that knows what each region is worth. Unlike MoRF and LeRF it can be compared between networks that"
        " react to noise differently.",
        definition="Mean area between the MoRF and LeRF curves divided by the mean area of the same network's oracle"
        " order, which ranks the regions by the measured loss when each alone is replaced.",
    ),
    "morf_normalised": Column(
        title="Normalised MoRF", direction="higher", aggregate="ratio of means", of=("morf_gain", "oracle_gain"),
        source=_ORACLE, unit="%", scale=100,
        definition="Mean AOPC MoRF above that of a random order divided by how far the same network's oracle order is"
        " above it.",
    ),
    "morf_over_random": Column(
        title="MoRF / random", direction="higher", aggregate="ratio of means", of=("aopc_morf", "aopc_random"),
        source=_ORACLE, definition="Mean AOPC MoRF divided by the mean AOPC of a random order on the same network.",
    ),
    "lerf_over_random": Column(
        title="LeRF / random", direction="lower", aggregate="ratio of means", of=("aopc_lerf", "aopc_random"),
        source=_ORACLE, definition="Mean AOPC LeRF divided by the mean AOPC of a random order on the same network.",
    ),
}  # fmt: skip

_CONTESTS = {
    "faithfulness_normalised_mean": "Whose maps find best which regions the network needs?",
}
"""Of the curves, what may compare networks: raw MoRF and LeRF do not (docs/truth.md)."""


@dataclass(frozen=True, kw_only=True)
class PerturbationCurves(Metric):
    """`pellucid.metrics.perturbation_curves`, their means (AOPC) and what is made of these.

    Args:
        orders: which regions go first: ``morf``, most relevant, ``lerf``, least relevant, ``random``, or ``oracle``,
            those of the largest `pellucid.metrics.region_losses`, which costs a forward pass for each region.
        between: whether AOPC MoRF minus AOPC LeRF is a column too; needs both orders.
        fraction: share of an image's regions that is replaced at the last step, in (0, 1].
        steps: points of a curve.
        repeats: draws of the replacing noise that a curve averages.
        region: side of the replaced regions in pixels; 2 at 28 and 32 pixels, 8 at 96, 16 at 224 by default.
        fill: what a replaced region shows: ``uniform`` noise, the image's ``mean``, its ``blur``, or ``linear``, the
            noisy linear imputation of ROAD.
        further: numbers that are made of the curves: ``abs_lerf``, the size of AOPC LeRF; ``oracle_gap``, the oracle's
            area between curves; ``morf_gain`` and ``oracle_gain``, both above the random order.
        oracle_repeats: draws of the replacing noise that the oracle's loss of each region averages.
        suffix: what the names of the columns end with, so that curves of two fills can stand in one evaluation; a fill
            with a suffix stays, whatever fill an evaluation asks for.
    """

    follows = {name: name for name in ("fraction", "steps", "repeats", "region", "fill")}
    orders: tuple[CurveOrder, ...] = ("morf", "lerf")
    between: bool = False
    fraction: float = 0.2
    steps: int = 20
    repeats: int = 5
    region: int | None = None
    fill: Fill = "uniform"
    further: tuple[Further, ...] = ()
    oracle_repeats: int = 2
    suffix: str = ""

    def __post_init__(self) -> None:
        one_of(get_args(Fill), fill=self.fill)
        at_least(1, steps=self.steps, repeats=self.repeats, oracle_repeats=self.oracle_repeats)
        if self.region is not None:
            at_least(1, region=self.region)
        some_of(get_args(CurveOrder), orders=self.orders)
        if self.further:
            some_of(get_args(Further), further=self.further)
        if self.suffix and not f"_{self.suffix}".isidentifier():
            raise InputError(f"suffix must be of letters, digits and underscores, got {self.suffix!r}")
        made = (*self.further, *(["area_between"] if self.between else []))
        needed = {*self.orders, *(order for name in made for order in _NEEDED[name])}
        object.__setattr__(self, "orders", tuple(order for order in get_args(CurveOrder) if order in needed))
        object.__setattr__(self, "further", tuple(name for name in get_args(Further) if name in self.further))

    def named(self, column: str) -> str:
        """The name of a column with this metric's suffix.

        >>> PerturbationCurves(fill="mean", suffix="mean").named("aopc_morf")
        'aopc_morf_mean'
        """
        return f"{column}_{self.suffix}" if self.suffix else column

    def _worded(self, name: str, column: Column) -> Column:
        """A column's meaning, with the fill where that is told from others by a suffix."""
        if not self.suffix:
            return column
        definition = f"{column.definition[:-1]}, with regions replaced by {_FILLED[self.fill]}."
        return replace(
            column, title=f"{column.title}, {self.suffix} fill", definition=definition, plain="",
            contest=_CONTESTS.get(self.named(name), ""), main=False, of=tuple(map(self.named, column.of)),
            family="faithfulness", question="What does covering pixels do to the answer?",
        )  # fmt: skip

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the orders
        wanted = {name for order in self.orders for name in (f"aopc_{order}", f"{order}_curve")}
        wanted |= {*self.further, *(["area_between"] if self.between else [])}
        return {self.named(name): self._worded(name, column) for name, column in _CURVES.items() if name in wanted}

    @property
    def aggregates(self) -> Mapping[str, Column]:  # type: ignore[override]  # likewise
        return {self.named(name): self._worded(name, column) for name, column in _RATIOS.items()}

    def only(self, wanted: Collection[str]) -> Metric:
        chosen = {name for name in _CURVES if self.named(name) in wanted}
        orders = [order for order in get_args(CurveOrder) if {f"aopc_{order}", f"{order}_curve"} & chosen]
        further = tuple(name for name in get_args(Further) if name in chosen)
        if not orders:
            orders = [order for name in (*further, "area_between") if name in chosen for order in _NEEDED[name]]
        return replace(
            self, orders=tuple(orders) or ("morf", "lerf"), between="area_between" in chosen, further=further
        )

    def overridden(self, given: Mapping[str, Any]) -> Metric:
        return super().overridden({**given, "fill": None} if self.suffix else given)

    def fitted(self, images: Images) -> Metric:
        from pellucid.metrics.regions import default_region

        return self if self.region is not None else replace(self, region=default_region(images.side))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.faithfulness import aopc, area_between, perturbation_curves
        from pellucid.metrics.oracle import oracle_map

        seen: dict[str, Any] = {"model": case.model, "x": case.x, "target": case.target}
        noise: dict[str, Any] = {"region": self.region, "fill": self.fill, "generator": case.draws, "chunk": case.chunk}
        steps: dict[str, Any] = {"fraction": self.fraction, "steps": self.steps, "repeats": self.repeats}
        orders: tuple[Any, ...] = tuple(order for order in self.orders if order != "oracle")
        curves: dict[Any, Any] = {}
        if orders:
            curves |= perturbation_curves(**seen, heatmap=case.heatmap, orders=orders, **steps, **noise)
        if "oracle" in self.orders:
            best = oracle_map(**seen, repeats=self.oracle_repeats, **noise)
            both = perturbation_curves(**seen, heatmap=best, **steps, **noise)
            curves |= {"oracle": both["morf"], "reverse": both["lerf"]}
        values = {f"aopc_{order}": aopc(curves[order]) for order in self.orders}
        values |= {f"{order}_curve": curves[order] for order in self.orders}
        if self.between:
            values["area_between"] = area_between(curves["morf"], curves["lerf"])
        if "abs_lerf" in self.further:
            values["abs_lerf"] = values["aopc_lerf"].abs()
        if "oracle_gap" in self.further:
            values["oracle_gap"] = area_between(curves["oracle"], curves["reverse"])
        for name in {"morf_gain", "oracle_gain"} & {*self.further}:
            order = name.removesuffix("_gain")
            values[name] = values[f"aopc_{order}"] - values["aopc_random"]
        return {self.named(name): value for name, value in values.items()}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        names = ["fraction", "steps", "repeats", "region", "fill", *(["oracle_repeats"] if "oracle" in column else [])]
        return {name: getattr(self, name) for name in names} | {"score": "probability"}
