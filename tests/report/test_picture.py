import numpy as np
import pytest
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.report import write_picture


def test_one_row_a_picture_and_one_column_a_run(six_runs, tmp_path):
    out = write_picture(six_runs, tmp_path / "maps.png", rows=2)
    picture = np.asarray(Image.open(out).convert("RGB"))
    assert out.name == "maps.png" and picture.shape[1] > picture.shape[0] > 200
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100, "heatmaps are in it"


def test_unknown_maps(six_runs, tmp_path):
    with pytest.raises(InputError, match=r"kept no lime maps; evaluate it with --saliency \[lime\]"):
        write_picture(six_runs, tmp_path / "maps.png", method="lime")
    assert not list(tmp_path.glob("*.png"))


def test_one_scale_for_all_maps_of_a_network(make_run, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("pellucid.report.picture.draw_heatmap", lambda axes, values, scale: seen.append(scale))
    run = make_run()
    write_picture([run], tmp_path / "maps.png", rows=3)
    assert seen == [None] * 3
    seen.clear()
    write_picture([run], tmp_path / "maps.png", rows=3, scale="common")
    assert len(seen) == 3 and len(set(seen)) == 1 and not seen[0].signed and seen[0].top > 0
    with pytest.raises(InputError, match="scale must be own or common, got 'row'"):
        write_picture([run], tmp_path / "maps.png", scale="row")
