"""``pellucid check``, for continuous integration."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.cli.options import Parser
from pellucid.core.errors import InputError
from pellucid.core.files import check_readable

__all__ = ["check"]

EXAMPLES = (
    (
        "pellucid check runs/scaat --baseline runs/regular --require 'clean_accuracy>=-0.02, gini>=-0.02'",
        "fail if accuracy or concentration of the maps is lost",
    ),
    (
        "pellucid check runs/scaat --baseline runs/regular --require 'clean_accuracy[class=*]>=-0.1' --undecided pass",
        "fail if any one class has lost too much",
    ),
    (
        "pellucid check runs/scaat --require 'clean_accuracy>=0.7, gini>=0.4'",
        "fail if the network itself is not good enough, whatever others reach",
    ),
)


def check(arguments: Sequence[str]) -> int:
    """Hold a run to requirements; 0 if every one is met, otherwise 1."""
    parser = Parser(
        "check",
        "Hold a network to requirements: exit code 0 if every one is met, otherwise 1.\n\n"
        "A requirement bounds the network's value minus the baseline's: gini>=-0.02 allows a loss of 0.02. With an x "
        "it bounds the ratio: ris<=1.1x allows 10 % more. Without --baseline it bounds the value itself: "
        "clean_accuracy>=0.7 asks for 70 %.\n\n"
        "To show that accuracy has dropped by at most one point (clean_accuracy>=-0.01) takes 381 images if both "
        "networks give the same answers, and 1,994 if they differ on one image in twenty; for two points it takes 189 "
        "and 550. If there are too few images to tell, the reason says roughly how many are needed.",
        examples=EXAMPLES,
    )
    parser.add_argument("run", type=Path, help="run folder of the network")
    parser.add_argument(
        "--baseline", type=Path, help="run folder measured on the same images; without it, bounds are absolute"
    )
    parser.add_argument(
        "--require", required=True, help="requirements with commas between, or @FILE with one on each line"
    )
    parser.add_argument(
        "--undecided", default="fail", metavar="fail|pass", help="what to do if there are too few images to tell"
    )
    parser.add_argument("--format", default="text", metavar="text|markdown|json", help="how to write the table")
    parser.add_argument("--junit", type=Path, help="also write a file in JUnit's XML format")
    parser.add_argument("--github", action="store_true", help="also print annotations for GitHub Actions")
    parsed = parser.parse_args(arguments)
    from pellucid.report import gate, gate_formats
    from pellucid.report.requirement import parse

    gate.is_met((), undecided=parsed.undecided)  # refuses another word before anything is read
    outcomes = gate.check(parsed.run, parsed.baseline, parse(_given(parsed.require)))
    print(gate_formats.table(outcomes, parsed.format))
    if parsed.github:
        print(gate_formats.github(outcomes, undecided=parsed.undecided))
    if parsed.junit is not None:
        gate_formats.write_junit(outcomes, parsed.junit, name=parsed.run.resolve().name, undecided=parsed.undecided)
    return 0 if gate.is_met(outcomes, undecided=parsed.undecided) else 1


def _given(require: str) -> str:
    """The requirements themselves, or those of the file that is named behind an @."""
    if not require.startswith("@"):
        return require
    file = Path(require[1:]).expanduser()
    check_readable(file)
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {file} with requirements") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is no text in UTF-8; one requirement on each line is accepted") from None
