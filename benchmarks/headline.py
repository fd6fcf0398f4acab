"""The README's headline: the first lines of the leaderboard where the truth is known.

pellucid leaderboard truth:beside && python benchmarks/headline.py      writes README.md
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.leaderboard.reading import lead
from pellucid.papers.table_page import cell
from pellucid.runs.measures import Measure

FILE = Path("results/leaderboard-truth-beside.json")
SHOWN = ("clean_accuracy", "mass", "faithfulness_normalised", "gini", "autoattack_correct")
BEGIN, END = f"<!-- {FILE}: benchmarks/headline.py writes this -->", "<!-- end of the headline -->"


def headline(result: Mapping[str, Any]) -> str:
    """What the board says, and a few columns of it, a control below its method."""
    page, seeds = FILE.with_suffix(".md"), result["seeds"]
    heads = [Measure.named(name).head for name in SHOWN]
    rows = [
        f"| {'↳ ' * (row['kind'] == 'control')}{row['name']} | "
        + " | ".join(cell(row["measured"][name], name) for name in SHOWN)
        + f" | {row['cost']['median']:.2g}× |"
        for row in result["rows"]
    ]
    return "\n".join(
        [
            BEGIN,
            "",
            *lead(result),
            "",
            f"| training | {' | '.join(heads)} | cost of a step |",
            f"| --- |{' ---: |' * (len(SHOWN) + 1)}",
            *rows,
            "",
            f"LeNet-5, {result['training_images']} images, {len(seeds)} seed{'s' * (len(seeds) != 1)} that chose no "
            f"setting; vanilla gradient maps of {result['images']} test images, accuracy of all "
            f"{result['accuracy_images']}; mean [95 % interval over seeds and images]; ↳ is a control. Sources, "
            f"contrasts, hardware, versions and the command: [{page.name}]({page.as_posix()}).",
            "",
            END,
        ]
    )


def with_headline(readme: str, result: Mapping[str, Any]) -> str:
    """The README with its headline replaced."""
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: headline(result), readme, flags=re.DOTALL)


def main() -> None:
    readme = Path("README.md")
    readme.write_text(with_headline(readme.read_text(), json.loads(FILE.read_text())))


if __name__ == "__main__":
    main()
