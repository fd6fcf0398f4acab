import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import decoding


def picture(mode, value, size=(4, 4)):
    return Image.new(mode, size, value)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (picture("1", 1), (255, 255, 255)),
        (picture("L", 100), (100, 100, 100)),
        (picture("LA", (100, 255)), (100, 100, 100)),
        (picture("RGBA", (10, 20, 30, 255)), (10, 20, 30)),
        (picture("RGBA", (10, 20, 30, 0)), (255, 255, 255)),
        (picture("RGB", (10, 20, 30)).quantize(), (10, 20, 30)),
        (picture("CMYK", (0, 0, 0, 255)), (0, 0, 0)),
        (picture("I;16", 65535), (255, 255, 255)),
        (picture("I;16", 257 * 77), (77, 77, 77)),
        (picture("I", 257 * 77), (77, 77, 77)),
        (picture("F", 77 / 255), (77, 77, 77)),
    ],
)
def test_every_accepted_mode_becomes_colour(image, colour):
    pixels = decoding.pixels(image, size=None, channels=3, where="x")
    assert pixels.dtype == torch.uint8
    assert (pixels.flatten(1) == torch.tensor(colour, dtype=torch.uint8)[:, None]).all()


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (picture("F", 77), r"x has values from 77 to 77; fractions must be in \[0, 1\], so divide them"),
        (picture("HSV", 0), "x has mode 'HSV'; accepted are"),
        (picture("I", 70000), "x has values from 70000 to 70000; 16-bit grey is 0 to 65535"),
    ],
)
def test_other_modes_are_refused(image, sentence):
    with pytest.raises(InputError, match=sentence):
        decoding.pixels(image, size=None, channels=3, where="x")


@pytest.mark.parametrize("channels", [2, 4, 5, 16])
def test_other_numbers_of_channels_are_each_scaled_as_a_grey_picture(channels):
    array = np.random.default_rng(0).integers(0, 256, (20, 24, channels), dtype=np.uint8)
    found = decoding.pixels(array, size=9, channels=channels, where="x")
    for band, grey in zip(found, array.transpose(2, 0, 1), strict=True):
        assert torch.equal(band, decoding.pixels(grey, size=9, channels=1, where="x")[0])
    for same in (array.transpose(2, 0, 1), torch.from_numpy(array), array / 255):
        whole = decoding.pixels(same, size=None, channels=channels, where="x")
        assert np.array_equal(whole.permute(1, 2, 0).numpy(), array)
    with pytest.raises(InputError, match=rf"x is uint8 \(20, 24, {channels}\), expected numbers \(h, w, 7\) or"):
        decoding.pixels(array, size=9, channels=7, where="x")


def test_a_picture_with_four_channels_keeps_them_where_four_are_asked_for():
    found = decoding.pixels(picture("RGBA", (1, 2, 3, 4)), size=2, channels=4, where="x")
    assert found.flatten(1)[:, 0].tolist() == [1, 2, 3, 4]


def test_one_channel_is_luma():
    assert decoding.pixels(picture("RGB", (255, 0, 0)), size=None, channels=1, where="x").unique().tolist() == [76]


def test_the_camera_was_turned(tmp_path):
    upright = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(4, 8, 3))
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = 6
    upright.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        pixels = decoding.pixels(turned, size=None, channels=3, where="x")
    expected = np.array(upright.transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), expected)


def test_resizing_keeps_the_middle_and_does_nothing_at_the_same_size():
    wide = Image.new("RGB", (60, 20))
    wide.paste((250, 0, 0), (20, 0, 40, 20))
    pixels = decoding.pixels(wide, size=10, channels=3, where="x")
    assert pixels.shape == (3, 10, 10)
    assert pixels[0, :, 1:-1].unique().tolist() == [250]
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (7, 7, 3), dtype=np.uint8))
    assert np.array_equal(
        decoding.pixels(square, size=7, channels=3, where="x").permute(1, 2, 0).numpy(), np.array(square)
    )
