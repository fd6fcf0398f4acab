"""Heatmaps as pictures: scale, colours, sizes."""

import base64
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from safetensors.numpy import save_file

from pellucid.core.errors import InputError
from pellucid.report.gallery import COLUMNS, extremes, gallery, orders, snapshots, strips
from pellucid.runs.evaluated import Run, read_run


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


def test_a_signed_heatmap_goes_from_blue_over_white_to_red(make_run) -> None:
    heatmap = np.linspace(-3, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
    run = _with_map(read_run(make_run(gallery=2)), heatmap)
    signed, usual = (row.heatmaps["vanilla_gradient"][0] for row in gallery([run], ["vanilla_gradient"]).rows)
    top = np.percentile(np.abs(heatmap), 99)
    assert (signed.signed, usual.signed) == (True, False) and signed.top == pytest.approx(top)
    level = np.round(255 * np.clip(heatmap / top / 2 + 0.5, 0, 1)).astype(int)
    np.testing.assert_array_equal(_pixels(signed.uri), np.round(255 * colormaps["RdBu_r"](level)[:, :, :3]))


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
    found = gallery([read_run(make_run(gallery=2, size=320))], ["vanilla_gradient"])
    assert (found.width, found.shrunk, found.native) == (224, True, 320)
    head, _, data = found.rows[0].image.uri.partition(",")
    assert head == "data:image/jpeg;base64" and Image.open(io.BytesIO(base64.b64decode(data))).size == (320, 320)
    assert _pixels(found.rows[0].heatmaps["vanilla_gradient"][0].uri).shape == (224, 224, 3)


def test_small_pictures_stay(make_run) -> None:
    found = gallery([read_run(make_run(gallery=2))], ["vanilla_gradient"])
    assert (found.width, found.shrunk, found.native) == (28, False, 28)


def test_a_map_that_was_not_measured_is_left_out(make_run) -> None:
    both = [read_run(make_run("a")), read_run(make_run("b", saliency=("vanilla_gradient",)))]
    row = gallery(both, ["vanilla_gradient", "smoothgrad"]).rows[0]
    assert row.heatmaps["smoothgrad"][1] is None
    assert row.heatmaps["smoothgrad"][0] is not None


def test_maps_of_other_images_are_refused(make_run) -> None:
    with pytest.raises(InputError, match="'a' and 'b' kept maps of different images"):
        gallery([read_run(make_run("a", gallery=3)), read_run(make_run("b", gallery=4))], ["vanilla_gradient"])


def test_more_pictures_than_a_page_can_show_are_sampled(make_run, monkeypatch) -> None:
    monkeypatch.setattr("pellucid.report.gallery.MOST", 10)
    run = read_run(make_run(gallery=24))
    found = gallery([run], ["vanilla_gradient"])
    assert (len(found.rows), found.kept) == (10, 24)
    assert found.rows[0].index == run.maps["index"][0] and found.rows[-1].index == run.maps["index"][-1]


def test_orders_are_the_rows_values(make_run) -> None:
    runs = [read_run(make_run("a")), read_run(make_run("b", saliency=("vanilla_gradient",)))]
    pictures = gallery(runs, ["vanilla_gradient"])
    found = {measure.name: rows for measure, rows in orders(runs, pictures).items()}
    assert found["gini"] == [[float(f"{run.values('gini')[i]:.3g}") for run in runs] for i in range(6)]
    assert [row[1] for row in found["gini/smoothgrad"]] == [None] * 6
    assert "robust_accuracy" not in found and "index" not in found


def test_a_map_says_what_its_brightest_is(make_run) -> None:
    run = read_run(make_run(gallery=1))
    picture = gallery([run], ["vanilla_gradient"]).rows[0].heatmaps["vanilla_gradient"][0]
    assert picture.top == pytest.approx(np.percentile(run.maps["heatmap/vanilla_gradient"][0], 99))


def _snapshots(run: Run, *, size: int = 28, epochs: int = 12, pictures: int = 2) -> None:
    random = np.random.default_rng(0)
    kept = {
        "images": random.integers(0, 255, (pictures, 1, size, size), dtype=np.uint8),
        "label": np.arange(pictures),
        "epoch": np.arange(epochs),
        "prediction": np.zeros((epochs, pictures), np.int64),
        "heatmap": random.random((epochs, pictures, size, size), dtype=np.float32),
    }
    save_file(kept, run.path / "snapshots.safetensors")


def test_snapshots_are_a_strip_a_picture_from_the_first_epoch_to_the_last(make_run) -> None:
    runs = [read_run(make_run(name)) for name in ("a", "b")]
    assert snapshots(runs) == []
    _snapshots(runs[1])
    found = snapshots(runs)
    assert [(strip.run, strip.image.alt) for strip in found] == [
        ("b", "A picture of T-shirt/top"),
        ("b", "A picture of Trouser"),
    ]
    titles = [title for title, _ in found[0].maps]
    assert len(titles) == COLUMNS
    assert (titles[0], titles[-1]) == ("epoch 1: T-shirt/top", "epoch 12: T-shirt/top")


def test_damaged_snapshots_are_told(make_run) -> None:
    run = read_run(make_run())
    (run.path / "snapshots.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"snapshots.safetensors cannot be read .* delete it, or train again"):
        snapshots([run])


def test_images_with_the_smallest_and_largest_q_are_shown(make_run) -> None:
    run = read_run(make_run(method="SCAAT"))
    assert extremes([run]) == []
    kept = {
        "images": np.zeros((4, 1, 28, 28), np.uint8),
        "index": np.array([5, 3, 8, 1]),
        "label": np.array([0, 1, 2, 3]),
        "q": np.array([0.1, 0.15, 0.95, 0.9], np.float32),
    }
    save_file(kept, run.path / "extremes.safetensors")
    (_, smallest, first), (_, largest, second) = extremes([run])
    assert (smallest, largest) == ("smallest q", "largest q")
    assert [said for said, _ in first + second] == [
        "T-shirt/top, q 0.10",
        "Trouser, q 0.15",
        "Pullover, q 0.95",
        "Dress, q 0.90",
    ]
    assert first[1][1].alt == "Training picture 3, Trouser, q 0.15"


def test_strips_of_deep_networks_and_large_pictures_are_cut(make_run) -> None:
    run = read_run(make_run(size=224, gallery=1, saliency=("vanilla_gradient",)))
    layers = [f"network.layer{i}" for i in range(50)]
    run.maps["randomised/vanilla_gradient"] = np.ones((1, 50, 224, 224), np.float32)
    run.info["columns"]["randomisation"] = {"parameters": {"layers": layers}}
    (strip,) = strips([run], "vanilla_gradient")
    assert [title for title, _ in strip.maps][::7] == ["as trained", "random from layer49 on"]
    assert _pixels(strip.maps[0][1].uri).shape == (224, 224, 3)
