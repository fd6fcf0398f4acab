"""What a notebook shows of a card."""

import base64
from html import escape

from pellucid.explanation.card import Card, percentile_words, share, written
from pellucid.explanation.drawing import MARKS, png

__all__ = ["card_html", "card_markdown"]


def card_html(card: Card) -> str:
    """The picture of the card, and its sentence for those who do not see it."""
    picture = base64.b64encode(png(card)).decode()
    said = escape(f"{card.source}: {card.top[0][1]}, {share(card.top[0][2])}. {card.judgement.sentence}")
    return f'<img src="data:image/png;base64,{picture}" alt="{said}" title="{said}" style="max-width: 100%">'


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
