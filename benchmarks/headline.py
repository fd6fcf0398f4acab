"""The README's headline table, from the file of a paper's table.

pellucid reproduce xu2023 --table 1-longer && python benchmarks/headline.py      writes README.md
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.papers.table_page import columns, verdicts

FILE = Path("results/raw/xu2023-1-longer-fashion-mnist-cpu.json")
SHOWN = ("clean_accuracy", "gini", "entropy", "aopc_morf", "aopc_lerf")
BEGIN, END = f"<!-- {FILE}: benchmarks/headline.py writes this -->", "<!-- end of the headline -->"


def headline(result: Mapping[str, Any]) -> str:
    """A few columns of the vanilla gradient's maps, and the paper's claims on them."""
    claims = [claim for claim in result["claims"] if "/" not in claim["metric"] and claim["whose"] == "paper"]
    where = f"[{FILE.with_suffix('.md').name}]({FILE.with_suffix('.md').as_posix()})"
    return "\n".join(
        [
            BEGIN,
            "",
            f"LeNet-5 on Fashion-MNIST, {result['epochs']} epochs, {result['seeds']} seeds, vanilla gradient maps of "
            f"{result['images']} test images, accuracy of all {result['accuracy_images']}; mean [95 % interval over "
            f"seeds and images]. *Published* numbers are of {result['published_on']}. Other maps and claims, hardware, "
            f"versions and the command: {where}.",
            "",
            *columns(result, SHOWN),
            "",
            *verdicts(claims, result["seeds"]),
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
