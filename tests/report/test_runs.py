"""Run directories: what is read, and one clear sentence for each that cannot be."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pellucid.core.errors import InputError
from pellucid.report import compare, render
from pellucid.runs.evaluated import read_run, read_runs


def test_a_run_reads_back(make_run) -> None:
    run = read_run(make_run("scaat", method="SCAAT", smoothing="gaussian", images=12, gallery=4))
    assert (run.name, run.method, run.smoothing) == ("scaat", "SCAAT", "gaussian")
    assert run.saliency_methods == ["vanilla_gradient", "smoothgrad", "integrated_gradients"]
    assert run.values("robust_correct").shape == (12,)
    assert run.curves("lerf_curve/smoothgrad").shape == (12, 21)
    np.testing.assert_allclose(run.curves("morf_curve").mean(axis=1), run.values("aopc_morf"), rtol=1e-5)
    assert run.environment["command"] == "pellucid train --method SCAAT"
    assert run.training["step"].tolist() == [430, 860, 1290]
    assert run.q is not None
    assert sorted(run.q) == [0, 1, 2]
    assert run.maps["images"].shape == (4, 1, 28, 28)


def test_a_null_is_nan(make_run) -> None:
    run = read_run(make_run(images=300))
    assert np.isnan(run.values("ris")).sum() == run.rows["ris"].null_count > 0


def test_only_methods_with_q_have_q(make_run) -> None:
    assert read_run(make_run()).q is None


def test_a_block_without_filter_is_named(make_run) -> None:
    path = make_run()
    config = (path / "experiment.yaml").read_text()
    (path / "experiment.yaml").write_text(
        config.replace("smoothing: null", "smoothing: {layers: [pool1], filter: none}")
    )
    assert read_run(path).smoothing == "1x1"


def test_activation_and_random_mask_are_named(make_run) -> None:
    path = make_run("run", method="SCAAT")
    assert (read_run(path).activation, read_run(path).control) == (None, None)
    config = yaml.safe_load((path / "experiment.yaml").read_text())
    config["activation"] = {"name": "silu", "beta": 2.5}
    config["method"]["init_args"]["ranking"] = "random"
    (path / "experiment.yaml").write_text(yaml.safe_dump(config))
    run = read_run(path)
    assert (run.activation, run.control) == ("silu 2.5", "random mask")
    assert "SCAAT + random mask + silu 2.5" in render(compare([run]), "markdown")
    assert render(compare([run]), "csv").splitlines()[1].startswith("run,SCAAT,random mask,silu 2.5,,")
    config["method"] = {
        "class_path": "pellucid.methods.AdversarialSCAAT",
        "init_args": {"scaat": {"ranking": "random"}},
    }
    (path / "experiment.yaml").write_text(yaml.safe_dump(config))
    assert read_run(path).control == "random mask"


def test_the_name_is_the_directorys_even_through_a_relative_path(make_run, monkeypatch) -> None:
    monkeypatch.chdir(make_run("at"))
    assert read_run(".").name == "at"


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run directory .*/nowhere"):
        read_run(tmp_path / "nowhere")


def test_no_run_at_all() -> None:
    with pytest.raises(InputError, match="no run directory given"):
        read_runs([])


def test_not_evaluated(make_run) -> None:
    path = make_run()
    (path / "rows.parquet").unlink()
    with pytest.raises(InputError, match="'regular' is not trained to its end; continue it: pellucid"):
        read_run(path)
    (path / "model.safetensors").touch()
    with pytest.raises(InputError, match="'regular' has no rows.parquet; evaluate it first: pellucid evaluate"):
        read_run(path)


@pytest.mark.parametrize("name", ["experiment.yaml", "environment.json", "train.csv", "maps.safetensors"])
def test_a_missing_file_is_named(make_run, name: str) -> None:
    path = make_run()
    (path / name).unlink()
    with pytest.raises(InputError, match=f"'regular' has no {name}"):
        _ = [read_run(path), read_run(path).environment, read_run(path).training, read_run(path).maps]


@pytest.mark.parametrize("keep", [0, 3, 400, -10])
def test_truncated_rows(make_run, keep: int) -> None:
    file = make_run() / "rows.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"regular/rows.parquet is truncated .* write it again: pellucid evaluate"):
        read_run(file.parent)


def test_a_truncated_q_is_training_s_to_write(make_run) -> None:
    file = make_run() / "q.parquet"
    file.write_bytes(b"bad")
    with pytest.raises(InputError, match=r"regular/q.parquet is truncated .* delete .*regular and train it again"):
        _ = read_run(file.parent).q


def test_truncated_maps(make_run) -> None:
    file = make_run() / "maps.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="maps.safetensors cannot be read"):
        _ = read_run(file.parent).maps


@pytest.mark.parametrize("text", ["- a list", "method: Regular", "method: {class_path: [", ""])
def test_a_foreign_experiment(make_run, text: str) -> None:
    path = make_run()
    (path / "experiment.yaml").write_text(text)
    with pytest.raises(InputError, match="experiment.yaml"):
        read_run(path)


def test_a_broken_environment(make_run) -> None:
    path = make_run()
    (path / "environment.json").write_text("{")
    with pytest.raises(
        InputError, match=r"regular/environment.json is not JSON .* delete .*regular and train it again"
    ):
        _ = read_run(path).environment


def _change_info(path: Path, **changes: object) -> None:
    table = pq.read_table(path / "rows.parquet")
    info = json.loads(table.schema.metadata[b"pellucid"]) | changes
    pq.write_table(table.replace_schema_metadata({"pellucid": json.dumps(info)}), path / "rows.parquet")


def test_rows_of_another_format(make_run) -> None:
    path = make_run()
    _change_info(path, format=2)
    with pytest.raises(InputError, match="has format 2, this pellucid reads format 1"):
        read_run(path)


def test_a_parquet_file_of_somebody_else(make_run) -> None:
    path = make_run()
    pq.write_table(pq.read_table(path / "rows.parquet").replace_schema_metadata(None), path / "rows.parquet")
    with pytest.raises(InputError, match="has format None"):
        read_run(path)


def test_no_rows(make_run) -> None:
    path = make_run()
    pq.write_table(pq.read_table(path / "rows.parquet")[:0], path / "rows.parquet")
    with pytest.raises(InputError, match="holds no image"):
        read_run(path)


def test_other_datasets_are_not_compared(make_run) -> None:
    one, other = make_run("one"), make_run("other")
    _change_info(other, dataset="mnist")
    with pytest.raises(InputError, match="'one' and 'other' .* dataset 'fashion-mnist' and 'mnist'"):
        read_runs([one, other])


def test_an_import_path_with_a_dot_is_that_with_a_colon(make_run) -> None:
    one, other = make_run("one"), make_run("other")
    _change_info(one, dataset="my_package:make_dataset")
    _change_info(other, dataset="my_package.make_dataset")
    assert len(read_runs([one, other])) == 2


def test_other_images_are_not_compared(make_run) -> None:
    with pytest.raises(InputError, match=r"'one' \(60 images\) and 'other' \(50\).*index differs"):
        read_runs([make_run("one"), make_run("other", images=50)])


def test_other_settings_are_not_compared(make_run) -> None:
    one, other = make_run("one"), make_run("other")
    columns = read_run(other).columns
    columns["robust_correct"]["parameters"]["eps"] = 0.3
    _change_info(other, columns=columns)
    with pytest.raises(InputError, match="'one' and 'other' measured robust_correct with different parameters"):
        read_runs([one, other])


def test_one_name_for_two_runs(make_run) -> None:
    with pytest.raises(InputError, match="two runs are named 'at'"):
        read_runs([make_run("a/at"), make_run("b/at")])


def test_an_infinite_value_is_no_number(make_run) -> None:
    path = make_run(images=6)
    table = pq.read_table(path / "rows.parquet")
    values = pa.array([np.inf, 1.0, -np.inf, None, np.nan, 2.0], pa.float32())
    place = table.column_names.index("ris")
    pq.write_table(table.set_column(place, "ris", values), path / "rows.parquet")
    np.testing.assert_array_equal(read_run(path).values("ris"), [np.nan, 1.0, np.nan, np.nan, np.nan, 2.0])
