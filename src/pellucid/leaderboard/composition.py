"""A training put together of ingredients: a base, a gradient penalty, a smooth activation, a smoothing block."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from pellucid.attacks import PGD
from pellucid.core.checks import at_least, not_negative, one_of, some_share
from pellucid.core.errors import InputError
from pellucid.edits.activation import Activation
from pellucid.edits.smoothing import Smoothing
from pellucid.leaderboard.plan import Family
from pellucid.leaderboard.settings import Strengths, strengths
from pellucid.methods import (
    SCAAT,
    TRADES,
    AdversarialTraining,
    GradientPenalty,
    Method,
    Regular,
    SaliencyGuided,
    StructuredAdversarialTraining,
)
from pellucid.papers.setting import Setting
from pellucid.runs.settings import Experiment

__all__ = ["Composition", "candidates"]

Base = Literal["regular", "sgt", "scaat", "scaat-random", "at-small", "structured", "trades"]
SHARED: tuple[Base, ...] = ("sgt", "scaat", "scaat-random", "trades")
"""Bases with a divergence, which may look at a share of each batch."""
ActivationName = Literal["relu", "softplus", "silu", "gelu", "smooth_relu"]


@dataclass(frozen=True, kw_only=True)
class Composition:
    """One training that is put together of ingredients.

    Args:
        base: the training whose loss the penalty is added to.
        strength: of the base: the share of replaced features of ``sgt``, the radius of all others, in pixel units; of
            no meaning for ``regular``.
        steps: of the attack of ``scaat``, ``scaat-random`` and ``trades``.
        penalty: weight of the gradient penalty (`pellucid.methods.GradientPenalty`, L1); 0 for none.
        share: part of each batch that the penalty and the base's divergence look at, in (0, 1].
        activation: what stands in for ReLU; ``relu`` leaves it.
        beta: its sharpness.
        filter: of the smoothing block after the first stage; ``off`` for no block.

    >>> Composition(penalty=0.03, activation="softplus", beta=8.0).name
    'penalty-0.03-softplus-8'
    """

    base: Base = "regular"
    strength: float = 0.0
    steps: int = 4
    penalty: float = 0.0
    share: float = 1.0
    activation: ActivationName = "relu"
    beta: float = 8.0
    filter: Literal["off", "gaussian", "mean", "median", "none"] = "off"

    def __post_init__(self) -> None:
        one_of(get_args(Base), base=self.base)
        one_of(get_args(ActivationName), activation=self.activation)
        one_of(("off", "gaussian", "mean", "median", "none"), filter=self.filter)
        not_negative(strength=self.strength, penalty=self.penalty)
        at_least(1, steps=self.steps)
        some_share(share=self.share)
        if self.share < 1 and not self.penalty and self.base not in SHARED:
            raise InputError(f"share is for a penalty or one of {', '.join(SHARED)}; {self.base} has none of them")

    @classmethod
    def of(cls, chosen: Strengths) -> "Composition":
        """The composition of settings by name, as settings.yaml keeps them.

        Raises:
            InputError: a name that is no setting.
        """
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(chosen) - names):
            raise InputError(f"settings of a composition must be among {', '.join(sorted(names))}, got {unknown[0]!r}")
        return cls(**chosen)

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that are not the default, as settings.yaml keeps them."""
        plain = Composition()
        kept = {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}
        return {"base": self.base, **kept} | ({"beta": self.beta} if self.activation != "relu" else {})

    @property
    def name(self) -> str:
        """What it is made of, as a folder is named."""
        parts = [] if self.base == "regular" else [f"{self.base}-{self.strength:g}"]
        parts += [f"{self.steps}-steps"] * (self.steps != Composition.steps)
        parts += [f"penalty-{self.penalty:g}"] * (self.penalty > 0)
        parts += [f"share-{self.share:g}"] * (self.share < 1)
        parts += [f"{self.activation}-{self.beta:g}"] * (self.activation != "relu")
        parts += [f"block-{self.filter}"] * (self.filter != "off")
        return "-".join(parts) or "regular"

    def method(self, pgd: Callable[[float, int, float], PGD], region: int) -> Method:
        """How it is trained.

        Args:
            pgd: from radius, steps and step size to an attack.
            region: side of SCAAT's regions in pixels.
        """
        eps = self.strength
        base: Method
        match self.base:
            case "sgt":
                base = SaliencyGuided(fraction=self.strength, share=self.share)
            case "scaat" | "scaat-random":
                ranking: Literal["absolute", "random"] = "absolute" if self.base == "scaat" else "random"
                attack = pgd(eps, self.steps, 2 * eps / self.steps)
                base = SCAAT(attack=attack, weight=0.5, region=region, ranking=ranking, share=self.share)
            case "trades":
                base = TRADES(attack=pgd(eps, self.steps, 1.25 * eps / self.steps), beta=1.0, share=self.share)
            case "at-small":
                base = AdversarialTraining(attack=pgd(eps, 5, eps / 4))
            case "structured":
                base = StructuredAdversarialTraining(linf=eps, l2=10 * eps)
            case _:
                base = Regular()
        return GradientPenalty(weight=self.penalty, share=self.share, method=base) if self.penalty else base

    def smooth(self) -> Activation | None:
        """What stands in for ReLU, if anything does."""
        return None if self.activation == "relu" else Activation(name=self.activation, beta=self.beta)

    def block(self, stage: str) -> Smoothing | None:
        """The smoothing block after a layer, if there is one."""
        return None if self.filter == "off" else Smoothing(layers=(stage,), filter=self.filter)

    def applied_to(self, at: Setting) -> Experiment:
        """The board's experiment with these ingredients."""
        method = self.method(at.pgd, at.region)
        return replace(at.base, method=method, activation=self.smooth(), smoothing=self.block(at.stage))


def candidates(family: Family) -> list[Composition]:
    """The 40 compositions that are searched, each once.

    Gradient penalties of four weights on softplus; the middle two with other sharpness, with SiLU and smoothed ReLU and
    with a smoothing block, and with ReLU; and the bases SGT, SCAAT, small-radius adversarial training and structured
    adversarial training, each on softplus with the two. These 24 were declared before any was trained. The other nine
    were added when the strengths had been chosen, on the same validation images, and SCAAT with a random mask and
    TRADES had truer maps for two points of accuracy than the methods among the bases: both with four steps and with
    two, which cost less, on softplus, with the weaker penalty and with a block. Seven cheap ones, for the preset
    ``fast``, were added when the preset of colour images took fourteen times as long as regular training.

    Args:
        family: of images, which decides weights and radii.

    >>> len(candidates("grey")), candidates("grey")[0].name
    (40, 'penalty-0.003-softplus-8')
    """
    return list(dict.fromkeys([*_candidates(family), *_cheap(family)]))


def _cheap(family: Family) -> Iterator[Composition]:
    """One attack step, and terms that look at a part of each batch."""
    scaat = Composition(base="scaat", strength=strengths(family, "scaat")["eps"], steps=1)
    yield from (scaat, replace(scaat, share=0.25), replace(scaat, share=0.125))
    smooth = replace(scaat, share=0.25, activation="softplus")
    penalty = 0.01 if family == "grey" else 0.003
    yield from (smooth, replace(smooth, penalty=penalty))
    yield Composition(penalty=round(3 * penalty, 4), share=0.25, activation="softplus")
    yield Composition(base="trades", strength=0.1 if family == "grey" else 0.0314, steps=1, share=0.125)


def _candidates(family: Family) -> Iterator[Composition]:
    scale = 1.0 if family == "grey" else 0.3
    weak, middle, strong, strongest = (round(scale * weight, 4) for weight in (0.003, 0.01, 0.03, 0.1))
    for weight in (weak, middle, strong, strongest):
        yield Composition(penalty=weight, activation="softplus")
    for weight in (middle, strong):
        for beta in (3.0, 20.0):
            yield Composition(penalty=weight, activation="softplus", beta=beta)
        yield Composition(penalty=weight, activation="silu")
        yield Composition(penalty=weight, activation="smooth_relu")
        yield Composition(penalty=weight, activation="softplus", filter="gaussian")
    for weight in (middle, strong):
        yield Composition(penalty=weight)
    bases: tuple[tuple[Base, str], ...] = (
        ("sgt", "fraction"), ("scaat", "eps"), ("at-small", "eps"), ("structured", "linf")
    )  # fmt: skip
    for base, setting in bases:
        of_base = Composition(base=base, strength=strengths(family, base)[setting], activation="softplus")
        for weight in (middle, strong):
            yield replace(of_base, penalty=weight)
    masked = Composition(base="scaat-random", strength=strengths(family, "scaat-random")["eps"], activation="softplus")
    yield replace(masked, activation="relu", steps=2)
    yield masked
    short = replace(masked, steps=2)
    yield from (short, replace(short, penalty=middle), replace(short, filter="gaussian"))
    trades = Composition(base="trades", strength=0.1 if family == "grey" else 0.0314, activation="softplus")
    yield replace(trades, activation="relu", steps=2)
    yield trades
    yield from (replace(trades, steps=2), replace(trades, steps=2, penalty=middle))
