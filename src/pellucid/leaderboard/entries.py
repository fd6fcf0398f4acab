"""Who stands in a leaderboard: methods, and beside each the controls that say what is due to something else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pellucid.core.errors import InputError
from pellucid.edits.activation import Activation
from pellucid.edits.smoothing import Smoothing
from pellucid.leaderboard.composition import Composition
from pellucid.leaderboard.plan import Family, Leaderboard
from pellucid.leaderboard.settings import Strengths, strengths
from pellucid.methods import (
    SCAAT,
    TRADES,
    AdversarialTraining,
    EnergyLoss,
    GaussianAugmentation,
    GradientAlignment,
    GradientPenalty,
    JacobianPenalty,
    NoiseAugmentation,
    RightReasons,
    SaliencyGuided,
    StructuredAdversarialTraining,
)
from pellucid.papers.setting import Setting
from pellucid.runs.settings import Experiment

__all__ = ["ENTRIES", "Entry", "Kind", "Published", "entries_of", "entry", "standing"]

Kind = Literal["baseline", "method", "control", "ours"]


@dataclass(frozen=True)
class Published:
    """What a paper prints of a method.

    Args:
        numbers: as the paper gives them, in few words.
        on: dataset and network.
    """

    numbers: str
    on: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One training of a leaderboard.

    Args:
        name: as in every table.
        kind: ``baseline``, regular training; ``method``; ``control``, the same step without what the method is known
            for; ``ours``, the preset of this package.
        of: the method under which a control stands.
        against: rows that it is held against besides regular training and its own controls.
        title: what it is, in few words.
        make: from the board and the strengths to the experiment, whose seed is replaced.
        grid: by family of images, the strengths that a search tries, three or four; none where it has those of another
            entry, or where compositions are searched.
        needs_masks: whether it learns from masks, so that only a truth set can have it.
        settings_of: the entry whose strengths it has; its own where empty.
        changed: what of those strengths is another.
        twin: the entry of which it is no other training where both have the same strengths.
        source: where it comes from.
        published: what papers print of it, with dataset and network.
    """

    name: str
    kind: Kind
    title: str
    make: Callable[[Setting, Strengths], Experiment]
    of: str | None = None
    against: tuple[str, ...] = ()
    grid: Mapping[Family, tuple[Strengths, ...]]
    needs_masks: bool = False
    settings_of: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)
    twin: str = ""
    source: str = ""
    published: tuple[Published, ...] = ()

    def experiment(self, at: Setting, family: Family) -> Experiment:
        """The experiment with the strengths that a search chose for a family of images."""
        return self.make(at, self.strengths(family))

    def strengths(self, family: Family) -> Strengths:
        """Its settings on a family of images."""
        return {**strengths(family, self.settings_of or self.name), **self.changed}

    def reason_to_skip(self, family: Family) -> str:
        """Why it is no training of its own on a family of images; empty where it is one."""
        if self.twin and self.strengths(family) == strengths(family, self.twin):
            return f"it is the same training as {self.twin} there"
        if self.changed and strengths(family, self.settings_of)["base"] != "scaat":
            return f"{self.settings_of} has no mask of SCAAT's there"
        return ""


def _grid(name: str, grey: tuple[Any, ...], colour: tuple[Any, ...] | None = None) -> dict[Family, Any]:
    return {"grey": tuple({name: value} for value in grey), "colour": tuple({name: value} for value in colour or grey)}


def _radii(*grey: float) -> dict[Family, Any]:
    """Radii of an attack, on colour images in the proportion of the usual ones, 8/255 by .1."""
    return _grid("eps", grey, tuple(round(value * 80 / 255, 5) for value in grey))


def _short(at: Setting, chosen: Strengths) -> Experiment:
    return replace(at.base, epochs=max(1, round(chosen["epochs"] * at.base.epochs)))


def _decay(at: Setting, chosen: Strengths) -> Experiment:
    return replace(at.base, optimizer=replace(at.base.optimizer, weight_decay=chosen["weight_decay"]))


def _softplus(at: Setting, chosen: Strengths) -> Experiment:
    return replace(at.base, activation=Activation(name="softplus", beta=chosen.get("beta", BETA)))


def _trained(method: Callable[[Setting, Strengths], Any], softplus: bool = False) -> Callable[..., Experiment]:
    """The board's experiment with another method, and with a smooth activation where asked for."""

    def make(at: Setting, chosen: Strengths) -> Experiment:
        base = _softplus(at, chosen) if softplus else at.base
        return replace(base, method=method(at, chosen))

    return make


BETA = 8.0
"""Sharpness of the softplus that comes with a penalty; the control `regular-softplus` has one of its own."""
SGT = "Ismail, Corrada Bravo, Feizi 2021"
XU = "Xu et al. 2023"
BHUSAL = "Bhusal, Alam, Rastogi 2026"
WEIGHTS = _grid("weight", (0.003, 0.01, 0.03, 0.1), (0.001, 0.003, 0.01, 0.03))


def _block(at: Setting, chosen: Strengths) -> Experiment:
    return replace(at.base, smoothing=Smoothing(layers=(at.stage,), filter=chosen.get("filter", "gaussian")))


def _scaat(at: Setting, chosen: Strengths, ranking: str = "absolute") -> SCAAT:
    attack = at.pgd(chosen["eps"], 4, chosen["eps"] / 2)
    return SCAAT(attack=attack, weight=0.5, region=at.region, ranking=ranking)  # type: ignore[arg-type]


def _adversarial(at: Setting, chosen: Strengths) -> AdversarialTraining:
    return AdversarialTraining(attack=at.pgd(chosen["eps"], 5, chosen["eps"] / 4))


def _penalty(at: Setting, chosen: Strengths) -> GradientPenalty:
    return GradientPenalty(weight=chosen["weight"])


def _alignment(at: Setting, chosen: Strengths) -> GradientAlignment:
    return GradientAlignment(weight=chosen["weight"], cosine_weight=chosen["weight"])


def _composed(at: Setting, chosen: Strengths) -> Experiment:
    return Composition.of(chosen).applied_to(at)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="regular", kind="baseline", title="cross-entropy on clean images", make=lambda at, chosen: at.base,
        grid={"grey": ({},), "colour": ({},)},
    ),
    Entry(
        name="short", kind="control", of="regular", title="regular training of fewer epochs (early stopping)",
        make=_short, grid=_grid("epochs", (0.25, 0.5, 0.75)),
    ),
    Entry(
        name="decay", kind="control", of="regular", title="regular training with weight decay", make=_decay,
        grid=_grid("weight_decay", (0.0001, 0.0003, 0.001, 0.003)), source="Krogh and Hertz 1992",
    ),
    Entry(
        name="sgt", kind="method", title="saliency-guided training", against=("noise",),
        make=_trained(lambda at, chosen: SaliencyGuided(fraction=chosen["fraction"])),
        grid=_grid("fraction", (0.25, 0.5, 0.75, 0.9)), source=SGT,
    ),
    Entry(
        name="sgt-random", kind="control", of="sgt", title="SGT whose mask is drawn at random",
        make=_trained(lambda at, chosen: SaliencyGuided(fraction=chosen["fraction"], ranking="random")),
        grid=_grid("fraction", (0.25, 0.5, 0.75, 0.9)),
    ),
    Entry(
        name="sgt-random-same", kind="control", of="sgt", settings_of="sgt", twin="sgt-random", grid={},
        title="SGT with its own share and a mask drawn at random",
        make=_trained(lambda at, chosen: SaliencyGuided(fraction=chosen["fraction"], ranking="random")),
    ),
    Entry(
        name="noise", kind="control", of="sgt", title="cross-entropy on images with noise in random regions, no map",
        make=_trained(lambda at, chosen: NoiseAugmentation(share=chosen["share"], region=at.region)),
        grid=_grid("share", (0.25, 0.5, 0.75, 1.0)),
    ),
    Entry(
        name="scaat", kind="method", title="saliency-constrained adaptive adversarial training", against=("noise",),
        make=_trained(_scaat), grid=_radii(0.05, 0.1, 0.2, 0.3), source=XU,
        published=(
            Published("accuracy 90.5 %, LeRF .18, MoRF/LeRF 960; regular 91.0 %, 220, 2.18", "CIFAR-10, ResNet-18"),
        ),
    ),
    Entry(
        name="scaat-random", kind="control", of="scaat", title="SCAAT whose mask is drawn at random",
        make=_trained(lambda at, chosen: _scaat(at, chosen, "random")), grid=_radii(0.05, 0.1, 0.2, 0.3),
    ),
    Entry(
        name="scaat-random-same", kind="control", of="scaat", settings_of="scaat", twin="scaat-random", grid={},
        title="SCAAT at its own radius with a mask drawn at random",
        make=_trained(lambda at, chosen: _scaat(at, chosen, "random")),
    ),
    Entry(
        name="at", kind="method", title="adversarial training", make=_trained(_adversarial),
        grid=_radii(0.05, 0.1, 0.15), source="Madry et al. 2018",
        published=(Published("accuracy 87.3 %, PGD-20 at 8/255 45.8 %", "CIFAR-10, wide ResNet"),),
    ),
    Entry(
        name="at-small", kind="control", of="at", title="adversarial training with a radius that costs little accuracy",
        make=_trained(_adversarial), grid=_radii(0.005, 0.01, 0.02, 0.04),
    ),
    Entry(
        name="at-smoothing", kind="method", title="adversarial training with a smoothing block", against=("at",),
        make=lambda at, chosen: replace(_block(at, chosen), method=_adversarial(at, chosen)),
        grid=_radii(0.05, 0.1, 0.15), source=BHUSAL,
        published=(Published("accuracy 88.7 % with a Gaussian at ε .01, 88.3 % without, 89.7 % regular",
                             "Fashion-MNIST, LeNet-5"),),
    ),
    Entry(
        name="smoothing", kind="control", of="at-smoothing", title="the smoothing block alone", make=_block,
        grid=_grid("filter", ("gaussian", "mean", "median", "none")),
    ),
    Entry(
        name="sgt-at", kind="method", title="saliency-guided with adversarial training", against=("at",),
        make=_trained(
            lambda at, chosen: SaliencyGuided(attack=at.pgd(chosen["eps"], 5, chosen["eps"] / 4))
        ),
        grid=_radii(0.05, 0.1, 0.15), source="Guesmi, Aswani, Shafique 2024",
    ),
    Entry(
        name="trades", kind="method", title="TRADES", against=("at",),
        make=_trained(lambda at, chosen: TRADES(attack=at.pgd(at.eps, 5, at.eps / 4), beta=chosen["beta"])),
        grid=_grid("beta", (1.0, 3.0, 6.0)), source="Zhang et al. 2019",
        published=(Published("accuracy 84.9 %, PGD-20 at 8/255 56.6 % with β 6", "CIFAR-10, WRN-34-10"),),
    ),
    Entry(
        name="structured", kind="method", title="adversarial training in one elastic step", against=("at",),
        make=_trained(lambda at, chosen: StructuredAdversarialTraining(linf=chosen["linf"], l2=10 * chosen["linf"])),
        grid=_grid("linf", (0.025, 0.05, 0.1), (0.004, 0.008, 0.016)), source="Gong, Dou, Farnia 2024",
    ),
    Entry(
        name="gradient-penalty-softplus", kind="method", title="penalty on the loss's gradient, smooth activation",
        against=("at-small",), make=_trained(_penalty, softplus=True), grid=WEIGHTS,
        source="Rodríguez-Muñoz, Wang, Torralba 2024",
        published=(Published("accuracy 77.8 %, AutoAttack at 4/255 51.6 %; AT 56.1 %", "ImageNet, Swin-B"),),
    ),
    Entry(
        name="gradient-penalty", kind="control", of="gradient-penalty-softplus", title="the same penalty with ReLU",
        make=_trained(_penalty), grid=WEIGHTS,
        source="Drucker and LeCun 1992; Ross and Doshi-Velez 2018",
    ),
    Entry(
        name="regular-softplus", kind="control", of="gradient-penalty-softplus", title="the smooth activation alone",
        make=_softplus, grid=_grid("beta", (2.0, 4.0, 8.0, 16.0)),
    ),
    Entry(
        name="gaussian", kind="control", of="gradient-penalty-softplus",
        title="cross-entropy on images with Gaussian noise, to first order a gradient penalty",
        make=_trained(lambda at, chosen: GaussianAugmentation(sigma=chosen["sigma"])),
        grid=_grid("sigma", (0.05, 0.1, 0.2, 0.3)), source="Bishop 1995",
    ),
    Entry(
        name="alignment-softplus", kind="method", title="alignment of neighbouring gradients, smooth activation",
        against=("regular-softplus",), make=_trained(_alignment, softplus=True),
        grid=_grid("weight", (0.1, 0.3, 1.0, 3.0)), source="Joo et al. 2023",
    ),
    Entry(
        name="jacobian-softplus", kind="method", title="penalty on the logits' Jacobian, smooth activation",
        against=("regular-softplus", "gradient-penalty-softplus"),
        make=_trained(lambda at, chosen: JacobianPenalty(weight=chosen["weight"]), softplus=True),
        grid=_grid("weight", (0.001, 0.003, 0.01, 0.03)), source="Hoffman, Roberts, Yaida 2019",
    ),
    Entry(
        name="right-reasons", kind="method", title="gradient penalty outside the mask", needs_masks=True,
        against=("gradient-penalty",), make=_trained(lambda at, chosen: RightReasons(weight=chosen["weight"])),
        grid=_grid("weight", (0.03, 0.1, 0.3, 1.0)), source="Ross, Hughes, Doshi-Velez 2017",
    ),
    Entry(
        name="energy", kind="method", title="share of the map inside the mask", needs_masks=True,
        against=("right-reasons",), make=_trained(lambda at, chosen: EnergyLoss(weight=chosen["weight"])),
        grid=_grid("weight", (0.1, 0.3, 1.0, 3.0)), source="Rao et al. 2023",
    ),
    Entry(
        name="trustworthy", kind="ours", title="the preset that a search of compositions found",
        against=(
            "gradient-penalty-softplus", "regular-softplus", "smoothing", "decay", "at-small", "scaat", "scaat-random"
        ),
        make=_composed, grid={},
    ),
    Entry(
        name="trustworthy-random", kind="control", of="trustworthy", title="the preset with a random mask",
        make=_composed, settings_of="trustworthy", changed={"base": "scaat-random"}, grid={},
    ),
    Entry(
        name="truest", kind="ours", title="the composition with the truest maps for up to 5 points of accuracy",
        against=("trustworthy", "robust", "decay"), make=_composed, twin="trustworthy", grid={},
    ),
    Entry(
        name="robust", kind="ours", title="the truest or most robust composition for up to 3 points of accuracy",
        against=("trustworthy", "trades", "at-small", "gradient-penalty-softplus", "scaat-random"),
        make=_composed, twin="trustworthy", grid={},
    ),
    Entry(
        name="fast", kind="ours", title="the truest composition that takes at most two and a half times as long",
        against=("trustworthy", "scaat", "gradient-penalty-softplus", "regular-softplus", "noise", "decay"),
        make=_composed, twin="trustworthy", grid={},
    ),
    Entry(
        name="fast-random", kind="control", of="fast", title="the fast preset with a random mask",
        make=_composed, settings_of="fast", changed={"base": "scaat-random"}, grid={},
    ),
)  # fmt: skip
"""Every entry, each method before its controls."""


def entry(name: str) -> Entry:
    """The entry of a name.

    Raises:
        InputError: there is none.
    """
    found = next((one for one in ENTRIES if one.name == name), None)
    if found is None:
        raise InputError(f"unknown entry {name!r}; there are {', '.join(one.name for one in ENTRIES)}")
    return found


def entries_of(plan: Leaderboard) -> list[Entry]:
    """The entries of a board: all, or those that are asked for with regular training before them.

    Those that learn from masks stand only where masks are known.

    Raises:
        InputError: an entry that there is not, that needs masks where none are known, or that is no training of its own
            among these images.
    """
    for name in plan.only:
        if entry(name).needs_masks and not plan.truth:
            raise InputError(f"{name} learns from masks, which {plan.name} has not; truth sets have them")
        if reason := entry(name).reason_to_skip(plan.family):
            raise InputError(f"{name} has no row on {plan.name}: {reason}")
    named = {"regular", *plan.only}
    return [one for one in standing(plan.family, truth=plan.truth) if not plan.only or one.name in named]


def standing(family: Family, *, truth: bool) -> list[Entry]:
    """Every entry that a board of such images has.

    Args:
        family: of its images.
        truth: whether masks are known.
    """
    return [one for one in ENTRIES if (truth or not one.needs_masks) and not one.reason_to_skip(family)]
