"""A card as one self-contained HTML page."""

import base64
import io
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from pellucid.explanation.card import Card, file_name, percentile_words, share, written
from pellucid.explanation.evidence import Covering
from pellucid.explanation.evidence_words import ROWS, captions, covering_words, dots, noise_words, two
from pellucid.explanation.overlay import LARGE, smoothing_words, veil
from pellucid.explanation.paint import MARKS, OUTCOMES
from pellucid.report.colours import uri
from pellucid.report.measures import saliency_title

__all__ = ["CLASSES", "card_page", "environment"]

CLASSES = {"do not rely": "worse", "undecided": "level", "with care": "level", "no objection": "better"}
"""The class of the style sheet of each level."""
DOTS = (600, 78)
"""Width and height of the picture of the dots, in units of its own."""


def card_page(card: Card, *, index: str | None = None) -> str:
    """The page of one card; it needs no other file and no network.

    Args:
        card: what it shows.
        index: address of the page of all cards, to which it then leads back.

    Returns:
        The HTML.
    """
    shape = card.image.shape[:2]
    maps = [
        {"card": map_, "heatmap": uri(card.scale.picture(drawn)), "veil": uri(veil(drawn, card.scale))}
        for map_, drawn in ((map_, map_.drawn(card.scale)) for map_ in card.maps)
    ]
    return (
        environment()
        .get_template("card.html")
        .render(
            card=card,
            maps=maps,
            index=index,
            name=file_name(card),
            image=uri(Image.fromarray(card.image)),
            over=smoothing_words(shape),
            evidence=_evidence(card),
            proven=any(map_.evidence is not None or map_.judgement.checks for map_ in card.maps),
            pixels="pixels" if max(shape) <= LARGE else "smooth",
            agreement=[(saliency_title(a), saliency_title(b), value) for (a, b), value in card.agreement.items()],
            words=[figure.column for figure in card.maps[0].figures.values()],
        )
    )


def _evidence(card: Card) -> list[dict[str, Any] | None]:
    """Of each map what its evidence shows: pictures, words, dots."""
    told: list[dict[str, Any] | None] = []
    whole_picture = _photograph(card.image)
    for map_ in card.maps:
        if map_.evidence is None:
            told.append(None)
            continue
        covering, copies = map_.evidence.covering, map_.evidence.copies
        pictures = [whole_picture, _photograph(covering.marked_picture), _photograph(covering.unmarked_picture)]
        told.append(
            {
                "covered": list(zip(pictures, captions(covering), strict=True)),
                "covering": covering_words(covering),
                "dots": _dots(covering),
                "lines": [
                    (_x(value), words, share(value), "start" if value < 0.1 else "end" if value > 0.9 else "middle")
                    for value, words in ((covering.marked, "most"), (covering.unmarked, "least"))
                ],
                "noisy": [
                    (_photograph(copies[0].picture), f"A noisy copy of the picture: {share(copies[0].probability)}"),
                    *(
                        (
                            uri(card.scale.picture(copy.heatmap)),
                            f"Map of noisy copy {at}: rank correlation {two(copy.correlation)}",
                        )
                        for at, copy in enumerate(copies, 1)
                    ),
                ],
                "noise": noise_words(map_, map_.evidence),
            }
        )
    return told


def _dots(covering: Covering) -> list[tuple[str, int]]:
    return [(_x(probability), DOTS[1] - 30 - 5 * (row % ROWS)) for probability, row in dots(covering.random)]


def _x(probability: float) -> str:
    return f"{5 + probability * (DOTS[0] - 10):.1f}"


def whole(text: str) -> str:
    """The text with numbers that are not parted from their unit at the end of a line."""
    return text.replace(" %", "\u00a0%").replace("σ ", "σ\u00a0")


def _photograph(picture: npt.NDArray[np.uint8]) -> str:
    """A picture inside the page: exact where it is small, as JPEG where noise would make it large."""
    if max(picture.shape[:2]) <= LARGE:
        return uri(Image.fromarray(picture))
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


@cache
def environment() -> jinja2.Environment:
    """What the pages of cards are made with."""
    here, report = files("pellucid.explanation"), files("pellucid.report")
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text(encoding="utf-8")),
    )
    style = report.joinpath("page.css").read_text(encoding="utf-8") + here.joinpath("card.css").read_text("utf-8")
    made.globals |= {
        "style": Markup(style),
        "marks": MARKS,
        "kinds": CLASSES,
        "outcomes": OUTCOMES,
        "two": two,
        "whole": whole,
    }
    made.globals |= {"share": share, "written": written, "percentile_words": percentile_words}
    return made
