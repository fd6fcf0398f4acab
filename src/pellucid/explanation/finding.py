"""What an examination finds: of one image what the network says of it, and of each of its maps."""

from dataclasses import dataclass

from torch import Tensor

from pellucid.explanation.evidence import Evidence

__all__ = ["Finding", "MapFinding"]


@dataclass(frozen=True, eq=False)
class MapFinding:
    """One map of one image, and what was measured of it.

    Attributes:
        attribution: (c, h, w), signed.
        heatmap: (h, w), non-negative.
        figures: numbers by name; NaN where one is undefined.
        evidence: what a reader can see of it; None unless asked for.
    """

    attribution: Tensor
    heatmap: Tensor
    figures: dict[str, float]
    evidence: Evidence | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """One image: what the network says, its maps, how far they agree.

    Attributes:
        target: class or label that was explained.
        probabilities: (classes,) softmax; of a network of several labels an image the sigmoid of each.
        maps: by name of the method.
        agreement: rank correlation of the region means of two maps, by their names.
        notes: why a metric was left out.
    """

    target: int
    probabilities: Tensor
    maps: dict[str, MapFinding]
    agreement: dict[tuple[str, str], float]
    notes: tuple[str, ...] = ()
