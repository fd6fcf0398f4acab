"""Does adversarial training make maps less stable, and does smoothing repair it: under each definition and noise.

    python benchmarks/stability_claim.py      writes results/stability-claim.{json,md} and results/everything.{json,md}

Trains the demo's networks on several seeds (skipping what is finished), measures all that pellucid can measure on the
same test images, and asks of every stability measure whether adversarial training raised it and smoothing lowered it.
The unit is the image: differences are of logarithms, so that a factor is told and one image with a huge ratio does not
decide; intervals are over seeds and images together.
"""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pellucid.demo import Demo, experiments
from pellucid.environment import environment
from pellucid.evaluation import Evaluation, evaluate
from pellucid.files import whole_file
from pellucid.metrics.definitions import COLUMNS, NOISES, select, stability_column
from pellucid.report import Run, compare, read_runs, render
from pellucid.report.table import definitions
from pellucid.statistics import hierarchical_interval
from pellucid.training import fit

CONTRASTS = (
    ("at", "regular", "adversarial training / regular"),
    ("at-smoothing", "at", "with smoothing / without, adversarial training"),
    ("at-smoothing", "regular", "adversarial training with smoothing / regular"),
)
OTHERS = ("max_sensitivity", "local_lipschitz", "gradient_variation", "top_hessian_eigenvalue")
PLAIN = ("gini", "map_ssim", "map_rank_correlation", "stability_coverage")
Floats = npt.NDArray[np.float64]


def measures() -> list[str]:
    """The stability columns, form by form and noise by noise."""
    return [
        stability_column(measure, form=form, noise=noise)
        for form in ("norm", "elementwise")
        for noise in NOISES
        for measure in ("ris", "ros", "rrs")
    ]


def contrast(ones: list[Run], others: list[Run], column: str, *, log: bool) -> dict[str, Any]:
    """How ``ones`` differ from ``others``, seed by seed and image by image: a factor, or a difference."""

    def of(run: Run) -> Floats:
        values = run.values(column)
        return np.where(values > 0, np.log(np.maximum(values, 1e-300)), np.nan) if log else values

    rows = np.stack([of(one) - of(other) for one, other in zip(ones, others, strict=True)])
    rows[~np.isfinite(rows)] = np.nan
    interval = hierarchical_interval(rows)
    each = np.nanmean(rows, axis=1)
    written = math.exp if log else float
    return {
        "value": written(interval.mean),
        "low": written(interval.low),
        "high": written(interval.high),
        "images": interval.n,
        "seeds": [written(value) for value in each],
    }


def answer(found: dict[str, Any], *, rises: bool) -> str:
    """What one contrast says about the claim that the value rises, or falls."""
    if found["low"] > 1 or found["high"] < 1:
        return "confirmed" if (found["low"] > 1) == rises else "refuted"
    return "cannot be told"


def factor(found: dict[str, Any]) -> str:
    """Such as ``4.2× [3.9, 4.5]``."""
    return "{}× [{}, {}]".format(*(f"{found[key]:.3g}" for key in ("value", "low", "high")))


def page(result: dict[str, Any]) -> str:
    """results/stability-claim.md."""
    facts, seeds = result["environment"], result["seeds"]
    lines = [
        "# Does adversarial training make maps less stable, and does smoothing repair it?",
        "",
        f"{len(seeds)} seeds of Fashion-MNIST, LeNet-5, the demo's settings (adversarial training with PGD-5, ε .1), "
        f"{result['images']} test images, vanilla gradient, 10 noisy copies of standard deviation .05 (one-sided: "
        "U(.02, .2)).",
        "",
        *(f"- {line}" for line in result["finding"]),
        "",
        "Factors are geometric means over images of the ratio of the two networks' values; above 1 the first is less "
        "stable. Brackets: 95 % interval of a bootstrap over seeds and images; with so few seeds it is somewhat too "
        "narrow (S seeds show (S − 1)/S of the variance between them), so the factors of each seed stand beside.",
        "",
    ]
    for one, other, words in CONTRASTS:
        lines += [
            f"## {words[0].upper()}{words[1:]}",
            "",
            "| measure | form | noise | factor | each seed | images |",
            "| --- | --- | --- | ---: | --- | ---: |",
        ]
        for form in ("norm", "elementwise"):
            for noise in NOISES:
                for measure in ("ris", "ros", "rrs"):
                    found = result["contrasts"][f"{one} / {other}"][stability_column(measure, form=form, noise=noise)]
                    each = ", ".join(f"{value:.3g}" for value in found["seeds"])
                    lines.append(
                        f"| {measure.upper()} | {form} | {noise} | {factor(found)} | {each} | {found['images']} |"
                    )
        for name in OTHERS:
            found = result["contrasts"][f"{one} / {other}"][name]
            each = ", ".join(f"{value:.3g}" for value in found["seeds"])
            lines.append(f"| {COLUMNS[name].title} | | | {factor(found)} | {each} | {found['images']} |")
        for name in PLAIN:
            found = result["contrasts"][f"{one} / {other}"][name]
            each = ", ".join(f"{value:+.3f}" for value in found["seeds"])
            lines.append(
                f"| {COLUMNS[name].title}, difference | | | {found['value']:+.3f} [{found['low']:+.3f}, "
                f"{found['high']:+.3f}] | {each} | {found['images']} |"
            )
        lines.append("")
    return "\n".join([*lines, _origin(facts), ""])


def _origin(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cpu']}, {facts['threads']} threads, Python {facts['python']}, torch {facts['packages']['torch']}, "
        f"pellucid {facts['pellucid']}, commit {facts['commit']}, {facts['started']}. Regenerate: "
        "`python benchmarks/stability_claim.py`."
    )


def everything(result: dict[str, Any]) -> str:
    """results/everything.md."""
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
                    by.setdefault(answer(found, rises=rises), []).append(f"{form}, {noise} ({factor(found)})")
            if len(by) == 1:
                verdict, cases = next(iter(by.items()))
                lines.append(f"**{claim} {measure.upper()}: {verdict} under every definition** ({'; '.join(cases)}).")
            else:
                told = "; ".join(f"{verdict}: {', '.join(cases)}" for verdict, cases in by.items())
                lines.append(f"**{claim} {measure.upper()}: depends on the definition.** {told}.")
    at = contrasts["at / regular"]
    if at["max_sensitivity"]["high"] < 1 < at["ros"]["low"]:
        lines.append(
            f"Why ROS rises in the norm form: the map itself changes less after adversarial training (max-sensitivity "
            f"{factor(at['max_sensitivity'])}, SSIM of noisy maps {at['map_ssim']['value']:+.2f}), but the logits, by "
            "whose relative change ROS divides, change less still."
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/claim"), help="where the networks are, or go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("results"))
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
    contrasts = {
        f"{one} / {other}": {
            **{name: contrast(runs[one], runs[other], name, log=True) for name in (*measures(), *OTHERS)},
            **{name: contrast(runs[one], runs[other], name, log=False) for name in PLAIN},
        }
        for one, other, _ in CONTRASTS
    }
    facts = environment(torch.device("cpu"))
    claim = {
        "environment": facts,
        "seeds": seeds,
        "images": options.images,
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
    return select([*measures(), *OTHERS, *PLAIN])


if __name__ == "__main__":
    main()
