"""The files of cards: picture, page, data, arrays; of several cards the index, the table and the summary."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.explanation.card import Card
from pellucid.explanation.card_page import card_page
from pellucid.explanation.contact_sheet import Entry, cards_table, contact_sheet, entry_of, thumbnail
from pellucid.explanation.drawing import png
from pellucid.explanation.pictures import STANDARD_INPUT, told

__all__ = ["INDEX", "Format", "check_formats", "check_out", "file_names", "write_card", "write_index", "written_json"]

Format = Literal["png", "html", "json", "npz"]

INDEX = "index.html"

LONGEST = 200
"""Bytes of a picture's name that the names of its files keep; most file systems take 255 in all."""


def check_formats(formats: Sequence[str]) -> None:
    """Raise unless there is a format, and each is one."""
    for form in formats:
        if form not in get_args(Format):
            raise InputError(f"format must be of {', '.join(get_args(Format))}, got {form!r}")
    if not formats:
        raise InputError(f"format must name at least one of {', '.join(get_args(Format))}")


def check_out(out: str | Path) -> Path:
    """The folder that is written to; raises where it is a file."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out must be a folder, got the file {folder}")
    return folder


def file_names(sources: Sequence[str]) -> list[str]:
    """A name for the files of each source; no two are equal, not even where capitals are not told apart.

    >>> file_names(["a/cat.png", "b/Cat.jpg", "-"])
    ['cat-card', 'Cat-2-card', 'stdin-card']
    """
    names: list[str] = []
    taken: set[str] = set()
    for source in sources:
        stem = "stdin" if source == STANDARD_INPUT else Path(told(source)).stem
        stem = stem.encode()[:LONGEST].decode(errors="ignore")
        name, number = stem, 2
        while name.lower() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.lower())
        names.append(f"{name}-card")
    return names


def write_card(
    card: Card, out: Path, name: str, formats: Sequence[Format], *, indexed: bool = False
) -> tuple[Entry, str]:
    """Write the files of a card.

    Args:
        card: what they show.
        out: the folder.
        name: of the files, before the dot.
        formats: which files.
        indexed: whether there will be an index, to which the page then leads back.

    Returns:
        What the index says of the card, and its thumbnail; that is empty where there will be no index.
    """
    links = []
    for form in formats:
        with whole_file(out / f"{name}.{form}") as temporary:
            temporary.write_bytes(_content(card, form, name, indexed=indexed))
        links.append(f"{name}.{form}")
    return entry_of(card, links), thumbnail(card) if indexed and "html" in formats else ""


def write_index(
    made: Sequence[Entry], skipped: Sequence[Entry], thumbnails: Sequence[str], out: Path, formats: Sequence[Format]
) -> None:
    """Write ``summary.json``, ``cards.csv`` and, with pages, ``index.html``."""
    entries = [*made, *skipped]
    files = {
        "summary.json": written_json({"explained": made, "skipped": skipped}) + "\n",
        "cards.csv": cards_table(entries),
    }
    if "html" in formats:
        files[INDEX] = contact_sheet(entries, thumbnails)
    for name, content in files.items():
        with whole_file(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def written_json(value: Any, depth: int = 3, indent: str = "") -> str:
    r"""JSON with a line for each part down to a depth, and what is deeper on one line: quickly written, and read.

    >>> print(written_json({"a": {"b": [1, 2]}, "c": []}, depth=1))
    {
      "a": {"b": [1, 2]},
      "c": []
    }
    """
    inner = indent + "  "
    if depth and isinstance(value, dict) and value:
        parts = [f"{json.dumps(str(key), ensure_ascii=False)}: {written_json(part, depth - 1, inner)}"
                 for key, part in value.items()]  # fmt: skip
    elif depth and isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        parts = [written_json(part, depth - 1, inner) for part in value]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


def _content(card: Card, form: Format, name: str, *, indexed: bool) -> bytes:
    match form:
        case "png":
            return png(card)
        case "html":
            return card_page(card, index=f"{INDEX}#{name}" if indexed else None).encode()
        case "json":
            return (written_json(card.as_json()) + "\n").encode()
        case "npz":
            out = io.BytesIO()
            np.savez_compressed(out, **card.arrays())  # type: ignore[arg-type]
            return out.getvalue()
