import pytest

from pellucid.config import from_config, to_config
from pellucid.core.errors import InputError
from pellucid.data import Data


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
        ({"name": "a:b", "path": "x"}, "dataset 'a:b' is called with a split alone and takes no path, got 'x'"),
        ({"name": "a.b", "classes": "cat,dog"}, "classes must be names, such as ('cat', 'dog'), got 'cat,dog'"),
        ({"name": "a.b", "classes": ()}, "classes must be names, such as ('cat', 'dog'), got ()"),
        ({"name": "a.b", "classes": (1, 2)}, "classes must be names, such as ('cat', 'dog'), got (1, 2)"),
        ({"name": "folder", "path": "x", "channels": 2}, "channels must be 1 or 3, got 2"),
        ({"name": "folder", "path": "x", "size": 0}, "size must be at least 1 pixel, got 0"),
        ({"validation": -1}, "validation must be at least 0, got -1"),
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
