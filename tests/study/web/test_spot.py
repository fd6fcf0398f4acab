"""The brightest place of a map, found in the picture that participants see."""

from pathlib import Path

import numpy as np
import pytest

from pellucid.study.spot import GAP, brightest_spot, half_size
from pellucid.study.stimuli import render


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (96, 64), (1, 1)])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_bright_corner_is_found(tmp_path: Path, size: tuple[int, int], corner: tuple[int, int]) -> None:
    """A photograph that is bright elsewhere does not matter."""
    random = np.random.default_rng(0)
    heatmap = 0.3 * random.random(size)
    rows, columns = (
        slice(-(-n // 4)) if not at else slice(n - -(-n // 4), None) for n, at in zip(size, corner, strict=True)
    )
    heatmap[rows, columns] += 2
    (tmp_path / "picture.png").write_bytes(render(np.full((3, *size), 255, dtype=np.uint8), heatmap))
    from PIL import Image

    with Image.open(tmp_path / "picture.png") as picture:
        width, height = half_size(picture.size)
        assert picture.size == (2 * width + GAP, height)
    spot = brightest_spot(tmp_path / "picture.png")
    assert 0 <= spot.x <= width and 0 <= spot.y <= height and spot.radius >= 4
    if size != (1, 1):
        assert (spot.y > height / 2, spot.x > width / 2) == tuple(map(bool, corner))
