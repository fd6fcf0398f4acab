"""The demo's table for results/ and the README, from the rows that `pellucid demo` left.

pellucid demo && python benchmarks/demo_table.py      writes results/demo.{json,md}, results/maps.png, README.md
"""

import argparse
import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

from pellucid.demo import experiments
from pellucid.report import compare, read_runs, render

SHOWN = ("clean_accuracy", "robust_accuracy", "gini", "aopc_morf", "aopc_lerf", "ris", "ros")
BEGIN, END = "<!-- the demo's table: benchmarks/demo_table.py writes it -->", "<!-- end of the table -->"


def readme_table(result: dict[str, Any]) -> str:
    """The table of the README: a few columns of the result."""
    few = {name: run | {"metrics": {key: run["metrics"][key] for key in SHOWN}} for name, run in result["runs"].items()}
    return f"{BEGIN}\n\n{render(few, 'markdown')}\n\n{END}"


def with_table(readme: str, result: dict[str, Any]) -> str:
    """The README with its table replaced."""
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: readme_table(result), readme, flags=re.DOTALL)


def page(result: dict[str, Any]) -> str:
    """results/demo.md."""
    facts = result["environment"]
    seconds = " · ".join(f"{name} {value:.0f} s" for name, value in result["training_seconds"].items())
    return "\n".join(
        [
            "# The demo: six networks on Fashion-MNIST",
            "",
            render(result["runs"], "markdown"),
            "",
            f"One seed (0), LeNet-5, 5 epochs of 55 000 images. Training time: {seconds}.",
            "",
            f"{facts['cpu']}, {facts['threads']} threads, Python {facts['python']}, "
            f"torch {facts['packages']['torch']}, pellucid {facts['pellucid']}, commit {facts['commit']}, "
            f"{facts['started']}. Regenerate: `pellucid demo && python benchmarks/demo_table.py`.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/demo"))
    options = parser.parse_args()
    names = list(experiments())
    seconds = {}
    for name in names:
        with (options.runs / name / "train.csv").open() as file:
            seconds[name] = sum(float(row["seconds"]) for row in csv.DictReader(file))
    result = {
        "environment": json.loads((options.runs / names[-1] / "environment.json").read_text()),
        "training_seconds": seconds,
        "runs": compare(read_runs([options.runs / name for name in names])),
    }
    results = Path("results")
    results.mkdir(exist_ok=True)
    (results / "demo.json").write_text(json.dumps(result, indent=1) + "\n")
    (results / "demo.md").write_text(page(result))
    shutil.copyfile(options.runs / "maps.png", results / "maps.png")
    readme = Path("README.md")
    readme.write_text(with_table(readme.read_text(), result))


if __name__ == "__main__":
    main()
