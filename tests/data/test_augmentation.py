import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional

from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws
from pellucid.data import Dataset, Loader, randaugment
from pellucid.data.augmentation import Augmentation, named
from pellucid.data.config import AUGMENTATIONS
from pellucid.data.randaugment import RandAugment
from pellucid.data.splits import Truth


class Drawing:
    """Stands for a library's RandAugment: as it does, it draws from torch's global generator, colours and places."""

    def __init__(self, **settings):
        self.settings = settings

    def __call__(self, image):
        assert image.shape[:2] == (1, 3), "one image at a time, in colour"
        turned = image.flip(2) if torch.rand(()) < 0.5 else image
        return turned + 0.2 * (torch.rand(()) - 0.5)


def library(monkeypatch, name):
    """Put the stand-in where a library's module would be, and the other library nowhere."""
    for missing in ("kornia", "torchvision", "kornia.augmentation.auto", "torchvision.transforms.v2"):
        monkeypatch.setitem(sys.modules, missing, None)
    if name is not None:
        module = ModuleType(name)
        module.RandAugment = Drawing
        parts = name.split(".")
        for depth in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
        monkeypatch.setitem(sys.modules, name, module)
    randaugment._library.cache_clear()


@pytest.fixture(autouse=True)
def kornia(monkeypatch):
    library(monkeypatch, "kornia.augmentation.auto")
    yield
    randaugment._library.cache_clear()


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


def test_each_image_has_its_own_draws_and_the_global_generator_is_left():
    image = images(n=64)[:1].expand(64, -1, -1, -1)
    state = torch.get_rng_state()
    changed = RandAugment()(image, StepDraws(0, 3))
    assert torch.equal(state, torch.get_rng_state())
    assert len({tuple(one.flatten().tolist()) for one in changed}) > 60
    assert torch.equal(changed, RandAugment()(image, StepDraws(0, 3)))
    assert not torch.equal(changed, RandAugment()(image, StepDraws(0, 4)))


def test_randaugment_takes_the_library_that_is_there(monkeypatch):
    assert randaugment._library(2, 9).settings == {"n": 2, "m": 9}
    library(monkeypatch, "torchvision.transforms.v2")
    assert randaugment._library(3, 5).settings == {"num_ops": 3, "magnitude": 5, "num_magnitude_bins": 31}
    library(monkeypatch, None)
    with pytest.raises(InputError, match=r"augmentation randaugment needs the package kornia: pip install 'pellucid\["):
        named("randaugment")


def test_randaugment_moves_no_masks():
    pixels, mask = (255 * images(n=8)).to(torch.uint8), torch.ones(8, 8, 8, dtype=torch.bool)
    data = Dataset("dots", "train", ("a", "b"), (3, 8, 8), torch.arange(8) % 2, pixels, pixels, truth=Truth(mask))
    with pytest.raises(InputError, match="moves images and not their masks, which dots has; take another"):
        Loader(data, batch_size=4, shuffle=True, seed=0, augmentation="randaugment", drop_last=True)
    batches = Loader(
        replace(data, truth=None), batch_size=4, shuffle=True, seed=0, augmentation="randaugment", drop_last=True
    )
    assert [batch.image.shape for batch in batches.epoch(0)] == [(4, 3, 8, 8)] * 2


def test_wrong_magnitudes_are_named():
    with pytest.raises(InputError, match="magnitude must be from 1 to 29, got 30"):
        RandAugment(magnitude=30)
    with pytest.raises(InputError, match="operations must be a whole number of at least 1, got 0"):
        RandAugment(operations=0)


@pytest.mark.slow
def test_randaugment_of_the_real_library(monkeypatch):
    monkeypatch.undo()
    randaugment._library.cache_clear()
    image = images(n=8, size=32)
    changed = RandAugment()(image, StepDraws(0, 0))
    assert changed.shape == image.shape and float(changed.min()) >= 0 and float(changed.max()) <= 1
    assert sum(not torch.equal(one, other) for one, other in zip(changed, image, strict=True)) >= 4
    assert torch.equal(changed, RandAugment()(image, StepDraws(0, 0)))
