"""Settings that `pellucid select` has found on validation images; each stands in its trace, results/selection-*."""

from dataclasses import dataclass

from pellucid.methods import SCAAT, SaliencyGuided
from pellucid.recipes.table import Setting

__all__ = ["SCAAT_FOUND", "SGT_FOUND", "ScaatSettings", "mean_q", "saliency_guided", "scaat"]


@dataclass(frozen=True, kw_only=True)
class ScaatSettings:
    """What the search ``xu2023`` varies, and what the chosen network's q came to.

    Args:
        eps: the attack's radius in pixel units.
        weight: λ of the divergence.
        q: share of the features that may change, at the start, in [0, 1].
        gamma: step of q.
        region: side of the regions in pixels.
        mean_q: q over all images and epochs of the training that was chosen.
    """

    eps: float
    weight: float
    q: float
    gamma: float
    region: int
    mean_q: float


SCAAT_FOUND = {"fashion-mnist": ScaatSettings(eps=0.3, weight=0.1, q=0.3, gamma=0.02, region=2, mean_q=0.32)}
"""By dataset; MNIST has Fashion-MNIST's."""
SGT_FOUND = {"fashion-mnist": SaliencyGuided()}
"""By dataset."""


def scaat(at: Setting) -> SCAAT:
    """SCAAT with four steps: with the dataset's found settings, else with the package's defaults and λ 1.

    >>> from pellucid.recipes.table import setting
    >>> scaat(setting("cifar10", "cpu")).weight
    1.0
    """
    name = at.base.dataset.name
    found = SCAAT_FOUND.get("fashion-mnist" if name == "mnist" else name)
    if found is None:
        return SCAAT(attack=at.pgd(at.eps, 4, at.eps / 2), weight=1.0, region=at.region)
    attack = at.pgd(found.eps, 4, found.eps / 2)
    return SCAAT(attack=attack, weight=found.weight, q=found.q, gamma=found.gamma, region=found.region)


def mean_q(at: Setting) -> float:
    """A fixed q that attacks as many features as `scaat`'s adaptive one; its start where no search was made."""
    name = at.base.dataset.name
    found = SCAAT_FOUND.get("fashion-mnist" if name == "mnist" else name)
    return scaat(at).q if found is None else found.mean_q


def saliency_guided(at: Setting) -> SaliencyGuided:
    """Saliency-guided training with the dataset's found settings, else the paper's."""
    return SGT_FOUND.get(at.base.dataset.name, SaliencyGuided())
