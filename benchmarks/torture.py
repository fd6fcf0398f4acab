"""What becomes of a run when everything goes wrong: the table results/reliability.md.

python benchmarks/torture.py                 an hour
python benchmarks/torture.py --minutes 5     fewer of everything; the table says how many

Processes are killed before every file operation and at random moments, two work in one directory, disks fill and memory
ends, bits are flipped in what numbers rest on, and the files of every reader are mutated. What was to come of it: the
command given again ends as an undisturbed one does; damage is refused in one sentence; nothing hangs, nothing is left.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torture_crashes import COMMANDS, commands, crashes
from torture_damage import bits, mutations, scene
from torture_faults import faults, kills, races

from pellucid.core.files import whole_file
from pellucid.runs.environment import environment, told_commit

ROOT = Path(__file__).parent.parent
SHARES = {"kills": 0.1, "races": 0.08, "faults": 0.15, "bits": 0.08, "mutations": 0.2}
"""Of the time, at most; the crashes, which come last, take what is left."""
FILES = 2400
"""Mutated files over all readers."""


def tortured(minutes: float, seed: int) -> dict[str, Any]:
    """Everything once, in about so many minutes."""
    began = time.perf_counter()
    seconds = {name: 60 * minutes * share for name, share in SHARES.items()}
    found: dict[str, Any] = {"seed": seed, "minutes": minutes}
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        root = Path(folder).resolve()
        known = commands(root, COMMANDS if minutes >= 10 else COMMANDS[:5])
        _say(f"the scene is made, {time.perf_counter() - began:.0f} s")
        (root / "scene").mkdir()
        scene(root / "scene")
        found["bits"] = bits(root / "scene", seconds=seconds["bits"], seed=seed)
        found["mutations"] = mutations(root / "scene", files=FILES, seconds=seconds["mutations"], seed=seed)
        _say(f"files are damaged, {time.perf_counter() - began:.0f} s")
        found["faults"] = faults(known["evaluate"], root, seconds=seconds["faults"])
        found["races"] = races(known, root, seconds=seconds["races"], seed=seed)
        found["kills"] = kills(known["train"], root, seconds=seconds["kills"], seed=seed)
        _say(f"faults, races and kills are over, {time.perf_counter() - began:.0f} s")
        found["crashes"] = []
        for number, command in enumerate(known.values()):
            left = 60 * minutes - (time.perf_counter() - began)
            found["crashes"].append(crashes(command, root, seconds=max(left, 10) / (len(known) - number), seed=seed))
            _say(f"{command.name} is killed, {time.perf_counter() - began:.0f} s")
    facts = environment(torch.device("cpu"))
    del facts["command"]
    return found | {"seconds": round(time.perf_counter() - began), "environment": facts}


def page(found: dict[str, Any]) -> str:
    """The table as Markdown."""
    facts, wrong = found["environment"], mistakes(found)
    minutes = found["minutes"]
    option = "" if minutes == 60 else f" ARGS='--minutes {minutes:g}'"
    lines = [
        "# Reliability",
        "",
        f"`make torture{option}`, seed {found['seed']}, {found['seconds'] / 60:.0f} minutes on {facts['device_name']}, "
        f"one thread; pellucid {facts['pellucid']} (commit {told_commit(facts)}), PyTorch "
        f"{facts['packages']['torch']}, {facts['started'][:10]}. "
        "[benchmarks/torture.py](../benchmarks/torture.py) does all of it, without a GPU.",
        "",
        f"**{'Nothing went wrong.' if not wrong else f'{len(wrong)} things went wrong, listed at the end.'}**",
        "",
        "## Killed before a file operation, and given again",
        "",
        "Each process is killed (SIGKILL) before the k-th time that it opens a file for writing, syncs, renames, "
        "removes or changes one. The same command given again must end as one that nobody disturbed: the same weights, "
        "rows, maps and pages, and no file left behind.",
        "",
        "| command | file operations | killed before | as undisturbed | s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in found["crashes"]:
        failed = len({what.partition(":")[0] for what in row["wrong"]})
        of_all = "every one" if row["tried"] == row["operations"] else f"{row['tried']}, drawn at random"
        lines.append(
            f"| {row['command']} | {row['operations']} | {of_all} | {row['tried'] - failed} of {row['tried']} | "
            f"{row['seconds']:.0f} |"
        )
    kill = found["kills"]
    lines += [
        "",
        "## Stopped at a random moment, until finished",
        "",
        f"{kill['trainings']} trainings were stopped {kill['signals']} times in all (SIGKILL, SIGTERM, SIGHUP, SIGINT) "
        f"and resumed; {kill['identical']} of {kill['trainings']} ended with the same bits in weights and checkpoint "
        f"as one that nobody disturbed ({kill['seconds']:.0f} s).",
        "",
        "## Two processes in one run directory",
        "",
        "| pair | tried | refused by the lock | wrong | s |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row['pair']} | {row['tried']} | {row['refused']} | {len(row['wrong'])} | {row['seconds']:.0f} |"
            for row in found["races"]
        ),
        "",
        "## Flipped bits",
        "",
        "One bit of a file of a run, in each of 64 parts of the file in turn, and what reads it: load, explain, "
        "report, compare and resume. Each must be refused.",
        "",
        "| file | bytes | parts | flipped | refused | s |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['file']} | {row['bytes']:,} | {row['regions']} | {row['flipped']} | {row['refused']} | "
            f"{row['seconds']:.0f} |"
            for row in found["bits"]
        ),
        "",
        "## Mutated files",
        "",
        "Cut, doubled, zeroed, overwritten, with numbers of headers out of range. A reader may read what is left or "
        "refuse it in one sentence, within 20 s; the files of a run are read without their digests too.",
        "",
        "| reader of | mutated | read | refused | traceback or hung | s |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['reader']} | {row['tried']} | {row['read']} | {row['refused']} | {len(row['wrong'])} | "
            f"{row['seconds']:.0f} |"
            for row in found["mutations"]
        ),
        f"| **all** | {_sum(found, 'tried'):,} | {_sum(found, 'read'):,} | {_sum(found, 'refused'):,} | "
        f"{sum(len(row['wrong']) for row in found['mutations'])} | {_sum(found, 'seconds'):.0f} |",
        "",
        "## Faults",
        "",
        "| fault | exit code | what was said | s |",
        "| --- | --- | --- | --- |",
        *(
            f"| {row['fault']}{' **(wrong)**' if row['wrong'] else ''} | {row['code']} | {_cell(row['said'])} | "
            f"{row['seconds']:.1f} |"
            for row in found["faults"]
        ),
    ]
    if wrong:
        lines += ["", "## What went wrong", "", *(f"- {_cell(what)}" for what in wrong)]
    return "\n".join(lines) + "\n"


def mistakes(found: dict[str, Any]) -> list[str]:
    """Everything that was not as it should be."""
    rows = [*found["crashes"], *found["races"], *found["mutations"], *found["faults"], found["kills"]]
    passed = [f"{row['file']}: {what}" for row in found["bits"] for what in row["passed"]]
    return [what for row in rows for what in row["wrong"]] + passed


def _sum(found: dict[str, Any], name: str) -> float:
    return sum(row[name] for row in found["mutations"])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:160] or "–"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    """Torture, write both files; 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long it may take, about")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reliability", help="of both files, no ending")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    minutes = options.minutes if options.seconds is None else options.seconds / 60
    found = tortured(minutes, options.seed)
    for ending, text in ((".json", json.dumps(found, indent=1) + "\n"), (".md", page(found))):
        with whole_file(f"{options.out}{ending}") as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"{options.out}.md")
    for what in mistakes(found):
        _say(what)
    return bool(mistakes(found))


if __name__ == "__main__":
    sys.exit(main())
