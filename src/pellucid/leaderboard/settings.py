"""How strong each training is, as settings.yaml keeps it and a search writes it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.leaderboard.plan import Family

__all__ = ["Strengths", "keep", "strengths"]

Strengths = Mapping[str, Any]
"""The settings of one entry that a search chose, by name."""
FILE = "settings.yaml"
LINKED: dict[Family, Family] = {"colour-96": "colour"}
"""Families that have no search of their own, and whose settings they have."""


@cache
def _kept() -> dict[str, dict[str, dict[str, Any]]]:
    kept: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(_source().read_text(encoding="utf-8"))
    return kept


def _source() -> Path:
    return Path(str(files("pellucid.leaderboard").joinpath(FILE)))


def strengths(family: Family, name: str) -> Strengths:
    """The settings that an entry has on a family of images.

    Args:
        family: of images; pictures of 96 pixels have the settings of small colour ones.
        name: of the entry.

    Raises:
        InputError: an entry without settings.

    >>> sorted(strengths("grey", "scaat")), strengths("colour-96", "sgt") == strengths("colour", "sgt")
    (['eps'], True)
    """
    of_family = _kept()[LINKED.get(family, family)]
    if name not in of_family:
        raise InputError(f"{FILE} has no settings of {name!r} on {family} images; it has {', '.join(of_family)}")
    return of_family[name]


def keep(family: Family, chosen: Mapping[str, Strengths], file: Path | None = None) -> Path:
    """Write what a search chose into settings.yaml; what it did not search stays.

    Args:
        family: of images that were searched on.
        chosen: settings by entry.
        file: another file than the package's.

    Returns:
        The file.
    """
    file = file or _source()
    text = file.read_text(encoding="utf-8")
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    kept = yaml.safe_load(text)
    kept[family] = {**kept.get(family, {}), **{name: dict(settings) for name, settings in chosen.items()}}
    lines = [head]
    for name, entries in kept.items():
        lines.append(f"{name}:\n")
        lines += [f"  {entry}: {yaml.safe_dump(dict(settings), default_flow_style=True, width=999, sort_keys=False)}"
                  for entry, settings in entries.items()]  # fmt: skip
    with whole_file(file) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    _kept.cache_clear()
    return file
