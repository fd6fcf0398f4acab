"""The index of results/raw: a line for each page there, with what it is about and of how many seeds.

python benchmarks/raw_index.py      writes results/raw/README.md
"""

import json
from pathlib import Path
from typing import Any

RAW = Path(__file__).parent.parent / "results" / "raw"
PREFIXES = {
    "claims": "What held: every claim with its verdict",
    "bhusal2026": "Adversarial training and feature-map smoothing (Bhusal, Alam, Rastogi 2026)",
    "guesmi2024": "Saliency-guided and adversarial training (Guesmi, Aswani, Shafique 2024)",
    "ismail2021": "Saliency-guided training (Ismail, Corrada Bravo, Feizi 2021)",
    "xu2023": "SCAAT (Xu et al. 2023)",
    "pellucid": "Compositions",
    "selection": "Searches for settings",
    "leaderboard-search": "Searches for settings",
    "": "Other measurements",
}
INTRODUCTION = """\
# Tables behind the results

Every page here has its numbers in a JSON file of the same name, and says at its end how it was made and which command
makes it again; a table of a paper is written here with `--results results/raw`. What they add up to stands in
[the leaderboards](../). Read these tables with three reservations:

- Settings were chosen on validation images with seed 0, which is also one of the seeds that test. The leaderboards use
  other seeds for each.
- The search of compositions, `selection-pellucid`, has LeNet-5's smoothing block before the ReLU, where the authors'
  code has it after; its command now makes it with the block in the authors' place. `pellucid-front` has it there.
- MoRF and LeRF say how a network reacts to noise. They may compare maps of one network; between networks they do not
  order the maps by their truth ([which measure does](../truth-measures.md)).
"""


def page(folder: Path) -> str:
    """results/raw/README.md."""
    groups: dict[str, list[str]] = {title: [] for title in PREFIXES.values()}
    for file in sorted(folder.glob("*.md")):
        if file.name == "README.md":
            continue
        heading = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        title = next(title for prefix, title in PREFIXES.items() if file.name.startswith(prefix))
        groups[title].append(f"- [{file.stem}]({file.name}): {heading}{_seeds(file.with_suffix('.json'))}")
    sections = ["\n".join([f"## {title}", "", *lines, ""]) for title, lines in groups.items() if lines]
    return "\n".join([INTRODUCTION, *sections])


def _seeds(file: Path) -> str:
    facts: Any = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    seeds = facts.get("seeds") if isinstance(facts, dict) else None
    if isinstance(seeds, list):
        seeds = len(seeds)
    return "" if not isinstance(seeds, int) else f" ({seeds} seed{'s' * (seeds > 1)})"


def main() -> None:
    (RAW / "README.md").write_text(page(RAW), encoding="utf-8")


if __name__ == "__main__":
    main()
