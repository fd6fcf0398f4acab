"""What a notebook shows of a card, of several and of a map, and maps on matplotlib's axes."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from pellucid.core.checks import one_of
from pellucid.explanation.card import Card, MapCard, percentile_words, share, written
from pellucid.explanation.contact_sheet import thumbnail
from pellucid.explanation.drawing import png
from pellucid.explanation.overlay import overlay
from pellucid.explanation.paint import COLORS, MARKS, scaled
from pellucid.report.colours import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["card_html", "card_markdown", "cards_html", "map_png", "plotted"]

FEW = 3
"""Cards that a notebook shows whole; of more it shows thumbnails."""
SHOWN_SIDE = 224
"""Side in pixels to which a small map is enlarged in a notebook."""


def card_html(card: Card) -> str:
    """The picture of the card, and its sentence for those who do not see it."""
    picture = base64.b64encode(png(card)).decode()
    said = escape(f"{card.source}: {card.top[0][1]}, {share(card.top[0][2])}. {card.judgement.sentence}")
    return f'<img src="data:image/png;base64,{picture}" alt="{said}" title="{said}" style="max-width: 100%">'


def cards_html(cards: Sequence[Card]) -> str:
    """A few cards whole; of many the thumbnails with verdict and sentence."""
    if len(cards) <= FEW:
        return "\n".join(card_html(card) for card in cards)
    shown = []
    for card in cards:
        level = card.judgement.level
        ink, paper = COLORS[level]
        words = escape(f"{MARKS[level]} {level}")
        said = escape(f"{card.source}: {card.top[0][1]}, {share(card.top[0][2])}. {card.judgement.sentence}")
        shown.append(
            f'<figure style="margin: 0; width: 15rem"><img src="{thumbnail(card)}" alt="{said}" title="{said}" '
            f'style="width: 100%; image-rendering: auto"><figcaption><span style="color: {ink}; background: {paper}; '
            f'padding: 0 .3em">{words}</span> {escape(card.top[0][1])}, {share(card.top[0][2])}</figcaption></figure>'
        )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1rem">{"".join(shown)}</div>'


def map_png(map_: MapCard, scale: Scale = Scale()) -> bytes:
    """A map alone, in the colours of a scale, as the content of a PNG file; a small one enlarged in squares."""
    picture = scale.picture(map_.drawn(scale)).convert("RGB")
    times = max(1, SHOWN_SIDE // max(picture.size))
    out = io.BytesIO()
    scaled(picture, (times * picture.size[0], times * picture.size[1])).save(out, "PNG")
    return out.getvalue()


def plotted(card: Card, method: str | None, ax: "Axes | None") -> "Axes":
    """Draw a map over its picture on matplotlib's axes.

    Args:
        card: of the picture.
        method: name of the map; the first by default.
        ax: axes to draw on; new ones by default.

    Raises:
        InputError: no map of that name.
    """
    from matplotlib import pyplot

    maps = {map_.method: map_ for map_ in card.maps}
    chosen = card.maps[0].method if method is None else method
    one_of(tuple(maps), method=chosen)
    axes = pyplot.subplots()[1] if ax is None else ax
    axes.imshow(np.asarray(overlay(maps[chosen].drawn(card.scale), card.image, card.scale)))
    axes.set_title(f"{maps[chosen].title}: {maps[chosen].judgement.level}")
    axes.set_axis_off()
    return axes


def card_markdown(card: Card) -> str:
    """The prediction, the sentence, and a table of the figures with a column for each map."""
    first = card.maps[0]
    head = f"**{_plain(card.source)}**: {_plain(card.top[0][1])}, {share(card.top[0][2])}. "
    lines = [
        head + f"{MARKS[card.judgement.level]} {_plain(card.judgement.sentence)}",
        "",
        f"| | {' | '.join(_plain(map_.title) for map_ in card.maps)} |",
        f"| --- |{' ---: |' * len(card.maps)}",
    ]
    for row, figure in enumerate(first.shown):
        cells = [
            ", ".join(filter(None, (written(map_.shown[row]), percentile_words(map_.shown[row])))) for map_ in card.maps
        ]
        lines.append(f"| {_plain(figure.column.title)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in which Markdown finds no mark of its own."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|~#" else letter for letter in text)
