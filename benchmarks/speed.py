"""Every target of speed with today's figure beside it: results/speed.json and .md.

    make bench                        every group, one after the other
    make bench ARGS="--only neighbour"     one group; the rows of the others stay as they were
    make bench ARGS=--list            the groups

A group is a module beside this one, ``speed_NAME.py``, with a function ``rows() -> list[Row]`` and a constant
``TRIED``, sentences about what was tried and did not help. Times are taken in turn within one run, so that a figure is
a ratio that other work on the machine meets alike; the load average stands beside each group.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from pellucid.core.files import whole_file

__all__ = ["GROUPS", "Row", "interleaved", "row_of"]

GROUPS = {
    "neighbour": "A good neighbour: a training beside busy processes",
    "methods": "A lower floor: cheaper forms of a method",
    "measures": "Measures at the passes they must make",
    "peers": "The same work by other libraries",
    "cards": "Trust cards",
    "data": "The data path: pictures into batches",
    "program": "Commands, until they do what they are for",
    "whole": "The demo",
    "tests": "The quick tests",
}
"""Groups in the order of the page, each a module ``speed_NAME``."""
BESIDE_PEERS = ("measures", "peers")
"""Groups that compare with other libraries, which only .venv-parity has."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One target and today's figure.

    Args:
        what: what was measured, in words.
        target: what it must not be above (``lower``) or below (``higher``); None where there is none.
        figure: median over the repetitions.
        low: lower end of its 95 % interval.
        high: upper end.
        n: repetitions.
        unit: ``×`` of a ratio, ``s``, ``MB``, ``images/s``.
        better: ``lower`` or ``higher``.
        command: makes the figure again.
        note: what a reader must know of the figure; nothing where it is plain.
    """

    what: str
    target: float | None
    figure: float
    low: float
    high: float
    n: int
    unit: str
    better: str = "lower"
    command: str
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the figure is on the right side of the target; None without a target."""
        if self.target is None:
            return None
        return self.figure <= self.target if self.better == "lower" else self.figure >= self.target


def row_of(values: Sequence[float], **facts: Any) -> Row:
    """The row of repeated values: their median, with a bootstrap interval where there are three or more."""
    low, high = min(values), max(values)
    if len(values) > 2 and low < high:
        drawn = bootstrap((values,), np.median, n_resamples=999, rng=0, method="percentile").confidence_interval
        low, high = float(drawn.low), float(drawn.high)
    return Row(figure=statistics.median(values), low=low, high=high, n=len(values), **facts)


def interleaved(works: dict[str, Callable[[], object]], *, rounds: int, repeats: int = 1) -> dict[str, list[float]]:
    """Seconds of each piece of work, all in turn, round after round, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        for name, work in works.items():
            clock = time.perf_counter()
            for _ in range(repeats):
                work()
            if round_:
                times[name].append((time.perf_counter() - clock) / repeats)
    return times


def measured(group: str) -> dict[str, Any]:
    """The rows of one group with the machine that gave them."""
    import torch

    from pellucid.runs.environment import environment

    module = import_module(f"speed_{group}")
    before = os.getloadavg()[0]
    rows: list[Row] = module.rows()
    facts = environment(torch.device("cpu"))
    kept = ("pellucid", "commit", "dirty", "python", "cpu", "packages", "started")
    return {
        "rows": [asdict(row) for row in rows],
        "tried": list(module.TRIED),
        "load": [before, os.getloadavg()[0]],
        "machine": {name: facts[name] for name in kept} | {"cores": os.cpu_count()},
    }


def page(groups: dict[str, Any]) -> str:
    """The table of all groups that were measured."""
    lines = ["# Speed: every target and today's figure", ""]
    lines += ["`make bench` writes this page. A figure is the median over n repetitions, with a 95 % interval.", ""]
    rows = [Row(**row) for group in groups.values() for row in group["rows"]]
    judged = [row for row in rows if row.is_met is not None]
    lines += [f"{sum(map(bool, (row.is_met for row in judged)))} of {len(judged)} targets are met.", ""]
    for name, title in GROUPS.items():
        if name not in groups:
            continue
        group = groups[name]
        lines += [f"## {title}", "", "| what | target | today | n | met | command |", "|---|---|---|---|---|---|"]
        for row in (Row(**row) for row in group["rows"]):
            sign = "≤" if row.better == "lower" else "≥"
            target = "" if row.target is None else f"{sign} {_number(row.target)} {row.unit}"
            met = {True: "yes", False: "**no**", None: ""}[row.is_met]
            today = f"{_number(row.figure)} [{_number(row.low)}, {_number(row.high)}] {row.unit}"
            what = f"{row.what}. {row.note}" if row.note else row.what
            lines.append(f"| {what} | {target} | {today} | {row.n} | {met} | `{row.command}` |")
        machine = group["machine"]
        load = "load average not noted"
        if group["load"] is not None:
            load = "load average {:.1f} before and {:.1f} after".format(*group["load"])
        commit = f"{(machine['commit'] or 'unknown')[:10]}{' with changes' if machine['dirty'] else ''}"
        lines += [
            "",
            f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, torch "
            f"{machine['packages']['torch']}, commit {commit}, {machine['started'][:10]}; {load}.",
            "",
        ]
        if group["tried"]:
            lines += ["Tried, and it did not help:", "", *(f"- {sentence}" for sentence in group["tried"]), ""]
    lines += [
        "Nothing here was measured on a GPU; `benchmarks/gpu.py` does that in one call. How cost grows with pixels, "
        "classes and processes is in [scaling](scaling.md), what each report costs in [report-cost](report-cost.md).",
        "",
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=[*GROUPS])
    parser.add_argument("--list", action="store_true", help="say what the groups are")
    parser.add_argument("--out", type=Path, default=Path("results/speed"))
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:<10} {title}" for name, title in GROUPS.items()))
        return
    kept = options.out.with_suffix(".json")
    groups = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    parity = Path(__file__).parent.parent / ".venv-parity" / "bin" / "python"
    for name in options.only:
        print(f"{name}: {GROUPS[name]} ...", flush=True)
        if name in BESIDE_PEERS and Path(sys.prefix).name != ".venv-parity":
            subprocess.run([parity, __file__, "--only", name, "--out", options.out], check=True)
            groups = json.loads(kept.read_text(encoding="utf-8"))
            continue
        groups[name] = measured(name)
        for ending, text in ((".json", json.dumps(groups, indent=1) + "\n"), (".md", page(groups))):
            with whole_file(options.out.with_suffix(ending)) as temporary:
                temporary.write_text(text, encoding="utf-8")
    print(page(groups))


if __name__ == "__main__":
    main()
