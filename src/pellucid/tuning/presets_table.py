"""All presets as a table: what each is made of, and what it rests on."""

import json
from collections.abc import Iterator
from typing import Any

from pellucid.core.checks import one_of
from pellucid.leaderboard.composition import Composition
from pellucid.leaderboard.plan import Family
from pellucid.leaderboard.presets import PRESETS
from pellucid.leaderboard.settings import strengths
from pellucid.report.formats import padded
from pellucid.tuning.presets import SIDES, tuning_presets

__all__ = ["table"]

NETWORKS = {"relu": "convolutional, ReLU", "smooth": "convolutional, SiLU or GELU", "vit": "transformer"}
SEARCHED: dict[Family, str | None] = {
    "grey": "results/raw/leaderboard-search-truth-beside.md",
    "colour": None,
}
"""The searches behind the presets of training from the beginning, by family of images."""
FAST: dict[Family, str] = {"grey": "results/fast.md"}
"""What the preset ``fast`` rests on."""


def table(form: str = "text") -> str:
    """The presets of ``pellucid train`` and ``pellucid tune``.

    Args:
        form: ``text`` or ``json``.

    Raises:
        InputError: another form.

    >>> print(table().splitlines()[0])
    command  preset       networks                     images           made of ...
    """
    one_of(("text", "json"), format=form)
    rows = [*_trained(), *_tuned()]
    if form == "json":
        return json.dumps(rows, indent=2) + "\n"
    heads = ["command", "preset", "networks", "images", "made of", "rests on"]
    columns = [padded([head, *(str(row[head]) for row in rows)], str.ljust) for head in heads]
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True)) + "\n"


def _trained() -> Iterator[dict[str, Any]]:
    for family, evidence in SEARCHED.items():
        for name in PRESETS:
            rests = FAST.get(family) if name == "fast" else evidence
            made = Composition.of(strengths(family, name))
            yield _row("train", name, "any, from the beginning", family, made, rests)


def _tuned() -> Iterator[dict[str, Any]]:
    for one in tuning_presets():
        yield _row("tune", one.name, NETWORKS[one.family], SIDES[one.size], one.composition, one.evidence)


def _row(
    command: str, name: str, networks: str, images: str, composition: Composition, evidence: str | None
) -> dict[str, Any]:
    return {
        "command": command,
        "preset": name,
        "networks": networks,
        "images": images,
        "made of": composition.name,
        "rests on": evidence or "a first guess, not searched",
    }
