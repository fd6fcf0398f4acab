"""Digests that tell a split from itself before somebody changed it."""

import shutil
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, Dataset, fingerprint, load
from pellucid.data.fingerprint import pixels_of


def held(images, **changes):
    labels = torch.arange(len(images)) % 2
    return Dataset("dots", "test", ("a", "b"), tuple(images.shape[1:]), labels, images, images, **changes)


@pytest.fixture
def pets(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / split / name / f"{i}.png")
    return tmp_path / "pets"


def digest(path, split="train", **more):
    return load(Data(name="folder", path=str(path), validation=0, **more), split).contents


def test_one_pixel_of_many_images_counts_where_a_fingerprint_passes_it_by() -> None:
    images = torch.randint(0, 256, (1000, 1, 3, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = images.clone()
    changed[501, 0, 1, 1] += 1
    assert held(images).fingerprint == held(changed).fingerprint
    assert held(images).contents != held(changed).contents


def test_images_that_are_decoded_have_the_digest_of_those_in_memory() -> None:
    class OneByOne:
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, i):
            return self.images[i]

    images = torch.randint(0, 256, (300, 1, 3, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    lazy = Dataset("dots", "test", ("a", "b"), (1, 3, 3), torch.arange(300) % 2, OneByOne(images), images)
    assert lazy.contents == held(images).contents
    assert lazy.images is not None and lazy.contents == held(images).contents
    assert pixels_of(lazy, [5, 299]) == pixels_of(held(images), [5, 299]) != pixels_of(held(images), [299, 5])


@pytest.mark.parametrize("read", [2 << 30, 0], ids=["whole files", "their ends"])
def test_what_of_a_folder_counts(pets, tmp_path, monkeypatch, read) -> None:
    monkeypatch.setattr(fingerprint, "READ", read)
    before = digest(pets)
    shutil.move(pets, tmp_path / "moved")
    assert digest(tmp_path / "moved") == before
    cat = tmp_path / "moved" / "train" / "cat"
    (cat / "0.png").rename(cat / "00.png")
    assert digest(tmp_path / "moved") == before, "a name that keeps the order"
    seen = {before}

    def changed(what):
        now = digest(tmp_path / "moved")
        assert now not in seen, what
        seen.add(now)

    (cat / "00.png").rename(cat / "9.png")
    changed("the order")
    one, other = (cat / "1.png").read_bytes(), (tmp_path / "moved" / "train" / "dog" / "1.png").read_bytes()
    (cat / "1.png").write_bytes(other)
    (tmp_path / "moved" / "train" / "dog" / "1.png").write_bytes(one)
    changed("pictures of two classes exchanged")
    Image.new("RGB", (9, 9)).save(cat / "2.png")
    changed("another picture of the same name")
    (cat / "3.png").unlink()
    changed("one less")
    (tmp_path / "moved" / "train" / "dog").rename(tmp_path / "moved" / "train" / "wolf")
    (tmp_path / "moved" / "test" / "dog").rename(tmp_path / "moved" / "test" / "wolf")
    changed("another name of a class")


def test_cut_parts_have_the_digests_of_their_own_files(pets) -> None:
    parts = {split: digest(pets, split, test=None) for split in ("train", "test")}
    shutil.copy(pets / "test" / "cat" / "0.png", pets / "test" / "cat" / "more.png")
    assert digest(pets) == parts["train"] and digest(pets, "test") != parts["test"]


def test_an_accent_written_in_two_ways_is_one_class() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    part = Dataset("places", "test", ("bar", apart), (1, 4, 4), torch.tensor([0, 1]), images, images)
    assert part.with_classes([composed, "bar"]).labels.tolist() == [1, 0]
    twice = Dataset("places", "test", (composed, apart), (1, 4, 4), torch.tensor([0, 1]), images, images)
    with pytest.raises(InputError, match="two classes of places's test split have one name, written in different"):
        twice.with_classes([composed, "bar"])
