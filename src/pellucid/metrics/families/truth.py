"""Does the map show what decides the class, where that is known?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from pellucid.core.checks import some_of
from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = [
    "METRICS",
    "CheckedMass",
    "DecoyConfession",
    "Intervention",
    "Interventions",
    "MassBaselines",
    "PartRank",
    "PointingGame",
    "RankAccuracy",
    "RelevanceMass",
]

ARRAS = "Arras, Osman and Samek 2022 (CLEVR-XAI)"
_SHARE: dict[str, Any] = {"unit": "%", "scale": 100}


@dataclass(frozen=True, kw_only=True)
class RelevanceMass(Metric):
    """`pellucid.metrics.relevance_mass` of each map, and `pellucid.metrics.mass_lift`, how far it is above chance."""

    needs = {"mass": ("mask",), "mass_lift": ("mask",)}
    columns = {
        "mass": Column(
            title="Mass on the cause", direction="higher", source=f"{ARRAS}, relevance mass accuracy", main=True,
            **_SHARE,
            plain="How much of what the map marks lies on what really decides the class. A map that marks everything "
            "alike has the chance level, a perfect one 100 %.",
            contest="Whose maps lie best on what decides the class?",
            definition="Share of the map's sum that lies inside the mask of what decides the class.",
        ),
        "mass_lift": Column(
            title="Mass above chance", direction="higher", source=ARRAS,
            definition="Mass on the cause minus the mask's share of the area, divided by one minus that share: 0 for a "
            "flat map, 1 where all of the map lies inside the mask.",
        ),
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.truth import mass_lift, relevance_mass

        return {"mass": relevance_mass(case.heatmap, case.cause), "mass_lift": mass_lift(case.heatmap, case.cause)}


_BASELINES = {
    "mass_chance": Column(
        title="Mass of a flat map", source=ARRAS, **_SHARE,
        definition="Share of the image's area that the mask of what decides the class covers: the mass of a flat map.",
    ),
    "mass_random": Column(
        title="Mass of a random map", source=ARRAS, **_SHARE,
        definition="Mass on the cause of a map whose pixels are uniform random numbers.",
    ),
    "mass_edges": Column(
        title="Mass of edges", source="edge detector of Adebayo et al. 2018", **_SHARE,
        definition="Mass on the cause of the image's edges, which know nothing of the network.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MassBaselines(Metric):
    """What to read `RelevanceMass` beside: the mass of three maps that know nothing of the network.

    Args:
        baselines: ``chance`` of a flat map, ``random`` of random numbers, ``edges`` of an edge detector.
    """

    about: ClassVar[About] = "network"
    baselines: tuple[Literal["chance", "random", "edges"], ...] = ("chance", "random", "edges")

    def __post_init__(self) -> None:
        some_of(("chance", "random", "edges"), baselines=self.baselines)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the baselines
        return {f"mass_{name}": _BASELINES[f"mass_{name}"] for name in self.baselines}

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]  # likewise
        return {name: ("mask",) for name in self.columns}

    def only(self, wanted: Collection[str]) -> Metric:
        return replace(self, baselines=tuple(name for name in self.baselines if f"mass_{name}" in wanted))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.truth import mass_chance, mass_edges, mass_random

        values = {}
        if "chance" in self.baselines:
            values["mass_chance"] = mass_chance(case.cause).to(case.x.dtype)
        if "random" in self.baselines:
            values["mass_random"] = mass_random(case.cause, generator=case.draws).to(case.x.dtype)
        if "edges" in self.baselines:
            values["mass_edges"] = mass_edges(case.x, case.cause)
        return values


class MaskedMap(Metric):
    """One number of a map and the mask of what decides the class.

    Attributes:
        formula: name of the function in `pellucid.metrics.truth`, from heatmaps and masks (n, h, w) to (n,).
    """

    formula: ClassVar[str]

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]  # of whichever column it is
        return {name: ("mask",) for name in self.columns}

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics import truth

        (name,) = self.columns
        return {name: getattr(truth, self.formula)(case.heatmap, case.cause)}


@dataclass(frozen=True, kw_only=True)
class RankAccuracy(MaskedMap):
    """`pellucid.metrics.rank_accuracy` of each map."""

    formula = "rank_accuracy"
    columns = {
        "rank_accuracy": Column(
            title="Rank accuracy", direction="higher", source=f"{ARRAS}, relevance rank accuracy", **_SHARE,
            definition="Share of the map's highest pixels, as many as the mask of what decides the class has, that lie"
            " inside the mask.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PointingGame(MaskedMap):
    """`pellucid.metrics.pointing_game` of each map."""

    formula = "pointing_game"
    columns = {
        "pointing": Column(
            title="Peak on the cause", direction="higher", source="Zhang et al. 2018 (pointing game)", **_SHARE,
            definition="Share of images whose map has its highest pixel inside the mask of what decides the class.",
        )
    }  # fmt: skip


Intervention = Literal["cause", "rest", "decoy"]
_FOLLOWS: dict[Intervention, str] = {"cause": "follows_cause", "rest": "follows_rest", "decoy": "reliance"}
_INTERVENTIONS = {
    "follows_cause": Column(
        title="Follows the cause", direction="higher", source="intervention", **_SHARE,
        definition="Share of images whose prediction changes when what decides the class is exchanged for that of"
        " another class.",
    ),
    "follows_rest": Column(
        title="Follows the rest", direction="lower", source="intervention", **_SHARE,
        definition="Share of images whose prediction changes when everything that could mislead is exchanged.",
    ),
    "reliance": Column(
        title="Reliance on the decoy", direction="lower", source="intervention", **_SHARE,
        definition="Share of images whose prediction changes when the decoy is exchanged for another class's.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Interventions(Metric):
    """What the network itself goes by: whether its prediction changes when one thing in the image is exchanged.

    Args:
        exchanged: ``cause``, what decides the class; ``rest``, everything else that could mislead; ``decoy``.
    """

    about: ClassVar[About] = "network"
    exchanged: tuple[Intervention, ...] = ("cause", "rest", "decoy")

    def __post_init__(self) -> None:
        some_of(get_args(Intervention), exchanged=self.exchanged)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on what is exchanged
        return {_FOLLOWS[name]: _INTERVENTIONS[_FOLLOWS[name]] for name in self.exchanged}

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]  # likewise
        return {_FOLLOWS[name]: (f"changed {name}",) for name in self.exchanged}

    def only(self, wanted: Collection[str]) -> Metric:
        return replace(self, exchanged=tuple(name for name in self.exchanged if _FOLLOWS[name] in wanted))

    def __call__(self, case: Case) -> Numbers:
        return {_FOLLOWS[name]: case.follows(name).to(case.x.dtype) for name in self.exchanged}


@dataclass(frozen=True, kw_only=True)
class CheckedMass(Metric):
    """Mass on the cause where the network is known to go by the cause: `pellucid.metrics.mass_checked`."""

    needs = {"mass_checked": ("mask", "changed cause", "changed rest")}
    columns = {
        "mass_checked": Column(
            title="Mass where the cause decides", direction="higher", source=f"{ARRAS}; intervention", **_SHARE,
            definition="Mass on the cause over those images alone whose prediction changes when the cause is exchanged"
            " and stays when the rest is, so that no map is blamed for what the network really does.",
        )
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.interventions import mass_checked

        checked = mass_checked(case.heatmap, case.cause, case.follows("cause"), case.follows("rest"))
        return {"mass_checked": checked}


@dataclass(frozen=True, kw_only=True)
class PartRank(Metric):
    """`pellucid.metrics.part_rank`: the map's order of the parts beside that of what their removal costs."""

    needs = {"part_rank": ("parts",)}
    columns = {
        "part_rank": Column(
            title="Order of the parts", direction="higher", source="after Hesse et al. 2023 (FunnyBirds)",
            definition="Rank correlation, over the named parts in the image, of the map's sum on each with the loss of"
            " the explained class's logit when it is removed.",
        )
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.interventions import part_losses, part_rank

        without = {name: case.exchanged(f"without {name}") for name in case.removable}
        losses = part_losses(case.model, case.x, case.target, without, chunk=case.chunk)
        return {"part_rank": part_rank(case.heatmap, {name: case.part(name) for name in without}, losses)}


@dataclass(frozen=True, kw_only=True)
class DecoyConfession(Metric):
    """Whether the map admits that the network goes by a decoy: `pellucid.metrics.confession`, and the mass on it.

    Args:
        measures: ``confession`` or ``decoy_mass`` or both.
    """

    needs = {"confession": ("part decoy", "changed decoy"), "decoy_mass": ("part decoy",)}
    measures: tuple[Literal["confession", "decoy_mass"], ...] = ("confession", "decoy_mass")

    def __post_init__(self) -> None:
        some_of(("confession", "decoy_mass"), measures=self.measures)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the measures
        return {name: _DECOY[name] for name in self.measures}

    def only(self, wanted: Collection[str]) -> Metric:
        return replace(self, measures=tuple(name for name in self.measures if name in wanted))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.interventions import confession
        from pellucid.metrics.truth import relevance_mass

        values = {}
        if "confession" in self.measures:
            values["confession"] = confession(case.heatmap, case.part("decoy"), case.follows("decoy"))
        if "decoy_mass" in self.measures:
            values["decoy_mass"] = relevance_mass(case.heatmap, case.part("decoy"))
        return values


_DECOY = {
    "confession": Column(
        title="Confession", direction="higher", source="after Ross, Hughes and Doshi-Velez 2017 (decoys)", **_SHARE,
        definition="Share of the images whose prediction changes with the decoy in which the decoy holds more of the"
        " map's sum than of the area.",
    ),
    "decoy_mass": Column(
        title="Mass on the decoy", source="Ross, Hughes and Doshi-Velez 2017", **_SHARE,
        definition="Share of the map's sum that lies on the decoy.",
    ),
}  # fmt: skip


METRICS: tuple[Metric, ...] = (
    RelevanceMass(),
    MassBaselines(),
    CheckedMass(),
    RankAccuracy(),
    PointingGame(),
    Interventions(),
    PartRank(),
    DecoyConfession(),
)
"""With all their columns, in the order of every table."""
