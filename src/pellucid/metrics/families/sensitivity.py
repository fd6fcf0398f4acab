"""What is the largest change of the map in a small box around the image?"""

from dataclasses import dataclass
from typing import ClassVar

from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "LocalLipschitz", "MaxSensitivity"]


@dataclass(frozen=True, kw_only=True)
class LocalLipschitz(Metric):
    """`pellucid.metrics.local_lipschitz`.

    Args:
        radius: largest change of a pixel, above 0.
        draws: noisy copies of an image.
    """

    about: ClassVar[About] = "noisy maps"
    signed: ClassVar[bool] = True
    relative: ClassVar[bool] = False
    radius: float = 0.02
    draws: int = 10
    columns = {
        "local_lipschitz": Column(
            title="Local Lipschitz estimate", direction="lower", source="Alvarez-Melis and Jaakkola 2018, equation 1",
            definition="Largest change of the map per change of the image within a small box.",
        )
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.sensitivity import box, worst_change

        (name,) = self.columns
        seen = case.noisy(**box(self.radius), draws=self.draws, predict=False)
        return {name: worst_change(seen, relative=self.relative)}


@dataclass(frozen=True, kw_only=True)
class MaxSensitivity(LocalLipschitz):
    """`pellucid.metrics.max_sensitivity`, with the settings of `LocalLipschitz`."""

    relative: ClassVar[bool] = True
    columns = {
        "max_sensitivity": Column(
            title="Max-sensitivity", direction="lower", source="Yeh et al. 2019, as in Captum",
            definition="Largest relative change of the map within a small box around the image.",
        )
    }  # fmt: skip


METRICS: tuple[Metric, ...] = (LocalLipschitz(), MaxSensitivity())
"""With all their columns, in the order of every table."""
