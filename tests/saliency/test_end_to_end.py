"""Maps of a layer through training, measuring, report and cards of a tiny run."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file

from pellucid.cli import main
from pellucid.report import write_report

METRICS = "gini,aopc_morf,ris,map_ssim,randomisation_last,randomisation_edges"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps") / "run"
    tiny = ["--dataset.limit=32", "--batch_size=32", "--epochs=1", "--accelerator=cpu"]
    assert main(["train", str(folder), *tiny, "--method=SaliencyGuided", "--method.saliency=GradCAM"]) == 0
    few = ["--images=4", "--gallery=2", "--steps=3", "--repeats=1", "--draws=2", "--accelerator=cpu"]
    maps = ["--saliency=gradcam,layercam", "--stability=gradcam", f"--metrics={METRICS}"]
    assert main(["evaluate", str(folder), *few, *maps]) == 0
    return folder


def test_evaluate_measures_them_as_any_map(run: Path) -> None:
    rows, kept = pq.read_table(run / "rows.parquet"), load_file(run / "maps.safetensors")
    for method in ("gradcam", "layercam"):
        assert kept[f"heatmap/{method}"].shape == (2, 28, 28) and kept[f"heatmap/{method}"].min() >= 0
        for name in ("gini", "randomisation_last", "randomisation_edges"):
            values = rows[f"{name}/{method}"].to_numpy()
            assert len(values) == 4 and np.isfinite(values).all()
    assert {"ris/gradcam", "map_ssim/gradcam"} <= set(rows.column_names)
    told = json.loads(pq.read_schema(run / "rows.parquet").metadata[b"pellucid"])
    settings = told["columns"]["gini/gradcam"]["parameters"]["saliency"]
    assert settings == "GradCAM(layer=None, score='logit', relu=True)"


def test_the_report_names_them(run: Path) -> None:
    page = write_report([run], run / "report.html").read_text()
    assert "Grad-CAM" in page and "LayerCAM" in page and "Gradcam" not in page


def test_cards_of_them_are_made(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / "a.png")
    words = ["explain", str(run), str(tmp_path / "a.png"), "--out", str(tmp_path), "--saliency=gradcam,layercam"]
    words += ["--signed", "--top=0.5"]
    assert main([*words, "--accelerator=cpu"]) == 0
    assert "the Grad-CAM map" in capsys.readouterr().out
    card = json.loads((tmp_path / "a-card.json").read_text())
    assert list(card["maps"]) == ["gradcam", "layercam"]
    assert "All maps have one colour scale, from 0 to 0.5; red speaks" in (tmp_path / "a-card.html").read_text()
    assert main([*words, "--top=-1"]) == 2
    assert "the top of a colour scale must be a number above 0, got -1.0" in capsys.readouterr().err


def test_rollout_of_a_network_without_attention_is_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--images=2", "--saliency=rollout", "--metrics=gini", "--accelerator=cpu", "--overwrite"]
    assert main(["evaluate", str(run), *words]) == 2
    assert "LeNet5 has no attention that can be observed" in capsys.readouterr().err
