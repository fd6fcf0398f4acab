"""Text on a card's picture: drawn with one font, cut or broken to a width."""

import textwrap
from functools import cache, lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

__all__ = ["clipped", "font", "letter", "wrapped"]


KEPT = "\u00a0"
"""A space at which no line is broken."""


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of every card, of ``size`` pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def letter(
    canvas: Image.Image, at: tuple[float, float], text: str, ink: str, size: int, *, bold: bool = False,
    anchor: str = "la",
) -> None:  # fmt: skip
    """Write a line on a picture; most lines of a card stand on every card, so that their letters are drawn once.

    Args:
        canvas: of mode RGB.
        at: left, middle or right end of the line, as ``anchor`` says, and its top.
        text: without a line break.
        ink: colour.
        size: of the font in pixels.
        bold: in the bold font.
        anchor: ``la``, ``ma`` or ``ra``.
    """
    mask, (across, down), length = _drawn(text, size, bold=bold)
    left = at[0] - {"l": 0, "m": length / 2, "r": length}[anchor[0]]
    canvas.paste(ink, (round(left) + across, round(at[1]) + down), mask)


@lru_cache(8192)
def _drawn(text: str, size: int, *, bold: bool) -> tuple[Image.Image, tuple[int, int], float]:
    """The letters, cut to what they cover, where that begins, and the length of the line."""
    letters = font(size, bold=bold)
    length = letters.getlength(text)
    mask = Image.new("L", (max(1, int(length) + 3), 2 * size))
    ImageDraw.Draw(mask).text((0, 0), text, 255, letters)
    box = mask.getbbox() or (0, 0, 1, 1)
    return mask.crop(box), box[:2], length


@lru_cache(4096)
def clipped(text: str, size: int, width: int, *, bold: bool = False) -> str:
    """The text, cut to a width in pixels.

    >>> clipped("a word that is too long", 12, 60)
    'a word…'
    """
    text, letters = _printable(text), font(size, bold=bold)
    if letters.getlength(text) <= width:
        return text
    short, long = 0, len(text)
    while long - short > 1:
        middle = (short + long) // 2
        short, long = (middle, long) if letters.getlength(text[:middle] + "…") <= width else (short, middle)
    return text[:short].rstrip() + "…"


@lru_cache(4096)
def wrapped(text: str, size: int, width: int, *, bold: bool = False) -> tuple[str, ...]:
    """The text in lines of at most a width in pixels; no number is parted from its percent sign or its σ.

    >>> wrapped("a line that ends with 51 %", 12, 150)
    ('a line that ends with', '51 %')
    """
    text, letters = _printable(text).replace(" %", KEPT + "%").replace("σ ", "σ" + KEPT), font(size, bold=bold)
    most = max(8, int(width / (letters.getlength(text) / max(1, len(text)))))
    lines = textwrap.wrap(text, most) or [""]
    while most > 8 and any(letters.getlength(line) > width for line in lines):
        most -= 1
        lines = textwrap.wrap(text, most) or [""]
    return tuple(line.replace(KEPT, " ") for line in lines)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)
