"""Beyond the papers: compositions of SCAAT, adversarial training and smoothing, in search of one that loses nowhere.

``pellucid select pellucid`` measures the candidates on validation images along five axes and keeps its Pareto front;
``pellucid reproduce pellucid`` trains those of the front that are best on an axis with several seeds, for test images.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from pellucid.core.errors import InputError
from pellucid.data.config import usual_eps
from pellucid.edits.smoothing import Smoothing
from pellucid.methods import AdversarialSCAAT, AdversarialTraining, Method, Regular, SaliencyGuided
from pellucid.papers.claim import Claim
from pellucid.papers.plan import source, where
from pellucid.papers.setting import DATASETS, GREY, Setting
from pellucid.papers.table import Table
from pellucid.papers.tuned_settings import scaat
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment
from pellucid.statistics.pareto import Criterion

__all__ = [
    "AXES",
    "CRITERIA",
    "DATASETS",
    "EVALUATED",
    "TABLES",
    "Composition",
    "candidates",
    "evaluation",
    "experiment",
    "rivals",
    "trace",
    "trainings",
]

PAPER = "pellucid"
AXES: Mapping[str, tuple[Criterion, ...]] = {
    "clean accuracy": (Criterion(metric="clean_accuracy", higher=True, step=0.01),),
    "PGD accuracy": (Criterion(metric="robust_accuracy", higher=True, step=0.02),),
    "sparsity": (Criterion(metric="gini", higher=True, step=0.02),),
    "stability": (
        Criterion(metric="ris", higher=False, step=1.1, ratio=True),
        Criterion(metric="ros", higher=False, step=1.1, ratio=True),
    ),
    "faithfulness": (Criterion(metric="aopc_lerf", higher=False, step=0.001),),
}
"""What counts, and the steps below which values are taken for equal: about the half width of an interval on 1000
images. On faithfulness a network whose MoRF is below regular training's is behind all others."""
CRITERIA = tuple(criterion for criteria in AXES.values() for criterion in criteria)
EVALUATED = ("robust_correct", "gini", "ris", "ros", "aopc_morf", "aopc_lerf")
"""What is measured of every candidate."""
METRICS = ("clean_accuracy", "robust_accuracy", "gini", "ris", "ros", "stability_coverage", "aopc_morf", "aopc_lerf")
BASELINE = "regular"


@dataclass(frozen=True, kw_only=True)
class Composition:
    """SCAAT, adversarial training and smoothing in some proportion.

    SCAAT's q and regions are those of `pellucid.papers.tuned_settings.scaat`.

    Args:
        weight: SCAAT's λ; 0 leaves its term out.
        eps: radius of SCAAT's attack in pixel units; has no effect where the weight is 0.
        attacked_share: part of each batch that is classified as attacked images, at the radius that robust accuracy
            is measured at; 0 for none.
        filter: of the smoothing block after the first stage; none without a block.

    >>> Composition(weight=0.3, eps=0.1, attacked_share=0.5, filter="gaussian").name
    'scaat-0.3-eps-0.1-at-0.5-gaussian'
    >>> Composition().name
    'regular'
    """

    weight: float = 0.0
    eps: float = 0.0
    attacked_share: float = 0.0
    filter: Literal["gaussian", "mean", "median", "non-local"] | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        parts = [f"scaat-{self.weight:g}-eps-{self.eps:.3g}"] if self.weight else []
        parts += [f"at-{self.attacked_share:g}"] if self.attacked_share else []
        return "-".join((parts or [BASELINE]) + ([self.filter] if self.filter else []))

    def method(self, at: Setting) -> Method:
        """How it is trained."""
        attack = at.pgd(at.eps, 5, at.eps * 0.3)
        if not self.weight and not self.attacked_share:
            return Regular()
        if not self.weight:
            clean: Literal["none", "share"] = "none" if self.attacked_share == 1 else "share"
            return AdversarialTraining(attack=attack, clean=clean, clean_share=1 - self.attacked_share)
        calm = replace(scaat(at), attack=at.pgd(self.eps, 4, self.eps / 2), weight=self.weight)
        if not self.attacked_share:
            return calm
        return AdversarialSCAAT(scaat=calm, attack=attack, attacked_share=self.attacked_share)


def candidates(at: Setting) -> list[Composition]:
    """The declared grid, regular training first: (λ, eps) × share of attacked images, each with and without smoothing.

    λ and eps are not crossed: what the search ``xu2023`` has measured of their other pairs costs too much accuracy, or
    calms too little.

    >>> from pellucid.papers.setting import setting
    >>> [len(candidates(setting("fashion-mnist", scale))) for scale in ("cpu", "smoke")]
    [24, 8]
    """
    large = min(0.3, (3 if at.dataset in GREY else 2) * at.eps)
    few = at.scale == "smoke"
    plain = [Composition(attacked_share=share) for share in ((0, 0.5) if few else (0, 0.5, 1))]
    mixed = [
        Composition(weight=weight, eps=eps, attacked_share=share)
        for weight, eps in (((0.3, large),) if few else ((0.1, large), (0.3, large), (1.0, at.eps)))
        for share in ((0, 0.5) if few else (0, 0.25, 0.5))
    ]
    return [replace(candidate, filter=kind) for candidate in (*plain, *mixed) for kind in (None, "gaussian")]


def rivals(at: Setting) -> dict[str, Experiment]:
    """Saliency-guided training, alone and with adversarial training: outside the grid, to be compared with it."""
    attack = at.pgd(at.eps, 5, at.eps * 0.3)
    methods = {"sgt": SaliencyGuided(), "sgt-at": SaliencyGuided(attack=attack)}
    return {name: replace(at.base, method=method) for name, method in methods.items()}


def trainings(at: Setting) -> dict[str, Experiment]:
    """What the search trains: the candidates and, except in a smoke test, their rivals."""
    compositions = {candidate.name: experiment(at, candidate) for candidate in candidates(at)}
    return compositions if at.scale == "smoke" else compositions | rivals(at)


def experiment(at: Setting, composition: Composition) -> Experiment:
    """The composition's training."""
    block = None if composition.filter is None else Smoothing(layers=(at.stage,), filter=composition.filter)
    return replace(at.base, method=composition.method(at), smoothing=block)


def evaluation(at: Setting) -> Evaluation:
    """What is measured of every candidate: PGD at the radius that is trained with, the vanilla gradient's maps."""
    usual = usual_eps(at.base.dataset.name)
    return replace(
        at.evaluation, metrics=EVALUATED, saliency=at.maps[:1], robust_eps=None if at.eps == usual else at.eps
    )


def trace(at: Setting) -> dict[str, Any] | None:
    """What `pellucid select pellucid` found on these images with this network.

    A trace that the setting names comes first, then the one that the package brings for this scale, then the package's
    for scale ``cpu``; None where there is none of them.

    Raises:
        InputError: the file is missing, is no such trace, or is of other images.
    """
    images = source(at.dataset, at.path)
    if at.trace is not None:
        if not at.trace.is_file():
            raise InputError(
                f"trace must be a JSON file of `pellucid select {PAPER}`, got {at.trace}, which is not a file"
            )
        return _read(at.trace, images)
    for scale in dict.fromkeys((at.scale, "cpu")):
        name = f"selection-{PAPER}-{where(at.dataset, at.path, at.network, scale)}.json"
        kept = files("pellucid.papers").joinpath("traces", name)
        if kept.is_file():
            return _read(kept, images)
    return None


def _read(file: Traversable, images: str) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        names = {row["run"] for row in known["rows"]}
        [Composition(**row["settings"]) for row in known["rows"] if row["settings"]]
        of, named = known["dataset"], {known["recommended"], *known["front"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not a record of `pellucid select {PAPER}`: {error!r}; make it again") from None
    if not named <= names:
        raise InputError(f"{file} names a network that it has no row of; make it again")
    if of != images:
        raise InputError(f"{file} is the trace of a search on {of}, and the table is of {images}")
    return known


def _unsearched(at: Setting) -> list[Composition]:
    """One composition of each kind, with middle settings."""
    calm = Composition(weight=0.3, eps=max(candidate.eps for candidate in candidates(at)))
    at_half, both = Composition(attacked_share=0.5), replace(calm, attacked_share=0.5)
    smoothed = [replace(composition, filter="gaussian") for composition in (at_half, calm, both)]
    return [Composition(), at_half, calm, both, *smoothed]


def front(at: Setting) -> Table:
    """What is best or tied on an axis of the front found on validation images, on test images.

    Without a search: one composition of each kind.
    """
    search = trace(at)
    claims: tuple[Claim, ...] = ()
    if search is None:
        runs = {composition.name: experiment(at, composition) for composition in _unsearched(at)}
        title = "Compositions with middle settings; no search was made"
    else:
        claims = _claims(search)
        winners = (row["run"] for row in search["rows"] if row["front"] and row["best_or_tied"])
        wanted = dict.fromkeys((BASELINE, search["recommended"], *winners, *(claim.baseline for claim in claims)))
        made = rivals(at) | {
            row["run"]: experiment(at, Composition(**row["settings"])) for row in search["rows"] if row["settings"]
        }
        runs = {name: made[name] for name in wanted}
        title = "Those of the Pareto front that are best or tied on an axis"
    return Table(title=title, runs=runs, evaluation=evaluation(at), metrics=METRICS, claims=claims)


WORDS = {
    "clean_accuracy": "accuracy", "robust_accuracy": "robust accuracy", "gini": "the Gini index", "ris": "RIS",
    "ros": "ROS", "aopc_lerf": "LeRF",
}  # fmt: skip
"""What the numbers of `CRITERIA` are called in a sentence."""


def told_step(criterion: Criterion) -> str:
    """The step below which two values count as equal, as a sentence says it.

    >>> [told_step(criterion) for criterion in CRITERIA]
    ['1 point', '2 points', '0.02', '×1.1', '×1.1', '1 ×10⁻³']
    """
    if criterion.ratio:
        return f"×{criterion.step:g}"
    if criterion.metric.endswith("accuracy"):
        return f"{100 * criterion.step:g} point{'s' * (criterion.step != 0.01)}"
    return f"{1000 * criterion.step:g} ×10⁻³" if criterion.metric == "aopc_lerf" else f"{criterion.step:g}"


def _claims(search: Mapping[str, Any]) -> tuple[Claim, ...]:
    """That the recommended recipe is, within a step, no worse than the best of each number on validation images."""
    name, rows = search["recommended"], {row["run"]: row for row in search["rows"]}
    claims = []
    for criterion in CRITERIA:
        metric = criterion.metric
        known = {
            run: rows[run]["measured"][metric]["mean"]
            for run in search["front"]
            if metric != "aopc_lerf" or rows[run]["morf_not_below"]
        }
        known = {run: value for run, value in known.items() if value is not None}
        best = (max if criterion.higher else min)(known, key=lambda run: known[run]) if known else name
        if best == name:
            continue
        least = 1 / criterion.step if criterion.ratio else -criterion.step
        claims.append(
            Claim(
                f"{name} is no worse than {best} in {WORDS[metric]} by more than {told_step(criterion)}",
                metric,
                name,
                best,
                kind="factor" if criterion.ratio else "difference",
                low=least if criterion.higher else None,
                high=None if criterion.higher else criterion.step,
            )
        )
    if name == BASELINE:
        return tuple(claims)
    return (
        *claims,
        Claim(f"{name}'s accuracy is within 1 point of regular training's", "clean_accuracy", name, BASELINE,
              low=-0.01),
        Claim(f"{name}'s LeRF is at most a fiftieth of regular training's", "aopc_lerf", name, BASELINE, kind="factor",
              high=1 / 50),
        Claim(f"{name}'s MoRF is not below regular training's", "aopc_morf", name, BASELINE, low=0),
        Claim(f"{name} raises the Gini index by .08 or more", "gini", name, BASELINE, low=0.08),
    )  # fmt: skip


TABLES: dict[str, Callable[[Setting], Table]] = {"front": front}
"""By number, functions of a setting."""
