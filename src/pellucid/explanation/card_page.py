"""A card as one self-contained HTML page, and the page that lists the cards of a batch."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

from pellucid.explanation.card import Card, percentile_words, share, written
from pellucid.explanation.drawing import MARKS, veil
from pellucid.report.colours import uri
from pellucid.report.measures import saliency_title
from pellucid.report.words import number

__all__ = ["Entry", "card_page", "index_page"]

CLASSES = {"do not rely": "worse", "undecided": "level", "with care": "level", "no objection": "better"}

Entry = dict[str, Any]
"""A line of the index: ``source``, and ``prediction``, ``level``, ``sentence``, ``links``, or ``reason`` if skipped."""


def card_page(card: Card) -> str:
    """The page of one card; it needs no other file and no network.

    Returns:
        The HTML.
    """
    width = card.image.shape[1]
    maps = [
        {"card": map_, "heatmap": uri(card.scale.picture(drawn)), "veil": uri(veil(drawn, card.scale))}
        for map_, drawn in ((map_, map_.drawn(card.scale)) for map_ in card.maps)
    ]
    return (
        _environment()
        .get_template("card.html")
        .render(
            card=card,
            maps=maps,
            name=Path(card.source).name,
            image=uri(Image.fromarray(card.image)),
            pixels="pixels" if width < 64 else "smooth",
            agreement=[(saliency_title(a), saliency_title(b), value) for (a, b), value in card.agreement.items()],
            words=[figure.column for figure in card.maps[0].figures.values()],
            settings=[(key.replace("_", " "), _setting(value)) for key, value in card.settings.items()],
        )
    )


def index_page(entries: Sequence[Entry]) -> str:
    """The page of a batch: what came of each image, with links to the cards beside it.

    Args:
        entries: one for each image, in their order.

    Returns:
        The HTML.
    """
    made = [entry for entry in entries if "level" in entry]
    counts = [(level, sum(entry["level"] == level for entry in made)) for level in CLASSES]
    skipped = [entry for entry in entries if "level" not in entry]
    return _environment().get_template("index.html").render(made=made, skipped=skipped, counts=counts)


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{key} {_setting(part)}" for key, part in value.items()]
    return ", ".join(map(_setting, value)) or "–" if isinstance(value, list | tuple) else number(value)


@cache
def _environment() -> jinja2.Environment:
    here, report = files("pellucid.explanation"), files("pellucid.report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text(encoding="utf-8")),
    )
    style = report.joinpath("page.css").read_text(encoding="utf-8") + here.joinpath("card.css").read_text("utf-8")
    environment.globals |= {"style": Markup(style), "marks": MARKS, "kinds": CLASSES}
    environment.globals |= {"share": share, "written": written, "percentile_words": percentile_words}
    return environment
