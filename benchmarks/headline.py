"""The README's numbers: what training for true maps gains and costs, and the networks that its picture shows.

python benchmarks/headline.py      writes them into README.md
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.leaderboard.plan import FAMILIES
from pellucid.leaderboard.reading import TARGETS, reached

BOARDS = (Path("results/leaderboard-truth-beside.json"), Path("results/leaderboard-truth-shapes.json"))
PHOTOGRAPHS = Path("results/tune-photographs.json")
PRESET, CONTROL = "trustworthy", "regular"
TUNED = "trades-0.008-2-steps-decay-1"
"""The fine-tuning that results/tune-photographs.png shows as `after`."""
NETWORKS = {"lenet5": "LeNet-5", "resnet18-224, width 8": "narrow ResNet-18"}
ASKED = {
    "mass": "80 % of the map on the cause",
    "faithfulness_normalised": "maps as faithful to the network as regular training's",
    "gini": "much sparser maps",
    "autoattack_correct": "30 points more accuracy under attack",
    "clean_accuracy": "at most 2 points of accuracy lost",
}
END = "<!-- end -->"


def begin(name: str) -> str:
    """The mark before a passage of the README."""
    return f"<!-- {name}: benchmarks/headline.py writes this -->"


def truth(boards: Sequence[Mapping[str, Any]]) -> str:
    """The main numbers of the README: how much more of a map lies on the cause, what that costs, what it misses.

    Args:
        boards: of grey and of colour pictures.
    """
    columns = [_column(board) for board in boards]
    table = [f"| {' | '.join([name, *(column[name] for column in columns)])} |" for name in columns[0]]
    told = [
        "**The main result**: how much of the map lies on what decides the class, on pictures where we know that, with "
        "small networks. The preset is `trustworthy`: one recipe for grey pictures, another for colour.",
        *("", table[0], "| --- | ---: | ---: |", *table[1:], ""),
        f"{_random(boards)}**We had asked more of the preset.** "
        + " ".join(f"On {_kind(board)} pictures, it misses {_missed(board)}." for board in boards),
    ]
    return "\n".join(line if line.startswith("|") else _filled(line) for line in told)


def _column(board: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a board by the words at the beginning of their lines; the first is the head."""
    rows = {row["name"]: row for row in board["rows"]}
    ours, usual = rows[PRESET], rows[CONTROL]
    page = (Path("results") / f"{board['name']}.md").as_posix()
    return {
        "pictures": f"[{_kind(board)}]({page}), {NETWORKS[board['network']]}, {_seeds(len(board['seeds']))}",
        "random map": f"{100 * usual['measured']['mass_chance']['mean']:.0f} %",
        "after regular training": _percent(usual["measured"]["mass"]),
        "after training with the preset": _bold(_percent(ours["measured"]["mass"])),
        "accuracy, points": _points(ours["against"][CONTROL]["clean_accuracy"]),
        "a training step takes": f"{ours['cost']['median']:.2g} times as long",
    }


def _bold(text: str) -> str:
    return f"**{text}**"


def _kind(board: Mapping[str, Any]) -> str:
    return "grey" if FAMILIES[board["board"]] == "grey" else "colour"


def _random(boards: Sequence[Mapping[str, Any]]) -> str:
    """What the preset reaches with a random mask in place of the map's, where that was measured."""
    told = []
    for board in boards:
        row = next((row for row in board["rows"] if row["name"] == f"{PRESET}-random"), None)
        if row is not None:
            told.append(
                f"The {_kind(board)} preset attacks pixels that the map chooses; a control that attacks random ones "
                f"has {_percent(row['measured']['mass'])}. "
            )
    return "".join(told)


def _missed(board: Mapping[str, Any]) -> str:
    """What was asked of the preset before it was searched, and its means do not reach."""
    rows = {row["name"]: row for row in board["rows"]}
    ours, usual = rows[PRESET], rows[CONTROL]
    missed = [ASKED[name] for name, _, least in TARGETS if not reached(ours, usual, name, least)]
    missed += ["a step at most four times as long"] * (ours["cost"]["median"] > 4)
    return ", ".join(missed[:-1]) + " and " * (len(missed) > 1) + missed[-1] if missed else "nothing"


def photographs(result: Mapping[str, Any]) -> str:
    """What was measured of the networks in the README's picture."""
    ways = {row["way"]: row["measured"] for row in result["rows"] if row["network"] == "efficientnet-lite0"}
    ours, usual = ways[TUNED], ways[CONTROL]
    accuracy, robust, mass = ours["accuracy"], ours["robust_accuracy"], ours["mass"]
    assert len({one["seeds"] for one in (accuracy, robust, mass, usual["robust_accuracy"])}) == 1
    assert mass["difference"]["low"] < 0 < mass["difference"]["high"]  # or another sentence is due
    assert ours["gini"]["difference"]["high"] < 0  # likewise
    return _filled(
        "*Each column is the first photograph of its class that every network classifies correctly; maps of one seed. "
        "The network is a pretrained EfficientNet-lite0, fine-tuned on Imagenette at 96 pixels.* When every pixel may "
        f"change by 2/255 to mislead it, it stays right on {_percent(robust)} of photographs after pellucid's "
        f"fine-tuning, and on {_percent(usual['robust_accuracy'])} after regular fine-tuning. Accuracy differs by "
        f"{_points(accuracy['difference'])} points ({_seeds(accuracy['seeds'])}, 95 % intervals). "
        "**The share of the map on the photograph, when it is pasted among other things, shows "
        f"no clear difference**: {_points(mass['difference'])} points. "
        "Maps are less sparse, so pellucid calls this *a trade*. "
        f"[All numbers]({PHOTOGRAPHS.with_suffix('.md').as_posix()})."
    )


def with_numbers(readme: str, boards: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    """The README with its two passages of numbers replaced."""
    for name, passage in (("truth", truth(boards)), ("photographs", photographs(result))):
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
    *boards, result = (json.loads(file.read_text()) for file in (*BOARDS, PHOTOGRAPHS))
    readme.write_text(with_numbers(readme.read_text(), boards, result))


if __name__ == "__main__":
    main()
