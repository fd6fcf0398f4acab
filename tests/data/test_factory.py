"""Datasets of one's own, defined in a temporary package as a user would."""

import os
import subprocess
import sys
import textwrap
from itertools import count

import pyarrow.parquet as pq
import pytest
import torch
import yaml

import pellucid.data.dataset
from pellucid import Data, Evaluation, Experiment, InputError, Network, evaluate, fit
from pellucid.data import Loader, load
from pellucid.runs.settings import read_experiment

DRAWN = """
    import numpy as np, torch
    from PIL import Image
    from torch.utils.data import Dataset

    class Drawn(Dataset):
        classes = ["dark", "light"]

        def __init__(self, split, n=12, side=28):
            self.n, self.side, self.offset = n, side, len(split)

        def __len__(self):
            return self.n

        def pixels(self, i):
            noise = np.random.default_rng([i, self.offset]).integers(0, 100, (self.side, self.side))
            return (noise + 155 * (i % 2)).astype(np.uint8)

        def __getitem__(self, i):
            return self.pixels(i), i % 2

    def make(split):
        return None if split == "validation" else Drawn(split)
"""

NUMBER = count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes `DRAWN` and more into a package and returns the package's name."""

    def write(more=""):
        name = f"drawn_{os.getpid()}_{next(NUMBER)}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(textwrap.dedent(DRAWN) + textwrap.dedent(more))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    return write


def data(name, **more):
    return Data(**{"name": name, "validation": 0} | more)


def refused(name, split="train", **more):
    with pytest.raises(InputError) as caught:
        _ = load(data(name, **more), split).images
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_images_in_every_form(package):
    name = package("""
        FORMS = {
            "picture": Image.fromarray,
            "hw": lambda pixels: pixels,
            "hwc": lambda pixels: pixels[:, :, None],
            "chw": lambda pixels: pixels[None],
            "tensor": lambda pixels: torch.from_numpy(pixels)[None],
            "float": lambda pixels: torch.from_numpy(pixels)[None] / 255,
            "double": lambda pixels: pixels / 255,
            "colour": lambda pixels: np.stack([pixels] * 3),
            "half": lambda pixels: (torch.from_numpy(pixels)[None] / 255).half().requires_grad_(),
        }

        class Form(Drawn):
            def __getitem__(self, i):
                return FORMS[self.form](self.pixels(i)), i % 2

        for form in FORMS:
            globals()[form] = type(form, (Form,), {"form": form})
    """)
    forms = ("picture", "hw", "hwc", "chw", "tensor", "float", "double", "colour", "half")
    parts = [load(data(f"{name}:{form}", channels=1), "train") for form in forms]
    expected = load(data(f"{name}.Drawn", channels=1), "train")
    assert (expected.shape, expected.classes, expected.name) == ((1, 28, 28), ("dark", "light"), f"{name}.Drawn")
    assert expected.labels.tolist() == [0, 1] * 6
    for part in parts:
        assert torch.equal(part.images, expected.images)
        assert part.fingerprint == expected.fingerprint
    assert load(data(f"{name}:hw"), "train").shape == (3, 28, 28)
    assert load(data(f"{name}:hw", size=9, channels=1), "train").images.shape == (12, 1, 9, 9)


def test_items_may_be_dictionaries(package):
    name = package("""
        class Named(Drawn):
            def __getitem__(self, i):
                return {"label": i % 2, "image": self.pixels(i), "age": 3}
    """)
    assert load(data(f"{name}:Named"), "train").fingerprint == load(data(f"{name}:Drawn"), "train").fingerprint


@pytest.mark.parametrize(
    "labels",
    ["i % 2", "np.int64(i % 2)", "torch.tensor(i % 2)", "torch.tensor([i % 2])", "np.array([[i % 2]], np.uint8)"],
)
def test_labels_of_every_kind(package, labels):
    name = package(f"""
        class Labelled(Drawn):
            def __getitem__(self, i):
                return self.pixels(i), {labels}
    """)
    labels = load(data(f"{name}:Labelled"), "train").labels
    assert labels.tolist() == [0, 1] * 6 and labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("attributes", "passes"),
    [
        ("targets = [0, 1] * 50", False),
        ("labels = torch.tensor([[0], [1]] * 50)", False),
        ("targets, labels = [0, 1], np.array([0, 1] * 50)", False),  # targets of another length
        ("targets = [1, 0] * 50", True),  # not those of the items, as torchvision's before a target_transform
        ("targets = ['dark', 'light'] * 50", True),
        ("targets = [[0], [1, 1]] * 50", True),
        ("def labels(self): ...", True),
        ("", True),
    ],
)
def test_labels_are_taken_where_they_lie_and_read_once_otherwise(package, attributes, passes):
    name = package(f"""
        READ = []

        class Labelled(Drawn):
            {attributes}

            def __init__(self, split):
                super().__init__(split, n=100)

            def __getitem__(self, i):
                READ.append((i, self.offset))
                return super().__getitem__(i)
    """)
    part = load(data(f"{name}:Labelled"), "test")
    assert part.labels.tolist() == [0, 1] * 50
    read = sys.modules[name].READ
    assert len({i for i, offset in read if offset == len("test")}) == (100 if passes else 8)
    assert len(read) < 150 if passes else len(read) < 50


@pytest.mark.parametrize("label", ["[i % 2, 1]", "np.array([i % 2, 1], bool)", "torch.tensor([i % 2, 1.0])"])
@pytest.mark.parametrize("attribute", ["", "targets = [[0, 1], [1, 1]] * 6", "labels = np.array([[1, 1], [0, 1]] * 6)"])
def test_several_labels_an_image(package, label, attribute):
    name = package(f"""
        class Several(Drawn):
            {attribute}

            def __getitem__(self, i):
                return self.pixels(i), {label}
    """)
    part = load(data(f"{name}:Several"), "train")
    assert part.task == "multilabel" and part.labels.dtype == torch.float32
    assert part.labels.tolist() == [[0, 1], [1, 1]] * 6
    batch = next(Loader(part, batch_size=4, shuffle=False, seed=0, drop_last=True).epoch(0))
    assert torch.equal(batch.label, part.labels[:4]) and batch.task == "multilabel"
    wider = part.with_classes(["light", "grey", "dark"])
    assert wider.labels[:, [0, 2]].tolist() == [[1, 0], [1, 1]] * 6 and bool(wider.labels[:, 1].isnan().all())
    assert part.fingerprint != load(data(f"{name}:Drawn"), "train").fingerprint


def test_labels_that_are_not_known_and_labels_that_only_look_one_hot(package):
    name = package("""
        class Unknown(Drawn):
            def __getitem__(self, i):
                return self.pixels(i), [i % 2, (-1, np.nan)[i % 2]]

        class Single(Drawn):
            task = "multilabel"

            def __getitem__(self, i):
                return self.pixels(i), [i % 2, 1 - i % 2]
    """)
    part = load(data(f"{name}:Unknown"), "train")
    assert part.labels[:, 0].tolist() == [0, 1] * 6 and bool(part.labels[:, 1].isnan().all())
    assert load(data(f"{name}:Single"), "train").task == "multilabel"
    assert load(data(f"{name}:Drawn"), "train").facts()["task"] == "multiclass"


def test_groups_of_an_own_dataset_stay_together(package):
    name = package("""
        class Grouped(Drawn):
            def __init__(self, split):
                super().__init__(split)
                self.patients = [f"{split}{i // 3}" for i in range(self.n)]

        def whole(split):
            return Grouped(split) if split == "train" else None

        def few(split):
            made = Grouped(split)
            made.patients = made.patients[1:]
            return made
    """)
    choice = data(f"{name}:whole", group="patients", validation=0.25, test=0.25)
    found = [load(choice, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in found] == [6, 3, 3]
    assert all({int(row) // 3 for row in part.source.rows} & {0, 1, 2, 3} for part in found)
    assert sorted(int(row) for part in found for row in part.source.rows) == list(range(12))
    assert all(len(part.source.rows) == 3 * len({int(row) // 3 for row in part.source.rows}) for part in found)
    assert refused(f"{name}:whole", group="doctors") == (
        f"{name}:whole('train') has no list doctors, which --dataset.group asks for; expected one entry for each image"
    )
    assert "few('train').patients has 11 entries for 12 images" in refused(f"{name}:few", group="patients")


def test_validation_is_the_datasets_own_or_kept_from_training(package):
    name = package("""
        def refuses(kind):
            def made(split):
                if split == "validation":
                    raise kind(split)
                return Drawn(split)
            return made

        key, value, missing = refuses(KeyError), refuses(ValueError), refuses(NotImplementedError)
        crash = refuses(RuntimeError)

        def untested(split):
            return None if split == "test" else Drawn(split)
    """)
    own = [load(data(f"{name}:Drawn", validation=3), split) for split in ("train", "validation", "test")]
    assert [len(part) for part in own] == [12, 12, 12]
    assert len({part.fingerprint for part in own}) == 3
    for path in ("make", "key", "value", "missing"):
        parts = [load(data(f"{name}:{path}", validation=3), split) for split in ("train", "validation", "test")]
        assert [len(part) for part in parts] == [9, 3, 12]
    assert len(load(data(f"{name}:untested"), "test")) == 12  # tested on validation images, as a folder is
    assert refused(f"{name}:crash") == f"{name}:crash('validation') raised RuntimeError: validation"


def test_classes_come_from_the_dataset_or_are_given(package):
    name = package("""
        class Bare(Drawn):
            classes = None

        class Turned(Drawn):
            def __init__(self, split):
                super().__init__(split)
                if split == "test":
                    self.classes = ["light", "dark"]

        class Few(Drawn):
            def __init__(self, split):
                super().__init__(split)
                self.classes = ("dark", "light", "grey") if split == "train" else ("dark", "light")

        class More(Drawn):
            def __init__(self, split):
                super().__init__(split)
                self.classes = ("dark", "light") if split == "train" else ("dark", "odd")
    """)
    assert refused(f"{name}:Bare") == (
        f"{name}:Bare('train') has no classes; give the dataset an attribute classes, such as ['cat', 'dog'], or name "
        "them with --dataset.classes, in Python Data(classes=('cat', 'dog'))"
    )
    assert load(data(f"{name}:Bare", classes=["a", "b"]), "train").classes == ("a", "b")
    turned = load(data(f"{name}:Turned"), "test")
    assert (turned.classes, turned.labels.tolist()) == (("dark", "light"), [1, 0] * 6)
    few = load(data(f"{name}:Few"), "test")
    assert (few.classes, few.labels.tolist()) == (("dark", "light", "grey"), [0, 1] * 6)
    assert f"class 'odd' of {name}:More's test split is none of the 2 classes known: dark, light" in refused(
        f"{name}:More", "test"
    )
    given = load(data(f"{name}:Drawn", classes=("grey", "light", "dark")), "train")
    assert (given.classes, given.labels.tolist()) == (("grey", "light", "dark"), [2, 1] * 6)
    assert "class 'dark' of" in refused(f"{name}:Drawn", classes=("light", "grey"))


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (
            "{'pixels': self.pixels(i), 'label': 0}",
            "item 0 of {} is a dictionary of pixels, label; expected a tuple of two, (image, label), or a dictionary",
        ),
        ("(self.pixels(i), 0, i)", "item 0 of {} is a tuple of 3 values; expected a tuple of two, (image, label)"),
        ("self.pixels(i)", "item 0 of {} is of type ndarray; expected a tuple of two"),
        ("(self.pixels(i) / 99, 0)", "expected floats in [0, 1]; leave normalisation to the network"),
        ("(self.pixels(i) * np.nan, 0)", "image 0 of {} has a pixel that is nan; expected floats in [0, 1]"),
        ("(np.zeros((4, 9, 9)), 0)", "image 0 of {} is float64 (4, 9, 9), expected a picture or numbers (h, w)"),
        ("('0.png', 0)", "image 0 of {} is str, expected a picture or numbers"),
        ("(np.zeros((9, 9 + i)), 0)", "image 1 of {} is 10 x 9 pixels, but the first image is 9 x 9; give a size"),
        ("(self.pixels(i), 'dark')", "the label of item 0 of {} is 'dark'; expected an integer"),
        ("(self.pixels(i), 1.0)", "the label of item 0 of {} is 1.0; expected an integer"),
        ("(self.pixels(i), np.array([0, 1]))", "the labels of {} are one-hot: every image has exactly one of 2; give"),
        ("(self.pixels(i), [0.0, 0.5])", "{}: label 1 of image 0 is 0.5; accepted are 1 where it applies, 0 where it"),
        ("(self.pixels(i), [-1, np.nan])", "{}: no label of image 0 is known, nor of 11 others; leave such images out"),
        (
            "(self.pixels(i), [0, 1, 1])",
            "the label of item 0 of {} is [0, 1, 1]; expected an integer, such as 0, or, wh",
        ),
        ("(self.pixels(i), [1, 1] if i else 1)", "some labels of {} are single numbers and others are rows of 2; give"),
        ("(self.pixels(i), np.zeros((99, 99)))", "the label of item 0 of {} is array([[0., 0., 0."),
        ("(self.pixels(i), i)", "{}: label 2 of image 2 is outside the 2 classes 0 to 1"),
        ("(self.pixels(i), -i)", "{}: label -1 of image 1 is outside the 2 classes 0 to 1"),
        ("(self.pixels(i), 1 / (i - 3))", "item 3 of {} cannot be read: ZeroDivisionError: division by zero"),
        ("(np.random.rand(9, 9), 0)", "image 0 of {} differs each time it is read; leave random changes to"),
    ],
)
def test_items_that_are_none(package, item, sentence):
    name = package(f"""
        class Odd(Drawn):
            def __getitem__(self, i):
                return {item}
    """)
    assert sentence.replace("{}", f"{name}:Odd('train')") in refused(f"{name}:Odd")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("Drawn(split, n=0)", "{} has no image"),
        ("None", "{}:odd has no train split"),
        ("{'train': Drawn(split)}", "{} is of type dict; expected a torch.utils.data.Dataset with a length"),
        (
            "type('Stream', (torch.utils.data.IterableDataset,), {'__iter__': iter})()",
            "{} is of type Stream; expected a torch.utils.data.Dataset",
        ),
        ("1 / 0", "{} raised ZeroDivisionError: division by zero"),
        ("int('one\\ntwo')", "{} raised ValueError: invalid literal"),
        ("named(Drawn(split), 'dark light')", "{}.classes is a str, not a list of names"),
        ("named(Drawn(split), ['dark', 'dark'])", "class 'dark' occurs twice in {}:odd's train split"),
        ("Drawn(split, side=28 if split == 'train' else 9)", "give a size to which all are resized"),
    ],
)
def test_factories_that_make_no_dataset(package, made, sentence):
    name = package(f"""
        def named(dataset, classes):
            dataset.classes = classes
            return dataset

        def odd(split):
            return {made}
    """)
    split = "test" if "size" in sentence else "train"
    place = f"{name}" if ":odd" in sentence else f"{name}:odd('train')"
    assert sentence.replace("{}", place) in refused(f"{name}:odd", split)


def test_an_import_path_with_a_typo(package):
    name = package("constant = 3")
    for path in (f"{name}:mkae", f"{name}.mkae", f"{name}x:make", "fashion.mnist"):
        sentence = refused(path)
        assert sentence.startswith(f"cannot import {path!r}: ")
        assert "a dataset is one of fashion-mnist, mnist, " in sentence
        assert "folder, huggingface, or the import" in sentence
    assert f"dataset '{name}:constant' is of type int; expected a function or class that takes a split" in refused(
        f"{name}:constant"
    )
    broken = package("1 / 0")
    assert refused(f"{broken}:make").startswith(f"cannot import '{broken}:make': ZeroDivisionError: division by zero;")
    with pytest.raises(InputError, match=r"takes no path, got 'there'"):
        Data(name=f"{name}:make", path="there")


def test_streamed_batches_are_those_held_in_memory(package, monkeypatch):
    choice = data(f"{package()}:make")
    settings = {"batch_size": 4, "shuffle": True, "seed": 0, "drop_last": False}
    held = Loader(load(choice, "train"), **settings)
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    streamed = Loader(load(choice, "train"), workers=1, **settings)
    for left, right in zip(held.epoch(0), streamed.epoch(0), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left[:3], right[:3], strict=True))


def test_a_network_is_trained_and_measured_and_its_run_names_the_dataset(package, tmp_path):
    choice = data(f"{package()}:make", channels=1, validation=4, augmentation="none")
    experiment = Experiment(dataset=choice, network=Network(name="lenet5"), epochs=3, batch_size=4)
    run = fit(experiment, tmp_path / "run", accelerator="cpu", progress=False)
    assert read_experiment(run) == experiment
    evaluate(run, Evaluation(metrics=("clean_accuracy",), images=10), accelerator="cpu", progress=False)
    rows = pq.read_table(run / "rows.parquet")
    assert rows.num_rows == 10
    assert set(rows["label"].to_pylist()) == {0, 1}


@pytest.mark.slow
def test_the_command_line_trains_on_it(package, tmp_path):
    name = package()
    command = [sys.executable, "-m", "pellucid", "train", "run", "--dataset.name", f"{name}:make"]
    command += ["--dataset.channels=1", "--dataset.validation=4", "--dataset.classes=[light, dark]"]
    command += ["--epochs=1", "--batch_size=4", "--schedule.name=constant"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((tmp_path / "run" / "experiment.yaml").read_text())["dataset"]
    assert (written["name"], written["classes"]) == (f"{name}:make", ["light", "dark"])
