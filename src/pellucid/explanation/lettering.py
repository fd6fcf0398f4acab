"""Text on a card's picture: drawn with one font, cut or broken to a width."""

import textwrap
from functools import cache, lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

__all__ = ["clipped", "font", "wrapped"]


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of every card, of ``size`` pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


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
    """The text in lines of at most a width in pixels."""
    text, letters = _printable(text), font(size, bold=bold)
    most = max(8, int(width / (letters.getlength(text) / max(1, len(text)))))
    lines = textwrap.wrap(text, most) or [""]
    while most > 8 and any(letters.getlength(line) > width for line in lines):
        most -= 1
        lines = textwrap.wrap(text, most) or [""]
    return tuple(lines)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)
