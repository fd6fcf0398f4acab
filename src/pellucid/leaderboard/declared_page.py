"""The declared sentences as Markdown, from their JSON."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pellucid.leaderboard.page import provenance
from pellucid.papers.table_page import claim_number

__all__ = ["page"]


def page(result: Mapping[str, Any]) -> str:
    """The page's Markdown from its JSON: counts of the verdicts, then a line for each sentence."""
    rows = result["sentences"]
    counts = Counter(row["verdict"] for row in rows)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    lines = ["# Predictions made before measuring", ""]
    if result["scale"] == "smoke":
        lines += ["Scale `smoke` shows that the command runs: its numbers mean nothing.", ""]
    lines += [
        f"{result['declared']} predictions: {told}. Each effect is a difference over the same seeds and images, with "
        "its 95 % interval over both. Verdicts use two-sided p-values at 5 %, after Holm's correction for all "
        "predictions that were judged. A prediction with fewer seeds than were planned says so, and one seed gets no "
        "verdict.",
        "",
        "| prediction | board | seeds | found | p (Holm) | verdict |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        found = "–" if row["found"] is None else claim_number(row)
        fewer = f" of {row['declared_seeds']}" if row["seeds"] < row["declared_seeds"] else ""
        p = "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
        lines.append(
            f"| {row['text']} | {row['board']} | {row['seeds']}{fewer} | {found} | {p} | **{row['verdict']}** |"
        )
    for board, origin in result["origins"].items():
        lines += ["", f"{board}: {provenance(origin | {'command': result['command']})}"]
    return "\n".join([*lines, ""])
