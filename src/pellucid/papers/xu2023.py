"""SCAAT, Xu, Qin, Huang, Wang and Luo 2023 (arXiv 2311.05143): its three tables, its figures' data, its ablations.

Neither eps, λ, q's start, step and range nor region sizes stand in the paper, and there is no code. What was found on
validation images stands in `pellucid.papers.tuned_settings`; the rest are this package's defaults. The paper's numbers
stand in ``xu2023.yaml``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from pellucid.attacks import PGD, fgsm
from pellucid.methods import SCAAT, Regular
from pellucid.metrics.suite import column_name
from pellucid.papers.claim import Claim
from pellucid.papers.setting import DATASETS, GREY, Setting
from pellucid.papers.table import BACKGROUND, NOISE, Table
from pellucid.papers.tuned_settings import (
    LONGER,
    mean_q,
    moving_q,
    one_step_scaat,
    saliency_guided,
    scaat,
    tuned_settings,
)
from pellucid.runs.settings import Experiment
from pellucid.saliency import SmoothGrad

__all__ = ["DATASETS", "TABLES", "runs"]

MAPS = {"vanilla_gradient": "", "smoothgrad": " (SmoothGrad)", "integrated_gradients": " (integrated gradients)"}
"""Table 1's maps, as claims name them."""
NOTES = (
    "The paper defines neither entropy nor size, and names neither eps, λ, q nor regions: compare runs, not levels.",
    NOISE,
)

_RUNS = ("regular", "sgt", "scaat-fixed", "scaat")
"""In table 2's order."""

UNCRITICAL = (
    "That q follows the uncritical part of a picture, as the paper says, is measured of grey pictures alone, whose "
    "background is black: Spearman's correlation of q at the end with the share of black pixels. Classes differ in "
    "both, so it is told among pictures of one class too."
)


@cache
def _paper() -> dict[str, Any]:
    """The paper's own numbers by dataset, network, run and metric; table 3 by run and metric."""
    known: dict[str, Any] = yaml.safe_load(files("pellucid.papers").joinpath("xu2023.yaml").read_text(encoding="utf-8"))
    return known


def _published(
    dataset: str, metrics: Sequence[str], names: Sequence[str] = _RUNS, network: str = "resnet18"
) -> dict[str, dict[str, float]]:
    """What the paper has of these numbers and runs, on one dataset and network; of another dataset, CIFAR-10's."""
    known = _paper()[_dataset(dataset)][network]
    return {run: {name: known[run][name] for name in metrics if name in known[run]} for run in names if run in known}


def _dataset(dataset: str) -> str:
    """The dataset of the paper's that stands beside one of ours."""
    return dataset if dataset in _paper() else "cifar10"


def _published_on(dataset: str, networks: str = "ResNet-18") -> str:
    return f"{_dataset(dataset)}, {networks}"


def _notes(dataset: str) -> tuple[str, ...]:
    return (*NOTES, BACKGROUND, f"The paper has no {dataset}.") if dataset in GREY else NOTES


def runs(at: Setting) -> dict[str, Experiment]:
    """Every run that a table needs, by name."""
    method = scaat(at)
    one_step = replace(method, attack=fgsm(eps=method.attack.eps))
    methods = {
        "regular": Regular(),
        "sgt": saliency_guided(at),
        "scaat-fixed": replace(method, adaptive=False),
        "scaat-fixed-mean": replace(method, adaptive=False, q=mean_q(at)),
        "scaat": method,
        "scaat-one-step": one_step,
        "scaat-one-step-eighth": one_step_scaat(at),
    }
    return {name: replace(at.base, method=method) for name, method in methods.items()}


def table_1(at: Setting) -> Table:
    """Entropy, compressed size, LeRF and MoRF/LeRF of three kinds of map under three trainings.

    Of a network without a search also SCAAT with the settings that were found for the dataset's usual network.
    """
    table, usual = _quality(at), at.with_network(None)
    name = usual.base.network.name
    if not tuned_settings("xu2023", usual) or tuned_settings("xu2023", at):
        return table
    run = f"scaat-{name}"
    borrowed = replace(at.base, method=scaat(at, network=name))
    return replace(
        table,
        runs={**table.runs, run: borrowed},
        claims=(*table.claims, *_bounds(run, f" (settings found for {name})")),
    )


def _quality(at: Setting) -> Table:
    chosen = {name: run for name, run in runs(at).items() if name in ("regular", "sgt", "scaat")}
    measured = ("entropy", "size_kb", "aopc_morf", "aopc_lerf", "aopc_rel")
    metrics = ("clean_accuracy", *(column_name(name, kind) for kind in MAPS for name in measured), "gini")
    return Table(
        group="tables",
        title="Quality of saliency maps",
        runs=chosen,
        evaluation=replace(at.evaluation, saliency=at.maps),
        metrics=metrics,
        published=_published(at.dataset, metrics, tuple(chosen)),
        published_on=_published_on(at.dataset),
        claims=(
            *(
                Claim(f"SCAAT's {words} is lower than {baseline_words}{map_words}", column_name(name, kind), "scaat",
                      baseline, high=0, whose="paper")
                for kind, map_words in MAPS.items()
                for name, words in (("entropy", "entropy"), ("size_kb", "size"), ("aopc_lerf", "LeRF"))
                for baseline, baseline_words in (("regular", "regular training's"), ("sgt", "SGT's"))
            ),
            *_bounds("scaat"),
            Claim("SGT's LeRF is at most a fifth of regular training's", "aopc_lerf", "sgt", "regular", kind="factor",
                  high=1 / 5),
            Claim("SGT loses at most 2.5 points of accuracy", "clean_accuracy", "sgt", "regular", low=-0.025),
        ),
        notes=_notes(at.dataset),
    )  # fmt: skip


def _bounds(run: str, which: str = "") -> tuple[Claim, ...]:
    """What a network trained by SCAAT should reach, and what it may cost."""
    return (
        Claim(f"SCAAT's LeRF is at most a fiftieth of regular training's{which}", "aopc_lerf", run, "regular",
              kind="factor", high=1 / 50),
        Claim(f"SCAAT's LeRF is at most a fifth of SGT's{which}", "aopc_lerf", run, "sgt", kind="factor", high=1 / 5),
        Claim(f"SCAAT's MoRF is not below regular training's{which}", "aopc_morf", run, "regular", low=0),
        Claim(f"SCAAT lowers the entropy by 0.8 bit or more{which}", "entropy", run, "regular", high=-0.8),
        Claim(f"SCAAT raises the Gini index by .08 or more{which}", "gini", run, "regular", low=0.08),
        Claim(f"SCAAT loses at most 1 point of accuracy{which}", "clean_accuracy", run, "regular", low=-0.01),
    )  # fmt: skip


def table_1_again(at: Setting) -> Table:
    """Table 1 with SCAAT also as found by a second search, of eps and λ around the q of the first."""
    table = _quality(at)
    method = scaat(at, search="xu2023-again")
    same = table.runs["scaat"]
    title = "Quality of saliency maps, SCAAT's settings searched once more"
    table = replace(table, title=title, on_request=True)
    if method == same.method:
        return table
    return replace(
        table,
        runs={**table.runs, "scaat-again": replace(same, method=method)},
        claims=tuple(replace(claim, run="scaat-again") for claim in table.claims if claim.run == "scaat"),
        notes=("The claims are of `scaat-again`; those of the others stand with table 1.", *table.notes),
    )


def table_1_longer(at: Setting) -> Table:
    """Table 1 in four times the epochs: SCAAT as found for as many, and as in table 1 (``scaat-same``)."""
    table = _quality(at)
    method = scaat(at, search="xu2023-longer")
    same = table.runs["scaat"]
    others = {"scaat-same": same} if method != same.method else {}
    runs = {**table.runs, "scaat": replace(same, method=method), **others}
    return replace(
        table,
        group="1-longer",
        on_request=True,
        title="Quality of saliency maps, in four times the epochs",
        runs={name: replace(run, epochs=LONGER * run.epochs) for name, run in runs.items()},
        claims=(*table.claims, *(claim for run in others for claim in _bounds(run, " (table 1's settings)"))),
    )


def table_2(at: Setting) -> Table:
    """Accuracy (AUC of PCAM) and MoRF/LeRF with a fixed and an adaptive q, on two networks."""
    score = "auc" if at.dataset == "pcam" else "clean_accuracy"
    metrics = (score, "aopc_lerf", "aopc_rel")
    chosen: dict[str, Experiment] = {}
    published: dict[str, dict[str, float]] = {}
    other = at.network or ""
    # Fashion-MNIST and MNIST have one network: VGG-16 needs images of 32 pixels.
    single = at.network is not None or at.dataset in GREY
    # Without normalisation VGG-16 does not learn at these rates.
    vgg = at.with_network("vgg16-bn-224" if at.dataset == "imagenet" else "vgg16-bn")
    rivals: tuple[tuple[str, str, Literal["paper", "ours"]], ...] = (
        ("scaat-fixed", "the fixed q that it begins with", "paper"),
        ("sgt", "SGT", "paper"),
        ("scaat-fixed-mean", "a fixed q of the same mean", "ours"),
    )
    claims: list[Claim] = []
    for prefix, setting in ({"": at} if single else {"": at, "vgg16-bn-": vgg}).items():
        of = f" ({prefix[:-1]})" if prefix else ""
        known = _published(at.dataset, metrics, network="vgg16" if "vgg16" in prefix + other else "resnet18")
        for name in (*_RUNS, "scaat-fixed-mean"):
            chosen[prefix + name] = runs(setting)[name]
            if name in known:
                published[prefix + name] = known[name]
        claims += [
            Claim(f"Adaptive q is more accurate than {words}{of}", score, f"{prefix}scaat", prefix + baseline, low=0,
                  whose=whose)
            for baseline, words, whose in rivals
        ]  # fmt: skip
    networks = "VGG-16" if "vgg16" in other else "ResNet-18"
    return Table(
        group="tables",
        title="Fixed and adaptive q",
        runs=chosen,
        evaluation=replace(at.evaluation, saliency=at.maps),
        metrics=metrics,
        published=published,
        published_on=_published_on(at.dataset, networks + ("" if single else " and VGG-16 (without normalisation)")),
        claims=tuple(claims),
        notes=(*_notes(at.dataset), "What the paper's fixed q was, it does not say."),
    )


def table_2_moving(at: Setting) -> Table:
    """Table 2 where q moves by .1 an epoch: the found step is too small for q to get far in a few epochs."""
    moving, fixed = (replace(at.base, method=method) for method in moving_q(at))
    return Table(
        title="Fixed and adaptive q of the same mean, with a q that moves by .1 an epoch",
        runs={"q-fixed": fixed, "q-moving": moving},
        evaluation=replace(at.evaluation, metrics=("gini", "aopc_morf", "aopc_lerf"), saliency=at.maps[:1]),
        metrics=("clean_accuracy", "gini", "aopc_morf", "aopc_lerf"),
        claims=(
            Claim("Adaptive q is more accurate than a fixed q of the same mean", "clean_accuracy", "q-moving",
                  "q-fixed", low=0),
            Claim("Adaptive q has a lower LeRF than a fixed q of the same mean", "aopc_lerf", "q-moving", "q-fixed",
                  high=0),
            *(_follows_background("q-moving") if at.dataset in GREY else ()),
        ),
        notes=(UNCRITICAL,),
    )  # fmt: skip


def _follows_background(run: str) -> tuple[Claim, ...]:
    return (
        Claim("q is larger where more of a picture is uncritical (black)", "q", run, kind="correlation", low=0,
              whose="paper"),
        Claim("The same among pictures of one class, over all classes", "q_within_class", run, kind="correlation",
              low=0),
    )  # fmt: skip


def table_3(at: Setting) -> Table:
    """Accuracy, Gini index and time of four steps and of one."""
    names = ("regular", "scaat", "scaat-one-step", "scaat-one-step-eighth")
    return Table(
        group="tables",
        title="Cost of SCAAT with four steps and with one",
        runs={name: runs(at)[name] for name in names},
        evaluation=replace(at.evaluation, saliency=at.maps),
        metrics=("clean_accuracy", "gini", "aopc_lerf"),
        published=_paper()["table-3"],
        published_on="" if at.dataset == "imagenet" else "imagenet, ResNet-18",
        time=True,
        notes=(
            *_notes(at.dataset),
            "`scaat-one-step-eighth` is no run of the paper: one step on an eighth of each batch, with a λ of its own.",
            "How much a step costs depends on the network: results/step-cost.md has LeNet-5 and ResNet-18.",
        ),
        claims=(
            *(
                Claim(f"{words} at most {most:g} times as long as regular training's", "time", run, kind="value",
                      high=most, whose="paper")
                for run, words, most in (("scaat", "Four steps take", 2.5), ("scaat-one-step", "One step takes", 1.4))
            ),
            *(
                Claim(f"{words} the Gini index", "gini", run, "regular", low=0, whose="paper")
                for run, words in (("scaat", "Four steps raise"), ("scaat-one-step", "One step raises"))
            ),
            Claim("One step's Gini index is lower than four steps'", "gini", "scaat-one-step", "scaat", high=0,
                  whose="paper"),
            Claim("One step on an eighth of the batch is within half a point of four steps' accuracy", "clean_accuracy",
                  "scaat-one-step-eighth", "scaat", low=-0.005, high=0.005),
            Claim("One step on an eighth of the batch has a LeRF at most .5×10⁻³ above four steps'", "aopc_lerf",
                  "scaat-one-step-eighth", "scaat", high=0.0005),
            Claim("One step on an eighth of the batch has a Gini index within .03 of four steps'", "gini",
                  "scaat-one-step-eighth", "scaat", low=-0.03, high=0.03),
            Claim("One step on an eighth of the batch takes at most 1.4 times regular training's time", "time",
                  "scaat-one-step-eighth", kind="value", high=1.4),
        ),
    )  # fmt: skip


def figure_2(at: Setting) -> Table:
    """The distributions of the maps' entropies, and the confidence that is lost while regions are replaced."""
    table = _quality(at)
    metrics = tuple(column_name(name, kind) for kind in MAPS for name in ("entropy", "aopc_morf", "aopc_lerf"))
    return replace(
        table,
        title="Entropy of the maps, and confidence while regions are replaced",
        metrics=metrics,
        published=_published(at.dataset, metrics, tuple(table.runs)),
        claims=(),
        figures=("entropy", "decay"),
    )


def figure_3(at: Setting) -> Table:
    """Maps of test pictures, and the training pictures with the smallest and the largest q."""
    table = _quality(at)
    return replace(
        table,
        title="Maps, and what q tells apart",
        runs={name: table.runs[name] for name in ("regular", "scaat")},
        metrics=("gini", "entropy"),
        published={},
        published_on="",
        claims=_follows_background("scaat") if at.dataset in GREY else (),
        figures=("maps", "q"),
        notes=(UNCRITICAL,),
    )


def _ablation(name: str, title: str, vary: Callable[[SCAAT, Setting], dict[str, SCAAT]]) -> Callable[[Setting], Table]:
    def table(at: Setting) -> Table:
        methods = {"regular": Regular(), **vary(scaat(at), at)}
        return Table(
            title=title,
            on_request=True,
            runs={run: replace(at.base, method=method) for run, method in methods.items()},
            # An ablation chooses, so it is held against validation images, where the dataset has some.
            evaluation=replace(
                at.evaluation, saliency=at.maps[:1], split="validation" if at.base.dataset.validation else "test"
            ),
            metrics=("clean_accuracy", "gini", "entropy", "aopc_morf", "aopc_lerf"),
        )

    table.__doc__ = f"{title}: the paper defers it to its supplement, which is not public."
    return table


def _attack(method: SCAAT, eps: float) -> PGD:
    return replace(method.attack, eps=eps, step_size=method.attack.step_size * eps / method.attack.eps)


TABLES: dict[str, Callable[[Setting], Table]] = {
    "1": table_1,
    "1-again": table_1_again,
    "1-longer": table_1_longer,
    "2": table_2,
    "2-moving": table_2_moving,
    "3": table_3,
    "figure-2": figure_2,
    "figure-3": figure_3,
    "ablation-eps": _ablation(
        "eps", "The attack's radius",
        lambda m, at: {f"eps-{k:g}": replace(m, attack=_attack(m, k * m.attack.eps)) for k in (0.25, 0.5, 1, 1.5)},
    ),
    "ablation-weight": _ablation(
        "weight", "The divergence's weight λ",
        lambda m, at: {f"weight-{k:g}": replace(m, weight=k * m.weight) for k in (0.3, 1, 3, 10)},
    ),
    "ablation-q": _ablation(
        "q", "q's start and step",
        lambda m, at: {
            f"q-{q:g}-gamma-{gamma:g}": replace(m, q=q, gamma=gamma)
            for q in (0.3, 0.5, 0.8)
            for gamma in (0.02, 0.05, 0.1)
        },
    ),
    "ablation-divergence": _ablation(
        "divergence", "The divergence",
        lambda m, at: {kind: replace(m, divergence=kind) for kind in ("symmetric_kl", "jensen_shannon", "kl")},
    ),
    "ablation-region": _ablation(
        "region", "The regions' side",
        lambda m, at: {f"region-{r}": replace(m, region=r) for r in (1, at.region, 2 * at.region)},
    ),
    "ablation-selection": _ablation(
        "selection", "What selects the features",
        lambda m, at: {"vanilla-gradient": m, "smoothgrad": replace(m, saliency=SmoothGrad(samples=4))},
    ),
}  # fmt: skip
"""By number, functions of a setting."""
