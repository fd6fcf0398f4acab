"""A figure's numbers are what the rows say, and its drawing shows them."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from pellucid.core.errors import InputError
from pellucid.papers.curves import panels
from pellucid.papers.figures import SIZES, draw
from pellucid.papers.galleries import write_extremes
from pellucid.runs.evaluated import Run
from pellucid.statistics.seeds import hierarchical_interval

N, POINTS = 30, 4
PARAMETERS = {
    "morf_curve": {"fraction": 0.3},
    "lerf_curve": {"fraction": 0.3},
    "road_morf_curve": {"shares": [0.2, 0.5, 0.8]},
    "road_lerf_curve": {"shares": [0.2, 0.5, 0.8]},
    "robust_curve": {"eps": [0.1, 0.2]},
}


def made(name: str, seed: int = 0) -> Run:
    random = np.random.default_rng([seed, *name.encode()])
    label = random.integers(0, 3, N)
    columns = {"label": label, "prediction": np.where(random.random(N) < 0.8, label, 3)}
    columns |= {"gini": random.random(N), "entropy": 5 + random.random(N)}
    curves = {"morf_curve": POINTS, "lerf_curve": POINTS, "road_morf_curve": 3, "road_lerf_curve": 3, "robust_curve": 2}
    rows = {key: pa.array(values) for key, values in columns.items()}
    for key, points in curves.items():
        values = (
            random.random((N, points)) if "road" not in key and "rob" not in key else random.random((N, points)) < 0.5
        )
        rows[key] = pa.array([[float(value) for value in row] for row in values])
    about = {key: {"parameters": PARAMETERS.get(key, {})} for key in rows}
    return Run(name=name, path=Path("nowhere") / name, config={}, rows=pa.table(rows), info={"columns": about})


def runs(seeds: int) -> dict[str, list[Run]]:
    return {name: [made(name, seed) for seed in range(seeds)] for name in ("regular", "scaat")}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_curve_is_the_mean_over_seeds_and_images(seeds) -> None:
    found = runs(seeds)
    morf, lerf = panels("decay", found)
    assert morf["title"] == "Vanilla gradient, most relevant first"
    assert lerf["title"] == "Vanilla gradient, least relevant first"
    np.testing.assert_allclose(morf["x"], [0, 10, 20, 30])
    for panel, column in ((morf, "morf_curve"), (lerf, "lerf_curve")):
        for name, each in found.items():
            expected = np.mean([run.curves(column).mean(axis=0) for run in each], axis=0)
            band = panel["runs"][name]
            np.testing.assert_allclose(band["mean"], expected, rtol=1e-5)
            assert np.all(np.array(band["low"]) < band["mean"]) and np.all(np.array(band["mean"]) < band["high"])


def test_a_band_is_that_of_the_tables_numbers() -> None:
    found = runs(3)
    (panel,) = panels("radius", found)
    assert panel["x"] == [0, 0.1, 0.2]
    stacked = np.stack([100 * run.curves("robust_curve")[:, 1] for run in found["scaat"]])
    expected = hierarchical_interval(stacked)
    band = panel["runs"]["scaat"]
    for end in ("mean", "low", "high"):
        assert band[end][2] == pytest.approx(getattr(expected, end), rel=1e-5)


def test_masking_and_attacks_begin_with_the_clean_accuracy() -> None:
    found = runs(1)
    for panel in [*panels("masking", found), *panels("radius", found)]:
        assert panel["x"][0] == 0 and panel["y_label"] == "accuracy (%)"
        for name, (run,) in found.items():
            clean = 100 * np.mean(run.values("prediction") == run.values("label"))
            assert panel["runs"][name]["mean"][0] == pytest.approx(clean)
    assert panels("masking", found)[0]["x"] == [0, 20, 50, 80]


def test_a_distribution_is_of_all_maps_of_all_seeds() -> None:
    found = runs(3)
    (panel,) = panels("entropy", found)
    for name, each in found.items():
        values = np.concatenate([run.values("entropy") for run in each])
        share = panel["runs"][name]["share"]
        assert sum(share) == pytest.approx(100, abs=1e-3)
        assert panel["runs"][name]["median"] == pytest.approx(np.median(values), rel=1e-5)
        assert np.count_nonzero(share) > 10
    assert len(panel["edges"]) == len(share) + 1


def test_a_gallery_has_no_numbers() -> None:
    assert panels("maps", runs(1)) == panels("q", runs(1)) == []


@pytest.mark.parametrize("name", SIZES)
def test_a_drawing_has_every_panel_and_run(name, tmp_path) -> None:
    found = panels(name, runs(2))
    file = draw(name, found, tmp_path / "figure.svg")
    shown = [text.strip() for text in ElementTree.parse(file).getroot().itertext() if text.strip()]
    for panel in found:
        assert panel["title"] in shown and panel["x_label"] in shown
    assert {"regular", "scaat"} <= set(shown)
    assert draw(name, found, tmp_path / "again.svg").read_bytes() == file.read_bytes()


def test_a_run_without_extremes_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="'regular' kept no extremes of q; train it with SCAAT"):
        write_extremes(replace(made("regular"), path=tmp_path), tmp_path / "q.png")
    assert not list(tmp_path.iterdir())
