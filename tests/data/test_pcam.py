import gzip
import pickle

import h5py
import numpy as np
import pytest
import torch

import pellucid.data.dataset
from pellucid.core.errors import InputError
from pellucid.data import Data, Loader, load

COUNTS = {"train": 20, "valid": 6, "test": 8}


def write(folder, labels=None):
    random = np.random.default_rng(0)
    arrays = {}
    for name, n in COUNTS.items():
        arrays[name] = random.integers(0, 256, (n, 96, 96, 3), dtype=np.uint8)
        with h5py.File(folder / f"camelyonpatch_level_2_split_{name}_x.h5", "w") as file:
            file["x"] = arrays[name]
        with h5py.File(folder / f"camelyonpatch_level_2_split_{name}_y.h5", "w") as file:
            file["y"] = (np.arange(n) % 2 if labels is None else np.full(n, labels)).reshape(n, 1, 1, 1)
    return arrays


def data(path, **more):
    return Data(name="pcam", path=str(path), **more)


def test_the_three_splits_are_pcams_own(tmp_path):
    arrays = write(tmp_path)
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        patches = load(data(tmp_path), split)
        assert patches.shape == (3, 96, 96)
        assert patches.classes == ("normal", "tumour")
        assert np.array_equal(patches.images.permute(0, 2, 3, 1).numpy(), arrays[name])
        assert patches.labels.tolist() == [i % 2 for i in range(COUNTS[name])]
        assert patches.augmentation == "flips"


def test_packed_files_are_unpacked_once(tmp_path):
    write(tmp_path)
    for file in list(tmp_path.iterdir()):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    packed = load(data(tmp_path), "test")
    (tmp_path / "camelyonpatch_level_2_split_test_x.h5.gz").unlink()
    assert torch.equal(packed.images, load(data(tmp_path), "test").images)
    broken = tmp_path / "camelyonpatch_level_2_split_train_x.h5.gz"
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"train_x.h5.gz is damaged or truncated"):
        load(data(tmp_path), "train")
    assert not (tmp_path / "camelyonpatch_level_2_split_train_x.h5").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_streamed_batches_are_those_held_in_memory(tmp_path, monkeypatch, workers):
    write(tmp_path)
    settings = {"batch_size": 6, "shuffle": True, "seed": 3, "drop_last": True, "augmentation": "default"}
    held = Loader(load(data(tmp_path), "train"), **settings)
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    dataset = load(data(tmp_path), "train")
    assert dataset.images is None
    streamed = Loader(dataset, workers=workers, **settings)
    before = torch.get_rng_state()
    for epoch, start in ((0, 0), (1, 1)):
        for a, b in zip(held.epoch(epoch, start), streamed.epoch(epoch, start), strict=True):
            assert all(torch.equal(left, right) for left, right in zip(a[:3], b[:3], strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_reader_survives_pickling_after_use(tmp_path):
    write(tmp_path)
    patches = load(data(tmp_path), "train").source
    first = patches[0]
    assert torch.equal(pickle.loads(pickle.dumps(patches))[0], first)


def test_mistakes(tmp_path):
    with pytest.raises(InputError, match=r"does not hold pcam: expected camelyonpatch_level_2_split_train_x.h5"):
        load(data(tmp_path), "train")
    write(tmp_path, labels=2)
    with pytest.raises(InputError, match="label 2 of image 0 is outside the 2 classes"):
        load(data(tmp_path), "train")
    file = tmp_path / "camelyonpatch_level_2_split_test_x.h5"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"test_x.h5 is damaged, truncated or no HDF5 file: .*truncated file"):
        load(data(tmp_path), "test")
    with h5py.File(file, "w") as other:
        other["x"] = np.zeros((4, 96, 96), np.float32)
    with pytest.raises(InputError, match=r"holds float32 \(4, 96, 96\), expected uint8"):
        load(data(tmp_path), "test")
