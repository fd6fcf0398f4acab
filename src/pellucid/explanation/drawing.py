"""A card as one PNG picture: the maps over the picture and alone, the figures, the evidence, every check."""

import json

from PIL import Image, ImageDraw

from pellucid.explanation.card import Card, MapCard, file_name, percentile_words, share, written
from pellucid.explanation.drawn_checks import checks_height, draw_checks
from pellucid.explanation.drawn_evidence import draw_evidence, evidence_height
from pellucid.explanation.lettering import clipped, letter, wrapped
from pellucid.explanation.overlay import LARGE, overlay, smoothing_words
from pellucid.explanation.paint import BAND, COLORS, FAINT, GAP, INK, LINE, MARKS, PAPER, scaled
from pellucid.explanation.png_file import png_content
from pellucid.report.colours import Scale

__all__ = ["COLORS", "MARKS", "overlay", "png"]

SIDE, SMALL_SIDE = 300, 240
"""Sides in pixels at which a picture is drawn; a small one gets the largest multiple of its own below the second."""
BAR = 100
LEAST_WIDTH = 900
"""Of a card of few maps, so that its sentences and its evidence have room."""
PANEL = 26
CAPTION = 22


def png(card: Card) -> bytes:
    """Draw a card.

    The maps are shown at the network's pixels, enlarged without smoothing where they are small; ``card.scale`` says
    how their numbers become colours. The file says in its own text where the card comes from.

    Returns:
        The file's content.
    """
    side = _side(max(card.image.shape[:2]))
    height, width = (max(1, round(pixels * side / max(card.image.shape[:2]))) for pixels in card.image.shape[:2])
    total = max(LEAST_WIDTH, GAP + (1 + len(card.maps)) * (side + GAP))
    inner = total - 2 * GAP
    verdict = wrapped(f"{MARKS[card.judgement.level]} {card.judgement.sentence}", 18, inner - 28, bold=True)
    advice = wrapped(f"Next: {card.next_step}", 15, inner - 28)
    panels = GAP + 84 + 24 * len(verdict) + 20 * len(advice) + GAP // 2
    rows = len(card.maps[0].shown)
    sentences = [wrapped(map_.judgement.sentence, 14, side - 20) for map_ in card.maps]
    box = 18 * max(len(lines) for lines in sentences) + 16
    figures = panels + PANEL + 2 * (height + CAPTION) + 10
    evidence = figures + rows * 38 + 8 + box + GAP
    checks = evidence + evidence_height(card, inner)
    foot = checks + checks_height(card, inner)
    origin = _origin(card, inner)
    canvas = Image.new("RGB", (total, foot + 18 * len(origin) + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    _head(canvas, draw, card, verdict, advice, total)
    letter(canvas, (GAP, panels), "What the network saw", INK, 15, bold=True)
    canvas.paste(scaled(Image.fromarray(card.image).convert("RGB"), (width, height)), (GAP, panels + PANEL))
    _top(canvas, draw, card, GAP, panels + PANEL + height + 14, side)
    for number, map_ in enumerate(card.maps):
        x = GAP + (number + 1) * (side + GAP)
        letter(canvas, (x, panels), clipped(map_.title, 15, side, bold=True), INK, 15, bold=True)
        shown, top = map_.drawn(card.scale), panels + PANEL
        over = scaled(overlay(shown, card.image, card.scale), (width, height))
        alone = scaled(card.scale.picture(shown).convert("RGB"), (width, height))
        for picture, words in ((over, smoothing_words(shown.shape)), (alone, "Alone, as measured")):
            canvas.paste(picture, (x, top))
            letter(canvas, (x, top + height + 3), clipped(words, 12, side), FAINT, 12)
            top += height + CAPTION
        _figures(canvas, draw, map_, x, figures, side)
        ink, paper = COLORS[map_.judgement.level]
        top = figures + rows * 38 + 8
        draw.rectangle((x, top, x + side, top + box), paper)
        draw.rectangle((x, top, x + 4, top + box), ink)
        for i, line in enumerate(sentences[number]):
            letter(canvas, (x + 12, top + 8 + 18 * i), line, INK, 14)
    _legend(canvas, draw, card, GAP, figures, side)
    draw_evidence(canvas, draw, card, evidence, inner)
    draw_checks(canvas, draw, card, checks, inner)
    for i, line in enumerate(origin):
        letter(canvas, (GAP, foot + 18 * i), line, FAINT, 12)
    return png_content(canvas, _texts(card), quick=max(card.image.shape[:2]) <= LARGE)


def _side(pixels: int) -> int:
    """The side at which a picture of so many pixels is drawn.

    >>> _side(28), _side(224), _side(96)
    (224, 300, 300)
    """
    return SMALL_SIDE // pixels * pixels if pixels <= LARGE else SIDE


def _texts(card: Card) -> dict[str, str]:
    texts = {"Title": f"{file_name(card)}: {card.top[0][1]}", "Description": card.judgement.sentence}
    if card.provenance is not None:
        made = {"provenance": card.provenance.as_json(), "settings": dict(card.settings)}
        texts |= {"Software": f"pellucid {card.provenance.pellucid}", "pellucid": json.dumps(made)}
    return texts


def _origin(card: Card, width: int) -> list[str]:
    """The last lines: what the percentiles are of, the scale, where the card comes from, the settings."""
    reference = f"“Better than” compares with {card.reference}." if card.reference else "There is no reference."
    said = [reference if card.scale == Scale() else f"{reference} {card.scale.words}"]
    if card.provenance is not None:
        said.append(" · ".join(f"{title} {value}" for title, value in card.provenance.rows))
    said.append("Settings: " + " · ".join(f"{title} {value}" for title, value in card.told_settings))
    return [line for part in said for line in wrapped(part, 12, width)]


def _head(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    card: Card,
    verdict: tuple[str, ...],
    advice: tuple[str, ...],
    width: int,
) -> None:
    """What the network says, the file, and the verdict with the next step in its lines."""
    number, name, probability = card.target
    asked = "" if number == card.top[0][0] else f" (explained: {name}, {share(probability)})"
    title = clipped(f"{card.top[0][1]}, {share(card.top[0][2])}{asked}", 26, width - 2 * GAP, bold=True)
    letter(canvas, (GAP, GAP - 4), title, INK, 26, bold=True)
    notes = "".join(f" · {note}" for note in card.notes)
    told = f"{file_name(card)} · {card.stored[0]} × {card.stored[1]} pixels{notes} · network {card.network}"
    letter(canvas, (GAP, GAP + 32), clipped(told, 14, width - 2 * GAP), FAINT, 14)
    ink, paper = COLORS[card.judgement.level]
    top = GAP + 60
    draw.rectangle((GAP, top, width - GAP, top + 24 * len(verdict) + 20 * len(advice) + 22), paper)
    draw.rectangle((GAP, top, GAP + 5, top + 24 * len(verdict) + 20 * len(advice) + 22), ink)
    for i, line in enumerate(verdict):
        letter(canvas, (GAP + 16, top + 9 + 24 * i), line, ink, 18, bold=True)
    for i, line in enumerate(advice):
        letter(canvas, (GAP + 16, top + 13 + 24 * len(verdict) + 20 * i), line, INK, 15)


def _top(canvas: Image.Image, draw: ImageDraw.ImageDraw, card: Card, x: int, y: int, side: int) -> None:
    letter(canvas, (x, y), "What it could be", INK, 14, bold=True)
    for i, (_, name, probability) in enumerate(card.top):
        line = y + 26 + 36 * i
        letter(canvas, (x, line), clipped(name, 13, side - 52), INK, 13)
        letter(canvas, (x + side, line), share(probability), INK, 13, anchor="ra")
        draw.rectangle((x, line + 19, x + side, line + 24), BAND)
        draw.rectangle((x, line + 19, x + round(side * probability), line + 24), COLORS["no objection"][0])


def _legend(canvas: Image.Image, draw: ImageDraw.ImageDraw, card: Card, x: int, y: int, side: int) -> None:
    shown = card.maps[0].shown
    for i, figure in enumerate(shown):
        title = clipped(figure.column.title, 14, side, bold=True)
        letter(canvas, (x, y + 38 * i), title, INK, 14, bold=True)
    line = y + 38 * len(shown) + 8
    if card.agreement:
        letter(canvas, (x, line), "Agreement of the maps", INK, 13, bold=True)
    for i, (pair, value) in enumerate(card.agreement.items()):
        titles = {map_.method: map_.title for map_ in card.maps}
        both = clipped(f"{titles[pair[0]]}, {titles[pair[1]]}", 12, side - 46)
        letter(canvas, (x, line + 20 + 17 * i), both, FAINT, 12)
        letter(canvas, (x + side, line + 20 + 17 * i), f"{value:.2f}".replace("-", "−"), INK, 12, anchor="ra")


def _figures(canvas: Image.Image, draw: ImageDraw.ImageDraw, map_: MapCard, x: int, y: int, side: int) -> None:
    for i, figure in enumerate(map_.shown):
        line = y + 38 * i
        letter(canvas, (x, line), written(figure), INK, 15)
        if figure.percentile is not None:
            left = x + side - BAR
            draw.rectangle((left, line + 20, left + BAR, line + 26), LINE)
            draw.rectangle((left, line + 20, left + round(BAR * figure.percentile / 100), line + 26), INK)
            letter(canvas, (x + side, line), percentile_words(figure), FAINT, 12, anchor="ra")
        draw.line((x, line + 32, x + side, line + 32), LINE)
