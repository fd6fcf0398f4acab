"""All presets as a table: what each is made of, and what it rests on."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pellucid.core import terminal
from pellucid.core.checks import one_of
from pellucid.leaderboard.composition import Composition
from pellucid.leaderboard.plan import Family
from pellucid.leaderboard.presets import PRESETS
from pellucid.leaderboard.settings import strengths
from pellucid.tuning.presets import SIDES, tuning_presets

__all__ = ["table"]

HEADS = ("preset", "for which networks and images, made of what")
NETWORKS = {"relu": "convolutional, ReLU", "smooth": "convolutional, SiLU or GELU", "vit": "transformer"}
SEARCHED: dict[Family, str] = {
    "grey": "results/raw/leaderboard-search-truth-beside.md",
    "colour": "results/raw/leaderboard-search-truth-shapes.md",
}
"""The searches behind the presets of training from the beginning, by family of images."""
FAST: dict[Family, str] = {**SEARCHED, "grey": "results/fast.md"}
"""What the preset ``fast`` rests on."""


def table(form: str = "text") -> str:
    """The presets of ``pellucid train`` and ``pellucid tune``.

    Args:
        form: ``text`` or ``json``.

    Raises:
        InputError: another form.

    >>> print(table().splitlines()[0])
    pellucid train --preset NAME
    """
    one_of(("text", "json"), format=form)
    rows = [*_trained(), *_tuned()]
    if form == "json":
        return json.dumps(rows, indent=2) + "\n"
    parts: list[terminal.Part] = []
    for command in ("train", "tune"):
        shown = _together(row for row in rows if row["command"] == command)
        parts += [
            f"pellucid {command} --preset NAME\n",
            terminal.table(HEADS, shown),
            "",
        ]
    return terminal.rendered(*parts[:-1]) + "\n"


def _together(rows: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The cells of rows; those that differ in the images alone are one."""
    images: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = tuple(str(row[name]) for name in ("preset", "networks", "made of", "rests on"))
        images.setdefault(key, []).append(str(row["images"]))
    return [
        [preset, f"{networks}, {'any size' if len(of) == len(SIDES) else ', '.join(of)}\n{made} ({rests})"]
        for (preset, networks, made, rests), of in images.items()
    ]


def _trained() -> Iterator[dict[str, Any]]:
    for family, evidence in SEARCHED.items():
        for name in PRESETS:
            rests = FAST[family] if name == "fast" else evidence
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
