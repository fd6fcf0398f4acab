"""What held: every claim of every table under results/raw, in a page for each paper and an index of them.

python benchmarks/claims.py      writes results/raw/claims.md and results/raw/claims-PAPER.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.papers.table_page import verdicts

RESULTS = Path(__file__).parent.parent / "results" / "raw"
VERDICTS = ("confirmed", "refuted", "cannot be told")
WHOSE = {"paper": "the paper's own sentences", "ours": "our bounds and controls"}
REGENERATE = "Regenerate: `python benchmarks/claims.py`. The page of each table names the command that measured it."


def tables(folder: Path) -> list[dict[str, Any]]:
    """The papers' tables that have claims, by name; none of scale ``smoke``, whose numbers mean nothing."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [result for result in found if "paper" in result and result["claims"] and result["scale"] != "smoke"]


def index(results: Sequence[Mapping[str, Any]]) -> str:
    """results/raw/claims.md: how many claims of each paper held, and how to read a verdict."""
    every = [claim for result in results if result["seeds"] > 1 for claim in result["claims"]]
    single = sum(len(result["claims"]) for result in results if result["seeds"] == 1)
    lines = [
        "# What held",
        "",
        f"{len(results)} tables make {len(every) + single} claims. {single} of them rest on one seed. One seed neither "
        "confirms nor refutes anything, so the counts below leave these out.",
        "",
        "| paper | tables | whose claims | " + " | ".join(VERDICTS) + " |",
        "| --- | ---: | --- |" + " ---: |" * len(VERDICTS),
    ]
    for paper, tables_of_paper in _by_paper(results).items():
        for whose, name in WHOSE.items():
            counts = _counts([result for result in tables_of_paper if result["seeds"] > 1], whose)
            if any(counts):
                link = f"[{paper}]({page_name(paper)}) | {len(tables_of_paper)}"
                lines.append(f"| {link} | {name} | {' | '.join(map(str, counts))} |")
    whole = [_counts([result for result in results if result["seeds"] > 1], whose) for whose in WHOSE]
    lines += [
        f"| **all** | {len(results)} | {name} | {' | '.join(map(str, counts))} |"
        for name, counts in zip(WHOSE.values(), whole, strict=True)
    ]
    lines += [
        "",
        "How to read a verdict:",
        "",
        "- **confirmed**: the 95 % interval over seeds and images lies within what the claim says.",
        "- **refuted**: the interval lies outside of what the claim says.",
        "- **cannot be told**: the interval covers both. This is also the verdict where a claim about robustness does "
        "not hold under every attack of that radius that was made, and where no image tells the two networks apart.",
        "",
        "Each claim is judged alone: the intervals are not widened for the number of claims. A sentence that is tested "
        "at several radii or on several maps counts once for each. The tables are of scale `cpu`, which has smaller "
        "networks and shorter trainings than the papers.",
        "",
        REGENERATE,
        "",
    ]
    return "\n".join(lines)


def page(paper: str, results: Sequence[Mapping[str, Any]]) -> str:
    """results/raw/claims-PAPER.md: every claim of that paper's tables with its verdict."""
    lines = [
        f"# Claims of {paper}",
        "",
        "[What held](claims.md) counts the verdicts of all papers and says how to read them. Each heading links to the "
        "table that was measured.",
    ]
    for result in results:
        lines += [
            "",
            f"## [{result['table']}]({result['name']}.md): {result['dataset']}, {result['network']}",
            "",
            f"{result['seeds']} seed{'s' * (result['seeds'] > 1)}, {result['images']} {result['split']} images.",
            "",
            *verdicts(result["claims"], result["seeds"]),
        ]
    lines += ["", REGENERATE, ""]
    return "\n".join(lines)


def pages(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The text of every page of claims, by file name."""
    made = {page_name(paper): page(paper, of_paper) for paper, of_paper in _by_paper(results).items()}
    return {"claims.md": index(results)} | made


def page_name(paper: str) -> str:
    """The file of a paper's claims.

    >>> page_name("xu2023")
    'claims-xu2023.md'
    """
    return f"claims-{paper}.md"


def _by_paper(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    papers = dict.fromkeys(result["paper"] for result in results)
    return {paper: [result for result in results if result["paper"] == paper] for paper in papers}


def _counts(results: Sequence[Mapping[str, Any]], whose: str) -> list[int]:
    found = [claim["verdict"] for result in results for claim in result["claims"] if claim["whose"] == whose]
    return [found.count(verdict) for verdict in VERDICTS]


def main() -> None:
    for name, text in pages(tables(RESULTS)).items():
        (RESULTS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
