"""Colours, marks and measures of a card's picture."""

from PIL import Image

from pellucid.explanation.trust_checks import Outcome
from pellucid.explanation.trust_rules import Level

__all__ = ["BAND", "COLORS", "FAINT", "GAP", "INK", "LINE", "MARKS", "OUTCOMES", "PAPER", "scaled"]

PAPER, INK, FAINT, LINE, BAND = "#ffffff", "#1a1d21", "#565d66", "#d5d9de", "#f4f6f8"
COLORS: dict[Level, tuple[str, str]] = {
    "do not rely": ("#99400a", "#fdeadd"),
    "undecided": ("#565d66", "#eceef1"),
    "with care": ("#565d66", "#eceef1"),
    "no objection": ("#0b5e97", "#e2f0fa"),
}
"""Ink and paper of each level: the report's worse, level and better."""
MARKS: dict[Level, str] = {"do not rely": "✗", "undecided": "?", "with care": "!", "no objection": "✓"}
OUTCOMES: dict[Outcome, tuple[str, str, Level]] = {
    "passes": ("✓", "passes", "no objection"),
    "care": ("!", "with care", "with care"),
    "undecided": ("?", "undecided", "undecided"),
    "fails": ("✗", "fails", "do not rely"),
    "not made": ("–", "not made", "with care"),
}
"""Mark, word, and the level whose colours are taken, of each outcome of a check."""
GAP = 24


def scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture at another size: smoothly from 65 pixels on, below that in squares."""
    smooth = max(picture.size) > 64
    return picture.resize(size, Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST)
