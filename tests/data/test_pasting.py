"""Composites of a dataset's own images."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid import InputError
from pellucid.data import Dataset
from pellucid.data.truth import pasted, why_not_pasted
from pellucid.data.truth.drawing import resized

RED, BLUE = (250, 3, 7), (5, 2, 240)


def plain(*, size=(64, 64), labels=(0, 1, 0, 1, 1), classes=("red", "blue", "green")) -> Dataset:
    """Images of one colour each, which is that of their class."""
    colours = torch.tensor([RED, BLUE, (9, 200, 4)], dtype=torch.uint8)
    images = colours[torch.tensor(labels)][:, :, None, None].expand(-1, -1, *size).contiguous()
    return Dataset("plain", "test", classes, (3, *size), torch.tensor(labels), images, images)


@settings(max_examples=12, deadline=None)
@given(side=st.integers(56, 150))
def test_the_mask_is_the_square_of_an_image_of_the_class(side) -> None:
    made = pasted(plain(size=(side, side)), 9)
    assert made.shape == (3, side, side) and len(made) == 9 and made.name == "plain composites"
    masks = made.truth_of(range(9)).mask
    for image, label, mask in zip(made.images, made.labels, masks, strict=True):
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert mask.sum() == len(rows) * len(columns) and len(rows) == len(columns)
        assert rows[-1] - rows[0] + 1 == len(rows) and 20 / 56 - 0.02 < len(rows) / side < 36 / 56 + 0.02
        assert (image[:, mask] == torch.tensor((RED, BLUE)[label])[:, None]).all()
        assert image[:, ~mask].float().std() > 1


def test_every_class_that_has_an_image_has_as_many_composites() -> None:
    made = pasted(plain(), 200)
    assert made.classes == ("red", "blue", "green")
    assert made.labels.bincount().tolist() == [100, 100]
    corners = [mask.nonzero()[0].tolist() for mask in made.truth_of(range(200)).mask]
    assert len({tuple(corner) for corner in corners}) > 100  # anywhere


def test_the_same_images_give_the_same_composites() -> None:
    first, again = (pasted(plain(size=(100, 100)), 6) for _ in range(2))
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)


def test_a_large_image_keeps_its_detail() -> None:
    """Inside the square lies the image itself at its size, not one that was enlarged with the background."""
    noise = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = pasted(Dataset("noise", "test", ("a", "b"), (3, 224, 224), torch.tensor([0, 1]), noise, noise), 4)
    for image, label, mask in zip(made.images, made.labels, made.truth_of(range(4)).mask, strict=True):
        side = int(mask.any(0).sum())
        inside = image[:, mask].reshape(3, side, side)
        assert inside.numpy().tolist() == resized(noise[label].numpy(), side).tolist()


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (plain(size=(55, 55)), "they are made of images of at least 56 pixels, and these have 55"),
        (plain(size=(60, 80)), "they are made of square images, and these have 80 x 60 pixels; give a size"),
        (plain(labels=(1, 1)), "they need images of two classes, and the test split does not have them"),
        (
            Dataset("grey", "test", ("a", "b"), (1, 64, 64), torch.tensor([0, 1]), *[torch.zeros(2, 1, 64, 64)] * 2),
            "they are made of colour images",
        ),
        (
            Dataset("tags", "test", ("a", "b"), (3, 64, 64), torch.eye(2), *[torch.zeros(2, 3, 64, 64)] * 2),
            "they are made of images that have one class each",
        ),
    ],
)
def test_why_none_can_be_made_is_said(dataset, reason) -> None:
    assert why_not_pasted(dataset) == reason
    with pytest.raises(InputError, match=f"^no composites can be made of {dataset.name}: {reason}$"):
        pasted(dataset, 3)


def test_fewer_than_one_composite_is_refused() -> None:
    with pytest.raises(InputError, match="^n, the number of composites, must be at least 1, got 0$"):
        pasted(plain(), 0)
