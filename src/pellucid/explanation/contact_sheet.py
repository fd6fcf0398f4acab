"""The page that lists the cards of a batch: thumbnails with their verdicts, to be filtered and sorted, and a table."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pellucid.core.spreadsheet import write_table
from pellucid.explanation.card import Card, share
from pellucid.explanation.card_page import CLASSES, environment
from pellucid.explanation.overlay import LARGE, overlay
from pellucid.explanation.trust_rules import LEVELS
from pellucid.report.colours import uri

__all__ = ["Entry", "cards_table", "contact_sheet", "entry_of", "thumbnail"]

Entry = dict[str, Any]
"""A line of the index: ``source`` with what `entry_of` says of its card, or with ``reason`` if it was skipped."""

THUMBNAIL = 120
"""Longest side in pixels of each of the two pictures of a thumbnail."""
COLUMNS = ("source", "predicted", "probability", "level", "fault", "beats_random", "steadiness", "sentence",
           "next_step", "reason")  # fmt: skip
"""Of the table, in this order."""


def entry_of(card: Card, links: Sequence[str]) -> Entry:
    """What the index says of a card, and the figures that it is sorted by.

    Args:
        card: one of a batch.
        links: names of its files.
    """
    first = card.maps[0]
    return {
        "source": card.source,
        "prediction": f"{card.top[0][1]}, {share(card.top[0][2])}",
        "level": card.judgement.level,
        "sentence": card.judgement.sentence,
        "links": list(links),
        "predicted": card.top[0][1],
        "probability": card.top[0][2],
        "fault": card.judgement.fault,
        "next_step": card.next_step,
        "beats_random": first.figures["beats_random"].value,
        "steadiness": first.figures["similarity"].value,
    }


def thumbnail(card: Card) -> str:
    """The picture and its first map over it, side by side, as an address inside a page."""
    first = card.maps[0].drawn(card.scale)
    pictures = [Image.fromarray(card.image).convert("RGB"), overlay(first, card.image, card.scale)]
    for picture in pictures:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
    width, height = pictures[0].size
    both = Image.new("RGB", (2 * width, height))
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (width, 0))
    if max(width, height) <= LARGE:
        return uri(both)
    out = io.BytesIO()
    both.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def contact_sheet(entries: Sequence[Entry], thumbnails: Sequence[str] = ()) -> str:
    """The page of a batch: what came of each image, with links to the cards beside it.

    Args:
        entries: one for each image, in their order.
        thumbnails: of those that have a card, in the same order; none by default.

    Returns:
        The HTML.
    """
    made = [entry for entry in entries if "level" in entry]
    ranks = {position: rank for rank, position in enumerate(sorted(range(len(made)), key=lambda i: _trust(made[i])))}
    sheets = []
    for position, entry in enumerate(made):
        page = next((link for link in entry["links"] if link.endswith(".html")), entry["links"][0])
        sheets.append(
            entry
            | {
                "name": Path(entry["source"]).name,
                "page": page,
                "anchor": page.rpartition(".")[0],
                "trust": ranks[position],
                "picture": thumbnails[position] if thumbnails else "",
                "words": f"{entry['source']} {entry['prediction']}".lower(),
            }
        )
    counted = Counter(entry["level"] for entry in made)
    return (
        environment()
        .get_template("contact_sheet.html")
        .render(
            made=sheets,
            skipped=[entry for entry in entries if "level" not in entry],
            counts=[(level, counted[level]) for level in CLASSES if counted[level]],
        )
    )


def _trust(entry: Entry) -> tuple[int, float, float]:
    """By which entries are sorted, the most trusted first: the verdict, the random maps beaten, the steadiness."""
    beats, steadiness = (entry.get(name) for name in ("beats_random", "steadiness"))
    return -list(LEVELS).index(entry["level"]), -(beats or 0.0), -(steadiness or 0.0)


def cards_table(entries: Sequence[Entry]) -> str:
    r"""The same as comma-separated values, where no cell is a formula to a spreadsheet.

    >>> cards_table([{"source": "=1+1.png", "reason": "it is empty"}]).splitlines()[1]
    "'=1+1.png,,,,,,,,,it is empty"
    """
    out = io.StringIO(newline="")
    write_table(out, COLUMNS, [{key: _short(value) for key, value in entry.items()} for entry in entries])
    return out.getvalue()


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
