"""The README's numbers: what training for true maps gains and costs, and the networks that its picture shows.

python benchmarks/headline.py      writes them into README.md
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.leaderboard.reading import TARGETS, reached

BOARD = Path("results/leaderboard-truth-beside.json")
PHOTOGRAPHS = Path("results/tune-photographs.json")
PRESET, CONTROL = "trustworthy", "regular"
TUNED = "trades-0.008-2-steps-decay-1"
"""The fine-tuning that results/tune-photographs.png shows as `after`."""
ASKED = {
    "mass": "80 % of the map on the cause",
    "faithfulness_normalised": "maps that are as faithful to the network as after regular training",
    "gini": "much sparser maps",
    "autoattack_correct": "30 points more accuracy under attack",
    "clean_accuracy": "at most 2 points of accuracy lost",
}
END = "<!-- end -->"


def begin(name: str) -> str:
    """The mark before a passage of the README."""
    return f"<!-- {name}: benchmarks/headline.py writes this -->"


def truth(board: Mapping[str, Any]) -> str:
    """The one number of the README: how much more of a map lies on the cause, and what that costs."""
    rows = {row["name"]: row for row in board["rows"]}
    ours, usual = rows[PRESET], rows[CONTROL]
    mass, usually = ours["measured"]["mass"], usual["measured"]["mass"]
    chance = 100 * usual["measured"]["mass_chance"]["mean"]
    lost = ours["against"][CONTROL]["clean_accuracy"]
    network, page = board["network"].replace("lenet", "LeNet-"), BOARD.with_suffix(".md").as_posix()
    return _filled(
        "**The main result**, from a smaller network on pictures where we know what decides the class: after training "
        f"with pellucid's preset (a ready-made recipe), **{_percent(mass)} of the map lies on it**; after regular "
        f"training, {_percent(usually)}. A random map would reach {chance:.0f} %. The cost: a training step takes "
        f"{ours['cost']['median']:.1f} times as long, and accuracy changes by {_points(lost)} points. ({network}, "
        f"{board['training_images']:,} grey pictures, {_seeds(len(board['seeds']))}. Brackets are 95 % intervals. "
        f"[All methods and controls]({page}).) {_missed(ours, usual)}"
    )


def _missed(ours: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """What was asked of the preset before it was searched, and its means do not reach."""
    missed = [ASKED[name] for name, _, least in TARGETS if name in ASKED and not reached(ours, usual, name, least)]
    if not missed:
        return "It reaches everything that we had asked of it."
    listed = ", ".join(missed[:-1]) + " and " * (len(missed) > 1) + missed[-1]
    return f"**We had asked for more, and the preset misses it**: {listed}."


def photographs(result: Mapping[str, Any]) -> str:
    """What was measured of the networks in the README's picture."""
    ways = {row["way"]: row["measured"] for row in result["rows"] if row["network"] == "efficientnet-lite0"}
    ours, usual = ways[TUNED], ways[CONTROL]
    accuracy, robust, mass = ours["accuracy"], ours["robust_accuracy"], ours["mass"]
    assert len({one["seeds"] for one in (accuracy, robust, mass, usual["robust_accuracy"])}) == 1
    assert mass["difference"]["low"] < 0 < mass["difference"]["high"]  # or another sentence is due
    return _filled(
        "*Each column is the first photograph of its class that every network classifies correctly, with its maps from "
        "one seed. The network is a pretrained EfficientNet-lite0, fine-tuned on Imagenette.* When every pixel may be "
        f"changed by 2/255 to mislead the network, it still answers correctly on {_percent(robust)} of photographs "
        f"after pellucid's fine-tuning, and on {_percent(usual['robust_accuracy'])} after regular fine-tuning. "
        f"Accuracy differs from regular fine-tuning's by {_points(accuracy['difference'])} points "
        f"({_seeds(accuracy['seeds'])}). **For this network we found no clear difference in the share of the map that "
        f"lies on the object**: {_points(mass['difference'])} points. "
        f"[All numbers]({PHOTOGRAPHS.with_suffix('.md').as_posix()})."
    )


def with_numbers(readme: str, board: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The README with its two passages of numbers replaced."""
    for name, passage in (("truth", truth(board)), ("photographs", photographs(result))):
        marks = f"{re.escape(begin(name))}.*?{re.escape(END)}"
        written = f"{begin(name)}\n{passage}\n{END}"
        readme = re.sub(marks, lambda _, written=written: written, readme, flags=re.DOTALL)
    return readme


def _percent(number: Mapping[str, Any]) -> str:
    return f"{100 * number['mean']:.0f} % [{_ends(number, '.0f')}]"


def _points(number: Mapping[str, Any]) -> str:
    return f"{100 * number['mean']:+.1f} [{_ends(number, '.1f')}]".replace("-", "−")


def _ends(number: Mapping[str, Any], form: str) -> str:
    return f"{100 * number['low']:z{form}}, {100 * number['high']:z{form}}".replace("-", "−")


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _filled(text: str) -> str:
    """Lines of at most 120 characters, broken between words and never inside an interval or a link."""
    held = re.sub(r"\[[^]]*\]", lambda found: found[0].replace(" ", "\0"), text)
    lines = [""]
    for word in held.split(" "):
        if len(lines[-1]) + len(word) > 119:
            lines.append("")
        lines[-1] += f"{' ' * bool(lines[-1])}{word}"
    return "\n".join(lines).replace("\0", " ")


def main() -> None:
    readme = Path("README.md")
    board, result = json.loads(BOARD.read_text()), json.loads(PHOTOGRAPHS.read_text())
    readme.write_text(with_numbers(readme.read_text(), board, result))


if __name__ == "__main__":
    main()
