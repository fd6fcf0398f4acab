"""Is the map concentrated? Numbers of the map alone."""

from dataclasses import dataclass
from typing import ClassVar

from pellucid.metrics.column import Column
from pellucid.metrics.metric import Case, Metric, Numbers

__all__ = [
    "METRICS",
    "CompressedSize",
    "EffectiveComplexity",
    "Entropy",
    "Gini",
    "Hoyer",
    "LosslessSize",
    "MapMetric",
    "PixelEntropy",
]


class MapMetric(Metric):
    """One number of the map alone: the metric's settings are the arguments of its formula.

    Attributes:
        formula: name of the function in `pellucid.metrics`, from heatmaps (n, h, w) to (n,).
    """

    formula: ClassVar[str]

    def __call__(self, case: Case) -> Numbers:
        from pellucid import metrics

        (name,) = self.columns
        return {name: getattr(metrics, self.formula)(case.heatmap, **self.settings(name))}


@dataclass(frozen=True, kw_only=True)
class Gini(MapMetric):
    """`pellucid.metrics.gini` of each map."""

    formula = "gini"
    columns = {
        "gini": Column(
            title="Gini index", direction="higher", source="Hurley and Rickard 2009", main=True,
            plain="How unevenly the map is spread: 0 if all pixels have equal weight, near 1 if a few have it all.",
            contest="Whose maps are most concentrated?",
            definition="Concentration of the map: 0 if all pixels have equal weight, near 1 if a few have it all.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entropy(MapMetric):
    """`pellucid.metrics.entropy` of each map's grey levels."""

    formula = "entropy"
    columns = {
        "entropy": Column(
            title="Entropy", unit="bit", direction="lower", source="Xu et al. 2023 (SCAAT), table 1",
            parameters={"bins": 256}, main=True,
            plain="How many different grey levels the map uses: noise uses many, a clean shape few.",
            definition="Entropy of the 256 grey levels of the map scaled to its own maximum.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CompressedSize(MapMetric):
    """`pellucid.metrics.compressed_size` of each map as a JPEG."""

    formula = "compressed_size"
    columns = {
        "size_kb": Column(
            title="JPEG size", unit="KiB", direction="lower", source="Xu et al. 2023 (SCAAT), table 1",
            parameters={"codec": "JPEG", "quality": 75}, main=True,
            plain="How large the map is as a compressed picture: a tidy map compresses well.",
            definition="Size of the map as a grey JPEG at native size, beyond that of a flat image.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LosslessSize(MapMetric):
    """`pellucid.metrics.png_size` of each map."""

    formula = "png_size"
    columns = {
        "png_kb": Column(
            title="Lossless size", unit="KiB", direction="lower",
            source="lossless companion of Xu et al. 2023 (SCAAT), table 1", parameters={"codec": "PNG"},
            definition="Size of the map as a grey PNG at native size, beyond that of a flat image.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PixelEntropy(MapMetric):
    """`pellucid.metrics.pixel_entropy` of each map."""

    formula = "pixel_entropy"
    columns = {
        "pixel_entropy": Column(
            title="Pixel entropy", unit="bit", direction="lower", source="Bhatt, Weller and Moura 2020 (complexity)",
            definition="Entropy of the map divided by its sum, as a distribution over pixels.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Hoyer(MapMetric):
    """`pellucid.metrics.hoyer` of each map."""

    formula = "hoyer"
    columns = {
        "hoyer": Column(
            title="Hoyer sparsity", direction="higher", source="Hoyer 2004",
            definition="Sparsity by the ratio of the map's L1 and L2 norms: 0 when flat, 1 when one pixel holds all.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EffectiveComplexity(MapMetric):
    """`pellucid.metrics.effective_complexity` of each map.

    Args:
        threshold: share of the map's maximum that a pixel must exceed to count, in [0, 1).
    """

    formula = "effective_complexity"
    threshold: float = 0.1
    columns = {
        "effective_complexity": Column(
            title="Effective complexity", unit="pixels", direction="lower", source="Nguyen and Martínez 2020",
            definition="Number of pixels above a share of the map's maximum, the threshold.",
        )
    }  # fmt: skip


METRICS: tuple[Metric, ...] = (
    Gini(),
    Entropy(),
    CompressedSize(),
    LosslessSize(),
    PixelEntropy(),
    Hoyer(),
    EffectiveComplexity(),
)
"""With all their columns, in the order of every table."""
