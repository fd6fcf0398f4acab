"""What is tried to make trustworthy training cheaper: each variant beside the training that it is a cheaper form of."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    Activation,
    Alternating,
    GradientPenalty,
    Method,
    SaliencyGuided,
    Smoothing,
    fgsm,
)
from pellucid.methods import AdversarialTraining, FreeAdversarialTraining, Regular, StructuredAdversarialTraining
from pellucid.papers.setting import Setting
from pellucid.runs.settings import Experiment

__all__ = ["VARIANTS", "Variant"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One training.

    Args:
        name: as the table and the folder have it.
        of: the training whose quality it is held against; its own name for one that is no cheaper form.
        method: how it is trained.
        softplus: sharpness of the softplus in the place of ReLU; None keeps ReLU.
        block: whether a Gaussian smoothing block follows the first stage.
    """

    name: str
    of: str
    method: Method
    softplus: float | None = None
    block: bool = False

    @property
    def further(self) -> bool:
        """Whether it is trained after all others, where there is time."""
        return self.name not in FIRST

    def experiment(self, at: Setting) -> Experiment:
        """The board's training with this method, activation and block."""
        activation = None if self.softplus is None else Activation(name="softplus", beta=self.softplus)
        smoothing = Smoothing(layers=(at.stage,), filter="gaussian") if self.block else None
        return replace(at.base, method=self.method, activation=activation, smoothing=smoothing)


def _one_step(eps: float) -> PGD:
    """Fast adversarial training's: from a random start, a quarter longer than the radius (Wong, Rice, Kolter 2020)."""
    return PGD(eps=eps, step_size=1.25 * eps, steps=1)


def _family(of: str, make: Callable[[Method], Variant], methods: dict[str, Method]) -> list[Variant]:
    return [replace(make(method), name=f"{of}, {words}" if words else of, of=of) for words, method in methods.items()]


FIRST = (
    *("regular", "truest", "truest, share 1/4", "robust", "robust, one step, share 1/8", "free, softplus"),
    *("scaat", "scaat, one step, every 8th step, weight × 32", "sgt", "sgt, shared pass, share 1/2"),
)
"""What is trained first, where there is no time for all."""
PENALTY, STRONG = GradientPenalty(weight=0.01), GradientPenalty(weight=0.03)
ROBUST = TRADES(attack=PGD(eps=0.1, step_size=0.03125, steps=4), beta=1.0)
FAST_ROBUST = replace(ROBUST, attack=_one_step(0.1))
ADAPTIVE = SCAAT(attack=PGD(eps=0.1, step_size=0.05, steps=4), weight=0.5)
FAST_ADAPTIVE = replace(ADAPTIVE, attack=fgsm(eps=0.1))
GUIDED = SaliencyGuided()

VARIANTS: tuple[Variant, ...] = (
    Variant(name="regular", of="regular", method=Regular()),
    *_family(
        "trustworthy", lambda method: Variant(name="", of="", method=method, softplus=8, block=True),
        {
            "": PENALTY,
            "share 1/4": replace(PENALTY, share=1 / 4),
            "every 4th step, weight × 4": Alternating(method=replace(PENALTY, weight=0.04), every=4),
            "difference": replace(PENALTY, difference=0.01),
        },
    ),
    *_family(
        "truest", lambda method: Variant(name="", of="", method=method, softplus=3),
        {
            "": STRONG,
            "share 1/4": replace(STRONG, share=1 / 4),
            "share 1/8": replace(STRONG, share=1 / 8),
            "difference, share 1/4": replace(STRONG, share=1 / 4, difference=0.01),
        },
    ),
    *_family(
        "robust", lambda method: Variant(name="", of="", method=method, softplus=8),
        {
            "": ROBUST,
            "one step": FAST_ROBUST,
            "one step, share 1/4": replace(FAST_ROBUST, share=1 / 4),
            "one step, share 1/8": replace(FAST_ROBUST, share=1 / 8),
            "one step, every 4th step": Alternating(method=FAST_ROBUST, every=4),
        },
    ),
    *_family(
        "scaat", lambda method: Variant(name="", of="", method=method),
        {
            "": ADAPTIVE,
            "one step": FAST_ADAPTIVE,
            "one step, share 1/8": replace(FAST_ADAPTIVE, share=1 / 8),
            "one step, share 1/16": replace(FAST_ADAPTIVE, share=1 / 16),
            "one step, every 8th step, weight × 4": Alternating(method=replace(FAST_ADAPTIVE, weight=2.0), every=8),
            "one step, every 8th step, weight × 16": Alternating(method=replace(FAST_ADAPTIVE, weight=8.0), every=8),
            "one step, every 8th step, weight × 32": Alternating(method=replace(FAST_ADAPTIVE, weight=16.0), every=8),
        },
    ),
    *_family(
        "sgt", lambda method: Variant(name="", of="", method=method),
        {
            "": GUIDED,
            "shared pass": replace(GUIDED, map_pass="shared"),
            "share 1/2": replace(GUIDED, share=1 / 2),
            "shared pass, share 1/2": replace(GUIDED, map_pass="shared", share=1 / 2),
            "share 1/4": replace(GUIDED, share=1 / 4),
            "shared pass, every 2nd step, weight × 2": Alternating(
                method=replace(GUIDED, map_pass="shared", weight=2.0), every=2
            ),
        },
    ),
    Variant(
        name="one-step attack of half the batch, softplus", of="robust", softplus=8,
        method=AdversarialTraining(attack=_one_step(0.1), clean="share", clean_share=0.5),
    ),
    Variant(
        name="free, softplus", of="robust", softplus=8, method=FreeAdversarialTraining(eps=0.1, step_size=0.1)
    ),
    Variant(
        name="structured, softplus", of="robust", softplus=8,
        method=StructuredAdversarialTraining(linf=0.05, l2=0.5),
    ),
)  # fmt: skip
"""Every variant, each family's own training before its cheaper forms."""
