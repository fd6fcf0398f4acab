"""Saliency-guided training, Ismail, Corrada Bravo and Feizi 2021 (arXiv 2111.14338): its masked-accuracy curves.

Results on images are curves in the paper, no numbers. Its code masks with the image's top left pixel; here pixels are
imputed from their neighbours (ROAD), so that the mask's shape does not give the class away. The number is the share of
the nine masks, from a tenth to nine tenths of the pixels, under which the true class is predicted; the figure has them
all.
"""

from collections.abc import Callable
from dataclasses import replace

from pellucid.methods import Regular, SaliencyGuided
from pellucid.papers.claim import Claim
from pellucid.papers.setting import GREY, Setting
from pellucid.papers.table import BACKGROUND, NOISE, Table
from pellucid.papers.tuned_settings import saliency_guided

__all__ = ["DATASETS", "TABLES"]

DATASETS = ("mnist", "fashion-mnist", "cifar10")
_TENTH = SaliencyGuided(fraction=0.1, fill="channel_mean", ranking="signed")
"""What the authors' code does on CIFAR-10."""


def main(at: Setting) -> Table:
    """How soon the prediction is lost when the most, and the least, relevant tenths of the pixels go."""
    tuned = saliency_guided(at)
    maps = ("vanilla_gradient", "smoothgrad", "integrated_gradients")
    names = ("road_morf", "road_lerf", "aopc_morf", "aopc_lerf", "aopc_random", "gini")
    columns = (name if kind == "vanilla_gradient" else f"{name}/{kind}" for kind in maps for name in names)
    tenth = (("sgt-tenth", ", on a tenth of the pixels,"),) if at.dataset == "cifar10" else ()
    return Table(
        title="Accuracy while pixels are masked in the order of the map, mean over the masks",
        runs={
            "regular": replace(at.base, method=Regular()),
            "sgt": replace(at.base, method=tuned),
            **({} if tuned == SaliencyGuided() else {"sgt-paper": replace(at.base, method=SaliencyGuided())}),
            "sgt-signed": replace(at.base, method=SaliencyGuided(ranking="signed")),
            **{run: replace(at.base, method=_TENTH) for run, _ in tenth},
        },
        evaluation=replace(at.evaluation, metrics=names, saliency=at.maps, target="true"),
        metrics=("clean_accuracy", *columns),
        figures=("masking",),
        claims=(
            *(
                Claim(f"SGT{words} costs at most 2.5 points of accuracy", "clean_accuracy", run, "regular", low=-0.025)
                for run, words in (("sgt", ""), *tenth)
            ),
            *(
                Claim(f"SGT's accuracy{words} is lower while the most relevant pixels are masked", "road_morf", run,
                      "regular", high=0, whose="paper")
                for run, words in (("sgt", ""), ("sgt-signed", ", with the signed ranking,"))
            ),
            *(
                Claim(f"SGT's accuracy is lower while the most relevant pixels are masked ({kind})",
                      f"road_morf/{kind.replace(' ', '_').lower()}", "sgt", "regular", high=0, whose="paper")
                for kind in ("SmoothGrad", "integrated gradients")
            ),
            *(
                Claim(f"SGT{words} falls further from its own accuracy with the most relevant pixels masked{of}",
                      f"road_morf{metric}", run, "regular", high=0, from_clean=True)
                for run, words, metric, of in (
                    ("sgt", "", "", ""),
                    ("sgt-signed", ", with the signed ranking,", "", ""),
                    *((run, words, "", "") for run, words in tenth),
                    ("sgt", "", "/smoothgrad", " (SmoothGrad)"),
                    ("sgt", "", "/integrated_gradients", " (integrated gradients)"),
                )
            ),
            Claim("SGT's accuracy is higher while the least relevant pixels are masked", "road_lerf", "sgt", "regular",
                  low=0),
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
            *((BACKGROUND,) if at.dataset in GREY else ()),
        ),
    )  # fmt: skip


TABLES: dict[str, Callable[[Setting], Table]] = {"main": main}
"""By number, functions of a setting."""
