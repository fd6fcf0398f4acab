"""A card as one PNG picture: the image, each map alone and over the image, the figures, the sentence."""

import io
import textwrap
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from pellucid.explanation.card import Card, MapCard, percentile_words, share, written
from pellucid.explanation.trust_rules import Level
from pellucid.report.colours import Scale, coloured

__all__ = ["COLORS", "MARKS", "overlay", "png", "veil"]

PAPER, INK, FAINT, LINE, BAND = "#ffffff", "#1a1d21", "#565d66", "#d5d9de", "#f4f6f8"
COLORS: dict[Level, tuple[str, str]] = {
    "do not rely": ("#99400a", "#fdeadd"),
    "undecided": ("#565d66", "#eceef1"),
    "with care": ("#565d66", "#eceef1"),
    "no objection": ("#0b5e97", "#e2f0fa"),
}
"""Ink and paper of each level: the report's worse, level and better."""
MARKS: dict[Level, str] = {"do not rely": "✗", "undecided": "?", "with care": "!", "no objection": "✓"}

SIDE = 300
GAP = 24
BAR = 120


def png(card: Card) -> bytes:
    """Draw a card.

    The maps are shown at the network's pixels, enlarged without smoothing where they are small; ``card.scale`` says
    how their numbers become colours.

    Returns:
        The file's content.
    """
    scale = SIDE / max(card.image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in card.image.shape[:2])
    columns = 1 + len(card.maps)
    total = GAP + columns * (SIDE + GAP)
    sentence = f"{MARKS[card.judgement.level]} {card.judgement.sentence}"
    verdict = _wrapped(sentence, 18, total - 2 * GAP - 28, bold=True)
    head = GAP + 84 + 24 * len(verdict)
    rows = len(card.maps[0].shown)
    panels = head + GAP // 2
    sentences = [_wrapped(map_.judgement.sentence, 14, SIDE - 20) for map_ in card.maps]
    box = 18 * max(len(lines) for lines in sentences) + 16
    figures = panels + 26 + 2 * (height + 8) + 12
    bottom = figures + rows * 38 + 8 + box + 34
    canvas = Image.new("RGB", (total, bottom), PAPER)
    draw = ImageDraw.Draw(canvas)
    _head(draw, card, verdict, total, head)
    x = GAP
    draw.text((x, panels), "What the network saw", INK, _font(15, bold=True))
    shown = _scaled(Image.fromarray(card.image).convert("RGB"), (width, height))
    canvas.paste(shown, (x, panels + 26))
    _top(draw, card, x, panels + 26 + height + 18)
    for number, map_ in enumerate(card.maps):
        x = GAP + (number + 1) * (SIDE + GAP)
        draw.text((x, panels), _clipped(map_.title, 15, SIDE, bold=True), INK, _font(15, bold=True))
        shown_map = map_.drawn(card.scale)
        canvas.paste(_scaled(card.scale.picture(shown_map).convert("RGB"), (width, height)), (x, panels + 26))
        over = _scaled(overlay(shown_map, card.image, card.scale), (width, height))
        canvas.paste(over, (x, panels + 26 + height + 8))
        _figures(draw, map_, x, figures)
        ink, paper = COLORS[map_.judgement.level]
        top = figures + rows * 38 + 8
        draw.rectangle((x, top, x + SIDE, top + box), paper)
        draw.rectangle((x, top, x + 4, top + box), ink)
        for i, line in enumerate(sentences[number]):
            draw.text((x + 12, top + 8 + 18 * i), line, INK, _font(14))
    _legend(draw, card, GAP, figures)
    foot = (
        f"Percentiles: better than so many of {card.reference}." if card.reference else "No reference: no percentiles."
    )
    foot = foot if card.scale == Scale() else f"{foot} {card.scale.words}"
    draw.text((GAP, bottom - 26), _clipped(foot, 12, total - 2 * GAP), FAINT, _font(12))
    out = io.BytesIO()
    canvas.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _head(draw: ImageDraw.ImageDraw, card: Card, verdict: list[str], width: int, bottom: int) -> None:
    """What the network says, the file, and the verdict in its lines."""
    number, name, probability = card.target
    asked = "" if number == card.top[0][0] else f" (explained: {name}, {share(probability)})"
    title = _clipped(f"{card.top[0][1]}, {share(card.top[0][2])}{asked}", 26, width - 2 * GAP, bold=True)
    draw.text((GAP, GAP - 4), title, INK, _font(26, bold=True))
    notes = "".join(f" · {note}" for note in card.notes)
    told = f"{Path(card.source).name} · {card.stored[0]} × {card.stored[1]} px{notes} · network {card.network}"
    draw.text((GAP, GAP + 32), _clipped(told, 14, width - 2 * GAP), FAINT, _font(14))
    ink, paper = COLORS[card.judgement.level]
    top = GAP + 60
    draw.rectangle((GAP, top, width - GAP, bottom), paper)
    draw.rectangle((GAP, top, GAP + 5, bottom), ink)
    for i, line in enumerate(verdict):
        draw.text((GAP + 16, top + 10 + 24 * i), line, ink, _font(18, bold=True))


def _top(draw: ImageDraw.ImageDraw, card: Card, x: int, y: int) -> None:
    draw.text((x, y), "What it could be", INK, _font(14, bold=True))
    for i, (_, name, probability) in enumerate(card.top):
        line = y + 26 + 36 * i
        draw.text((x, line), _clipped(name, 13, SIDE - 52), INK, _font(13))
        draw.text((x + SIDE, line), share(probability), INK, _font(13), anchor="ra")
        draw.rectangle((x, line + 19, x + SIDE, line + 24), BAND)
        draw.rectangle((x, line + 19, x + round(SIDE * probability), line + 24), COLORS["no objection"][0])


def _legend(draw: ImageDraw.ImageDraw, card: Card, x: int, y: int) -> None:
    shown = card.maps[0].shown
    for i, figure in enumerate(shown):
        title = _clipped(figure.column.title, 14, SIDE, bold=True)
        draw.text((x, y + 38 * i), title, INK, _font(14, bold=True))
    line = y + 38 * len(shown) + 8
    if card.agreement:
        draw.text((x, line), "Agreement of the maps", INK, _font(13, bold=True))
    for i, (pair, value) in enumerate(card.agreement.items()):
        titles = {map_.method: map_.title for map_ in card.maps}
        both = _clipped(f"{titles[pair[0]]}, {titles[pair[1]]}", 12, SIDE - 46)
        draw.text((x, line + 20 + 17 * i), both, FAINT, _font(12))
        draw.text((x + SIDE, line + 20 + 17 * i), f"{value:.2f}".replace("-", "−"), INK, _font(12), anchor="ra")


def _figures(draw: ImageDraw.ImageDraw, map_: MapCard, x: int, y: int) -> None:
    for i, figure in enumerate(map_.shown):
        line = y + 38 * i
        draw.text((x, line), written(figure), INK, _font(15))
        if figure.percentile is not None:
            left = x + SIDE - BAR
            draw.rectangle((left, line + 20, left + BAR, line + 26), LINE)
            draw.rectangle((left, line + 20, left + round(BAR * figure.percentile / 100), line + 26), INK)
            draw.text((x + SIDE, line), percentile_words(figure), FAINT, _font(12), anchor="ra")
        draw.line((x, line + 32, x + SIDE, line + 32), LINE)


def veil(heatmap: npt.NDArray[np.float32], scale: Scale = Scale()) -> Image.Image:
    """The map with an opacity that rises with its magnitude, to be laid over the image.

    A large map is smoothed for it, as single pixels of one hide the image and cannot be seen on it.
    """
    side = max(heatmap.shape)
    smooth: npt.NDArray[np.float32] = gaussian_filter(heatmap, side / 112) if side > 64 else heatmap
    levels = scale.levels(smooth)
    picture = coloured(levels, signed=scale.signed).convert("RGB")
    opacity = np.abs(2 * levels - 1) if scale.signed else levels
    picture.putalpha(Image.fromarray((255 * 0.9 * opacity).round().astype(np.uint8)))
    return picture


def overlay(heatmap: npt.NDArray[np.float32], image: npt.NDArray[np.uint8], scale: Scale = Scale()) -> Image.Image:
    """The map over the image in grey: what is marked shines, the rest stays to be seen."""
    over = veil(heatmap, scale)
    grey = Image.fromarray(image).convert("L").point(lambda value: round(0.75 * value))
    return Image.composite(over.convert("RGB"), grey.convert("RGB"), over.getchannel("A"))


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    smooth = picture.size[0] > 64
    return picture.resize(size, Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST)


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def _clipped(text: str, size: int, width: int, *, bold: bool = False) -> str:
    text, font = _printable(text), _font(size, bold=bold)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _wrapped(text: str, size: int, width: int, *, bold: bool = False) -> list[str]:
    text, font = _printable(text), _font(size, bold=bold)
    letters = max(8, int(width / (font.getlength(text) / max(1, len(text)))))
    lines = textwrap.wrap(text, letters) or [""]
    while letters > 8 and any(font.getlength(line) > width for line in lines):
        letters -= 1
        lines = textwrap.wrap(text, letters) or [""]
    return lines
