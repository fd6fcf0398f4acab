import gzip
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.data import Data, idx, load
from pellucid.data.sources import find


def packed(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder, *, n=30, test=12, pack=True, classes=10, seed=0):
    """The four files, as the official ones but small."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    arrays = {}
    for prefix, count in (("train", n), ("t10k", test)):
        arrays[f"{prefix}-images-idx3-ubyte"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{prefix}-labels-idx1-ubyte"] = (np.arange(count) % classes).astype(np.uint8)
    for name, array in arrays.items():
        content = packed(array)
        (folder / (f"{name}.gz" if pack else name)).write_bytes(gzip.compress(content) if pack else content)
    return arrays


@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_parse_inverts_writing(shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(idx.parse(packed(array), "x", dimensions=len(shape)).numpy(), array)


@given(cut=st.integers(0, 27))
def test_every_truncation_is_an_error(cut):
    content = packed(np.zeros((2, 2, 3), np.uint8))
    assert len(content) == 28
    with pytest.raises(InputError, match=r"^images "):
        idx.parse(content[:cut], "images", dimensions=3)


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_packed_or_not_and_in_torchvisions_layout(tmp_path, pack, below):
    arrays = write(tmp_path / below, pack=pack)
    data = Data(path=str(tmp_path), validation=0)
    train = load(data, "train")
    assert train.shape == (1, 28, 28)
    assert np.array_equal(train.images[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert np.array_equal(load(data, "test").labels.numpy(), arrays["t10k-labels-idx1-ubyte"])


def test_mnist_has_digits_for_classes(tmp_path):
    write(tmp_path / "MNIST" / "raw")
    mnist = load(Data(name="mnist", path=str(tmp_path), validation=5), "train")
    assert mnist.classes == tuple("0123456789")
    assert len(mnist) == 25


def test_truncated_file_tells_expected_and_found_length(tmp_path):
    write(tmp_path, pack=False)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match=rf"{file} is truncated .* asks for 23536 bytes, found 23531"):
        load(Data(path=str(tmp_path), validation=0), "train")


def test_truncated_gzip_names_the_file(tmp_path):
    write(tmp_path)
    file = tmp_path / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte.gz is damaged or truncated at"):
        load(Data(path=str(tmp_path), validation=0), "test")


def test_other_mistakes_in_the_files(tmp_path):
    data = Data(path=str(tmp_path), validation=0)
    with pytest.raises(InputError, match=r"has no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz"):
        load(data, "train")
    write(tmp_path, pack=False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(packed(np.full(30, 10, np.uint8)))
    with pytest.raises(InputError, match="label 10 of image 0 is outside the 10 classes"):
        load(data, "train")
    labels.write_bytes(packed(np.zeros(29, np.uint8)))
    with pytest.raises(InputError, match=r"has 30 images, but .* has 29 labels"):
        load(data, "train")
    labels.write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"is not an idx file .* begins with 89504e47, expected 00000801"):
        load(data, "train")
    with pytest.raises(InputError, match="does not exist"):
        load(Data(path=str(tmp_path / "nowhere")), "train")


def test_fashion_mnist_is_the_published_dataset():
    train, validation, test = (load(Data(), split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (55000, 5000, 10000)
    pixels = torch.cat([train.images, validation.images])
    labels = torch.cat([train.labels, validation.labels])
    assert labels.bincount().tolist() == [6000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    # Over all 60 000 images, whatever the split; the numbers of the literature.
    mean = float(pixels.float().mean()) / 255
    assert train.mean == pytest.approx((mean,), abs=5e-5)
    assert train.std == pytest.approx((float(pixels.float().std()) / 255,), abs=5e-5)
    assert test.labels[:6].tolist() == [9, 2, 1, 1, 6, 1]
    assert test.classes[9] == "Ankle boot"


def test_fashion_mnist_by_an_independent_reader():
    files = {
        name: next(
            path for path in (find("fashion-mnist") / name, find("fashion-mnist") / f"{name}.gz") if path.exists()
        )
        for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    }
    contents = {
        name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for name, path in files.items()
    }
    test = load(Data(), "test")
    images = np.frombuffer(contents["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 28, 28)
    assert np.array_equal(test.images[:, 0].numpy(), images)
    assert np.array_equal(test.labels.numpy(), np.frombuffer(contents["t10k-labels-idx1-ubyte"], np.uint8, offset=8))


def test_images_that_were_changed_in_place_are_read_as_they_are_stored(tmp_path):
    arrays = write(tmp_path)
    data = Data(name="mnist", path=str(tmp_path), validation=5)
    for _ in range(2):
        test = load(data, "test")
        assert np.array_equal(test.images[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"])
        assert np.array_equal(test.labels.numpy(), arrays["t10k-labels-idx1-ubyte"])
        test.images.zero_()
        test.labels.zero_()


def test_files_that_were_written_again_are_read_again(tmp_path):
    data = Data(name="mnist", path=str(tmp_path), validation=5)
    for seed in range(3):
        arrays = write(tmp_path, seed=seed)
        assert np.array_equal(load(data, "test").images[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"])


def test_a_file_is_unpacked_once(tmp_path, monkeypatch):
    write(tmp_path)
    unpacked, asked = idx.unpacked, []
    monkeypatch.setattr(idx, "unpacked", lambda path: asked.append(path) or unpacked(path))
    for split in ("train", "test", "train", "test"):
        load(Data(name="mnist", path=str(tmp_path), validation=5), split)
    assert len(asked) == len(set(asked)) == 4
