"""Heatmaps as pictures: scale, colours, sizes."""

import base64
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from pellucid.errors import InputError
from pellucid.report.gallery import gallery
from pellucid.report.runs import Run, read_run


def _pixels(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def _with_map(run: Run, heatmap: np.ndarray) -> Run:
    run.maps["heatmap/vanilla_gradient"][0] = heatmap
    return run


def test_picture_is_the_picture(make_run) -> None:
    run = read_run(make_run(gallery=3))
    rows = gallery([run], ["vanilla_gradient"]).rows
    for row, image in zip(rows, run.maps["images"], strict=True):
        np.testing.assert_array_equal(_pixels(row.image.uri)[:, :, 0], image[0])


def test_colour_picture_keeps_its_colours(make_run) -> None:
    run = read_run(make_run(gallery=1, channels=3))
    row = gallery([run], ["vanilla_gradient"]).rows[0]
    np.testing.assert_array_equal(_pixels(row.image.uri), np.moveaxis(run.maps["images"][0], 0, -1))


def test_heatmap_goes_from_zero_to_its_99th_percentile(make_run) -> None:
    heatmap = np.arange(28 * 28, dtype=np.float32).reshape(28, 28)
    run = _with_map(read_run(make_run(gallery=1)), heatmap)
    pixels = _pixels(gallery([run], ["vanilla_gradient"]).rows[0].heatmaps["vanilla_gradient"][0].uri)
    level = np.round(255 * np.clip(heatmap / np.percentile(heatmap, 99), 0, 1)).astype(int)
    expected = np.round(255 * colormaps["inferno"](level)[:, :, :3])
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("ones", [0, 1])
def test_flat_and_one_pixel_maps_are_drawn(make_run, ones: int) -> None:
    heatmap = np.zeros((28, 28), np.float32)
    heatmap[0, :ones] = 5
    run = _with_map(read_run(make_run(gallery=1)), heatmap)
    pixels = _pixels(gallery([run], ["vanilla_gradient"]).rows[0].heatmaps["vanilla_gradient"][0].uri)
    assert (pixels.sum(axis=2) > 400).sum() == ones


def test_predictions_are_marked(make_run) -> None:
    run = read_run(make_run(images=40, gallery=40))
    rows = gallery([run], ["vanilla_gradient"]).rows
    right = [row.predictions[0][2] for row in rows]
    assert right == (run.maps["prediction"] == run.maps["label"]).tolist()
    assert any(right)
    assert not all(right)
    assert all((row.predictions[0][0] == row.label) == mark for row, mark in zip(rows, right, strict=True))


def test_large_pictures_are_shrunk_and_say_so(make_run) -> None:
    found = gallery([read_run(make_run(gallery=2, size=224))], ["vanilla_gradient"])
    assert (found.width, found.shrunk) == (128, True)
    assert _pixels(found.rows[0].image.uri).shape == (128, 128, 3)
    assert _pixels(found.rows[0].heatmaps["vanilla_gradient"][0].uri).shape == (128, 128, 3)


def test_small_pictures_stay(make_run) -> None:
    found = gallery([read_run(make_run(gallery=2))], ["vanilla_gradient"])
    assert (found.width, found.shrunk) == (28, False)


def test_a_map_that_was_not_measured_is_left_out(make_run) -> None:
    both = [read_run(make_run("a")), read_run(make_run("b", saliency=("vanilla_gradient",)))]
    row = gallery(both, ["vanilla_gradient", "smoothgrad"]).rows[0]
    assert row.heatmaps["smoothgrad"][1] is None
    assert row.heatmaps["smoothgrad"][0] is not None


def test_maps_of_other_images_are_refused(make_run) -> None:
    with pytest.raises(InputError, match="'a' and 'b' kept maps of different images"):
        gallery([read_run(make_run("a", gallery=3)), read_run(make_run("b", gallery=4))], ["vanilla_gradient"])
