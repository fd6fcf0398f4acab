"""Does saliency-guided training alone make a network robust: AutoAttack at small radii, where PGD says that it does.

    pellucid reproduce guesmi2024 --seeds 3 && python benchmarks/sgt_autoattack.py        with --dataset mnist too
    writes results/raw/sgt-autoattack-DATASET.{json,md}

The table of guesmi2024 has AutoAttack at the radius that is trained with, where both networks lose every image. Here
the same networks are attacked on the same test images at a quarter and a half of it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from pellucid.core.files import whole_file
from pellucid.data import load
from pellucid.metrics import autoattack_correct
from pellucid.report import read_run
from pellucid.runs.environment import environment
from pellucid.runs.settings import read_experiment
from pellucid.runs.training import load_network
from pellucid.statistics.seeds import hierarchical_interval

NAMES = ("standard", "sgt")
EPS = {"fashion-mnist": 0.1, "mnist": 0.2}
FACTORS = (0.25, 0.5)


def correct(run: Path, eps: float) -> dict[str, list[bool]]:
    """Whether each measured image withstands AutoAttack, and PGD-20 with five restarts, at one radius."""
    measured = read_run(run)
    index = torch.from_numpy(measured.rows["index"].to_numpy(zero_copy_only=False).copy())
    test = load(read_experiment(run).dataset, "test")
    x, label = test.take(index).float() / 255, test.labels[index]
    radii = np.array(measured.columns["robust_curve"]["parameters"]["eps"])
    pgd = measured.curves("robust_curve")[:, int(np.argmin(np.abs(radii - eps)))]
    found = autoattack_correct(load_network(run, test), x, label, eps=eps)
    return {"autoattack": found.tolist(), "pgd": (pgd > 0.5).tolist()}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accuracies and their difference by radius and attack, with 95 % intervals over seeds and images."""
    found = []
    for eps in dict.fromkeys(row["eps"] for row in rows):
        for attack in ("pgd", "autoattack"):
            values = {
                name: np.array([row[attack] for row in rows if (row["eps"], row["run"]) == (eps, name)], dtype=float)
                for name in NAMES
            }
            cells = values | {"difference": values["sgt"] - values["standard"]}
            intervals = {name: hierarchical_interval(100 * value) for name, value in cells.items()}
            found.append(
                {"eps": eps, "attack": attack}
                | {name: [one.mean, one.low, one.high] for name, one in intervals.items()}
            )
    return found


def page(result: dict[str, Any]) -> str:
    """results/raw/sgt-autoattack-DATASET.md."""
    facts = result["environment"]
    lines = [
        f"# Saliency-guided training alone under attack at small radii: {result['dataset']}",
        "",
        f"Accuracy in percent of {result['images']} test images, {result['seeds']} seeds; mean [95 % interval over "
        "seeds and images]. PGD has 20 steps and 5 restarts.",
        "",
        "| ε | attack | standard | SGT | SGT − standard |",
        "| ---: | --- | ---: | ---: | ---: |",
    ]
    for row in result["summary"]:
        cells = ["{:.1f} [{:.1f}, {:.1f}]".format(*row[name]) for name in NAMES]
        cells.append("{:+.1f} [{:+.1f}, {:+.1f}]".format(*row["difference"]))
        attack = {"pgd": "PGD", "autoattack": "AutoAttack"}[row["attack"]]
        lines.append(f"| {row['eps']:g} | {attack} | {' | '.join(cells)} |".replace("-", "−"))
    lines += [
        "",
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, commit "
        f"{facts['commit'][:10]}{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        f"`python benchmarks/sgt_autoattack.py --dataset {result['dataset']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion-mnist", choices=sorted(EPS))
    parser.add_argument("--runs", type=Path, default=Path("runs/papers/guesmi2024"))
    parser.add_argument("--results", type=Path, default=Path("results/raw"))
    options = parser.parse_args()
    facts = environment(torch.device("cpu"))
    seeds = sorted((options.runs / f"{options.dataset}-cpu" / "main").glob("seed*"))
    plan = [(seed, name, factor * EPS[options.dataset]) for seed in seeds for name in NAMES for factor in FACTORS]
    rows = [
        {"seed": seed.name, "run": name, "eps": eps, **correct(seed / name, eps)}
        for seed, name, eps in tqdm(plan, unit="attack", dynamic_ncols=True, disable=None)
    ]
    result = {
        "environment": facts,
        "dataset": options.dataset,
        "seeds": len(seeds),
        "images": len(rows[0]["pgd"]),
        "summary": summary(rows),
        "rows": rows,
    }
    stem = options.results / f"sgt-autoattack-{options.dataset}"
    for ending, text in {".json": json.dumps(result) + "\n", ".md": page(result)}.items():
        with whole_file(stem.with_suffix(ending)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()
