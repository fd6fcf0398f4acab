"""What held: every claim of every table under results/, in one page.

python benchmarks/claims.py      writes results/raw/claims.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.papers.table_page import verdicts

RESULTS = Path(__file__).parent.parent / "results" / "raw"
VERDICTS = ("confirmed", "refuted", "cannot be told")


def tables(folder: Path) -> list[dict[str, Any]]:
    """The papers' tables that have claims, by name; none of scale ``smoke``, whose numbers mean nothing."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [result for result in found if "paper" in result and result["claims"] and result["scale"] != "smoke"]


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """results/raw/claims.md."""
    every = [claim for result in results if result["seeds"] > 1 for claim in result["claims"]]
    single = sum(len(result["claims"]) for result in results if result["seeds"] == 1)
    lines = [
        "# What held",
        "",
        f"{len(every) + single} claims of {len(results)} tables; {single} are of one seed, which confirms and refutes "
        f"nothing, and are not counted here. Of the papers' own sentences {_counts(every, 'paper')}; of "
        f"bounds and controls of ours {_counts(every, 'ours')}. A claim is confirmed where the 95 % interval over "
        "seeds and images lies within what it says, refuted where it lies outside, else it cannot be told; nor where "
        "it does not hold under all attacks of that radius that were made, or where no image tells two networks apart. "
        "Each stands alone: the intervals are not widened for their number, and one sentence at several radii or on "
        "several maps counts as often. Scale `cpu` is not the "
        "papers' scale: small networks, short trainings.",
    ]
    for result in results:
        lines += [
            "",
            f"## [{result['paper']}, {result['table']}]({result['name']}.md): {result['dataset']}, {result['network']}",
            "",
            f"{result['seeds']} seed{'s' * (result['seeds'] > 1)}, {result['images']} {result['split']} images.",
            "",
            *verdicts(result["claims"], result["seeds"]),
        ]
    lines += [
        "",
        "Regenerate: `python benchmarks/claims.py`; each table's page names the command that measured it.",
        "",
    ]
    return "\n".join(lines)


def _counts(claims: Sequence[Mapping[str, Any]], whose: str) -> str:
    verdicts = [claim["verdict"] for claim in claims if claim["whose"] == whose]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)


def main() -> None:
    (RESULTS / "claims.md").write_text(page(tables(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
