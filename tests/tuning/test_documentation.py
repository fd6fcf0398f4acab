"""docs/tune.md says what the code does, and its commands can be given."""

import re
import shlex
from pathlib import Path

from pellucid.cli.options import Parser
from pellucid.exports.export import FORMATS
from pellucid.report.requirement import parse
from pellucid.tuning.plan import NAMES, Tune
from pellucid.tuning.presets import tuning_presets

TEXT = (Path(__file__).parents[2] / "docs" / "tune.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^pellucid .*$", TEXT, flags=re.MULTILINE)]


def words(command: str) -> list[str]:
    (found,) = [given[2:] for given in COMMANDS if given[1] == command]
    return found


def test_the_command_makes_a_plan() -> None:
    parser = Parser("tune", "Tune.", settings="pellucid.tuning.plan.Tune")
    parser.add_argument("photos")
    made, _ = parser.parse(words("tune"))
    assert made == Tune(photos="photos", network="efficientnet-lite0", size=96, out=Path("runs/mine"), minutes=15)


def test_what_follows_can_be_asked_for() -> None:
    asked = words("check")
    assert [str(one) for one in parse(asked[asked.index("--require") + 1])] == [
        "clean_accuracy >= -0.1",
        "ris <= 1.1x",
    ]
    asked = words("export")
    assert set(asked[asked.index("--to") + 1].split(",")) <= set(FORMATS)


def test_presets_are_named_and_called_what_they_are() -> None:
    assert all(f"`{name}`" in TEXT for name in NAMES)
    assert ("first guesses" in TEXT) == any(one.evidence is None for one in tuning_presets())
