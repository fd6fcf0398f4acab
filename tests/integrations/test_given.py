"""Draws by pixels or by position."""

import sys

import pytest
import torch
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.integrations.given import image_draws


@given(st.permutations(range(4)))
def test_an_image_keeps_its_draws_wherever_it_stands(order):
    x = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    drawn = image_draws(x, 5).of("noise").normal((4, 3))
    assert torch.equal(image_draws(x[order], 5).of("noise").normal((4, 3)), drawn[order])
    assert len({tuple(row) for row in drawn.tolist()}) == 4


def test_layout_and_wider_dtype_change_nothing_but_seed_and_pixels_do():
    x = torch.rand(1, 3, 4, 4)
    drawn = image_draws(x, 0)
    assert image_draws(x.double(), 0) == image_draws(x.contiguous(memory_format=torch.channels_last), 0) == drawn
    assert image_draws(x + 1e-3, 0).index != drawn.index
    assert image_draws(x, 1).seed == 1


def test_positions_are_those_of_an_evaluation():
    x = torch.rand(2, 1, 2, 2)
    assert image_draws(x, 3, [7, 9]) == image_draws(x, 3, torch.tensor([7, 9])) == SampleDraws(3, (7, 9))
    with pytest.raises(InputError, match="index must be 2 positions"):
        image_draws(x, 3, torch.tensor(7))


def test_the_module_has_moved():
    sys.modules.pop("pellucid.integrations.draws", None)
    with pytest.warns(DeprecationWarning, match=r"pellucid.integrations.draws is now pellucid.integrations.given"):
        from pellucid.integrations.draws import image_draws as former
    assert former is image_draws
