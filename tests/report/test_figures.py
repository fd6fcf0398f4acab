"""Figures: valid SVG with text as text, ids of their own, the same every time."""

import re
import xml.etree.ElementTree as ET

import pytest

from pellucid.report.figures import key, perturbation, q_panels, seconds_per_step, styles, trade_offs, training
from pellucid.report.runs import read_run, read_runs
from pellucid.report.table import summarise

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def runs(six_runs):
    return read_runs(six_runs)


def _all(runs):
    style = styles(runs, runs[0])
    summaries = {run.name: summarise(run) for run in runs}
    return [
        *perturbation(runs, style, "vanilla_gradient"),
        *perturbation(runs, style, "smoothgrad"),
        *q_panels(runs, style),
        *training(runs, style, runs[0]),
        *trade_offs(runs, summaries, style, ["robust_accuracy", "gini", "aopc_lerf", "ris"]),
    ]


@pytest.fixture(scope="module")
def panels(runs):
    return _all(runs)


def test_panels_are_svg_with_text_and_alternative(panels) -> None:
    assert len(panels) == 2 + 2 + 3 + 4 + 4
    for panel in panels:
        root = ET.fromstring(panel.svg)
        assert root.tag == f"{SVG}svg"
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == panel.alt
        assert len(list(root.iter(f"{SVG}text"))) > 4
        assert "currentColor" in panel.svg


def test_ids_are_unique_over_all_panels_and_resolve(panels, runs) -> None:
    keys = [key(style, name=f"key-{i}") for i, style in enumerate(styles(runs, runs[0]).values())]
    text = "".join([panel.svg for panel in panels] + keys)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text) + re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_figures_are_the_same_every_time(panels, runs) -> None:
    assert _all(runs) == panels


def test_numbers_on_logarithmic_axes_are_plain(panels) -> None:
    lerf = next(panel for panel in panels if panel.alt.startswith("Least relevant"))
    labels = [text.text for text in ET.fromstring(lerf.svg).iter(f"{SVG}text")]
    assert {"0.01", "0.001"} <= set(labels)
    assert not any("$" in panel.svg for panel in panels)


def test_every_run_is_told_apart_by_more_than_colour(runs) -> None:
    style = styles(runs, runs[0])
    assert len({one.color for one in style.values()}) == len(runs)
    assert len({one.marker for one in style.values()}) == len(runs)


def test_names_are_escaped(make_run) -> None:
    name = '<script>alert("1")&$x$'
    run = read_run(make_run(name))
    for panel in training([run], styles([run], run), run):
        ET.fromstring(panel.svg)
        assert "<script" not in panel.svg
    assert name in {text.text for text in ET.fromstring(panel.svg).iter(f"{SVG}text")}


def test_step_time_is_seconds_by_steps(runs) -> None:
    assert seconds_per_step(runs[0]) == pytest.approx(8 / 430)
    assert seconds_per_step(runs[4]) / seconds_per_step(runs[0]) == pytest.approx(115 / 8)


def test_no_q_no_figure(runs) -> None:
    assert q_panels(runs[:4], styles(runs, runs[0])) == []


def test_negative_curves_are_left_out_of_the_logarithm(make_run) -> None:
    run = read_run(make_run(means=(0.9, 0.1, 0.5, -1e-3, 0.2, 1.0, 8.0)))
    assert len(perturbation([run], styles([run], run), "vanilla_gradient")) == 2
