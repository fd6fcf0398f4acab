"""What is usual for a network: percentiles, measured once, kept."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.explanation import reference
from pellucid.explanation.card import FIGURES
from pellucid.explanation.reference import FEWEST, Reference, of_folder

MEASURED = ("gini", "aopc_morf", "aopc_lerf", "faithfulness", "ris", "ros", "similarity")


@given(st.lists(st.floats(-5, 5), min_size=FEWEST, max_size=60), st.floats(-6, 6), st.sampled_from(MEASURED))
def test_a_percentile_counts_what_is_worse(values, value, measure) -> None:
    found = Reference("", len(values), {measure: np.array(values)}).percentile(measure, "vanilla_gradient", value)
    sign = {"higher": 1, "lower": -1}[FIGURES[measure].direction]
    worse = sum(sign * one < sign * value for one in values) + sum(one == value for one in values) / 2
    assert found == pytest.approx(100 * worse / len(values))


def test_no_percentile_where_there_is_nothing_to_compare_with() -> None:
    known = Reference("", 30, {"gini": np.r_[np.full(15, np.nan), np.zeros(15)], "ris/smoothgrad": np.ones(30)})
    assert known.percentile("gini", "vanilla_gradient", 0.5) is None
    assert known.percentile("ris", "vanilla_gradient", 0.5) is None
    assert known.percentile("ris", "smoothgrad", float("nan")) is None
    assert known.percentile("ris", "smoothgrad", 0.5) == 100
    assert known.percentile("beats_random", "smoothgrad", 0.5) is None


def test_a_folder_is_measured_once(subject, examination, folder, cache, monkeypatch) -> None:
    first = of_folder(subject, folder, examination, batch_size=5, progress=False)
    assert first.images == 24 and first.source == "24 pictures of reference"
    assert {f"{measure}{method}" for measure in MEASURED for method in ("", "/inputxgradient")} == set(first.columns)
    assert len(list(cache.rglob("*.parquet"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(reference, "examine", lambda *a, **k: pytest.fail("measured again"))
        again = of_folder(subject, folder, examination, batch_size=3, progress=False)
    for name, values in first.columns.items():
        np.testing.assert_array_equal(values, again.columns[name])
    (kept,) = cache.rglob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:50])
    assert of_folder(subject, folder, examination, progress=False).images == 24


def test_other_pictures_are_another_reference(subject, examination, folder, cache) -> None:
    of_folder(subject, folder, examination, images=FEWEST, progress=False)
    (folder / "00.png").unlink()
    (folder / "11.png").write_bytes(b"damaged")
    found = of_folder(subject, folder, examination, progress=False)
    assert found.images == 22 and len(list(cache.rglob("*.parquet"))) == 2


def test_what_is_no_reference(subject, examination, folder, tmp_path) -> None:
    with pytest.raises(InputError, match="is not a folder of pictures"):
        of_folder(subject, tmp_path / "nowhere", examination)
    with pytest.raises(InputError, match="at least 20 images, got 3"):
        of_folder(subject, folder, examination, images=3)
    for file in list(folder.iterdir())[:10]:
        file.unlink()
    with pytest.raises(InputError, match="holds 14 pictures that can be read; at least 20 are needed"):
        of_folder(subject, folder, examination)
