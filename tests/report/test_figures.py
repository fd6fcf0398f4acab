"""Figures: valid SVG with text as text, ids of their own, the same every time."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pellucid.report.drawing import key, styles, write_figures
from pellucid.report.figures import (
    POINTS,
    curvature,
    distributions,
    perturbation,
    stability,
    trade_offs,
)
from pellucid.report.table import summarise
from pellucid.report.training import sample_panels, training
from pellucid.runs.evaluated import read_run, read_runs
from pellucid.statistics import Interval

SVG = "{http://www.w3.org/2000/svg}"
TRADED = ("robust_accuracy", "gini", "aopc_lerf", "ris")


@pytest.fixture(scope="module")
def runs(six_runs):
    return read_runs(six_runs)


def _all(runs):
    style = styles(runs, runs[0])
    summaries = {run.name: summarise(run) for run in runs}
    return [
        *perturbation(runs, style, "vanilla_gradient"),
        *perturbation(runs, style, "smoothgrad"),
        *sample_panels(runs, style),
        *training(runs, style, runs[0]),
        *trade_offs(runs, summaries, style, [runs[0].measures[name] for name in TRADED]),
        *distributions(runs, style, "vanilla_gradient"),
        *distributions(runs, style, "smoothgrad"),
        *stability(runs, style, "vanilla_gradient"),
        *stability(runs, style, "smoothgrad"),
        *curvature(runs, style),
    ]


@pytest.fixture(scope="module")
def panels(runs):
    return _all(runs)


def test_panels_are_svg_with_text_and_alternative(panels) -> None:
    assert len(panels) == 2 + 2 + 3 + 4 + 4 + 2 + 2 + 1  # stability of the vanilla gradient alone, no curvature
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


def test_negative_curves_are_left_out_of_the_logarithm(make_run) -> None:
    run = read_run(make_run(means=(0.9, 0.1, 0.5, -1e-3, 0.2, 1.0, 8.0)))
    assert len(perturbation([run], styles([run], run), "vanilla_gradient")) == 2


def test_curves_that_were_not_measured_are_not_drawn(make_run) -> None:
    run = read_run(make_run())
    style = styles([run], run)
    assert perturbation([run], style, "no_such_method") == []
    morf_alone = replace(run, rows=run.rows.drop_columns(["lerf_curve", "aopc_morf", "aopc_lerf"]))
    (panel,) = perturbation([morf_alone], style, "vanilla_gradient")
    assert "MoRF" in panel.alt


def _with(run, **columns):
    """The run with columns more, or others."""
    rows = run.rows
    for name, values in columns.items():
        rows = rows.drop_columns([name]) if name in rows.column_names else rows
        rows = rows.append_column(name, pa.array(values))
    return replace(run, rows=rows)


def test_the_front_holds_those_that_none_beats(make_run) -> None:
    run = read_run(make_run())
    runs = [replace(run, name=name) for name in "abcd"]
    points = {"a": (0.9, 5.0), "b": (0.8, 1.0), "c": (0.7, 1.0), "d": (0.9, 6.0)}  # LeRF: lower is better
    summaries = {
        name: {"clean_accuracy": Interval(x, x, x, 9), "aopc_lerf": Interval(y, y, y, 9)}
        for name, (x, y) in points.items()
    }
    (panel,) = trade_offs(runs, summaries, styles(runs, runs[0]), [run.measures["aopc_lerf"]])
    assert panel.alt.endswith("No run is better in both than b, a.")


def test_a_random_order_is_drawn_where_it_was_measured(make_run) -> None:
    run = read_run(make_run())
    style = styles([run], run)
    for before, after in zip(
        perturbation([run], style, "vanilla_gradient"),
        perturbation([_with(run, random_curve=list(run.curves("morf_curve")))], style, "vanilla_gradient"),
        strict=True,
    ):
        assert after.svg.count("stroke-dasharray: 0.9") == before.svg.count("stroke-dasharray: 0.9") + 1


def test_distributions_have_a_row_a_run_and_its_median(runs) -> None:
    gini, entropy = distributions(runs, styles(runs, runs[0]), "vanilla_gradient")
    labels = {text.text for text in ET.fromstring(gini.svg).iter(f"{SVG}text")}
    assert {run.name for run in runs} <= labels
    assert f"regular {np.median(runs[0].values('gini')):.3g}" in gini.alt
    assert "Entropy" in entropy.alt


@pytest.mark.parametrize(
    "values",
    [[1.0] * 60, [0.5] * 60, [0.1] * 60, [np.nan] * 59 + [3.0], list(np.geomspace(1e-6, 1e6, 60)), [-1.0, 1.0] * 30],
)
def test_any_curvature_is_drawn(make_run, values) -> None:
    run = read_run(make_run())
    (panel,) = curvature([_with(run, gradient_variation=values)], styles([run], run))
    ET.fromstring(panel.svg)
    assert f"{np.nanmedian(values):.3g}" in panel.alt


def test_nothing_measured_is_no_distribution(make_run) -> None:
    run = read_run(make_run())
    assert curvature([_with(run, gradient_variation=[np.nan] * 60)], styles([run], run)) == []


def test_points_are_few_enough(make_run) -> None:
    run = read_run(make_run(images=POINTS + 500, saliency=("vanilla_gradient",)))
    (panel,) = stability([run], styles([run], run), "vanilla_gradient")
    assert POINTS / 3 < panel.svg.count("<use") < POINTS + 30
    nothing = _with(run, ris=[np.nan] * run.rows.num_rows)
    (panel,) = stability([nothing], styles([nothing], nothing), "vanilla_gradient")
    assert "none was measured" in panel.alt


def test_files_are_the_same_every_time_and_name_the_runs(make_run, tmp_path) -> None:
    run = read_run(make_run("a & b"))
    style = styles([run], run)
    first, again = (
        write_figures(distributions([run], style, "vanilla_gradient")[:1], style, tmp_path / name) for name in "ab"
    )
    assert [file.name for file in first] == [f"distribution-gini.{kind}" for kind in ("svg", "pdf", "png")]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    texts = [text.text for text in ET.parse(first[0]).getroot().iter(f"{SVG}text")]
    assert texts.count("a & b") == 2  # its row and its legend
    assert first[1].read_bytes().startswith(b"%PDF") and first[2].read_bytes().startswith(b"\x89PNG")
