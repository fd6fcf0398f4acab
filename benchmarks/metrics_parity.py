"""Every measure of pellucid against independent code, on the same images in float64: difference, and ratio of times.

    make parity              about three minutes on one core; writes results/metrics-parity.{json,md}

A reference is another package's function where that package is right, and otherwise the published formula, literally,
in NumPy; its gradients are Captum's. What is drawn (noise, directions, fresh weights) is given to both. A row passes
where every number differs by at most 1e-5, absolutely or relative to the reference; exit code 1 where one does not.
Where a package is wrong, a second table shows both numbers. Times are taken in turn, round after round, in float64;
the ratio is the median over rounds with a 95 % bootstrap interval.
"""

import argparse
import importlib.metadata
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import parity_attacks
import parity_changes
import parity_curves
import parity_maps
import parity_saliency
import parity_scores
import parity_truth
import torch
from parity_case import Case, Work
from parity_differences import DIFFERENCES
from parity_settings import Setting, settings, their_way
from step_cost import ratio
from torch import Tensor

import pellucid
from pellucid import metrics
from pellucid.metrics import suite
from pellucid.runs.environment import environment

PARTS = (parity_maps, parity_curves, parity_truth, parity_changes, parity_attacks, parity_scores, parity_saliency)
CASES: list[Case] = [one for part in PARTS for one in part.CASES]
"""Rows of the table, in its order."""
LARGEST = 1e-5
PEERS = ("quantus", "captum", "scikit-image", "scikit-learn", "pyautoattack")
NOT_MEASURES = {
    "column_name": "a name",
    "default_region": "a default",
    "autoattack_names": "names",
    "masking_warnings": "sentences about the columns of `masking_probe`",
    "checked_robustness": "`robust_correct`, with the probes of `masking_probe` beside it",
    "survives": "a verdict in words on `randomisation_similarity`",
    "random_map": "noise: a map to compare with, without a number",
}
"""Functions of `pellucid.metrics` that need no row."""
COUNTED = (
    *("index", "label", "prediction", "score", "probability", "clean_accuracy", "sensitivity", "specificity"),
    *("road_random", "road_random_curve"),
    *("robust_gradient", "robust_one_step", "robust_margin"),
    *(name for name in suite.COLUMNS | suite.DERIVED if name.endswith("_mean")),
)
"""Columns that need no row: what the network says, a mean of that, ROAD, which is compared, in a random order, signs of
masked gradients, and the perturbation curves, which are compared, in another fill."""


def flat(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.detach().double().numpy().ravel()
    if isinstance(value, list | tuple):
        return np.concatenate([flat(one) for one in value])
    return np.asarray(value, dtype=np.float64).ravel()


def apart(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Largest differences; it passes where of every number one of the two is small enough."""
    if ours.shape != theirs.shape or not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return {"absolute": None, "relative": None, "passed": False, "numbers": int(theirs.size)}
    known = ~np.isnan(theirs)
    absolute = np.abs(ours[known] - theirs[known])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(theirs[known] == 0, absolute, absolute / np.abs(theirs[known]))
    return {
        "absolute": float(absolute.max(initial=0)),
        "relative": float(relative.max(initial=0)),
        "passed": bool(known.any() and (np.minimum(absolute, relative) <= LARGEST).all()),
        "numbers": int(known.sum()),
    }


def timed(ours: Work, theirs: Work, *, rounds: int) -> dict[str, float]:
    """Ratio of times, the two taken in turn, and who goes first in turn too."""
    times: dict[str, list[float]] = {"pellucid": [], "reference": []}
    repeats = {}
    for name, work in (("pellucid", ours), ("reference", theirs)):
        clock = time.perf_counter()
        work()
        repeats[name] = min(200, max(1, round(0.02 / (time.perf_counter() - clock))))
    for number in range(rounds):
        order = [("pellucid", ours), ("reference", theirs)]
        for name, work in order if number % 2 else reversed(order):
            clock = time.perf_counter()
            for _ in range(repeats[name]):
                work()
            times[name].append((time.perf_counter() - clock) / repeats[name])
    return ratio(times, "pellucid", {"reference": 1})


def compared(one: Case, all_settings: dict[str, Setting], *, rounds: int) -> dict[str, Any]:
    parts, images = [], 0
    for name in one.settings:
        ours, theirs = one.make(all_settings[name])

        def reference(work: Work = theirs) -> Any:
            with their_way():
                return work()

        parts.append(apart(flat(ours()), flat(reference())) | {"time": timed(ours, reference, rounds=rounds)})
        images += len(all_settings[name].x)
    return {
        "measures": list(one.measures),
        "columns": list(one.columns),
        "definition": definition(one),
        "reference": one.reference,
        "note": one.note,
        "images": images,
        "numbers": sum(part["numbers"] for part in parts),
        **{
            kind: None if any(part[kind] is None for part in parts) else max(part[kind] for part in parts)
            for kind in ("absolute", "relative")
        },
        "passed": all(part["passed"] for part in parts),
        "time": {name: part["time"] for name, part in zip(one.settings, parts, strict=True)},
    }


def definition(one: Case) -> str:
    """What the numbers mean, in pellucid's own words: their columns', or the function's first line."""
    known = suite.COLUMNS | suite.DERIVED
    found = [f"*{known[name].title}*: {known[name].definition}" for name in one.columns if name in known]
    if found:
        return " ".join(found)
    home = metrics if one.measures[0] in metrics.__all__ else pellucid
    return (getattr(home, one.measures[0]).__doc__ or "").strip().splitlines()[0].removeprefix("r").replace("|", "\\|")


def number(value: float | None) -> str:
    return "other images without a number" if value is None else f"{value:.2g}"


def page(result: dict[str, Any]) -> str:
    """results/metrics-parity.md."""
    facts, rows = result["environment"], result["rows"]
    versions = ", ".join(f"{name} {version}" for name, version in result["peers"].items())
    lines = [
        "# Every measure against independent code",
        "",
        f"{sum(row['passed'] for row in rows)} of {len(rows)} comparisons agree to {LARGEST:g}, absolutely or relative"
        " to the reference, in float64. Times are of the same calls on the same batch, pellucid / reference.",
        "",
        "| Measure | Reference | Images | Largest difference: absolute, relative | Time ratio [95 %] | Note |",
        "| --- | --- | ---: | --- | --- | --- |",
    ]
    for row in rows:
        times = "; ".join(
            f"{name} {one['ratio']:.2g} [{one['low']:.2g}, {one['high']:.2g}]" for name, one in row["time"].items()
        )
        lines.append(
            f"| {', '.join(f'`{name}`' for name in row['measures'])}{'' if row['passed'] else ' **differs**'} |"
            f" {row['reference']} | {row['images']} | {number(row['absolute'])}, {number(row['relative'])} | {times} |"
            f" {row['note']} |"
        )
    lines += ["", "## Where another package is wrong", "", "| Measure | Package | What | pellucid | it |"]
    lines += ["| --- | --- | --- | ---: | ---: |"]
    lines += [
        f"| `{one['measure']}` | {one['peer']} | {one['what']} | {one['pellucid']:.4g} |"
        f" {one['theirs'] if isinstance(one['theirs'], str) else format(one['theirs'], '.4g')} |"
        for one in result["differences"]
    ]
    lines += ["", "## Definitions", ""]
    said: set[tuple[str, ...]] = set()
    for row in rows:
        key = (*row["measures"], *row["columns"])
        if key not in said:
            names = ", ".join(f"`{name}`" for name in row["measures"])
            stored = f" (columns {', '.join(f'`{name}`' for name in row['columns'])})" if row["columns"] else ""
            lines.append(f"- {names}{stored}: {row['definition']}")
        said.add(key)
    lines += [
        "",
        f"Settings: {'; '.join(result['settings'])}. Times: median over {result['rounds']} rounds taken in turn, 95 %"
        f" bootstrap interval. {facts['device_name']}, {facts['threads']} thread, Python {facts['python']}, torch"
        f" {facts['packages']['torch']}, {versions}, pellucid {facts['pellucid']}, commit {facts['commit']}"
        f"{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: `make parity`."
        + "".join(f" Added at {commit}: {', '.join(names)}." for commit, names in added(rows).items()),
        "",
    ]
    return "\n".join(lines)


def added(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The measures of rows that ``--missing`` added, by commit and day."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if "added" in row:
            names.setdefault(row["added"], []).extend(f"`{name}`" for name in row["measures"])
    return names


def identity(row: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """What tells a row of the file from others."""
    return tuple(row["measures"]), tuple(row["columns"]), row["reference"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="measures whose name holds this; writes nothing")
    parser.add_argument("--missing", action="store_true", help="measure what the file lacks, and keep its other rows")
    parser.add_argument("--out", type=Path, default=Path("results/metrics-parity"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pellucid").setLevel("ERROR")  # Quantus turns logging on for everyone
    all_settings = settings()
    facts = environment(torch.device("cpu"))
    known = json.loads(options.out.with_suffix(".json").read_text()) if options.missing else None
    there = {identity(row): row for row in known["rows"]} if known else {}
    rows = []
    for one in CASES:
        if options.only and not any(options.only in name for name in one.measures):
            continue
        if kept := there.get((tuple(one.measures), tuple(one.columns), one.reference)):
            rows.append(kept)
            continue
        clock = time.perf_counter()
        row = compared(one, all_settings, rounds=options.rounds)
        if known:
            row["added"] = f"{facts['commit'][:7]}, {facts['started'][:10]}"
        rows.append(row)
        print(
            "ok  " if row["passed"] else "FAIL", ", ".join(one.measures), "|", one.reference, "|",
            number(row["absolute"]), number(row["relative"]),
            *(f"{name} x{t['ratio']:.2f}" for name, t in row["time"].items()), f"{time.perf_counter() - clock:.1f} s",
            flush=True,
        )  # fmt: skip
    failed = [row for row in rows if not row["passed"]]
    if options.only:
        return bool(failed)
    differences = known["differences"] if known else []
    for work in () if known else DIFFERENCES:
        differences.append(work(all_settings))
        print(differences[-1], flush=True)
    result = {
        "environment": known["environment"] if known else facts,
        "peers": {name: importlib.metadata.version(name) for name in PEERS},
        "settings": [
            f"{s.name}, {len(s.x)} images of {'×'.join(map(str, s.x.shape[1:]))}" for s in all_settings.values()
        ],
        "rounds": options.rounds,
        "rows": rows,
        "differences": differences,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    options.out.with_suffix(".md").write_text(page(result))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
