"""What a gate found, written down: a table, annotations of a commit, JUnit's XML."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

from pellucid.core import terminal
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.terminal import rendered
from pellucid.report.cells import printable
from pellucid.report.gate import UNTOLD, Outcome, Undecided

__all__ = ["github", "table", "write_junit"]

Form = Literal["text", "markdown", "json"]


def table(outcomes: Sequence[Outcome], form: Form = "text") -> str:
    """Requirement, baseline, run, difference or multiple with its interval, verdict.

    Args:
        outcomes: of `pellucid.report.gate.check`.
        form: ``text`` for a terminal, ``markdown`` or ``json``.

    Raises:
        InputError: another form.
    """
    if form not in get_args(Form):
        raise InputError(f"format must be one of {', '.join(get_args(Form))}, got {form!r}")
    if form == "json":
        return json.dumps([_plain(outcome) for outcome in outcomes], indent=2, ensure_ascii=False, allow_nan=False)
    head = ["Requirement", "Baseline", "Run", "Found [95 %]", "Images", "Verdict"]
    rows = [
        [
            str(outcome.requirement),
            _number(outcome.baseline),
            _number(outcome.run),
            _found(outcome),
            str(outcome.found.n),
            outcome.verdict.upper() if outcome.verdict == "fail" else outcome.verdict,
        ]
        for outcome in outcomes
    ]
    warned = [f"! {sentence}" for sentence in dict.fromkeys(said for outcome in outcomes for said in outcome.caveats)]
    if form == "markdown":
        whole = [head, ["---", "---:", "---:", "---:", "---:", "---"], *rows]
        lines = [f"| {' | '.join(printable(cell).replace('|', '&#124;') for cell in line)} |" for line in whole]
        return "\n".join([*lines, *(f"\n{sentence}" for sentence in warned)])
    numbers = [False, True, True, True, True, False]
    notes = [f"{outcome.requirement}: {outcome.reason}." for outcome in outcomes if outcome.reason]
    return rendered(terminal.table(head, rows, right=numbers), *notes, *warned)


def _plain(outcome: Outcome) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "requirement": str(outcome.requirement),
        "verdict": outcome.verdict,
        "run": finite(outcome.run),
        "baseline": finite(outcome.baseline),
        "found": {key: finite(value) for key, value in asdict(outcome.found).items()},
        "multiple": outcome.requirement.multiple,
        "absolute": outcome.absolute,
        "reason": outcome.reason,
        "images_needed": outcome.images_needed,
        "caveats": list(outcome.caveats),
    }


def _found(outcome: Outcome) -> str:
    if not outcome.found.n:
        return "–"
    unit = "x" if outcome.requirement.multiple else ""
    sign = "" if outcome.requirement.multiple or outcome.absolute else "+"
    mean, low, high = (
        f"{value + 0.0:{sign}.3g}{unit}" for value in (outcome.found.mean, outcome.found.low, outcome.found.high)
    )
    return f"{mean} [{low}, {high}]".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def _sentence(outcome: Outcome) -> str:
    why = f" ({outcome.reason})" if outcome.reason else ""
    said = "".join(f"; {sentence}" for sentence in outcome.caveats)
    baseline = "" if outcome.absolute else f", baseline {_number(outcome.baseline)}"
    return f"{outcome.requirement}: {outcome.verdict}{why}; found {_found(outcome)}{baseline}{said}"


def github(outcomes: Sequence[Outcome], *, undecided: Undecided = "fail") -> str:
    """Annotations that GitHub Actions shows beside a commit: an error, warning or notice a line.

    Args:
        outcomes: of `pellucid.report.gate.check`.
        undecided: ``fail`` makes an error of what cannot be told, ``pass`` a warning.
    """
    kinds = {"pass": "notice", "fail": "error", UNTOLD: "error" if undecided == "fail" else "warning"}
    return "\n".join(
        f"::{kinds[outcome.verdict]} title=pellucid check::{_escaped(_sentence(outcome))}" for outcome in outcomes
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def write_junit(outcomes: Sequence[Outcome], file: str | Path, *, name: str, undecided: Undecided = "fail") -> Path:
    """Write the outcomes as JUnit's XML, which most continuous integration shows.

    Args:
        outcomes: of `pellucid.report.gate.check`.
        file: to write.
        name: of the run.
        undecided: ``fail`` makes a failure of what cannot be told, ``pass`` a skipped test.

    Returns:
        ``file``.
    """
    failed = [outcome.verdict == "fail" or (outcome.verdict == UNTOLD and undecided == "fail") for outcome in outcomes]
    skipped = [outcome.verdict == UNTOLD and undecided == "pass" for outcome in outcomes]
    counts = {"tests": len(outcomes), "failures": sum(failed), "errors": 0, "skipped": sum(skipped)}
    suites = ElementTree.Element("testsuites")
    attributes = {key: str(value) for key, value in counts.items()}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "pellucid check", **attributes})
    for outcome, is_failure, is_skipped in zip(outcomes, failed, skipped, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(name), "name": _xml(str(outcome.requirement))}
        )
        if is_failure:
            ElementTree.SubElement(case, "failure", {"type": outcome.verdict, "message": _xml(_sentence(outcome))})
        elif is_skipped:
            ElementTree.SubElement(case, "skipped", {"message": _xml(_sentence(outcome))})
    ElementTree.indent(suites)
    file = Path(file)
    with whole_file(file) as temporary:
        ElementTree.ElementTree(suites).write(temporary, encoding="utf-8", xml_declaration=True)
    return file


def _xml(text: str) -> str:
    """Without the letters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
