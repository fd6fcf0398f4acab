from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageDraw

from pellucid.explanation import drawn_evidence
from pellucid.explanation.evidence import Covering
from pellucid.explanation.lettering import font
from pellucid.explanation.paint import GAP

PROBABILITY = st.floats(0, 1)


def labels(covering: Covering, width: int) -> tuple[list[tuple[float, float, float, float]], Image.Image]:
    """The boxes of the two confidences' words on the axis, left, top, right and bottom, and the picture."""
    boxes = []

    def noted(canvas, at, text, ink, size, *, bold=False, anchor="la") -> None:
        if "marked" in text:
            left, top, right, bottom = font(size, bold=bold).getbbox(text, anchor=anchor)
            boxes.append((at[0] + left, at[1] + top, at[0] + right, at[1] + bottom))

    canvas = Image.new("RGB", (width + 2 * GAP, 120), "white")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_evidence, "letter", noted)
        drawn_evidence._draw_dots(canvas, ImageDraw.Draw(canvas), covering, 10, width)
    return boxes, canvas


@given(PROBABILITY, PROBABILITY, st.sampled_from([852, 1296]))
def test_no_confidence_is_written_over_the_other_or_over_the_edge(marked: float, unmarked: float, width: int) -> None:
    picture = np.zeros((4, 4), np.uint8)
    boxes, canvas = labels(Covering(0.2, 1.0, marked, unmarked, (), picture, picture), width)
    assert len(boxes) == 2
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    pixels = np.asarray(canvas.convert("L"))
    for left, top, right, bottom in boxes:
        assert left >= 0 and right <= width + 2 * GAP
        assert (pixels[round(top) : round(bottom), round(left) : round(right)] == 255).all(), "a line crosses the words"
