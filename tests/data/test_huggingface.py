import sys

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, load

NAMES = ["cat", "dog"]


def pictures(n=6, size=8, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n)]


def table(images, labels, *, image=None, label=None):
    features = datasets.Features(
        {"image": image or datasets.Image(), "label": label or datasets.ClassLabel(names=NAMES)}
    )
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)


def pil(arrays):
    return [Image.fromarray(array) for array in arrays]


def data(path, **more):
    return Data(**{"name": "huggingface", "path": str(path), "validation": 0} | more)


def test_a_saved_dataset_with_its_own_splits(tmp_path):
    arrays = {name: pictures(seed=seed) for seed, name in enumerate(("train", "validation", "test"))}
    saved = datasets.DatasetDict({name: table(pil(images), [0, 1] * 3) for name, images in arrays.items()})
    saved.save_to_disk(tmp_path / "pets")
    for split, images in arrays.items():
        part = load(data(tmp_path / "pets"), split)
        assert (part.name, part.classes, part.shape) == ("pets", ("cat", "dog"), (3, 8, 8))
        assert np.array_equal(part.images.permute(0, 2, 3, 1).numpy(), np.stack(images))
        assert part.labels.tolist() == [0, 1] * 3
    assert load(data(tmp_path / "pets", size=4, channels=1), "test").images.shape == (6, 1, 4, 4)


def test_one_table_is_the_training_set_and_is_cut(tmp_path):
    table(pil(pictures()), [0, 1] * 3).save_to_disk(tmp_path / "one")
    assert len(load(data(tmp_path / "one", validation=2), "train")) == 4
    assert len(load(data(tmp_path / "one", validation=2), "validation")) == 2
    with pytest.raises(InputError, match="one has no test split"):
        load(data(tmp_path / "one"), "test")


def test_arrays_of_floats_and_of_integers_are_the_same_images(tmp_path):
    arrays = pictures()
    layouts = {
        "float-hwc": ([array / 255 for array in arrays], datasets.Array3D((8, 8, 3), "float32")),
        "float-chw": ([(array / 255).transpose(2, 0, 1) for array in arrays], datasets.Array3D((3, 8, 8), "float32")),
        "int-hwc": (arrays, datasets.Array3D((8, 8, 3), "uint8")),
    }
    for name, (images, feature) in layouts.items():
        table(images, [0, 1] * 3, image=feature).save_to_disk(tmp_path / name)
        loaded = load(data(tmp_path / name), "train").images
        assert torch.equal(loaded, torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("pixel", "sentence"),
    [(np.nan, "image 2 of .* has a pixel that is nan"), (1.5, "image 2 of .* has pixels from .* to 1.5")],
)
def test_pixels_that_are_none(tmp_path, pixel, sentence):
    images = [array / 255 for array in pictures()]
    images[2][3, 3, 1] = pixel
    table(images, [0, 1] * 3, image=datasets.Array3D((8, 8, 3), "float32")).save_to_disk(tmp_path / "x")
    with pytest.raises(InputError, match=sentence):
        _ = load(data(tmp_path / "x"), "train").images


def test_mistakes(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"huggingface dataset '.*nowhere' cannot be loaded: [^\n]+$"):
        load(data(tmp_path / "nowhere"), "train")
    table(pil(pictures()), [0, 1, -1] * 2).save_to_disk(tmp_path / "hidden")
    with pytest.raises(InputError, match="label -1 of image 2 is outside the 2 classes"):
        load(data(tmp_path / "hidden"), "train")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(InputError, match="has no image column among text; expected Image or one of image"):
        load(data(tmp_path / "text"), "train")
    images = pil(pictures())
    images[4] = Image.new("RGB", (9, 8))
    table(images, [0, 1] * 3).save_to_disk(tmp_path / "odd")
    with pytest.raises(InputError, match=r"image 4 of .* is 9 x 8 pixels, but the first image is 8 x 8"):
        _ = load(data(tmp_path / "odd"), "train").images
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs the package datasets .* `pip install pellucid\[huggingface\]`"):
        load(data(tmp_path / "odd"), "train")


def test_splits_that_order_their_classes_differently_are_mapped_by_name(tmp_path):
    turned = datasets.ClassLabel(names=NAMES[::-1])
    splits = {"train": table(pil(pictures()), [0, 1] * 3), "test": table(pil(pictures()), [0, 1] * 3, label=turned)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "pets")
    test = load(data(tmp_path / "pets"), "test")
    assert (test.classes, test.labels.tolist()) == (("cat", "dog"), [1, 0] * 3)
    test = load(data(tmp_path / "pets", classes=("cow", "dog", "cat")), "test")
    assert (test.classes, test.labels.tolist()) == (("cow", "dog", "cat"), [1, 2] * 3)
    splits["test"] = table(pil(pictures()), [0, 1] * 3, label=datasets.ClassLabel(names=["cat", "cow"]))
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "other")
    with pytest.raises(InputError, match="class 'cow' of other's test split is none of the 2 classes known: cat, dog"):
        load(data(tmp_path / "other"), "test")


def test_integer_labels_are_named_by_their_numbers_unless_names_are_given(tmp_path):
    numbers = datasets.Value("int64")
    splits = {
        "train": table(pil(pictures()), [0, 1, 2] * 2, label=numbers),
        "test": table(pil(pictures()), [0, 1] * 3, label=numbers),
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "numbers")
    assert load(data(tmp_path / "numbers"), "test").classes == ("0", "1", "2")
    assert load(data(tmp_path / "numbers", classes=("a", "b", "c")), "test").classes == ("a", "b", "c")
    with pytest.raises(InputError, match="label 2 of image 2 is outside the 2 classes"):
        load(data(tmp_path / "numbers", classes=("a", "b")), "train")


def test_of_several_columns_the_one_of_the_usual_name_is_taken(tmp_path):
    masks, old = [Image.new("RGB", (8, 8), "white")] * 6, datasets.ClassLabel(names=["old", "new"])
    columns = {
        "annotation": (masks, datasets.Image()), "image": (pil(pictures()), datasets.Image()),
        "camera": ([0, 1] * 3, old), "label": ([1, 1, 1, 0, 0, 0], datasets.ClassLabel(names=NAMES)),
    }  # fmt: skip

    def saved(place, columns):
        features = datasets.Features({name: kind for name, (_, kind) in columns.items()})
        made = datasets.Dataset.from_dict({name: values for name, (values, _) in columns.items()}, features=features)
        made.save_to_disk(tmp_path / place)
        return load(data(tmp_path / place, test=0), "train")

    found = saved("usual", columns)
    assert (found.classes, found.labels.tolist()) == (("cat", "dog"), [1, 1, 1, 0, 0, 0])
    assert found.image(0).float().std() > 0  # not the annotation
    words = saved("words", columns | {"label": (["ill", "well"] * 3, datasets.Value("string"))})
    assert words.classes == ("ill", "well")
    columns["finding"] = columns.pop("label")
    with pytest.raises(InputError, match="has several label columns, camera, finding; name one with --dataset.label_"):
        saved("several", columns)


def test_columns_of_any_name(tmp_path):
    arrays = pictures()
    features = {
        "scan": datasets.Array3D((8, 8, 3), "uint8"),
        "finding": datasets.Value("string"),
        "patient": datasets.Value("string"),
    }
    made = datasets.Dataset.from_dict(
        {"scan": arrays, "finding": ["ill", "well"] * 3, "patient": ["a", "a", "b", "b", "c", None]},
        features=datasets.Features(features),
    )
    made.save_to_disk(tmp_path / "scans")
    with pytest.raises(InputError, match=r"no label column among scan, .* or its name with --dataset.label_column"):
        load(data(tmp_path / "scans"), "train")
    with pytest.raises(InputError, match=r"unknown column of .* 'findings', did you mean 'finding'"):
        load(data(tmp_path / "scans", label_column="findings"), "train")
    choice = data(tmp_path / "scans", label_column="finding", group="patient", test=2, validation=1)
    found = [load(choice, split) for split in ("train", "validation", "test")]
    assert [sorted(int(row) for row in part.source.rows) for part in found] == [[2, 3, 4], [5], [0, 1]]
    assert all((part.classes, part.columns) == (("ill", "well"), {}) for part in found)
    told = load(data(tmp_path / "scans", label_column="finding", classes=("well", "ill")), "train")
    assert (told.classes, told.labels.tolist()) == (("well", "ill"), [1, 0] * 3)
    assert told.columns == {"patient": ("a", "a", "b", "b", "c", "")}
    made.remove_columns("patient").save_to_disk(tmp_path / "plain")
    assert load(data(tmp_path / "plain"), "train").classes == ("ill", "well")


def test_columns_of_words_are_subgroups_and_captions_are_not(tmp_path):
    named = datasets.ClassLabel(names=["old", "new"])
    n = 60
    columns = {
        "image": [[[0] * 4] * 4] * n, "label": [0, 1] * (n // 2), "camera": [1, 0] * (n // 2),
        "flash": [True, False] * (n // 2), "caption": list(map(str, range(n))), "age": [3] * n,
    }  # fmt: skip
    kinds = {
        "image": datasets.Array2D((4, 4), "uint8"), "label": datasets.ClassLabel(names=NAMES), "camera": named,
        "flash": datasets.Value("bool"), "caption": datasets.Value("string"), "age": datasets.Value("int64"),
    }  # fmt: skip
    datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).save_to_disk(tmp_path / "x")
    train = load(data(tmp_path / "x"), "train")
    assert set(train.columns) == {"camera", "flash"}
    assert train.columns["camera"][:2] == ("new", "old") and train.columns["flash"][:2] == ("True", "False")
