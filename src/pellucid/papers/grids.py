"""The declared grids of SCAAT's and saliency-guided training's settings, and the rule that chooses among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pellucid.methods import SCAAT, Method, SaliencyGuided
from pellucid.papers.setting import GREY, Setting
from pellucid.papers.tuned_settings import LONGER, one_step_scaat, scaat, tuned_settings

__all__ = ["Grid", "grid"]

Stages = dict[str, Callable[[Any], list[Method]]]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Candidates for one method's settings, stage after stage: each stage varies what the one before has chosen.

    Args:
        start: the method that the first stage varies; a candidate of it.
        stages: by title, functions from the method chosen so far to its variants.
        settings: a method's varied settings as plain data; also the run's name.
        accuracy_lost: most validation accuracy that a candidate may lose to regular training, in [0, 1].
        longer: how many times the recipe's epochs every network is trained, regular training's too.
        notes: sentences that a reader of the trace needs beside the rule.
    """

    start: Method
    stages: Mapping[str, Callable[[Any], list[Method]]]
    settings: Callable[[Any], dict[str, float | str]]
    accuracy_lost: float = 0.01
    longer: int = 1
    notes: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The rule in words."""
        return (
            "the lowest LeRF among the candidates that lose at most "
            f"{100 * self.accuracy_lost:g} points of validation accuracy to regular training and whose MoRF is not "
            "below regular training's; where none does, the next stage goes on from the one that loses the least "
            "accuracy"
        )

    def variants(self, method: Method, title: str) -> dict[str, Method]:
        """A stage's candidates by their runs' names: the method that it begins with, and its variants."""
        methods = (method, *self.stages[title](method))
        settings = [self.settings(variant) for variant in methods]
        names = ("-".join(f"{name}-{value}" for name, value in chosen.items()) for chosen in settings)
        return dict(zip(names, methods, strict=True))


def grid(search: str, at: Setting) -> Grid:
    """The declared grid of a search.

    ``xu2023`` is of SCAAT, ``ismail2021`` of saliency-guided training, both for a larger network at scale ``cpu`` one
    number after the other, SCAAT then as found for LeNet-5; ``xu2023-one-step`` is of SCAAT's λ with one step on an
    eighth of each batch, ``xu2023-longer`` of its eps and λ in four times the epochs, ``xu2023-again`` of them once
    more with the q that ``xu2023`` has found.

    >>> from pellucid.papers.setting import setting
    >>> scaat = grid("xu2023", setting("fashion-mnist", "cpu"))
    >>> {title: len(vary(scaat.start)) for title, vary in scaat.stages.items()}
    {'eps and λ': 12, 'q and γ': 9, 'region': 3}
    """
    few = 1 if at.scale == "smoke" else None
    one_by_one = at.scale == "cpu" and at.base.network.name not in ("lenet5", "sgt-mnist")

    def attacked(method: SCAAT, eps: float, weight: float) -> SCAAT:
        return replace(method, attack=at.pgd(eps, 4, eps / 2), weight=weight)

    def told(*names: str) -> Callable[[Any], dict[str, float | str]]:
        return lambda m: {name: round(m.attack.eps, 4) if name == "eps" else getattr(m, name) for name in names}

    if search == "ismail2021":
        fractions, weights, rankings = (0.3, 0.5, 0.7), (0.3, 1.0, 3.0), ("absolute", "signed")
        stages: Stages = {
            "fraction, λ and ranking": lambda m: [
                replace(m, fraction=fraction, weight=weight, ranking=ranking)
                for fraction in fractions[:few]
                for weight in weights[:few]
                for ranking in rankings
            ]
        }
        if one_by_one:
            stages = {
                "fraction": lambda m: [replace(m, fraction=fraction) for fraction in (0.1, *fractions)],
                "λ": lambda m: [replace(m, weight=weight) for weight in weights],
                "ranking": lambda m: [replace(m, ranking=ranking) for ranking in rankings],
            }
        settings = told("fraction", "weight", "ranking")
        return Grid(start=SaliencyGuided(), stages=stages, settings=settings, accuracy_lost=0.025)
    if search == "xu2023-one-step":
        return Grid(
            start=replace(one_step_scaat(at), weight=1.0),
            stages={"λ": lambda m: [replace(m, weight=weight) for weight in (0.1, 0.3, 0.5, 0.7, 1.0, 3.0)[:few]]},
            settings=told("weight"),
            notes=("Table 3 takes the λ whose validation accuracy is nearest to that of four steps.",),
        )
    if search in ("xu2023-again", "xu2023-longer"):
        first, longer = scaat(at), search == "xu2023-longer"
        eps = first.attack.eps
        around = (2 * eps / 3, eps) if longer else (eps, 4 * eps / 3)
        tried = (0.3, 1.0) if longer else (0.3, 0.5, 0.7, 1.0)
        return Grid(
            start=first,
            stages={"eps and λ": lambda m: [attacked(m, eps, weight) for eps in around[:few] for weight in tried]},
            settings=told("eps", "weight"),
            longer=LONGER if longer else 1,
        )
    radii = (0.1, 0.2, 0.3, 0.4) if at.dataset in GREY else (8 / 255, 0.1, 0.2, 0.3)
    weights = (0.1, 0.3, 1.0)
    # Not the recipe's settings, which are what this search has found.
    start = SCAAT(attack=at.pgd(0.3, 4, 0.15), weight=0.3, region=at.region)
    if one_by_one:
        stages = {
            "eps": lambda m: [attacked(m, eps, m.weight) for eps in radii],
            "λ": lambda m: [replace(m, weight=weight) for weight in weights],
        }
        if tuned_settings("xu2023", at, network="lenet5"):
            stages["as found for LeNet-5"] = lambda m: [scaat(at, network="lenet5")]
        return Grid(start=start, stages=stages, settings=told("eps", "weight", "q", "gamma"))
    return Grid(
        start=start,
        stages={
            "eps and λ": lambda m: [attacked(m, eps, weight) for eps in radii[:few] for weight in weights[:few]],
            "q and γ": lambda m: [
                replace(m, q=q, gamma=gamma) for q in (0.3, 0.5, 0.8)[:few] for gamma in (0.02, 0.05, 0.1)[:few]
            ],
            "region": lambda m: [replace(m, region=region) for region in (1, at.region, 2 * at.region)[:few]],
        },
        settings=told("eps", "weight", "q", "gamma", "region"),
    )
