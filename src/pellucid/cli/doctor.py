"""``pellucid doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pellucid.cli.options import Parser
from pellucid.core.checks import one_of

__all__ = ["doctor"]

HEADINGS = {"machine": "This machine", "packages": "Packages", "extras": "Extras", "data": "Data"}
SIGNS = {"ok": "✓", "optional": "–", "problem": "✗"}


def doctor(arguments: Sequence[str]) -> int:
    """Say what this machine has, what is missing, and the command that brings it; 1 if something does not work."""
    parser = Parser(
        "doctor",
        "Say what this machine has for pellucid (device, threads, packages, extras and data), and name the command "
        "that brings what is missing. The exit code is 1 if something needs fixing, otherwise 0.",
        examples=(
            ("pellucid doctor", "the list"),
            ("pellucid doctor --format json", "the same, for a program or a bug report"),
        ),
    )
    parser.add_argument("--format", default="text", metavar="text|json", help="how to write the list")
    form = parser.parse_args(arguments).format
    one_of(("text", "json"), format=form)
    from pellucid.core import terminal
    from pellucid.doctor import examine

    found = examine()
    problems = [finding for finding in found if finding.state == "problem"]
    if form == "json":
        print(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
        return 1 if problems else 0
    parts: list[terminal.Part] = []
    for group, heading in HEADINGS.items():
        rows = [
            [SIGNS[one.state], one.name, one.found + (f"\n{one.remedy}" if one.remedy else "")]
            for one in found
            if one.group == group
        ]
        if rows:
            parts += [terminal.table(["", heading, ""], rows), ""]
    parts.append(
        "✓ found, – missing but optional, ✗ needs fixing. The line below an entry is the command that fixes it."
    )
    verdict = {0: "Nothing needs fixing.", 1: "1 thing needs fixing."}
    parts.append(verdict.get(len(problems), f"{len(problems)} things need fixing."))
    print(terminal.rendered(*parts, styled=terminal.is_styled()))
    return 1 if problems else 0
