"""Does the prediction survive an attack?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.data.config import usual_eps
from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Images, Metric, Numbers

if TYPE_CHECKING:
    from pellucid.attacks import PGD

__all__ = ["CHECKS", "METRICS", "Attacked", "AutoAttack", "RobustAccuracy", "RobustnessCurve"]

FACTORS = (0.25, 0.5, 1, 2, 3)  # of the usual radius, on a robustness curve
MADRY = "Madry et al. 2018"
ATHALYE = "Athalye, Carlini and Wagner 2018"
CHECKS = ("robust_gradient", "robust_one_step", "robust_margin")
"""What stands beside ``robust_correct`` wherever that is measured, and tells whether its attack was one."""


@dataclass(frozen=True, kw_only=True)
class Attacked(Metric):
    """What all measures under PGD share.

    Args:
        eps: radius in pixel units, in [0, 1]; `pellucid.data.config.usual_eps` of the dataset by default.
        steps: steps of the attack, each an eighth of the radius long.
        restarts: random starts, of which the worst counts.
    """

    about: ClassVar[About] = "network"
    follows = {"robust_eps": "eps", "restarts": "restarts"}
    eps: float | None = None
    steps: int = 20
    restarts: int = 1

    def __post_init__(self) -> None:
        if self.eps is not None and not 0 <= self.eps <= 1:
            raise InputError(f"robust_eps must be in [0, 1], the range of pixels, got {self.eps}")
        at_least(1, steps=self.steps, restarts=self.restarts)

    def fitted(self, images: Images) -> Metric:
        return self if self.eps is not None else replace(self, eps=usual_eps(images.dataset))

    @property
    def radius(self) -> float:
        """The radius in pixel units: that of colour images where nothing is known of them."""
        return usual_eps("") if self.eps is None else self.eps

    @property
    def attack(self) -> "PGD":
        """PGD in the maximum norm from a random start."""
        from pellucid.attacks import PGD

        return PGD(eps=self.radius, step_size=self.radius / 8, steps=self.steps)

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return told_attack(self.attack) | {"restarts": self.restarts}


def told_attack(attack: "PGD") -> dict[str, Any]:
    """An attack as the meaning of a column tells it."""
    names = ("norm", "eps", "step_size", "steps", "random_start")
    return {"attack": "PGD", **{name: getattr(attack, name) for name in names}}


@dataclass(frozen=True, kw_only=True)
class RobustAccuracy(Attacked):
    """`pellucid.metrics.checked_robustness`; the share of ``robust_correct`` is the robust accuracy."""

    columns = {
        "robust_correct": Column(
            title="Robustly correct", direction="higher", source=MADRY, shown=False,
            definition="Whether the prediction is the label on the image and after the attack on its cross-entropy.",
        ),
        "robust_gradient": Column(
            title="Gradient to follow", source=ATHALYE, shown=False,
            definition="Whether some step of the attack had a gradient other than 0; without one an image is not"
            " attacked.",
        ),
        "robust_one_step": Column(
            title="Correct after one step", direction="higher", source=ATHALYE, shown=False,
            definition="Whether the prediction is the label on the image and after one step of the attack's radius.",
        ),
        "robust_margin": Column(
            title="Correct after the attack on the margin", direction="higher", source=ATHALYE, shown=False,
            definition="Whether the prediction is the label after the attack and, where that had no gradient, after the"
            " same attack on the margin between the logits.",
        ),
    }  # fmt: skip
    aggregates = {
        "robust_accuracy": Column(
            title="Robust accuracy", unit="%", scale=100, direction="higher", aggregate="share", of=("robust_correct",),
            source=MADRY, main=True,
            plain="How many it still names correctly after an attacker changed every pixel a little to mislead it.",
            contest="Which network stays right most often under attack?",
            definition="Share of images predicted as labelled both before and after the attack.",
        )
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.robustness import checked_robustness

        return checked_robustness(
            case.model, case.x, case.label, self.attack, restarts=self.restarts, generator=case.draws
        )


@dataclass(frozen=True, kw_only=True)
class RobustnessCurve(Attacked):
    """`pellucid.metrics.robustness_curve` over rising radii.

    Args:
        grid: the radii in (0, 1], rising; a quarter, half, one, two and three times ``eps`` by default, but for those
            above 1.
    """

    follows = Attacked.follows | {"robust_grid": "grid"}
    grid: tuple[float, ...] | None = None
    columns = {
        "robust_curve": Column(
            title="Robustness curve", direction="higher", source=MADRY, curve=True,
            definition="Whether the prediction is the label on the image and after every attack up to each radius.",
        )
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        grid = self.grid or ()
        if any(not 0 < eps <= 1 for eps in grid) or list(grid) != sorted(set(grid)):
            raise InputError(f"robust_grid must hold rising radii above 0 and at most 1, got {list(grid)}")

    @property
    def radii(self) -> tuple[float, ...]:
        """The radii of the curve."""
        if self.grid is not None:
            return self.grid
        return tuple(self.radius * factor for factor in FACTORS if self.radius * factor <= 1)

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.robustness import robustness_curve

        curve = robustness_curve(
            case.model, case.x, case.label, self.attack, eps=self.radii, restarts=self.restarts,
            generator=case.draws, chunk=case.chunk,
        )  # fmt: skip
        return {"robust_curve": curve}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return {**super().settings(column, model, seed), "eps": self.radii}


@dataclass(frozen=True, kw_only=True)
class AutoAttack(Attacked):
    """`pellucid.metrics.autoattack_correct` in the maximum norm; needs the extra ``autoattack``.

    Args:
        version: ``standard``, ``plus`` (more attacks and starts) or ``rand`` (for networks that draw).
    """

    follows = {"robust_eps": "eps"}
    version: Literal["standard", "plus", "rand"] = "standard"
    columns = {
        "autoattack_correct": Column(
            title="AutoAttack", unit="%", scale=100, direction="higher", source="Croce and Hein 2020",
            definition="Whether the prediction is the label on the image and after each of the attacks of AutoAttack.",
        )
    }  # fmt: skip

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.autoattack import autoattack_correct

        right = autoattack_correct(
            case.model, case.x, case.label, eps=self.radius, version=self.version, chunk=case.chunk,
            seed=case.seed,
        )  # fmt: skip
        return {"autoattack_correct": right}

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        return {"norm": "linf", "eps": self.radius, "version": self.version}


METRICS: tuple[Metric, ...] = (RobustAccuracy(), RobustnessCurve(), AutoAttack())
"""With all their columns, in the order of every table."""
