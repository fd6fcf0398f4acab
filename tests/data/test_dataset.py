import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.data import Data, Dataset, fingerprint, load, loading
from pellucid.data.splits import Stored, Truth


@pytest.fixture
def numbered(monkeypatch):
    """A training set of 50 images and a test set of 20, whose pixels are their number."""

    def read(split):
        if split == "validation":
            return None
        numbers = torch.arange(50) if split == "train" else torch.arange(100, 120)
        images = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
        return Stored(images, numbers % 10, tuple("0123456789"), (1, 2, 2))

    monkeypatch.setattr(loading, "_reader", lambda data: (read, "numbers"))


def numbers(part):
    return part.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("validation", [0, 1, 20, 49])
def test_training_and_validation_images_are_a_partition(numbered, validation):
    choice = Data(validation=validation)
    train, kept = load(choice, "train"), load(choice, "validation")
    assert (len(train), len(kept)) == (50 - validation, validation)
    assert sorted(numbers(train) + numbers(kept)) == list(range(50))
    assert numbers(load(choice, "test")) == list(range(100, 120))
    for part in (train, kept):
        assert part.labels.tolist() == [number % 10 for number in numbers(part)]


def test_the_split_depends_on_its_seed_alone(numbered):
    kept = numbers(load(Data(validation=20), "validation"))
    assert kept == numbers(load(Data(validation=20, augmentation="flip", limit=3), "validation"))
    assert kept != numbers(load(Data(validation=20, split_seed=1), "validation"))
    # The validation images of a smaller validation set stay validation images.
    assert set(numbers(load(Data(validation=5), "validation"))) < set(kept)


def test_a_limit_takes_training_images_of_all_places(numbered):
    train = numbers(load(Data(validation=20), "train"))
    few = numbers(load(Data(validation=20, limit=10), "train"))
    assert len(few) == 10
    assert set(few) < set(train)
    assert few == sorted(few)
    assert max(few) > 25 > min(few)
    assert numbers(load(Data(validation=20, limit=30), "train")) == train
    assert len(load(Data(validation=20, limit=10), "test")) == 20


@pytest.mark.parametrize("limit", [None, 25])
def test_shuffled_labels_are_the_training_labels_in_another_order(numbered, limit):
    choice = Data(validation=20, limit=limit)
    shuffled = Data(validation=20, limit=limit, labels="shuffled")
    train, changed = load(choice, "train"), load(shuffled, "train")
    assert numbers(train) == numbers(changed)
    assert sorted(train.labels.tolist()) == sorted(changed.labels.tolist())
    assert (train.labels != changed.labels).sum() > len(train) / 2
    assert torch.equal(changed.labels, load(shuffled, "train").labels)
    for split in ("validation", "test"):
        assert torch.equal(load(choice, split).labels, load(shuffled, split).labels)
        assert numbers(load(choice, split)) == numbers(load(shuffled, split))


def test_the_order_of_shuffled_labels_depends_on_the_seed(numbered):
    one, other = (load(Data(validation=0, labels="shuffled", split_seed=seed), "train") for seed in (0, 1))
    assert numbers(one) == numbers(other)
    assert not torch.equal(one.labels, other.labels)


def test_too_much_is_asked_for(numbered):
    with pytest.raises(InputError, match="validation must be less than the 50 training images of numbers, got 50"):
        load(Data(validation=50), "train")
    with pytest.raises(InputError, match="limit must be at most the 30 training images of numbers, got 31"):
        load(Data(validation=20, limit=31), "train")
    with pytest.raises(InputError, match="unknown split 'dev'"):
        load(Data(), "dev")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=9))
def test_take_gives_the_images_in_that_order_whether_held_or_decoded(rows):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 3, 2, 2), dtype=np.uint8))
    held = Dataset("x", "test", ("a",), (3, 2, 2), torch.zeros(7, dtype=torch.int64), images, images)
    decoded = Dataset("x", "test", ("a",), (3, 2, 2), held.labels, _OneByOne(images), images)
    assert torch.equal(held.take(rows), images[rows])
    assert torch.equal(decoded.take(rows), images[rows])
    assert torch.equal(decoded.images, images)
    assert torch.equal(decoded.take(torch.tensor(rows, dtype=torch.int64)), images[rows])


def test_positions_outside_the_split_are_named():
    images = torch.zeros(7, 1, 2, 2, dtype=torch.uint8)
    part = Dataset("x", "test", ("a",), (1, 2, 2), torch.zeros(7, dtype=torch.int64), images, images)
    for wrong in (7, -1):
        with pytest.raises(InputError, match=f"position {wrong} is outside the 7 images of x's test split"):
            part.image(wrong)


def test_a_constant_channel_has_no_deviation_to_divide_by():
    images = torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)
    part = Dataset("x", "train", ("a",), (1, 2, 2), torch.zeros(3, dtype=torch.int64), images, images)
    assert part.mean == pytest.approx((0.2,))
    assert part.std == (1.0,)


class _OneByOne:
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i]


def pets(images=None, labels=(1, 0, 1), classes=("dog", "cat"), **changes):
    images = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2) if images is None else images
    settings = {"name": "pets", "split": "test", "classes": classes, "shape": (1, 2, 2), "source": images}
    return Dataset(**(settings | {"labels": torch.tensor(labels), "training": images} | changes))


def test_a_fingerprint_is_of_classes_labels_and_pixels_alone():
    images = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2)
    same = pets(source=_OneByOne(images), name="elsewhere", workers=3)
    assert pets().fingerprint == same.fingerprint
    changed = images.clone()
    changed[2, 0, 1, 1] += 1
    wide = pets(images.reshape(3, 1, 1, 4), shape=(1, 1, 4))
    others = (pets(changed), pets(labels=(1, 0, 0)), pets(classes=("dog", "cow")), wide)
    assert len({pets().fingerprint, *(other.fingerprint for other in others)}) == 5


def test_a_fingerprint_decodes_few_images_and_is_the_same_in_every_process():
    class Counted(_OneByOne):
        read = 0

        def __getitem__(self, i):
            Counted.read += 1
            return super().__getitem__(i)

    images = (torch.arange(4000) % 251).to(torch.uint8).reshape(1000, 1, 2, 2)
    part = pets(Counted(images), labels=[0] * 1000)
    assert part.fingerprint == "8789dd94e70c8c3c"
    assert Counted.read == fingerprint.FINGERPRINTED


def test_facts_are_plain_values():
    facts = pets().facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["name"], facts["classes"], facts["shape"], facts["images"]) == ("pets", ["dog", "cat"], [1, 2, 2], 3)
    assert facts["mean"] == [pytest.approx(5.5 / 255)]
    assert facts["fingerprint"] == pets().fingerprint


def test_labels_follow_the_names_of_the_classes():
    part = pets()
    assert part.with_classes(["dog", "cat"]) is part
    more = part.with_classes(["ant", "cat", "dog"])
    assert [more.classes[label] for label in more.labels] == [part.classes[label] for label in part.labels]
    assert more.labels.dtype == torch.int64
    assert torch.equal(more.images, part.images)


@pytest.mark.parametrize(
    ("classes", "names", "sentence"),
    [
        (("dog", "cow"), ("cat", "dog"), "class 'cow' of pets's test split is none of the 2 classes known: cat, dog"),
        (("dog", "dog"), ("cat", "dog"), "class 'dog' occurs twice in pets's test split"),
        (("dog", "cat"), ("dog", "cat", "cat"), "class 'cat' occurs twice in the known classes"),
        (("dog", "cat"), tuple(map(str, range(30))), "known: .*, 19 and 10 more$"),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, names, sentence):
    with pytest.raises(InputError, match=sentence):
        pets(classes=classes).with_classes(names)


def test_the_truth_stays_with_its_images(monkeypatch):
    def read(split):
        if split == "validation":
            return None
        numbers = torch.arange(50)
        images = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
        masks = (numbers[:, None, None] % 2 == 0).expand(-1, 2, 2)
        truth = Truth(masks, {"cause": images + 100}, {"left": ~masks})
        return Stored(images, numbers % 10, tuple("0123456789"), (1, 2, 2), truth)

    monkeypatch.setattr(loading, "_reader", lambda data: (read, "numbers"))
    choice = Data(validation=20, limit=10)
    for part in (load(choice, "train"), load(choice, "validation"), load(choice, "test")):
        number = part.images[:, 0, 0, 0]
        known = part.truth_of(range(len(part)))
        assert torch.equal(known.mask[:, 0, 0], number % 2 == 0)
        assert torch.equal(known.changed["cause"][:, 0, 0, 0], number + 100)
        assert torch.equal(known.parts["left"], ~known.mask)
        few = part.truth_of([3, 1])
        assert torch.equal(few.mask, known.mask[[3, 1]])


def test_masks_of_a_reader_are_decoded_where_they_are_looked_at():
    class Masks:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return torch.full((2, 2), i == 2)

    truth = Truth(Masks()).of(torch.tensor([1, 2]))
    assert truth.masks(torch.tensor([1, 0])).tolist() == [[[True, True], [True, True]], [[False] * 2, [False] * 2]]


def test_some_images_are_the_same_ones_and_keep_what_is_known_of_them():
    n = 20
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 4, 4).contiguous()
    masks = torch.zeros(n, 4, 4, dtype=torch.bool)
    masks[:, 0, 0] = torch.arange(n) % 2 == 0
    labels, names = torch.arange(n) % 3, {"camera": tuple(map(str, range(n)))}
    whole = Dataset(
        "d", "validation", ("a", "b", "c"), (1, 4, 4), labels, images, images, truth=Truth(masks), columns=names
    )
    few = whole.some(7, seed=1)
    rows = few.take(range(7))[:, 0, 0, 0].long()
    assert len(few) == len(set(rows.tolist())) == 7 and rows.tolist() == sorted(rows.tolist())
    assert torch.equal(few.labels, labels[rows]) and few.columns["camera"] == tuple(map(str, rows.tolist()))
    assert torch.equal(few.truth_of(range(7)).mask, masks[rows])
    assert torch.equal(few.take(range(7)), whole.some(7, seed=1).take(range(7)))
    assert whole.some(n, seed=1) is whole
