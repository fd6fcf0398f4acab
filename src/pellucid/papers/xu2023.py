"""SCAAT, Xu, Qin, Huang, Wang and Luo 2023 (arXiv 2311.05143): its three tables, its figures' data, its ablations.

Neither eps, λ, q's start, step and range nor region sizes stand in the paper, and there is no code. What was found on
validation images stands in `pellucid.papers.tuned_settings`; the rest are this package's defaults.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pellucid.attacks import PGD, fgsm
from pellucid.methods import SCAAT, Regular
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

MAPS = {
    "vanilla_gradient": "",
    "smoothgrad": " (SmoothGrad)",
    "integrated_gradients": " (integrated gradients)",
}
"""Table 1's maps, as claims name them."""
PAPER = "xu2023"
NOTES = (
    "The paper defines neither entropy nor size, and names neither eps, λ, q nor regions: compare runs, not levels.",
    NOISE,
)

# Table 1, ResNet-18: for each dataset and run (vanilla gradient, SmoothGrad, integrated gradients) of entropy in bits,
# size in KB, LeRF and the ratio.
_TABLE_1: Mapping[str, Mapping[str, Mapping[str, tuple[float, float, float]]]] = {
    "cifar10": {
        "regular": {"entropy": (5.89, 5.86, 5.56), "size_kb": (3.30, 3.14, 2.84), "aopc_lerf": (0.220, 0.180, 0.220),
                    "aopc_rel": (2.18, 2.72, 2.18)},
        "sgt": {"entropy": (5.60, 5.69, 5.40), "size_kb": (2.93, 2.91, 2.63), "aopc_lerf": (0.0146, 0.0117, 0.0384),
                "aopc_rel": (17.1, 22.2, 6.25)},
        "scaat": {"entropy": (4.69, 4.71, 4.34), "size_kb": (1.95, 1.92, 1.80),
                  "aopc_lerf": (0.00018, 0.00032, 0.00036), "aopc_rel": (960, 917, 801)},
    },
    "pcam": {
        "regular": {"entropy": (5.61, 5.60, 4.93), "size_kb": (2.48, 2.45, 2.23),
                    "aopc_lerf": (0.00320, 0.00289, 0.00894), "aopc_rel": (78.1, 90.0, 24.6)},
        "sgt": {"entropy": (5.30, 5.43, 4.72), "size_kb": (2.34, 2.33, 2.04),
                "aopc_lerf": (0.00625, 0.00629, 0.00765), "aopc_rel": (38.4, 38.1, 28.8)},
        "scaat": {"entropy": (4.56, 4.54, 4.43), "size_kb": (1.61, 1.61, 1.52),
                  "aopc_lerf": (0.00023, 0.00023, 0.00021), "aopc_rel": (1030, 982, 938)},
    },
    "imagenet": {
        "regular": {"entropy": (5.49, 5.12, 4.98), "size_kb": (13.2, 12.9, 12.8), "aopc_lerf": (0.0852, 0.0725, 0.0432),
                    "aopc_rel": (3.84, 4.66, 4.21)},
        "sgt": {"entropy": (5.21, 5.01, 4.85), "size_kb": (11.9, 12.7, 12.4), "aopc_lerf": (0.0421, 0.0569, 0.0218),
                "aopc_rel": (5.13, 6.56, 7.93)},
        "scaat": {"entropy": (4.45, 4.23, 4.15), "size_kb": (7.12, 6.94, 6.80),
                  "aopc_lerf": (0.00098, 0.00093, 0.00121), "aopc_rel": (321, 346, 305)},
    },
}  # fmt: skip
# Table 2: (accuracy, or AUC of PCAM; ratio) of regular, SGT, fixed q, adaptive q.
_TABLE_2: Mapping[tuple[str, str], tuple[tuple[float, float], ...]] = {
    ("cifar10", "resnet18"): ((0.910, 2.18), (0.892, 17.1), (0.890, 871), (0.905, 960)),
    ("cifar10", "vgg16"): ((0.904, 2.35), (0.889, 15.2), (0.893, 896), (0.901, 921)),
    ("pcam", "resnet18"): ((0.928, 78.1), (0.911, 38.4), (0.926, 987), (0.933, 1030)),
    ("pcam", "vgg16"): ((0.935, 85.3), (0.929, 78.4), (0.931, 801), (0.939, 956)),
    ("imagenet", "resnet18"): ((0.687, 3.84), (0.653, 5.13), (0.671, 215), (0.682, 321)),
    ("imagenet", "vgg16"): ((0.744, 4.29), (0.684, 6.05), (0.721, 266), (0.738, 368)),
}
_TABLE_3 = {  # ImageNet, ResNet-18
    "regular": {"clean_accuracy": 0.687, "gini": 0.455, "time": 1.0},
    "scaat": {"clean_accuracy": 0.683, "gini": 0.601, "time": 2.5},
    "scaat-one-step": {"clean_accuracy": 0.684, "gini": 0.578, "time": 1.4},
}

_RUNS = ("regular", "sgt", "scaat-fixed", "scaat")
"""In table 2's order."""

UNCRITICAL = (
    "That q follows the uncritical part of a picture, as the paper says, is measured of grey pictures alone, whose "
    "background is black: Spearman's correlation of q at the end with the share of black pixels. Classes differ in "
    "both, so it is told among pictures of one class too."
)


def _published(
    dataset: str, metrics: Sequence[str], names: Sequence[str] = _RUNS, network: str = "resnet18"
) -> dict[str, dict[str, float]]:
    """What the paper has of these numbers and runs, on one dataset and network; of another dataset, CIFAR-10's."""
    where = dataset if dataset in _TABLE_1 else "cifar10"
    score = "auc" if where == "pcam" else "clean_accuracy"
    known = {
        run: {score: numbers[0], "aopc_rel": numbers[1]}
        for run, numbers in zip(_RUNS, _TABLE_2[where, network], strict=True)
    }
    if network == "resnet18":
        for run, of in _TABLE_1[where].items():
            for name, values in of.items():
                known[run] |= {_of(name, kind): value for kind, value in zip(MAPS, values, strict=True)}
    if (where, network) == ("imagenet", "resnet18"):
        for run in ("regular", "scaat"):
            known[run]["gini"] = _TABLE_3[run]["gini"]
    return {run: {name: known[run][name] for name in metrics if name in known[run]} for run in names if run in known}


def _of(name: str, kind: str) -> str:
    return name if kind == "vanilla_gradient" else f"{name}/{kind}"


def _published_on(dataset: str, networks: str = "ResNet-18") -> str:
    return f"{dataset if dataset in _TABLE_1 else 'cifar10'}, {networks}"


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
    metrics = ("clean_accuracy", *(_of(name, kind) for kind in MAPS for name in measured), "gini")
    return Table(
        paper=PAPER,
        number="1",
        group="tables",
        dataset=at.dataset,
        title="Quality of saliency maps",
        runs=chosen,
        evaluation=replace(at.evaluation, saliency=at.maps),
        metrics=metrics,
        published=_published(at.dataset, metrics, tuple(chosen)),
        published_on=_published_on(at.dataset),
        claims=(
            *(
                Claim(f"SCAAT's {words} is lower than {baseline_words}{map_words}", _of(name, kind), "scaat", baseline,
                      high=0, whose="paper")
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
    table = replace(table, number="1-again", title=title, on_request=True)
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
        number="1-longer",
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
        paper=PAPER,
        number="2",
        group="tables",
        dataset=at.dataset,
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
        paper=PAPER,
        number="2-moving",
        dataset=at.dataset,
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
        paper=PAPER,
        number="3",
        group="tables",
        dataset=at.dataset,
        title="Cost of SCAAT with four steps and with one",
        runs={name: runs(at)[name] for name in names},
        evaluation=replace(at.evaluation, saliency=at.maps),
        metrics=("clean_accuracy", "gini", "aopc_lerf"),
        published=_TABLE_3,
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
    metrics = tuple(_of(name, kind) for kind in MAPS for name in ("entropy", "aopc_morf", "aopc_lerf"))
    return replace(
        table,
        number="figure-2",
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
        number="figure-3",
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
            paper=PAPER,
            number=f"ablation-{name}",
            dataset=at.dataset,
            title=title,
            on_request=True,
            runs={run: replace(at.base, method=method) for run, method in methods.items()},
            # An ablation chooses, so it is held against validation images, where the dataset has some.
            evaluation=replace(
                at.evaluation,
                saliency=at.maps[:1],
                split="validation" if at.base.dataset.validation else "test",
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
