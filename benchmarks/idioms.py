"""docs/idioms.md: how to use pellucid together with other libraries, each example run.

python benchmarks/idioms.py [--also PYTHON] [--only LIBRARY]      writes results/idioms.json and docs/idioms.md
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from idioms_examples import IDIOMS, START, Idiom

import pellucid

RESULT, PAGE = Path("results/idioms.json"), Path("docs/idioms.md")
ASKED = "import importlib.util, sys; sys.exit(not all(importlib.util.find_spec(name) for name in sys.argv[1:]))"
VERSION = (
    "import sys; from importlib.metadata import packages_distributions as found, version; "
    "print(version(found()[sys.argv[1]][0]))"
)
LONGEST = 300


def run(idiom: Idiom, pythons: Sequence[str]) -> dict[str, Any]:
    """Whether an example works, in the first of some Pythons that has what it needs.

    Args:
        idiom: the example.
        pythons: executables.
    """
    told = {"library": idiom.library, "does": idiom.does}
    able = [python for python in pythons if subprocess.run([python, "-c", ASKED, *idiom.needs]).returncode == 0]
    if not able:
        return {**told, "state": "not run", "version": None}
    found = None
    if idiom.needs:
        asked = subprocess.run([able[0], "-c", VERSION, idiom.needs[0]], capture_output=True, text=True)
        found = asked.stdout.strip() or None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "example.py").write_text(START + idiom.code)
        done = subprocess.run(
            [able[0], "example.py"], cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    if done.returncode:
        print(f"{idiom.library}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return {**told, "state": "fails" if done.returncode else "works", "version": found}


def page(result: Mapping[str, Any]) -> str:
    """docs/idioms.md."""
    rows = result["rows"]
    works = sum(row["state"] == "works" for row in rows)
    lines = [
        "# Idioms of other libraries",
        "",
        f"This page shows how to use pellucid together with other libraries. {works} of the {len(rows)} examples were",
        "run and work; each ends with a check that must hold. *Not run* means that the package was not installed where",
        f"this page was written; the other {len(rows) - works} examples are only known to be valid Python. With",
        '`make idioms ARGS="--also PYTHON"`, another Python that has these packages runs them.',
        "",
        "| library | example | state | version |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {row['library']} | {row['does']} | {row['state']} | {row['version'] or '–'} |" for row in rows]
    told = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines += ["", f"{told}. Written by `{result['command']}`.", "", "All examples begin with:", ""]
    lines += ["```py", START.rstrip(), "```", ""]
    for idiom in IDIOMS:
        lines += [f"## {idiom.library}: {idiom.does}", "", "```py", idiom.code.rstrip(), "```", ""]
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """The versions of pellucid and of what it stands on."""
    found = {"pellucid": pellucid.__version__}
    for name in ("torch", "numpy"):
        try:
            found[name] = version(packages_distributions()[name][0])
        except (KeyError, PackageNotFoundError):
            continue
    return {**found, "Python": ".".join(map(str, sys.version_info[:3]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--also", action="append", default=[], help="another Python, for packages that this one lacks")
    parser.add_argument("--only", help="run the examples of this library, and keep what is known of the others")
    options = parser.parse_args()
    pythons = [sys.executable, *options.also]
    known = (
        {(row["library"], row["does"]): row for row in json.loads(RESULT.read_text())["rows"]} if options.only else {}
    )
    rows = [
        run(idiom, pythons) if options.only in (None, idiom.library) else known[idiom.library, idiom.does]
        for idiom in IDIOMS
    ]
    result = {"rows": rows, "versions": versions(), "command": "make idioms"}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(page(result))
    if failed := [row["library"] for row in rows if row["state"] == "fails"]:
        sys.exit(f"these examples fail: {', '.join(failed)}")


if __name__ == "__main__":
    main()
