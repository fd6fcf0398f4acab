import pytest

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
        ({"name": "folder", "path": "x", "channels": 2}, "channels must be 1 or 3, got 2"),
        ({"name": "folder", "path": "x", "size": 0}, "size must be at least 1 pixel, got 0"),
        ({"validation": -1}, "validation must be 0 or more images, got -1"),
        ({"limit": 0}, "limit must be at least 1 image, got 0"),
        ({"workers": -1}, "workers must be 0 or more, got -1"),
    ],
)
def test_a_mistake_is_named(wrong, sentence):
    with pytest.raises(InputError) as caught:
        Data(**wrong)
    assert sentence in str(caught.value)
