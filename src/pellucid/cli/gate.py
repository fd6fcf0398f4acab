"""``pellucid check``, for continuous integration."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.cli.options import Parser

__all__ = ["check"]


def check(arguments: Sequence[str]) -> int:
    """Hold a run against a baseline; 0 if every requirement is met, otherwise 1."""
    parser = Parser(
        "check",
        "Hold a run against a baseline: exit code 0 if every requirement is met, otherwise 1. That a share has lost no "
        "more than one point (clean_accuracy>=-0.01) takes 381 images that both networks answer alike, and "
        "1,994 where they differ on one in twenty; of two points, 189 and 550. Where the images cannot tell, "
        "the reason says about how many would.",
    )
    parser.add_argument("run", type=Path, help="the measured run directory")
    parser.add_argument("--baseline", type=Path, required=True, help="one that was measured on the same images")
    parser.add_argument("--require", required=True, help="such as 'gini>=-0.02, ris<=1.1x, auc[site=*]>=-0.05'")
    parser.add_argument("--undecided", default="fail", help="fail or pass where the images cannot tell")
    parser.add_argument("--format", default="text", help="text, markdown or json")
    parser.add_argument("--junit", type=Path, help="file of JUnit's XML to write too")
    parser.add_argument("--github", action="store_true", help="print annotations for GitHub Actions too")
    parsed = parser.parse_args(arguments)
    from pellucid.report import gate, gate_formats
    from pellucid.report.requirement import parse

    gate.is_met((), undecided=parsed.undecided)  # refuses another word before anything is read
    outcomes = gate.check(parsed.run, parsed.baseline, parse(parsed.require))
    print(gate_formats.table(outcomes, parsed.format))
    if parsed.github:
        print(gate_formats.github(outcomes, undecided=parsed.undecided))
    if parsed.junit is not None:
        gate_formats.write_junit(outcomes, parsed.junit, name=parsed.run.resolve().name, undecided=parsed.undecided)
    return 0 if gate.is_met(outcomes, undecided=parsed.undecided) else 1
