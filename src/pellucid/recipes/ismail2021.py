"""Saliency-guided training, Ismail, Corrada Bravo and Feizi 2021 (arXiv 2111.14338): its masked-accuracy curves.

Results on images are curves in the paper, no numbers. Its code masks with the image's top left pixel; here pixels are
imputed from their neighbours (ROAD), so that the mask's shape does not give the class away. The number is the share of
the nine masks, from a tenth to nine tenths of the pixels, under which the true class is predicted; the figure has them
all.
"""

from collections.abc import Callable
from dataclasses import replace

from pellucid.methods import Regular, SaliencyGuided
from pellucid.recipes.found import saliency_guided
from pellucid.recipes.table import BACKGROUND, NOISE, Claim, Scale, Table, setting

__all__ = ["DATASETS", "TABLES"]

DATASETS = ("mnist", "fashion-mnist", "cifar10")
PAPER = "ismail2021"
_TENTH = SaliencyGuided(fraction=0.1, fill="channel_mean", ranking="signed")
"""What the authors' code does on CIFAR-10."""


def main(dataset: str, scale: Scale, path: str | None = None, network: str | None = None) -> Table:
    """How soon the prediction is lost when the most, and the least, relevant tenths of the pixels go."""
    at = setting(dataset, scale, path=path, network=network)
    found = saliency_guided(at)
    maps = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    names = ("road_morf", "road_lerf", "aopc_morf", "aopc_lerf", "aopc_random", "gini")
    each = tuple(
        name if kind == "vanilla_gradient" else f"{name}/{kind}"
        for kind in maps
        for name in names
    )  # fmt: skip
    tenth = (("sgt-tenth", ", on a tenth of the pixels,"),) if dataset == "cifar10" else ()
    return Table(
        paper=PAPER,
        number="main",
        dataset=dataset,
        title="Accuracy while pixels are masked in the order of the map, mean over the masks",
        runs={
            "regular": replace(at.base, method=Regular()),
            "sgt": replace(at.base, method=found),
            **({} if found == SaliencyGuided() else {"sgt-paper": replace(at.base, method=SaliencyGuided())}),
            "sgt-signed": replace(at.base, method=SaliencyGuided(ranking="signed")),
            **({"sgt-tenth": replace(at.base, method=_TENTH)} if dataset == "cifar10" else {}),
        },
        evaluation=replace(at.evaluation, metrics=names, saliency=at.maps, target="true"),
        metrics=("clean_accuracy", *each),
        figures=("masking",),
        claims=(
            *(
                Claim(text=f"SGT{words} costs at most 2.5 points of accuracy", metric="clean_accuracy", run=run,
                      baseline="regular", low=-0.025)
                for run, words in (("sgt", ""), *tenth)
            ),
            *(
                Claim(text=f"SGT's accuracy{words} is lower while the most relevant pixels are masked",
                      metric="road_morf", run=run, baseline="regular", high=0, whose="paper")
                for run, words in (("sgt", ""), ("sgt-signed", ", with the signed ranking,"))
            ),
            *(
                Claim(text=f"SGT's accuracy is lower while the most relevant pixels are masked ({kind})",
                      metric=f"road_morf/{kind.replace(' ', '_').lower()}", run="sgt", baseline="regular", high=0,
                      whose="paper")
                for kind in ("SmoothGrad", "integrated gradients")
            ),
            *(
                Claim(text=f"SGT{words} falls further from its own accuracy with the most relevant pixels masked{of}",
                      metric=f"road_morf{metric}", run=run, baseline="regular", high=0, from_clean=True)
                for run, words, metric, of in (
                    ("sgt", "", "", ""),
                    ("sgt-signed", ", with the signed ranking,", "", ""),
                    *((run, words, "", "") for run, words in tenth),
                    ("sgt", "", "/smoothgrad", " (SmoothGrad)"),
                    ("sgt", "", "/integrated_gradients", " (integrated gradients)"),
                )
            ),
            Claim(text="SGT's accuracy is higher while the least relevant pixels are masked", metric="road_lerf",
                  run="sgt", baseline="regular", low=0),
        ),
        notes=(
            "The authors' code ranks pixels by the signed gradient (`sgt-signed`); `sgt` ranks "
            "by its size, this package's default.",
            *(("For CIFAR-10 their code masks a tenth, by the channel's mean (`sgt-tenth`).",) if tenth else ()),
            "The authors mask with the image's top left pixel and also measure DeepLift and GradientSHAP; their "
            "results on images are curves, so that no published numbers stand here.",
            "A network that is less accurate on whole pictures is so on masked ones too, and has less to lose: both "
            "are told, accuracy and how far it falls from the network's own.",
            NOISE,
            *(() if dataset == "cifar10" else (BACKGROUND,)),
        ),
    )  # fmt: skip


TABLES: dict[str, Callable[..., Table]] = {"main": main}
"""By number: functions of (dataset, scale, path, network)."""
