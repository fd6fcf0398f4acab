"""Do the maps of an image and its noisy copies look alike?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from pellucid.metrics.column import Column
from pellucid.metrics.families.stability import Noise, RelativeStability, coverage_column, stability_column, told_noise
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "MapSimilarity"]

Measure = Literal["ssim", "rank_correlation"]
_COLUMNS = {
    "map_ssim": Column(
        title="SSIM of noisy maps", direction="higher", source="Bhusal, Alam and Rastogi 2026; Wang et al. 2004",
        definition="Mean structural similarity of the map and that of each noisy image of the same prediction; empty"
        " where there is none.",
    ),
    "map_rank_correlation": Column(
        title="Rank correlation of noisy maps", direction="higher", source="Ghorbani, Abid and Zou 2019",
        definition="Mean Spearman correlation of the map and that of each noisy image of the same prediction; empty"
        " where there is none.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MapSimilarity(Metric):
    """`pellucid.metrics.map_similarity` over the noisy copies that the stability measures see.

    Args:
        measures: ``ssim`` or ``rank_correlation`` or both.
        noise: as in `RelativeStability`, as are ``sigma``, ``between`` and ``draws``.
        sigma: standard deviation of the noise in pixel units.
        between: lowest and highest value of one-sided noise.
        draws: noisy copies of an image.
        normalise: whether each map is divided by its own largest magnitude.
        window: side of SSIM's squares in pixels, odd, at least 3.
        data_range: range of a map's values that SSIM assumes, above 0.
    """

    about: ClassVar[About] = "noisy maps"
    follows = {name: name for name in ("sigma", "draws")}
    measures: tuple[Measure, ...] = ("ssim", "rank_correlation")
    noise: Noise = RelativeStability.noise
    sigma: float = RelativeStability.sigma
    between: tuple[float, float] = RelativeStability.between
    draws: int = RelativeStability.draws
    normalise: bool = True
    window: int = 7
    data_range: float = 1.0

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the measures
        named = {name: column for name, column in _COLUMNS.items() if name.removeprefix("map_") in self.measures}
        return named | {stability_column("stability_coverage", noise=self.noise): coverage_column(self.noise)}

    def only(self, wanted: Collection[str]) -> Metric:
        measures = tuple(measure for measure in get_args(Measure) if f"map_{measure}" in wanted)
        return replace(self, measures=measures or get_args(Measure))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.similarity import similarity_of

        seen = case.noisy(noise=self.noise, sigma=self.sigma, between=self.between, draws=self.draws)
        values = similarity_of(
            seen, channels=case.channels, normalise=self.normalise, window=self.window, data_range=self.data_range
        )
        coverage = stability_column("stability_coverage", noise=self.noise)
        return {f"map_{measure}": values[measure] for measure in self.measures} | {coverage: values["coverage"]}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        told = told_noise(self) | ({"normalise": self.normalise} if column in _COLUMNS else {})
        return told | ({"window": self.window, "data_range": self.data_range} if column == "map_ssim" else {})


METRICS: tuple[Metric, ...] = (MapSimilarity(),)
"""With all their columns, in the order of every table."""
