"""Adversarial training with feature-map smoothing, Bhusal, Alam and Rastogi 2026 (arXiv 2603.07302).

The paper's tables are not at hand; its numbers here are the accuracies in the logs of the authors' notebooks. The
Gaussian has σ 0.8; that of the authors' code follows the feature map's size, and is ``gaussian-wide`` here. Networks
are trained as `pellucid.papers.setting.setting` says; what else departs stands in `NOTES`, on each table's page.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

from pellucid.edits.smoothing import Smoothing
from pellucid.methods import AdversarialTraining, Regular
from pellucid.metrics.suite import split
from pellucid.papers.claim import Claim
from pellucid.papers.setting import Setting
from pellucid.papers.table import Table
from pellucid.runs.settings import Experiment

__all__ = ["DATASETS", "TABLES", "runs"]

DATASETS = ("fashion-mnist", "cifar10", "imagenette")
FILTERS = ("gaussian", "gaussian-wide", "none", "mean", "median", "non-local")
"""Of the smoothing block; ``gaussian-wide`` has the σ of the authors' code, ``none`` is the 1×1 convolution alone."""
METRICS = (
    *("clean_accuracy", "robust_accuracy", "gini"),
    *("ris", "ros", "rrs", "stability_coverage"),
    *("ris_elementwise_one_sided", "ros_elementwise_one_sided", "stability_coverage_one_sided"),
    *("map_ssim", "road_morf", "gradient_variation", "top_hessian_eigenvalue"),
    *(f"{name}/integrated_gradients" for name in ("gini", "ris", "ros", "rrs", "map_ssim", "road_morf")),
)
LOGS = (
    "Published are single runs in the logs of the authors' notebooks: 50 epochs (natural) and 40, attacks of 40 steps, "
    "and a Gaussian whose σ follows the feature map's size, `gaussian-wide` in table `filters`."
)
UNPUBLISHED = "Of the authors' numbers only clean accuracies on Fashion-MNIST are at hand, so none stand here."
NOTES = (
    "`1x1` is the block without a filter.",
    "Attacks are in pixels, clipped to [0, 1], with true labels, the network in eval mode; the authors' code attacks "
    "in normalised space and takes the network's own labels without clipping, on ImageNette true ones with a clip that "
    "removes all negative values.",
    "All measured images count, with ten draws of noise; the authors' notebooks take correctly classified images, five "
    "draws, and the logarithm of the mean. ROAD's number is the accuracy over nine masks.",
    "Gradient variation and the Hessian's eigenvalue are not divided by the gradient's size, which training changes.",
)
BLACK = (
    "The elementwise forms divide each pixel's change by the pixel, and most pixels here are 0: what happens on the "
    "black background decides them. The norm forms have no such pixels."
)
# Clean accuracy on Fashion-MNIST, single runs: the notebooks' logs.
_ACCURACY = {
    "natural": 0.8968,
    "at-0.01": 0.8827,
    "at-0.03": 0.8666,
    "at-0.01-mean": 0.8827,
    "at-0.01-median": 0.8806,
    "at-0.01-gaussian-wide": 0.8871,
    "at-0.01-non-local": 0.8856,  # embedded Gaussian, as here; the plain Gaussian affinity has .8729
}


def runs(at: Setting, eps: float, *, filters: tuple[str, ...] = FILTERS) -> dict[str, Experiment]:
    """Natural training, adversarial training at one radius, and that with each filter, by name."""
    steps = 40 if at.dataset in ("fashion-mnist", "mnist") else 7
    step_size = eps / 10 if steps == 40 else eps / 4
    robust = replace(at.base, method=AdversarialTraining(attack=at.pgd(eps, steps, step_size)))
    trainings = {"natural": replace(at.base, method=Regular()), f"at-{eps:.2g}": robust}
    for kind in filters:
        block = Smoothing(layers=(at.stage,), filter=kind.removesuffix("-wide"))  # type: ignore[arg-type]
        if kind == "gaussian-wide":
            block = replace(block, sigma="feature-map")
        trainings[f"at-{eps:.2g}-{'1x1' if kind == 'none' else kind}"] = replace(robust, smoothing=block)
    return trainings


_FORMS = {
    "ris": "RIS (norm form, Gaussian noise)",
    "ros": "ROS (norm form, Gaussian noise)",
    "ris_elementwise_one_sided": "the typical image's RIS (elementwise, one-sided noise, as the authors' code)",
    "ros_elementwise_one_sided": "the typical image's ROS (elementwise, one-sided noise, as the authors' code)",
    "ris/integrated_gradients": "RIS of integrated gradients (norm form, Gaussian noise)",
    "ros/integrated_gradients": "ROS of integrated gradients (norm form, Gaussian noise)",
}


def _lowers(text: str, run: str, baseline: str, whose: Literal["paper", "ours"]) -> Iterator[Claim]:
    """That a run lowers every form of RIS and ROS."""
    for name, words in _FORMS.items():
        of = whose if _is_papers(name) else "ours"
        yield Claim(text.format(words), name, run, baseline, kind=_kind(name), high=1, whose=of)


def _is_papers(name: str) -> bool:
    """Whether the authors' code measures this form: elementwise, under one-sided noise."""
    return "elementwise" in name


def _kind(name: str) -> Literal["factor", "typical"]:
    """A few pixels near 0 decide the mean of the elementwise forms."""
    return "typical" if "elementwise" in name else "factor"


def _smoothing_lowers(eps: float, filters: Iterable[str]) -> tuple[Claim, ...]:
    at = f"at-{eps:.2g}"
    return tuple(
        claim
        for kind in filters
        for claim in _lowers(f"The {kind} filter lowers {{}} against adversarial training alone, ε {eps:.2g}",
                             f"{at}-{kind}", at, "paper")
    )  # fmt: skip


def _near(run: str, accuracy: float, where: str) -> Claim:
    return Claim(f"{run} is within a point of {where}, {100 * accuracy:.1f} %", "clean_accuracy", run, kind="value",
                 low=accuracy - 0.01, high=accuracy + 0.01)  # fmt: skip


def _claims(eps: float, fashion: bool) -> tuple[Claim, ...]:
    at, smooth, control = f"at-{eps:.2g}", f"at-{eps:.2g}-gaussian", f"at-{eps:.2g}-1x1"
    wide = _ACCURACY["at-0.01-gaussian-wide"]
    accuracy = [
        *(_near(run, _ACCURACY[run], "the authors' notebook") for run in ("natural", at)),
        _near(smooth, wide, "the wider Gaussian of the authors' notebook"),
    ] if fashion and eps == 0.01 else []  # fmt: skip
    maps = {"gini": "", "gini/integrated_gradients": " of integrated gradients"}
    return (
        *accuracy,
        *(
            Claim(f"Adversarial training raises the Gini index{words}", name, at, "natural", low=0, whose="paper")
            for name, words in maps.items()
        ),
        Claim("With smoothing the Gini index is within .03 of adversarial training's", "gini", smooth, at, low=-0.03,
              high=0.03),
        *(
            Claim(f"Adversarial training {'lowers' if 'ris' in name else 'raises'} {words}", name, at, "natural",
                  kind=_kind(name), low=None if "ris" in name else 1.0, high=1.0 if "ris" in name else None,
                  whose="paper" if _is_papers(name) else "ours")
            for name, words in _FORMS.items()
        ),
        *_smoothing_lowers(eps, ["gaussian"]),
        *_lowers("The gaussian filter lowers {} against the block without a filter", smooth, control, "ours"),
        Claim("Adversarial training lowers the curvature", "gradient_variation", at, "natural", kind="factor", high=1),
        Claim("The block with the gaussian filter does not raise the curvature", "gradient_variation", smooth, at,
              kind="factor", high=1),
        Claim("The gaussian filter lowers the curvature against the block without a filter", "gradient_variation",
              smooth, control, kind="factor", high=1),
    )  # fmt: skip


def _setting(at: Setting) -> Setting:
    if at.dataset == "cifar10" and at.scale == "full":
        at = at.with_network(at.network or "wrn28-10")
    gradient, _, integrated = at.maps
    few = 200 if at.base.network.name == "lenet5" else 100
    evaluation = replace(
        at.evaluation,
        metrics=tuple(dict.fromkeys(split(name)[0] for name in METRICS)),
        saliency=(gradient, integrated),
        stability=("vanilla_gradient", "integrated_gradients"),
        # Integrated gradients under ten draws of three kinds of noise are 1500 gradients an image.
        images=min(few, at.evaluation.images) if at.scale == "cpu" else at.evaluation.images,
    )
    return replace(at, evaluation=evaluation)


def _published(dataset: str, chosen: Iterable[str]) -> dict[str, dict[str, float]]:
    known = _ACCURACY if dataset == "fashion-mnist" else {}
    return {run: {"clean_accuracy": value} for run, value in known.items() if run in chosen}


def _notes(dataset: str) -> tuple[str, ...]:
    return (LOGS, *NOTES, BLACK) if dataset == "fashion-mnist" else (UNPUBLISHED, *NOTES)


def _radius(dataset: str) -> float:
    return 0.01 if dataset == "fashion-mnist" else 8 / 255 if dataset == "cifar10" else 1 / 255


def main(at: Setting) -> Table:
    """Natural, adversarial, and adversarial with the Gaussian filter and without, at one radius."""
    at, eps = _setting(at), _radius(at.dataset)
    chosen = runs(at, eps, filters=("gaussian", "none"))
    return Table(
        group="tables",
        title=f"Adversarial training at ε {eps:.2g} with feature-map smoothing",
        runs=chosen,
        evaluation=replace(at.evaluation, robust_eps=eps),
        metrics=METRICS,
        claims=_claims(eps, at.dataset == "fashion-mnist" and at.network is None),
        notes=_notes(at.dataset),
        published=_published(at.dataset, chosen),
    )


def filters(at: Setting) -> Table:
    """Adversarial training with each filter of the block."""
    at, eps = _setting(at), _radius(at.dataset)
    chosen = runs(at, eps)
    del chosen["natural"]
    return replace(
        main(at),
        title=f"The smoothing block's filters under adversarial training at ε {eps:.2g}",
        runs=chosen,
        claims=_smoothing_lowers(eps, [kind for kind in FILTERS if kind != "none"]),
        published=_published(at.dataset, chosen),
    )


def sweep(at: Setting) -> Table:
    """Adversarial training and that with each filter, at each radius."""
    at = _setting(at)
    radii = (0.01, 0.03, 0.06, 0.1, 0.3) if at.dataset == "fashion-mnist" else (1 / 255, 2 / 255, 4 / 255, 8 / 255)
    chosen: dict[str, Experiment] = {}
    for eps in radii:
        chosen |= runs(at, eps)
    return Table(
        title="Adversarial training with and without smoothing, by radius",
        runs=chosen,
        evaluation=at.evaluation,
        metrics=METRICS,
        notes=_notes(at.dataset),
        published=_published(at.dataset, chosen),
        claims=tuple(claim for eps in radii for claim in _smoothing_lowers(eps, ["gaussian"])),
    )


TABLES: dict[str, Callable[[Setting], Table]] = {"main": main, "filters": filters, "eps": sweep}
"""By number, functions of a setting."""
