"""Settings that `pellucid select` has found on validation images; each stands in its trace, results/selection-*."""

from dataclasses import dataclass, replace

from pellucid.attacks import fgsm
from pellucid.methods import SCAAT, SaliencyGuided
from pellucid.recipes.table import Setting

__all__ = [
    "LONGER",
    "SCAAT_FOUND",
    "SGT_FOUND",
    "ScaatSettings",
    "again_scaat",
    "is_searched",
    "longer_scaat",
    "mean_q",
    "moving_q",
    "one_step_scaat",
    "saliency_guided",
    "scaat",
]


@dataclass(frozen=True, kw_only=True)
class ScaatSettings:
    """What the search ``xu2023`` varies, and what the chosen network's q came to; None where nothing was searched.

    Args:
        eps: the attack's radius in pixel units.
        weight: λ of the divergence.
        q: share of the features that may change, at the start, in [0, 1].
        mean_q: q over all images and epochs of the training that was chosen.
        gamma: step of q.
        region: side of the regions in pixels; the dataset's usual one by default.
        moving_mean_q: as ``mean_q``, of the training that begins at .5 and moves by .1 an epoch.
        one_step_weight: λ with one step on an eighth of each batch, where accuracy is nearest to four steps'.
        again_eps: the attack's radius that the search ``xu2023-again`` has found.
        again_weight: λ that it has found.
        longer_eps: the attack's radius in `LONGER` times the epochs.
        longer_weight: λ in as many.
    """

    eps: float
    weight: float
    q: float
    mean_q: float
    gamma: float = 0.05
    region: int | None = None
    moving_mean_q: float | None = None
    one_step_weight: float | None = None
    again_eps: float | None = None
    again_weight: float | None = None
    longer_eps: float | None = None
    longer_weight: float | None = None


LONGER = 4
"""How many times the recipe's epochs a longer training has."""
SCAAT_FOUND = {
    ("fashion-mnist", "lenet5"): ScaatSettings(
        eps=0.3,
        weight=0.1,
        q=0.3,
        mean_q=0.32,
        gamma=0.02,
        moving_mean_q=0.57,
        one_step_weight=0.5,
        again_eps=0.3,
        again_weight=0.5,
        longer_eps=0.2,
        longer_weight=0.3,
    )
}
"""By dataset and network, at every scale; MNIST with that network has Fashion-MNIST's."""
SGT_FOUND = {("fashion-mnist", "lenet5"): SaliencyGuided()}
"""By dataset and network."""


def is_searched(at: Setting, *, network: str | None = None) -> bool:
    """Whether a search has found SCAAT's settings for dataset and network.

    Args:
        at: dataset and network.
        network: ask of another network.

    >>> from pellucid.recipes.table import setting
    >>> is_searched(setting("fashion-mnist", "cpu")), is_searched(setting("cifar10", "cpu"))
    (True, False)
    >>> small = setting("fashion-mnist", "cpu", network="resnet18")
    >>> is_searched(small), is_searched(small, network="lenet5")
    (False, True)
    """
    return _scaat_found(at, network) is not None


def scaat(at: Setting, *, network: str | None = None) -> SCAAT:
    """SCAAT with four steps: with the settings found for dataset and network, else with the package's defaults and λ 1.

    Args:
        at: dataset and network.
        network: take what was found for another network.

    >>> from pellucid.recipes.table import setting
    >>> scaat(setting("cifar10", "cpu")).weight
    1.0
    """
    found = _scaat_found(at, network)
    if found is None:
        return SCAAT(attack=at.pgd(at.eps, 4, at.eps / 2), weight=1.0, region=at.region)
    attack = at.pgd(found.eps, 4, found.eps / 2)
    return SCAAT(attack=attack, weight=found.weight, q=found.q, gamma=found.gamma, region=found.region or at.region)


def one_step_scaat(at: Setting) -> SCAAT:
    """`scaat` with one step on an eighth of each batch, which no paper has, at λ 1 where no search was made."""
    method, found = scaat(at), _scaat_found(at)
    weight = 1.0 if found is None or found.one_step_weight is None else found.one_step_weight
    return replace(method, attack=fgsm(eps=method.attack.eps), share=1 / 8, weight=weight)


def again_scaat(at: Setting) -> SCAAT:
    """`scaat` with the radius and λ that were found once its q was, where such a search was made."""
    method, found = scaat(at), _scaat_found(at)
    if found is None or found.again_eps is None or found.again_weight is None:
        return method
    return replace(method, attack=at.pgd(found.again_eps, 4, found.again_eps / 2), weight=found.again_weight)


def longer_scaat(at: Setting) -> SCAAT:
    """`scaat` with the radius and λ found for `LONGER` times the epochs, where a search was made."""
    method, found = scaat(at), _scaat_found(at)
    if found is None or found.longer_eps is None or found.longer_weight is None:
        return method
    return replace(method, attack=at.pgd(found.longer_eps, 4, found.longer_eps / 2), weight=found.longer_weight)


def mean_q(at: Setting) -> float:
    """A fixed q that attacks as many features as `scaat`'s adaptive one; its start where no search was made."""
    found = _scaat_found(at)
    return scaat(at).q if found is None else found.mean_q


def moving_q(at: Setting) -> tuple[SCAAT, SCAAT]:
    """`scaat` with a q that moves further in a few epochs, from .5 by .1, and with a fixed q of the same mean.

    Where no search was made, the fixed q is where the other begins.
    """
    found = _scaat_found(at)
    moving = replace(scaat(at), q=0.5, gamma=0.1)
    mean = 0.5 if found is None or found.moving_mean_q is None else found.moving_mean_q
    return moving, replace(moving, adaptive=False, q=mean)


def _scaat_found(at: Setting, network: str | None = None) -> ScaatSettings | None:
    return SCAAT_FOUND.get(_searched(at, network))


def _searched(at: Setting, network: str | None = None) -> tuple[str, str]:
    return "fashion-mnist" if at.dataset == "mnist" else at.dataset, network or at.base.network.name


def saliency_guided(at: Setting) -> SaliencyGuided:
    """Saliency-guided training with the settings found for dataset and network, else the paper's."""
    return SGT_FOUND.get(_searched(at), SaliencyGuided())
