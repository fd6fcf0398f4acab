"""The demo's table for results/, from the rows that `pellucid demo` left.

pellucid demo && python benchmarks/demo_table.py      writes results/demo.{json,md}, results/maps.png
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from pellucid.demo import experiments
from pellucid.report import compare, read_runs, render


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
            f"One seed (0), LeNet-5, {result['epochs']} epochs of 55 000 images. Training time: {seconds}.",
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
    runs = read_runs([options.runs / name for name in experiments()])
    result = {
        "environment": runs[-1].environment,
        "epochs": experiments()["regular"].epochs,
        "training_seconds": {run.name: float(run.training["seconds"].sum()) for run in runs},
        "runs": compare(runs),
    }
    results = Path("results")
    results.mkdir(exist_ok=True)
    (results / "demo.json").write_text(json.dumps(result, indent=1) + "\n")
    (results / "demo.md").write_text(page(result))
    shutil.copyfile(options.runs / "maps.png", results / "maps.png")


if __name__ == "__main__":
    main()
