"""Could the attack have been too weak, so that robustness only looks high?"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pellucid.core.checks import some_of
from pellucid.core.errors import InputError
from pellucid.metrics.column import Column
from pellucid.metrics.families.robustness import Attacked, told_attack
from pellucid.metrics.metric import Case, Images, Metric, Numbers

__all__ = ["METRICS", "MaskingProbes"]

PROBES = {
    "one_step": ("One-step attack", "an attack of one step of the whole radius"),
    "many_step": ("Many-step attack", "the attack that the other probes are held against"),
    "long": ("Longer attack", "five times as many steps of the attack"),
    "restarts": ("Restarted attack", "the attack from each of several random starts"),
    "unbounded": ("Unbounded attack", "an attack that may change every pixel to any value"),
    "transfer": ("Transferred attack", "the attack computed on another network"),
}
_COLUMNS = {
    f"masking_{probe}": Column(
        title=title, unit="%", scale=100, source="Athalye, Carlini and Wagner 2018; Carlini et al. 2019",
        definition=f"Whether the prediction is the label on the image and after {attack}.",
    )
    for probe, (title, attack) in PROBES.items()
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MaskingProbes(Attacked):
    """`pellucid.metrics.masking_probe`: the probes of one attack.

    Args:
        starts: random starts of the probe ``restarts``, at least 2.
        probes: those that are stored; ``transfer`` needs ``transfer``.
        transfer: run directory of the network on which the transferred attack is computed.
        pixels: numbers in one image; filled in by the evaluation.
    """

    follows = {"robust_eps": "eps", "transfer": "transfer"}
    starts: int = 5
    probes: tuple[str, ...] = ("one_step", "many_step", "long", "restarts", "unbounded")
    transfer: str | None = None
    pixels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        some_of(tuple(PROBES), probes=self.probes)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on the probes
        return {name: column for name, column in _COLUMNS.items() if name.removeprefix("masking_") in self.probes}

    def only(self, wanted: Collection[str]) -> Metric:
        return replace(self, probes=tuple(probe for probe in PROBES if f"masking_{probe}" in wanted))

    def fitted(self, images: Images) -> Metric:
        if "transfer" in self.probes and self.transfer is None:
            raise InputError("masking_transfer needs --transfer RUN, the network that the attack is computed on")
        return replace(super().fitted(images), pixels=math.prod(images.shape))  # type: ignore[type-var]

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.probes import masking_probe

        right = masking_probe(
            case.model, case.x, case.label, self.attack, restarts=self.starts,
            transfer=case.transfer if "transfer" in self.probes else None, generator=case.draws, chunk=case.chunk,
        )  # fmt: skip
        return {f"masking_{probe}": right[probe] for probe in self.probes}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        from pellucid.metrics.probes import probe_attacks

        probe = column.removeprefix("masking_")
        starts = self.starts if probe == "restarts" else 1
        return told_attack(probe_attacks(self.attack, self.pixels)[probe]) | {"restarts": starts}


METRICS: tuple[Metric, ...] = (MaskingProbes(probes=tuple(PROBES)),)
"""With all their columns, in the order of every table."""
