"""The README's numbers: what training for true maps gains and costs, and the networks that its picture shows.

python benchmarks/headline.py      writes them into README.md
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BOARD = Path("results/leaderboard-truth-beside.json")
PHOTOGRAPHS = Path("results/tune-photographs.json")
PRESET, CONTROL = "trustworthy", "regular"
TUNED = "trades-0.008-2-steps-decay-1"
"""The fine-tuning that results/tune-photographs.png shows as `after`."""
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
        "**One number**, from a smaller network on pictures in which it is known what decides the class: "
        f"**{_percent(mass)} of the map lies on it** after training with pellucid's preset, a ready-made way of "
        f"training, and {_percent(usually)} after usual training. A map that knows nothing would have {chance:.0f} %. "
        f"The price: a training step takes {ours['cost']['median']:.1f} times as long, and accuracy changes by "
        f"{_points(lost)} points. ({network}, {board['training_images']:,} grey pictures, "
        f"{_seeds(len(board['seeds']))}; brackets are 95 % intervals. [All methods and controls]({page}).)"
    )


def photographs(result: Mapping[str, Any]) -> str:
    """What was measured of the networks in the README's picture."""
    ways = {row["way"]: row["measured"] for row in result["rows"] if row["network"] == "efficientnet-lite0"}
    ours, usual = ways[TUNED], ways[CONTROL]
    withstands, usually = _percent(ours["robust_accuracy"]), _percent(usual["robust_accuracy"])
    accuracy, mass = ours["accuracy"], ours["mass"]
    return _filled(
        "*The first photograph of each class that every network names correctly. A pretrained network "
        "(EfficientNet-lite0) was fine-tuned on Imagenette.* After pellucid's training it withstands small changes "
        f"that are made to mislead it on {withstands} of photographs, and on {usually} after usual training; "
        f"accuracy changes by {_points(accuracy['difference'])} points ({_seeds(accuracy['seeds'])}). "
        "The shares of these maps that lie on the object "
        f"**cannot be told apart**: they differ by {_points(mass['difference'])} points "
        f"({_seeds(mass['seeds'])}). [All numbers]({PHOTOGRAPHS.with_suffix('.md').as_posix()})."
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
