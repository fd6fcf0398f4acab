import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional

from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws
from pellucid.data.augmentation import Augmentation, named
from pellucid.data.config import AUGMENTATIONS


def images(n=64, c=3, size=8):
    return torch.rand(n, c, size, size, generator=torch.Generator().manual_seed(0))


def test_none_changes_nothing():
    image = images()
    assert named("none")(image, StepDraws(0, 0)) is image


def test_a_flip_is_the_image_or_its_mirror_about_half_of_the_time():
    image = images(n=400)
    flipped = named("flip")(image, StepDraws(0, 0))
    mirrored = (flipped == image.flip(3)).flatten(1).all(1)
    same = (flipped == image).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 150 < int(mirrored.sum()) < 250


def test_flips_give_all_four_orientations():
    image = images(n=200)
    flipped = named("flips")(image, StepDraws(0, 0))
    seen = [
        int((flipped == (image.flip(dims) if dims else image)).flatten(1).all(1).sum())
        for dims in ((), (2,), (3,), (2, 3))
    ]
    assert sum(seen) == 200
    assert min(seen) > 30


def test_a_shifted_crop_is_a_window_of_the_padded_image_and_every_window_occurs():
    image = images(n=600, c=1, size=5)
    cropped = Augmentation(padding=2)(image, StepDraws(0, 0))
    padded = functional.pad(image, (2, 2, 2, 2))
    seen = torch.zeros(5, 5)
    for dy in range(5):
        for dx in range(5):
            seen[dy, dx] = (cropped == padded[:, :, dy : dy + 5, dx : dx + 5]).flatten(1).all(1).sum()
    assert int(seen.sum()) == 600
    assert int(seen.min()) > 5


def test_a_resized_crop_of_a_ramp_is_a_ramp_of_the_kept_width():
    ramp = torch.linspace(0, 1, 64).expand(300, 1, 64, 64)
    cropped = Augmentation(area=0.25)(ramp, StepDraws(0, 0))
    # Inside, the slope of the enlarged window is the kept width.
    slope = (cropped[:, 0, 32, 40] - cropped[:, 0, 32, 24]) / (ramp[0, 0, 0, 40] - ramp[0, 0, 0, 24])
    narrowest = (0.25 * 3 / 4) ** 0.5
    assert float(slope.min()) >= narrowest - 1e-4
    assert float(slope.max()) <= 1 + 1e-4
    assert float(slope.max() - slope.min()) > 0.3


def test_a_resized_crop_that_keeps_nearly_all_is_the_identity():
    image = images()
    cropped = Augmentation(area=1 - 1e-9)(image, StepDraws(0, 0))
    # The aspect ratio still varies, so a side may shrink: a constant image shows nothing of it.
    assert torch.allclose(Augmentation(area=0.1)(torch.full_like(image, 0.3), StepDraws(0, 0)), torch.tensor(0.3))
    assert cropped.shape == image.shape


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(AUGMENTATIONS),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    step=st.integers(0, 2**40),
)
def test_pixels_stay_in_range_and_shapes_stay(name, c, h, w, step):
    image = torch.rand(6, c, h, w, generator=torch.Generator().manual_seed(step))
    before = image.clone()
    changed = named(name)(image, StepDraws(1, step))
    assert changed.shape == image.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_two_processes_see_what_one_sees(name):
    image = images()
    whole = named(name)(image, StepDraws(0, 5))
    halves = [named(name)(image[32 * rank : 32 * rank + 32], StepDraws(0, 5, rank, 2)) for rank in (0, 1)]
    assert torch.equal(whole, torch.cat(halves))


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="area must be in"):
        Augmentation(area=0)
    with pytest.raises(InputError, match="padding must be at least 0 pixels"):
        Augmentation(padding=-1)
    with pytest.raises(InputError, match="did you mean 'crop-flip'"):
        named("crop-flips")
