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
