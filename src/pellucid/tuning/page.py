"""What a tuning found as Markdown, from its JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.report import Conclusion
from pellucid.report.measures import written
from pellucid.report.words import number
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["conclusion", "page"]

NAMES = {
    "before": "before: the network as given; of other classes only a new last layer is trained",
    "control": "control: fine-tuned in the regular way",
    "after": "after: fine-tuned with the preset",
}
ANSWERS = {
    "worth it": "Take after",
    "a trade": "Weigh it: after is better in one thing and worse in another",
    "no gain": "Keep control",
    "cannot be told": "That cannot be told",
}
"""What to do, by how a tuning ended."""
HEADS = {
    "composite_accuracy": "Accuracy on composites (%) ↑",
    "no_objection": "Cards without objection (%) ↑",
}


def page(result: Mapping[str, Any]) -> str:
    """A tuning's Markdown from its JSON: the verdict, the table, what was tested, how it was made."""
    rows: Mapping[str, Mapping[str, Any]] = result["rows"]
    lines = [f"# {result['network']} tuned on {result['photos']}", "", f"**{result['verdict']['sentence']}**", ""]
    if result["evidence"] is None:
        lines += [f"The preset {result['preset']} is a first guess for such a network: no search has chosen it.", ""]
    lines += ["| | " + " | ".join(rows) + " |", "| --- |" + " ---: |" * len(rows)]
    lines += [
        f"| {_head(name, result)} | " + " | ".join(_cell(name, row.get(name)) for row in rows.values()) + " |"
        for name in result["shown"]
    ]
    lines += ["", *(f"- {NAMES[name]}" for name in rows), "", *_said(result), ""]
    return "\n".join(lines)


def conclusion(result: Mapping[str, Any]) -> Conclusion:
    """What the report begins with, from a tuning's JSON: what to do, why, and what the trust cards say."""
    cards = [f"{row['cards']['no objection']} of {name}" for name, row in result["rows"].items() if row.get("cards")]
    counted = f"Of {result['cards']} trust cards of each network, without objection are: {', '.join(cards)}."
    return Conclusion(
        question="Was the tuning worth it?",
        answer=ANSWERS[result["verdict"]["ending"]],
        words=(result["verdict"]["sentence"], *[counted] * bool(cards), "The rule and all numbers are in tune.md."),
    )


def _said(result: Mapping[str, Any]) -> Iterator[str]:
    counts = f"{result['test_images']} test photographs"
    counts += f", {result['composites']} composites of them" if result["composites"] else ""
    counts += f", cards of {result['cards']}" if result["cards"] else ""
    yield (
        f"{counts}; mean [95 % interval over these images, of one training with one seed]. Tested against the control, "
        "with Holm's correction, are mass on the object where composites were made, RIS, Gini and the share of cards "
        "without objection. A network is worth it where one of them is better, none worse, and accuracy at most a "
        "point lower."
    )
    step, facts = result["step"], result["environment"]
    yield ""
    yield (
        f"A step took {step['control']:.2f} s in the control and {step['after']:.2f} s with the preset. "
        f"{facts['device_name']}, Python {facts['python']}, torch {facts['packages']['torch']}, pellucid "
        f"{facts['pellucid']}, {facts['started']}."
    )


def _head(name: str, result: Mapping[str, Any]) -> str:
    if name == "robust_accuracy" and result.get("robust_eps"):
        return f"Robust accuracy, ε {number(result['robust_eps'])} (%) ↑"
    return HEADS.get(name) or Measure.named(name).head


def _cell(name: str, told: Mapping[str, Any] | None) -> str:
    if told is None or told["mean"] is None:
        return "–"
    measure = Measure.named("clean_accuracy" if name in HEADS else name)
    mean, low, high = written(Interval(told["mean"], told["low"], told["high"], told["n"]), measure)
    return f"{mean} [{low}, {high}]"
