"""Methods with the settings that a search has tuned on validation images, which tuned_settings.yaml keeps."""

from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from pellucid.attacks import fgsm
from pellucid.methods import SCAAT, SaliencyGuided
from pellucid.papers.setting import Setting

__all__ = [
    "LONGER",
    "TunedSettings",
    "by_search",
    "mean_q",
    "moving_q",
    "one_step_scaat",
    "saliency_guided",
    "scaat",
    "tuned_settings",
]

LONGER = 4
"""How many times the recipe's epochs the trainings of the search ``xu2023-longer`` have."""


@dataclass(frozen=True, kw_only=True)
class TunedSettings:
    """What a search chose; None for the settings that it did not vary.

    Args:
        eps: radius of SCAAT's attack in pixel units.
        weight: λ of SCAAT's divergence, or of saliency-guided training's.
        q: share of the features that may change, at the start, in [0, 1].
        gamma: step of q.
        region: side of SCAAT's regions in pixels.
        mean_q: q over all images and epochs of the training that has these settings.
        fraction: share of the features that saliency-guided training replaces, in [0, 1].
        ranking: how saliency-guided training orders them.
    """

    eps: float | None = None
    weight: float | None = None
    q: float | None = None
    gamma: float | None = None
    region: int | None = None
    mean_q: float | None = None
    fraction: float | None = None
    ranking: Literal["absolute", "signed"] | None = None

    def applied_to(self, method: Any, at: Setting) -> Any:
        """The method with these settings in place of its own; an attack is made anew with the setting's steps.

        Args:
            method: SCAAT or saliency-guided training.
            at: the setting, which limits the attack's steps.
        """
        chosen = {name: value for name, value in asdict(self).items() if value is not None and name != "mean_q"}
        if self.eps is not None:
            chosen["attack"] = at.pgd(chosen.pop("eps"), 4, self.eps / 2)
        return replace(method, **chosen)


@cache
def by_search() -> dict[str, dict[tuple[str, str], TunedSettings]]:
    """What each search chose, by dataset and network.

    >>> by_search()["xu2023-longer"]["fashion-mnist", "lenet5"].eps
    0.2
    """
    kept = yaml.safe_load(files("pellucid.papers").joinpath("tuned_settings.yaml").read_text(encoding="utf-8"))
    return {
        search: {
            (dataset, network): TunedSettings(**settings)
            for dataset, networks in datasets.items()
            for network, settings in networks.items()
        }
        for search, datasets in kept.items()
    }


def tuned_settings(search: str, at: Setting, *, network: str | None = None) -> TunedSettings | None:
    """What a search chose for dataset and network, at every scale; None where it chose nothing, or was not made.

    MNIST has Fashion-MNIST's settings.

    Args:
        search: such as ``xu2023``.
        at: dataset and network.
        network: ask of another network.

    >>> from pellucid.papers.setting import setting
    >>> tuned_settings("xu2023", setting("mnist", "cpu")).weight, tuned_settings("xu2023", setting("cifar10", "cpu"))
    (0.1, None)
    >>> small = setting("fashion-mnist", "cpu", network="resnet18")
    >>> tuned_settings("xu2023", small), tuned_settings("xu2023", small, network="lenet5").q
    (None, 0.3)
    """
    dataset = "fashion-mnist" if at.dataset == "mnist" else at.dataset
    return by_search()[search].get((dataset, network or at.base.network.name))


def scaat(at: Setting, *, search: str = "xu2023", network: str | None = None) -> SCAAT:
    """SCAAT with four steps and tuned settings, or, where no search chose any, with the package's defaults and λ 1.

    Args:
        at: dataset and network.
        search: ``xu2023``, or one that goes on from what that chose: ``xu2023-again`` or ``xu2023-longer``.
        network: take what was chosen for another network.

    >>> from pellucid.papers.setting import setting
    >>> scaat(setting("cifar10", "cpu")).weight, scaat(setting("fashion-mnist", "cpu"), search="xu2023-again").weight
    (1.0, 0.5)
    """
    method = SCAAT(attack=at.pgd(at.eps, 4, at.eps / 2), weight=1.0, region=at.region)
    for name in dict.fromkeys(("xu2023", search)):
        tuned = tuned_settings(name, at, network=network)
        method = tuned.applied_to(method, at) if tuned else method
    return method


def one_step_scaat(at: Setting) -> SCAAT:
    """`scaat` with one step on an eighth of each batch, which no paper has, at λ 1 where no search was made."""
    four = scaat(at)
    method = replace(four, attack=fgsm(eps=four.attack.eps), share=1 / 8, weight=1.0)
    tuned = tuned_settings("xu2023-one-step", at)
    return tuned.applied_to(method, at) if tuned else method


def mean_q(at: Setting) -> float:
    """A fixed q that attacks as many features as `scaat`'s adaptive one; its start where no search was made."""
    tuned = tuned_settings("xu2023", at)
    return scaat(at).q if tuned is None or tuned.mean_q is None else tuned.mean_q


def moving_q(at: Setting) -> tuple[SCAAT, SCAAT]:
    """`scaat` with a q that moves further in a few epochs, from .5 by .1, and with a fixed q of the same mean.

    Where no search was made, the fixed q is where the other begins.
    """
    tuned = tuned_settings("xu2023-moving", at)
    moving = replace(scaat(at), q=0.5, gamma=0.1)
    mean = moving.q if tuned is None or tuned.mean_q is None else tuned.mean_q
    return moving, replace(moving, adaptive=False, q=mean)


def saliency_guided(at: Setting) -> SaliencyGuided:
    """Saliency-guided training with tuned settings, or, where no search chose any, with the paper's."""
    tuned = tuned_settings("ismail2021", at)
    return SaliencyGuided() if tuned is None else tuned.applied_to(SaliencyGuided(), at)
