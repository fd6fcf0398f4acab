import pytest

from pellucid.config import from_config, to_config
from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.runs.settings import Experiment


def test_two_equal_choices_are_equal_and_printable():
    assert Data(limit=3) == Data(limit=3) != Data()
    assert eval(repr(Data(limit=3))) == Data(limit=3)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "cifar"}, "unknown dataset 'cifar', did you mean 'cifar10'"),
        ({"name": "qqq"}, "unknown dataset 'qqq'; known are fashion-mnist"),
        ({"augmentation": "crop"}, "unknown augmentation 'crop'"),
        ({"labels": "random"}, "unknown kind of labels 'random'; known are true, shuffled"),
        ({"labels": "shufled"}, "unknown kind of labels 'shufled', did you mean 'shuffled'"),
        ({"name": "folder"}, "dataset 'folder' needs a path, got None"),
        ({"size": 32}, "size, channels and classes are for folder, huggingface and datasets of your own"),
        ({"classes": ("a",)}, "got size None, channels None, classes ('a',)"),
        ({"name": "my_package"}, "huggingface, and the import path of your own, such as my_package:make_dataset"),
        ({"name": "a:b", "path": "x"}, "dataset 'a:b' is called with the split alone and takes no path, got 'x'"),
        ({"name": "a.b", "classes": "cat,dog"}, "classes must be names, such as ('cat', 'dog'), got 'cat,dog'"),
        ({"name": "a.b", "classes": ()}, "classes must be names, such as ('cat', 'dog'), got ()"),
        ({"name": "a.b", "classes": (1, 2)}, "classes must be names, such as ('cat', 'dog'), got (1, 2)"),
        ({"name": "folder", "path": "x", "channels": 17}, "channels must be from 1 to 16, got 17"),
        ({"name": "folder", "path": "x", "channels": 0}, "channels must be from 1 to 16, got 0"),
        ({"name": "folder", "path": "x", "size": 0}, "size must be at least 1 pixel, got 0"),
        ({"validation": -1}, "validation must be at least 0, got -1"),
        ({"validation": 1.5}, "validation must be a number of images, or a share of them in [0, 1), got 1.5"),
        (
            {"name": "folder", "path": "x", "test": -0.1},
            "test must be a number of images, or a share of them in [0, 1)",
        ),
        ({"name": "folder", "path": "x", "test": -3}, "test must be at least 0, got -3"),
        ({"test": 0.2}, "fashion-mnist has test images of its own, got test 0.2"),
        ({"name": "truth:shapes", "validation": 5001}, "validation must be at most the 5000"),
        ({"table": "x.csv"}, "table is for folder, got 'x.csv' for fashion-mnist"),
        ({"group": "patient"}, "group is for folder, huggingface and datasets of your own, got 'patient'"),
        ({"name": "folder", "path": "x", "group": "patient"}, "one pair of brackets, which finds it in the path of a"),
        ({"name": "folder", "path": "x", "group": "(a"}, "group of a folder is a regular expression with one pair"),
        ({"name": "folder", "path": "x", "label_column": "y"}, "label_column is for huggingface and for a table"),
        ({"limit": 0}, "limit must be at least 1 image, got 0"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
    ],
)
def test_a_mistake_is_named(wrong, sentence):
    with pytest.raises(InputError) as caught:
        Data(**wrong)
    assert sentence in str(caught.value)


def test_classes_are_a_tuple_however_they_are_given():
    choice = Data(name="my_package:make", classes=["cat", "dog"])
    assert choice == Data(name="my_package:make", classes=("cat", "dog"))
    assert from_config(to_config(choice), Data) == choice
    assert from_config({"name": "mnist"}, Data) == Data(name="mnist")


def test_a_share_goes_through_a_file_and_a_number_stays_one():
    for validation in (0, 3, 0.25, None):
        choice = Data(name="folder", path="x", validation=validation)
        again = from_config(to_config(choice), Data)
        assert again == choice and type(again.validation) is type(validation)
    # A default of the place must not be one of its name.
    place = {"dataset": {"name": "folder", "path": "x"}}
    assert from_config(place, Experiment).dataset == Data(name="folder", path="x")
    assert Data(name="folder", path="x").settled().validation is None
    # What older runs were begun with.
    assert Data(name="cifar10").settled() == Data(name="cifar10", validation=5000)
    assert Data(name="folder", table="labels.csv", group="patient").group == "patient"
