"""What was predicted of the leaderboards before the trainings that it speaks of were measured."""

from dataclasses import dataclass, replace

from pellucid.papers.claim import Claim

__all__ = ["FIRST", "LATER", "SENTENCES", "Sentence"]


@dataclass(frozen=True)
class Sentence:
    """A claim about one board.

    Args:
        board: its name.
        claim: what is said of which entries; a ``difference``, or a ``value`` of one entry.
        later: whether it was written down when other trainings of its board had been measured already.
    """

    board: str
    claim: Claim
    later: bool = False


def _higher(text: str, run: str, baseline: str, metric: str = "mass", *, by: float = 0.0, board: str) -> Sentence:
    return Sentence(board, Claim(text, metric, run, baseline, low=by))


def _lower(text: str, run: str, baseline: str, metric: str, *, by: float = 0.0, board: str) -> Sentence:
    return Sentence(board, Claim(text, metric, run, baseline, high=by))


BESIDE, SHAPES, FASHION = "truth:beside", "truth:shapes", "fashion-mnist"
CIFAR, IMAGENETTE = "cifar10", "imagenette"
PENALTY, FAITHFULNESS = "gradient-penalty-softplus", "faithfulness_normalised"
RADIUS = " (radius 4/255; 8/255 was written down)"
FIRST: tuple[Sentence, ...] = (
    _higher("SCAAT's true mass is higher than regular training's", "scaat", "regular", board=BESIDE),
    _higher("SCAAT's true mass is higher than with a random mask, each at the radius chosen for it", "scaat",
            "scaat-random", board=BESIDE),
    _higher("SGT's true mass is higher than regular training's", "sgt", "regular", board=BESIDE),
    _higher("SGT's true mass is higher than with a random mask, each with the share chosen for it", "sgt",
            "sgt-random", board=BESIDE),
    _higher("Adversarial training's true mass is higher than SCAAT's", "at", "scaat", board=BESIDE),
    _higher("Adversarial training with a small radius, a control, has at most .02 less true mass than SCAAT",
            "at-small", "scaat", by=-0.02, board=BESIDE),
    _lower("A smooth activation alone raises true mass by no more than .02", "regular-softplus", "regular", "mass",
           by=0.02, board=BESIDE),
    _higher("The gradient penalty's true mass is higher with a smooth activation than with ReLU", PENALTY,
            "gradient-penalty", board=BESIDE),
    _higher("The gradient penalty with a smooth activation has a higher true mass than SCAAT", PENALTY, "scaat",
            board=BESIDE),
    _higher("The gradient penalty with a smooth activation has a higher true mass than adversarial training", PENALTY,
            "at", board=BESIDE),
    Sentence(BESIDE, Claim("The preset's true mass is at least .80", "mass", "trustworthy", kind="value", low=0.80)),
    _higher("The preset's normalised faithfulness is not below regular training's", "trustworthy", "regular",
            FAITHFULNESS, board=BESIDE),
    _higher("The preset's accuracy is at most 2 points below regular training's", "trustworthy", "regular",
            "clean_accuracy", by=-0.02, board=BESIDE),
    _higher("The preset's AutoAttack accuracy is at least 30 points above regular training's", "trustworthy", "regular",
            "autoattack_correct", by=0.30, board=BESIDE),
    _higher("The preset's Gini index is at least .10 above regular training's", "trustworthy", "regular", "gini",
            by=0.10, board=BESIDE),
    _lower("SCAAT's LeRF is lower than regular training's", "scaat", "regular", "aopc_lerf", board=FASHION),
    _lower("Noise augmentation without any map has a LeRF at most .002 above SCAAT's", "noise", "scaat", "aopc_lerf",
           by=0.002, board=FASHION),
    _higher("SCAAT's MoRF − LeRF is higher than with a random mask, each at the radius chosen for it", "scaat",
            "scaat-random", "area_between", board=FASHION),
    _higher("With the image's mean as fill, SCAAT's LeRF is lower than regular training's by no more than .002",
            "scaat", "regular", "aopc_lerf_mean", by=-0.002, board=FASHION),
    _higher("The smoothing block raises adversarial training's ROS", "at-smoothing", "at", "ros", board=FASHION),
    _higher("On colour images, SCAAT's true mass is higher than with a random mask, each at the radius chosen for it",
            "scaat", "scaat-random", board=SHAPES),
    _higher("On colour images, the gradient penalty with a smooth activation has a higher true mass than regular "
            "training",
            PENALTY, "regular", board=SHAPES),
    _higher("On colour images, the gradient penalty with a smooth activation has a higher true mass than SCAAT",
            PENALTY, "scaat", board=SHAPES),
)  # fmt: skip
"""Twenty-three, from the papers' claims and from what prototypes of one or two seeds had shown."""

LATER: tuple[Sentence, ...] = tuple(replace(one, later=True) for one in (
    _higher("On colour images, the true mass of `fast` is higher than with a random mask", "fast", "fast-random",
            board=SHAPES),
    _higher("On Imagenette, the normalised faithfulness of `fast` is higher than with a random mask", "fast",
            "fast-random", FAITHFULNESS, board=IMAGENETTE),
    _higher("On the CIFAR-10 copy, SCAAT's normalised faithfulness is higher than with a random mask, each at the "
            "radius chosen for it",
            "scaat", "scaat-random", FAITHFULNESS, board=CIFAR),
    _lower("On the CIFAR-10 copy, SCAAT's LeRF is lower than regular training's", "scaat", "regular", "aopc_lerf",
           board=CIFAR),
    *(_higher(f"On {told}, the Gini index of adversarial training{RADIUS} is at least .05 above regular training's",
              "at", "regular", "gini", by=0.05, board=board)
      for board, told in ((CIFAR, "the CIFAR-10 copy"), (IMAGENETTE, "Imagenette"))),
    *(_lower(f"On {told}, adversarial training{RADIUS} loses more than 5 points of accuracy", "at", "regular",
             "clean_accuracy", by=-0.05, board=board)
      for board, told in ((CIFAR, "the CIFAR-10 copy"), (IMAGENETTE, "Imagenette"))),
    _lower("On the CIFAR-10 copy, the gradient penalty with a smooth activation loses more than 5 points of accuracy",
           PENALTY, "regular", "clean_accuracy", by=-0.05, board=CIFAR),
    _higher("SCAAT's true mass is higher than with a random mask at the same radius", "scaat", "scaat-random-same",
            board=BESIDE),
    _higher("On colour images, SCAAT's true mass is higher than with a random mask at the same radius", "scaat",
            "scaat-random-same", board=SHAPES),
    _higher("SCAAT's MoRF − LeRF is higher than with a random mask at the same radius", "scaat", "scaat-random-same",
            "area_between", board=FASHION),
    *(_higher(f"On {told}, SCAAT's normalised faithfulness is higher than with a random mask at the same radius",
              "scaat", "scaat-random-same", FAITHFULNESS, board=board)
      for board, told in ((CIFAR, "the CIFAR-10 copy"), (IMAGENETTE, "Imagenette"))),
))  # fmt: skip
"""Fourteen that were written down on 27 November 2026, each in the commit before the trainings that it names."""

SENTENCES = FIRST + LATER
