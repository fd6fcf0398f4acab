from itertools import chain

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.data import Augmentation, Data, Dataset, Loader, load
from pellucid.data.splits import Truth


def dataset(n=23, augmentation="none"):
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 4, 4)
    images[:, :, 0, 0] = 255
    return Dataset("x", "train", ("a", "b"), (1, 4, 4), torch.arange(n) % 2, images, images, augmentation)


def indices(batches):
    return [batch.index.tolist() for batch in batches]


def test_batches_hold_the_images_at_their_positions():
    data = dataset()
    for batch in Loader(data, batch_size=5, shuffle=True, seed=0, drop_last=False).epoch(0):
        assert batch.image.dtype == torch.float32
        assert torch.equal(batch.image * 255, data.images[batch.index].float())
        assert torch.equal(batch.label, data.labels[batch.index])
        assert float(batch.image.max()) == 1


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30), batch=st.integers(1, 30), shuffle=st.booleans(), drop=st.booleans(), epoch=st.integers(0, 3)
)
def test_an_epoch_visits_every_image_once(n, batch, shuffle, drop, epoch):
    if drop and batch > n:
        return
    loader = Loader(dataset(n), batch_size=batch, shuffle=shuffle, seed=1, drop_last=drop)
    seen = indices(loader.epoch(epoch))
    assert len(seen) == len(loader)
    assert [len(part) for part in seen[:-1]] == [batch] * (len(seen) - 1)
    flat = [*chain(*seen)]
    assert len(set(flat)) == len(flat) == (n // batch * batch if drop else n)
    if not shuffle:
        assert flat == list(range(len(flat)))


@settings(max_examples=30, deadline=None)
@given(world=st.sampled_from([1, 2, 3, 6]), drop=st.booleans(), n=st.integers(12, 40))
def test_processes_share_each_global_batch(world, drop, n):
    def loader(rank, world):
        return Loader(dataset(n), batch_size=12, shuffle=True, seed=0, drop_last=drop, rank=rank, world=world)

    whole = indices(loader(0, 1).epoch(2))
    parts = [indices(loader(rank, world).epoch(2)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(whole)}
    assert [[*chain(*batch)] for batch in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("augmentation", ["none", "flips", "crop-flip", "resized-crop-flip"])
def test_resuming_in_the_middle_gives_the_rest(augmentation):
    loader = Loader(dataset(), batch_size=4, shuffle=True, seed=0, drop_last=True, augmentation=augmentation)
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, start=2))
    assert len(rest) == len(whole) - 2
    for a, b in zip(whole[2:], rest, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(a[:3], b[:3], strict=True))
    assert list(loader.epoch(1, start=len(loader))) == []


def test_order_and_augmentation_depend_on_seed_and_epoch_and_on_nothing_else():
    def batches(seed, epoch):
        settings = {"batch_size": 4, "shuffle": True, "drop_last": True, "augmentation": Augmentation(padding=2)}
        return list(Loader(dataset(), seed=seed, **settings).epoch(epoch))

    torch.manual_seed(1)
    first = batches(0, 0)
    before = torch.get_rng_state()
    again = batches(0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert indices(first) != indices(batches(0, 1))
    assert indices(first) != indices(batches(1, 0))


def test_two_steps_are_augmented_differently():
    loader = Loader(
        dataset(4), batch_size=4, shuffle=False, seed=0, drop_last=True, augmentation=Augmentation(padding=3)
    )
    assert not torch.equal(next(loader.epoch(0)).image, next(loader.epoch(1)).image)


def test_two_processes_augment_as_one_does():
    def batches(rank, world):
        settings = {"batch_size": 6, "shuffle": True, "seed": 0, "drop_last": True, "augmentation": "crop-flip"}
        return list(Loader(dataset(), rank=rank, world=world, **settings).epoch(0))

    for whole, first, second in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        assert torch.equal(whole.image, torch.cat([first.image, second.image]))


def test_default_augmentation_is_the_datasets():
    def loader(augmentation):
        data = dataset(augmentation="flips")
        return Loader(data, batch_size=4, shuffle=False, seed=0, drop_last=True, augmentation=augmentation)

    assert loader("default").augmentation == Augmentation(flip=True, flip_vertical=True)
    assert loader("none").augmentation == Augmentation()


def test_a_batch_that_is_written_to_leaves_the_dataset_alone():
    data = dataset()
    before = data.images.clone()
    next(Loader(data, batch_size=4, shuffle=False, seed=0, drop_last=True).epoch(0)).image.zero_()
    assert torch.equal(data.images, before)


def test_fashion_mnist_is_held_and_cut():
    test = load(Data(), "test")
    batches = Loader(test, batch_size=1000, shuffle=False, seed=0, drop_last=False).epoch(0)
    joined = torch.cat([batch.image for batch in batches])
    assert torch.equal((joined * 255).round().to(torch.uint8), test.images)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 24}, "batch_size must be at most the 23 images of the train split of x, got 24"),
        ({"batch_size": 5, "world": 2}, "batch_size must be a multiple of the 2 processes, got 5"),
        ({"rank": 2, "world": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"augmentation": "blur"}, "unknown augmentation 'blur'"),
        ({"world": 2, "drop_last": False, "augmentation": "flip"}, "needs drop_last"),
    ],
)
def test_a_mistake_is_named(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        Loader(dataset(), **({"batch_size": 4, "shuffle": True, "seed": 0, "drop_last": True} | wrong))


def test_an_empty_split_is_named():
    with pytest.raises(InputError, match="the train split of x has no image"):
        Loader(dataset(0), batch_size=1, shuffle=False, seed=0, drop_last=False)


@pytest.mark.parametrize("augmentation", ["none", "flips", "crop-flip", "resized-crop-flip"])
def test_masks_are_cropped_and_flipped_with_their_images(augmentation):
    mask = torch.rand(16, 12, 12) < 0.5
    mask[3] = False
    images = mask[:, None].to(torch.uint8) * 255
    known = Dataset("x", "train", ("a",), (1, 12, 12), torch.zeros(16, dtype=torch.int64), images, images, augmentation,
                    truth=Truth(mask))  # fmt: skip
    settings = {"batch_size": 8, "shuffle": True, "seed": 0, "augmentation": "default", "drop_last": False}
    for batch in Loader(known, **settings).epoch(0):
        assert batch.mask.dtype == torch.bool
        assert torch.equal(batch.mask, batch.image > 0.5)
    unknown = Dataset("x", "train", ("a",), (1, 12, 12), known.labels, images, images, augmentation)
    for with_mask, without in zip(
        Loader(known, **settings).epoch(1), Loader(unknown, **settings).epoch(1), strict=True
    ):
        assert without.mask is None
        assert torch.equal(with_mask.image, without.image)
