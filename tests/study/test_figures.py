"""The figures: their bars and dots are the data, and they can be written."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pellucid.study.analysis import analyse
from pellucid.study.figures import Drawing, drawings, panel, write_drawing
from pellucid.study.raters import simulated


@pytest.fixture(scope="module", params=[5, 7])
def drawn(request, make_study):
    study = make_study(3, names=("trust",), points=request.param, equivalence={"trust": 0.5})
    analysis, kept = analyse(simulated(study, 24, {"smoothed": 0.5}), synthetic=True, resamples=100)
    ratings = {"trust": kept.ratings("trust")}
    return analysis, ratings, {one.name: one for one in drawings(analysis, ratings)}


def _axes(drawing: Drawing):
    return drawing.figure.axes[0]


def test_bars_are_the_shares_and_begin_at_the_neutral_point(drawn) -> None:
    analysis, _, by_name = drawn
    axes = _axes(by_name["answers-trust"])
    for place, one in zip((2, 1, 0), analysis.descriptions, strict=True):
        bars = [bar for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == place]
        assert [bar.get_width() / 100 for bar in bars] == pytest.approx(one.shares)
        neutral = bars[len(bars) // 2]
        assert neutral.get_x() + neutral.get_width() / 2 == pytest.approx(0)
        assert bars[0].get_x() + 100 == pytest.approx(bars[-1].get_x() + bars[-1].get_width())


def test_dots_are_the_participants_differences(drawn) -> None:
    analysis, ratings, by_name = drawn
    axes = _axes(by_name["differences-trust"])
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    for line, pair in zip(dots, analysis.results[0].pairs, strict=True):
        means = ratings["trust"].pair(pair.against, pair.condition)
        np.testing.assert_allclose(line.get_xdata(), means[:, 1] - means[:, 0])
        places = np.stack([np.round(line.get_xdata(), 2), line.get_ydata()], axis=1)
        assert len(np.unique(places, axis=0)) == len(places)  # no dot hides another
    shifts = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]
    assert shifts == [pair.shift.mean for pair in analysis.results[0].pairs]


def test_the_mark_of_synthetic_data_is_drawn(drawn) -> None:
    analysis, ratings, by_name = drawn
    of_people = drawings(replace(analysis, synthetic=False), ratings)
    for drawing in of_people:
        texts = [
            [text.get_text() for text in _axes(one).texts if text.get_visible()]
            for one in (drawing, by_name[drawing.name])
        ]
        assert texts[1] == [*texts[0], "SYNTHETIC"]
        assert "SYNTHETIC" not in drawing.alt


def test_words_stand_for_the_drawing(drawn) -> None:
    analysis, _, by_name = drawn
    shown = panel(by_name["answers-trust"])
    assert shown.alt.startswith("SYNTHETIC DATA. ")
    for one in analysis.descriptions:
        assert f"{one.condition} {one.mean.mean:.2f}" in shown.alt
    assert re.search(r'<svg [^>]*role="img" aria-label="SYNTHETIC DATA', shown.svg)
    assert "#0b0c0d" not in shown.svg.lower()  # ink follows the page


def test_written_files_are_what_their_names_say(drawn, tmp_path: Path) -> None:
    _, _, by_name = drawn
    paths = write_drawing(by_name["differences-trust"], tmp_path)
    begin = {path.suffix: path.read_bytes()[:5] for path in paths}
    assert begin == {".svg": b"<?xml", ".pdf": b"%PDF-", ".png": b"\x89PNG\r"}
