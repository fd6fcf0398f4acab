"""Decoding of JPEG files at fewer pixels, and the first look at a folder, which takes them too."""

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, headers, load


def data(path, **more):
    return Data(**{"name": "folder", "path": str(path), "validation": 0} | more)


def smooth(path, side=64, **how):
    """A folder of JPEG files without detail, of which little is lost at half their resolution."""
    for name in ("ant", "bee"):
        (path / "train" / name).mkdir(parents=True)
        for i in range(3):
            soft = Image.fromarray(np.random.default_rng(i).integers(0, 256, (4, 6, 3), dtype=np.uint8))
            picture = soft.resize((side + 16, side), Image.Resampling.BICUBIC)
            picture.save(path / "train" / name / f"{i}.jpg", quality=95, **how)
    return path


def test_fast_decoding_gives_nearly_the_same_pixels_from_fewer(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    smooth(tmp_path, exif=turned)
    exact, fast = (load(data(tmp_path, size=16, decoding=how), "train").images.int() for how in ("exact", "fast"))
    assert 0 < (exact - fast).abs().float().mean() < 2, "of 255"
    whole, reduced = (load(data(tmp_path, size=size, decoding="fast"), "train") for size in (64, 16))
    assert torch.equal(whole.images, load(data(tmp_path, size=64), "train").images), "no smaller scale is large enough"
    assert [split.source.values[0].size for split in (whole, reduced)] == [(80, 64), (20, 16)]


def test_the_first_look_refuses_what_decoding_refuses(tmp_path):
    smooth(tmp_path)
    whole, cut = (tmp_path / "train" / "ant" / f"{i}.jpg" for i in (0, 1))
    assert headers.looked_through(str(whole), 3, reduced=True).shape == (3, 8, 10)
    cut.write_bytes(cut.read_bytes()[:-600])
    for reduced in (True, False):
        with pytest.raises(OSError, match="truncated"):
            headers.looked_through(str(cut), 3, reduced=reduced)


@pytest.mark.parametrize("choice", [{"name": "folder", "path": "photos"}, {"name": "truth:shapes", "size": 64}])
def test_fast_decoding_is_for_files_that_are_resized(choice):
    with pytest.raises(InputError, match="^decoding fast is for folder with a size, got "):
        Data(decoding="fast", **choice)
    with pytest.raises(InputError, match="^decoding must be exact or fast, got 'quick'$"):
        Data(decoding="quick", **choice)
