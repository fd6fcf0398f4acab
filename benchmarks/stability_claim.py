"""Does adversarial training make maps less stable, and does smoothing repair it: under each definition and noise.

    python benchmarks/stability_claim.py      writes stability-claim.{json,md} and everything.{json,md} to results/raw

Trains the demo's networks on several seeds (skipping what is finished), measures all that pellucid can measure on the
same test images, and asks of every stability measure whether adversarial training raised it and smoothing lowered it.
The unit is the image: differences are of logarithms, so that a factor is told and one image with a huge ratio does not
decide; intervals are over seeds and images together.
"""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pellucid.core.files import whole_file
from pellucid.demo import Demo, experiments
from pellucid.metrics.families.stability import NOISES, stability_column
from pellucid.metrics.suite import COLUMNS, select
from pellucid.report import Run, compare, read_runs, render
from pellucid.report.table import definitions
from pellucid.report.words import training_words
from pellucid.runs.environment import environment
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.training import fit
from pellucid.statistics import Interval
from pellucid.statistics.seeds import hierarchical_interval, hierarchical_statistic

CONTRASTS = (
    ("at", "regular", "adversarial training / regular"),
    ("at-smoothing", "at", "with smoothing / without, adversarial training"),
    ("at-smoothing", "regular", "adversarial training with smoothing / regular"),
)
OTHERS = ("max_sensitivity", "local_lipschitz", "gradient_variation", "top_hessian_eigenvalue")
PLAIN = ("gini", "map_ssim", "map_rank_correlation", "stability_coverage")
Floats = npt.NDArray[np.float64]
TINY = 1e-300


def measures() -> list[str]:
    """The stability columns, form by form and noise by noise."""
    return [
        stability_column(measure, form=form, noise=noise)
        for form in ("norm", "elementwise")
        for noise in NOISES
        for measure in ("ris", "ros", "rrs")
    ]


def contrast(ones: list[Run], others: list[Run], column: str, images: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How ``ones`` differ from ``others``, seed by seed, over the images that all networks have.

    Returns:
        ``typical``, the geometric mean over images of their factors, and ``mean``, the factor of the two means, which a
        few images with huge values may decide; each with its interval over seeds and images, and of each seed.
    """
    one, other = (np.stack([run.values(column)[images] for run in runs]) for runs in (ones, others))
    n = int(images.sum())
    logs = hierarchical_interval(np.log(np.maximum(one, TINY)) - np.log(np.maximum(other, TINY)))
    groups = [[_mean(values) for values in rows] for rows in (one, other)]
    ratio = hierarchical_statistic(groups, n, function=lambda means: np.log(means[0] / means[1]))
    each = np.log(np.maximum(one, TINY)) - np.log(np.maximum(other, TINY))
    return {
        "typical": _factor(logs, each.mean(axis=1)),
        "mean": _factor(ratio, np.log(one.mean(axis=1) / other.mean(axis=1))),
        "images": n,
    }


def _mean(values: Floats) -> Callable[[Floats], Floats]:
    return lambda weight: weight @ values / weight.sum(axis=1)


def _factor(interval: Interval, seeds: Floats) -> dict[str, Any]:
    return {
        "value": math.exp(interval.mean),
        "low": math.exp(interval.low),
        "high": math.exp(interval.high),
        "seeds": [math.exp(value) for value in seeds],
    }


def difference(ones: list[Run], others: list[Run], column: str, images: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Mean difference, with its interval over seeds and images, and of each seed."""
    rows = np.stack([a.values(column)[images] - b.values(column)[images] for a, b in zip(ones, others, strict=True)])
    interval = hierarchical_interval(rows)
    return {
        "value": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "seeds": rows.mean(axis=1).tolist(),
        "images": interval.n,
    }


def answer(found: dict[str, Any], *, rises: bool) -> str:
    """What one contrast says about the claim that the value rises, or falls: only where both means agree."""
    if all(found[kind]["low"] > 1 for kind in ("typical", "mean")):
        return "confirmed" if rises else "refuted"
    if all(found[kind]["high"] < 1 for kind in ("typical", "mean")):
        return "refuted" if rises else "confirmed"
    return "cannot be told"


def factor(found: dict[str, Any]) -> str:
    """Such as ``4.2× [3.9, 4.5]``."""
    return "{}× [{}, {}]".format(*(f"{found[key]:.3g}" for key in ("value", "low", "high")))


def page(result: dict[str, Any]) -> str:
    """results/raw/stability-claim.md."""
    facts, seeds = result["environment"], result["seeds"]
    lines = [
        "# Does adversarial training make maps less stable, and does smoothing repair it?",
        "",
        f"{len(seeds)} seeds of Fashion-MNIST, LeNet-5, the demo's settings ({result['training']}), {result['images']} "
        f"test images, vanilla gradient, {result['noise']}.",
        "",
        *(f"- {line}" for line in result["finding"]),
        "",
        "Factors above 1: the first is less stable. *Typical* is the geometric mean over images of the ratio of both "
        "networks' values, *of means* the ratio of the two means, as tables show them. Brackets: 95 % interval over "
        "seeds (Student's t) and images (bootstrap). A claim counts as confirmed or refuted only where both intervals "
        "lie on one side of 1; no correction is made for the number of comparisons. Each noise has its own set of "
        "images, those on which every network kept the prediction in at least one noisy copy.",
        "",
    ]
    for one, other, words in CONTRASTS:
        lines += [
            f"## {words[0].upper()}{words[1:]}",
            "",
            "| measure | form | noise | typical factor | each seed | factor of means | each seed | images |",
            "| --- | --- | --- | ---: | --- | ---: | --- | ---: |",
        ]
        found = result["contrasts"][f"{one} / {other}"]
        for form in ("norm", "elementwise"):
            for noise in NOISES:
                for measure in ("ris", "ros", "rrs"):
                    column = stability_column(measure, form=form, noise=noise)
                    lines.append(f"| {measure.upper()} | {form} | {noise} | {_row(found[column])} |")
        lines += [f"| {COLUMNS[name].title} | | | {_row(found[name])} |" for name in OTHERS]
        for name in PLAIN:
            each = ", ".join(f"{value:+.3f}" for value in found[name]["seeds"])
            numbers = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*(found[name][key] for key in ("value", "low", "high")))
            lines.append(
                f"| {COLUMNS[name].title}, difference | | | {numbers} | {each} | | | {found[name]['images']} |"
            )
        lines.append("")
    return "\n".join([*lines, _origin(facts), ""])


def _row(found: dict[str, Any]) -> str:
    parts = []
    for kind in ("typical", "mean"):
        parts += [factor(found[kind]), ", ".join(f"{value:.3g}" for value in found[kind]["seeds"])]
    return " | ".join([*parts, str(found["images"])])


def _origin(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cpu']}, {facts['threads']} threads, Python {facts['python']}, torch {facts['packages']['torch']}, "
        f"pellucid {facts['pellucid']}, commit {facts['commit']}, {facts['started']}. Regenerate: "
        "`python benchmarks/stability_claim.py`."
    )


def everything(result: dict[str, Any]) -> str:
    """results/raw/everything.md."""
    return "\n".join(
        [
            "# The demo's six networks, measured with everything",
            "",
            render(result["runs"], "markdown", definitions=result["definitions"]),
            "",
            f"Seed {result['seed']}. {_origin(result['environment'])}",
            "",
        ]
    )


def finding(contrasts: dict[str, dict[str, Any]]) -> list[str]:
    """The answer in sentences, from the numbers alone."""
    lines = []
    for one, other, claim, rises in (
        ("at", "regular", "Adversarial training raises", True),
        ("at-smoothing", "at", "Smoothing lowers", False),
    ):
        for measure in ("ris", "ros", "rrs"):
            by: dict[str, list[str]] = {}
            for form in ("norm", "elementwise"):
                for noise in NOISES:
                    found = contrasts[f"{one} / {other}"][stability_column(measure, form=form, noise=noise)]
                    by.setdefault(answer(found, rises=rises), []).append(
                        f"{form}, {noise} ({factor(found['typical'])})"
                    )
            if len(by) == 1:
                verdict, cases = next(iter(by.items()))
                lines.append(f"**{claim} {measure.upper()}: {verdict} under every definition** ({'; '.join(cases)}).")
            else:
                told = "; ".join(f"{verdict}: {', '.join(cases)}" for verdict, cases in by.items())
                lines.append(f"**{claim} {measure.upper()}: depends on the definition.** {told}.")
    at = contrasts["at / regular"]
    sides = {noise: at[stability_column("ris", noise=noise)]["typical"]["value"] < 1 for noise in NOISES}
    less, more = ([noise for noise, side in sides.items() if side is wanted] for wanted in (True, False))
    lines.append(
        "RIS in the norm form divides by the same change of the image for both networks, so its factor is that of the "
        f"map's own change: after adversarial training the typical map changes less under {' and '.join(less) or 'no'} "
        f"noise and more under {' and '.join(more) or 'no'} noise. ROS divides by the change of the logits instead, "
        "which training changes as well: it can rise while the map itself becomes steadier."
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/claim"), help="where the networks are, or go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("results/raw"))
    options = parser.parse_args()
    seeds = list(range(options.seeds))
    names = list(experiments())
    evaluation = Evaluation(metrics=("all",), images=options.images)
    few = replace(evaluation, saliency=("vanilla_gradient",), metrics=("robust_correct", *_needed()))
    for seed in seeds:
        for name, experiment in experiments(Demo(seed=seed)).items():
            if seed and name not in {each for pair in CONTRASTS for each in pair[:2]}:
                continue
            run = options.runs / f"seed{seed}" / name
            fit(experiment, run, resume=True)
            evaluate(run, few if seed else evaluation, resume=True)
    runs = {
        name: [read_runs([options.runs / f"seed{seed}" / name])[0] for seed in seeds]
        for name in ("regular", "at", "at-smoothing")
    }
    everyone = [run for each in runs.values() for run in each]

    def having(column: str) -> npt.NDArray[np.bool_]:
        """The images on which every network has a value, so that factors of different pairs can be multiplied."""
        return np.all([np.isfinite(run.values(column)) for run in everyone], axis=0)

    contrasts = {
        f"{one} / {other}": {
            **{name: contrast(runs[one], runs[other], name, having(name)) for name in (*measures(), *OTHERS)},
            **{name: difference(runs[one], runs[other], name, having(name)) for name in PLAIN},
        }
        for one, other, _ in CONTRASTS
    }
    facts = environment(torch.device("cpu"))
    del facts["command"]  # it may hold a path of this machine
    stored = runs["at"][0].columns
    claim = {
        "environment": facts,
        "seeds": seeds,
        "images": options.images,
        "training": f"adversarial training with {training_words(runs['at'][0].config).partition(', ')[2]}",
        "noise": "{draws} noisy copies of standard deviation {sigma} (one-sided: from {low:g} to {high:g})".format(
            **stored["ris"]["parameters"],
            **dict(zip(("low", "high"), stored["ris_one_sided"]["parameters"]["between"], strict=True)),
        ),
        "finding": finding(contrasts),
        "contrasts": contrasts,
    }
    all_runs = read_runs([options.runs / "seed0" / name for name in names])
    whole = {
        "environment": facts,
        "seed": 0,
        "runs": compare(all_runs),
        "definitions": definitions(all_runs),
    }
    options.out.mkdir(exist_ok=True)
    for name, result, text in (
        ("stability-claim", claim, page(claim)),
        ("everything", whole, everything(whole)),
    ):
        for ending, content in ((".json", json.dumps(result, indent=1) + "\n"), (".md", text)):
            with whole_file(options.out / (name + ending)) as temporary:
                temporary.write_text(content, encoding="utf-8")


def _needed() -> tuple[str, ...]:
    return tuple(name for metric in select([*measures(), *OTHERS, *PLAIN]) for name in metric.columns)


if __name__ == "__main__":
    main()
