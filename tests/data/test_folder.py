import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid.data.dataset
from pellucid.core.errors import InputError
from pellucid.data import Data, Loader, load


def write(path, *, splits=("train", "test"), classes=("cat", "dog"), n=4, size=(12, 12), mode="RGB", suffix="png"):
    random = np.random.default_rng(0)
    for split in splits:
        for name in classes:
            (path / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(path / split / name / f"{i:03}.{suffix}")
    return path


def data(path, **more):
    return Data(**{"name": "folder", "path": str(path), "validation": 0} | more)


def test_classes_are_the_sorted_folders_and_pixels_those_of_the_files(tmp_path):
    write(tmp_path / "pets", classes=("dog", "ant", "cat"))
    train = load(data(tmp_path / "pets"), "train")
    assert train.name == "pets"
    assert train.classes == ("ant", "cat", "dog")
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for i, file in enumerate(sorted((tmp_path / "pets" / "train").glob("*/*"))):
        assert np.array_equal(train.image(i).permute(1, 2, 0).numpy(), np.array(Image.open(file)))
    assert torch.equal(train.take([3, 0]), train.images[[3, 0]])


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "webp", "tiff"])
def test_other_formats(tmp_path, suffix):
    write(tmp_path, suffix=suffix)
    assert load(data(tmp_path), "test").images.shape == (8, 3, 12, 12)


def test_what_is_tested_and_what_validates(tmp_path):
    own = write(tmp_path / "own", splits=("train", "val", "test"))
    assert [len(load(data(own, validation=3), split)) for split in ("train", "validation", "test")] == [8, 8, 8]
    two = write(tmp_path / "two", splits=("train", "valid"))
    parts = [load(data(two, validation=3), split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [5, 3, 8]
    assert len({part.mean for part in parts}) == 1
    with pytest.raises(InputError, match="one has no test split"):
        load(data(write(tmp_path / "one", splits=("train",))), "test")


def test_moments_are_those_of_the_training_pixels(tmp_path):
    train = load(data(write(tmp_path)), "train")
    pixels = train.images.double() / 255
    assert train.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert train.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    assert load(data(tmp_path), "test").mean == train.mean


def test_a_file_that_is_no_image_is_named_without_an_address_in_memory(tmp_path):
    write(tmp_path)
    (tmp_path / "train" / "dog" / "notes.png").write_text("no picture")
    with pytest.raises(InputError, match=r"notes.png is no image that can be read: its format is unknown$"):
        _ = load(data(tmp_path), "train").images


def test_sizes_must_agree_unless_one_is_given(tmp_path):
    write(tmp_path)
    Image.new("RGB", (10, 30)).save(tmp_path / "train" / "dog" / "odd.png")
    with pytest.raises(InputError, match=r"odd.png is 10 x 30 pixels, but the first image is 12 x 12; give a size"):
        _ = load(data(tmp_path), "train").images
    assert load(data(tmp_path, size=8), "train").images.shape == (9, 3, 8, 8)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named_wherever_it_is_decoded(tmp_path, monkeypatch, workers):
    write(tmp_path, suffix="jpg")
    bad = tmp_path / "train" / "dog" / "002.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    sentence = r"^[^\n]*dog/002.jpg is no image that can be read: [^\n]*$"
    with pytest.raises(InputError, match=sentence):
        _ = load(data(tmp_path), "train").images
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    loader = Loader(load(data(tmp_path), "train"), batch_size=4, shuffle=False, seed=0, drop_last=True, workers=workers)
    with pytest.raises(InputError, match=sentence):
        list(loader.epoch(0))


def test_streamed_batches_are_those_held_in_memory_in_every_epoch(tmp_path, monkeypatch):
    write(tmp_path, n=9, size=(15, 11))
    choice = data(tmp_path, size=10, validation=4)
    settings = {"batch_size": 4, "shuffle": True, "seed": 0, "drop_last": False, "augmentation": "default"}
    held = Loader(load(choice, "train"), **settings)
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    streamed = Loader(load(choice, "train"), workers=2, **settings)
    for epoch in range(2):
        for a, b in zip(held.epoch(epoch), streamed.epoch(epoch), strict=True):
            assert all(torch.equal(left, right) for left, right in zip(a[:3], b[:3], strict=True))
    # An epoch that was left in its middle leaves nothing behind.
    next(iter(streamed.epoch(2)))
    again = [batch.index.tolist() for batch in streamed.epoch(3)]
    assert again == [batch.index.tolist() for batch in held.epoch(3)]


def test_two_epochs_of_one_streaming_loader_at_once_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    dataset = load(data(write(tmp_path)), "train")
    loader = Loader(dataset, batch_size=2, shuffle=False, seed=0, drop_last=True, workers=0)
    first = loader.epoch(0)
    next(first)
    next(loader.epoch(1))
    with pytest.raises(RuntimeError, match="one epoch at a time"):
        next(first)


def test_the_reader_can_be_sent_to_a_process(tmp_path):
    pictures = load(data(write(tmp_path)), "train").source
    assert torch.equal(pickle.loads(pickle.dumps(pictures))[1], pictures[1])


def test_mistakes_in_the_folders(tmp_path):
    with pytest.raises(InputError, match="is no folder; expected one with train/CLASS"):
        load(data(tmp_path / "nowhere"), "train")
    with pytest.raises(InputError, match="has no folder train"):
        load(data(tmp_path), "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="train has no folder of a class"):
        load(data(tmp_path), "train")
    (tmp_path / "train").rmdir()
    write(tmp_path)
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty has no image; accepted are .jpg"):
        load(data(tmp_path), "train")
    (tmp_path / "train" / "empty").rmdir()
    write(tmp_path, splits=("test",), classes=("bird",))
    with pytest.raises(InputError, match=r"class 'bird' of .* is none of the 2 classes"):
        load(data(tmp_path), "test")
    with pytest.raises(InputError, match="validation must be less than the 8 training images"):
        load(data(tmp_path, validation=8), "train")


def test_labels_follow_the_names_of_the_training_classes(tmp_path):
    write(tmp_path, splits=("train",), classes=("ant", "cat", "dog"))
    write(tmp_path, splits=("test",), classes=("cat", "dog"))
    test = load(data(tmp_path), "test")
    assert (test.classes, test.labels.tolist()) == (("ant", "cat", "dog"), [1] * 4 + [2] * 4)
    test = load(data(tmp_path, classes=("dog", "cat", "ant")), "test")
    assert (test.classes, test.labels.tolist()) == (("dog", "cat", "ant"), [1] * 4 + [0] * 4)


def test_splits_of_different_sizes_need_a_size(tmp_path):
    write(tmp_path, splits=("train",))
    write(tmp_path, splits=("test",), size=(10, 30))
    with pytest.raises(InputError, match="the test images of .* are 10 x 30 pixels, but its training images 12 x 12"):
        load(data(tmp_path), "test")
    assert load(data(tmp_path, size=8), "test").shape == (3, 8, 8)
