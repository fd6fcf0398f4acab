"""Does the map depend on what the network has learned?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pellucid.metrics.column import Column
from pellucid.metrics.metric import Case, Metric, Numbers

__all__ = ["METRICS", "Randomisation", "RandomisationBaselines"]

ADEBAYO = "Adebayo et al. 2018"


@dataclass(frozen=True, kw_only=True)
class Randomisation(Metric):
    """`pellucid.metrics.randomisation_similarity`: the map beside those of networks whose layers are made random.

    Args:
        order: ``cascading``, from the last layer to the first, or ``independent``, each layer alone.
    """

    order: Literal["cascading", "independent"] = "cascading"
    columns = {
        "randomisation": Column(
            title="Randomised layers", source=ADEBAYO, curve=True,
            definition="Rank correlation of the map with that of the network whose layers are made random one after the"
            " other, from the last to the first.",
        ),
        "randomisation_last": Column(
            title="Fully randomised", direction="lower", source=ADEBAYO,
            definition="Rank correlation of the map with that of the network whose every layer is random.",
        ),
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        import torch

        from pellucid.metrics.sanity import randomisation_similarity

        similarity = randomisation_similarity(
            case.model, case.x, case.target, case.saliency, order=self.order, channels=case.channels, seed=case.seed,
            chunk=case.chunk, generator=case.draws,
        )  # fmt: skip
        values = torch.stack(list(similarity.values()), dim=1)
        return {"randomisation": values, "randomisation_last": values[:, -1]}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        from pellucid.metrics.sanity import randomised_layers

        layers = [] if model is None else randomised_layers(model)
        return {"order": self.order, "layers": layers, "seed": seed}


_BASELINES = {
    "randomisation_edges": Column(
        title="Likeness to edges", source=ADEBAYO,
        definition="Rank correlation of the map with the image's edges, which know nothing of the network.",
    ),
    "randomisation_networks": Column(
        title="Two random networks", source="Yona and Greenfeld 2021",
        definition="Rank correlation of the maps of two networks whose every layer is random: what image and"
        " architecture alone decide.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RandomisationBaselines(Metric):
    """`pellucid.metrics.baseline_similarity`: what to read `Randomisation` beside.

    Args:
        baselines: ``edges`` or ``networks`` or both.
    """

    baselines: tuple[Literal["edges", "networks"], ...] = ("edges", "networks")

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the baselines
        return {f"randomisation_{name}": _BASELINES[f"randomisation_{name}"] for name in self.baselines}

    def only(self, wanted: Collection[str]) -> Metric:
        both: tuple[Literal["edges", "networks"], ...] = ("edges", "networks")
        return replace(self, baselines=tuple(name for name in both if f"randomisation_{name}" in wanted))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.sanity import baseline_similarity

        baseline = baseline_similarity(
            case.model, case.x, case.target, case.saliency, channels=case.channels, seed=case.seed, chunk=case.chunk,
            generator=case.draws,
        )  # fmt: skip
        values = {"edges": baseline["edge_map"], "networks": baseline["random_networks"]}
        return {f"randomisation_{name}": values[name] for name in self.baselines}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return {"seeds": (seed, seed + 1)} if column == "randomisation_networks" else {}


METRICS: tuple[Metric, ...] = (Randomisation(), RandomisationBaselines())
"""With all their columns, in the order of every table."""
