"""What held: every claim of every table under results/, in one page.

python benchmarks/claims.py      writes results/claims.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.reproduction.page import found_of

RESULTS = Path(__file__).parent.parent / "results"
VERDICTS = ("confirmed", "refuted", "cannot be told")


def tables(folder: Path) -> list[dict[str, Any]]:
    """The papers' tables that have claims, by name."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [result for result in found if "paper" in result and result["claims"]]


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """results/claims.md."""
    every = [claim["verdict"] for result in results for claim in result["claims"]]
    counts = ", ".join(f"{every.count(verdict)} {verdict}" for verdict in VERDICTS)
    lines = [
        "# What held",
        "",
        f"{len(every)} claims of {len(results)} tables: {counts}. A claim is confirmed where the 95 % interval over "
        "seeds and images lies within what it says, refuted where it lies outside, else it cannot be told. Scale `cpu` "
        "is not the papers' scale: small networks, short trainings.",
    ]
    for result in results:
        lines += [
            "",
            f"## [{result['paper']}, {result['table']}]({result['name']}.md): {result['dataset']}, {result['network']}",
            "",
            f"{result['seeds']} seed{'s' * (result['seeds'] > 1)}, {result['images']} {result['split']} images.",
            "",
            "| claim | found | verdict |",
            "| --- | ---: | --- |",
            *(f"| {claim['text']} | {found_of(claim)} | **{claim['verdict']}** |" for claim in result["claims"]),
        ]
    lines += [
        "",
        "Regenerate: `python benchmarks/claims.py`; each table's page names the command that measured it.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    (RESULTS / "claims.md").write_text(page(tables(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
