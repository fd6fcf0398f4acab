"""Pixels outside [0, 1] are refused wherever images come in, in one sentence."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from pellucid import PGD, SCAAT, InputError, Objective, fgsm
from pellucid.core.pixels import already_checked, check_pixels
from pellucid.metrics import masking_probe, robust_correct, robustness_curve

GOOD = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([0, 1])
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()
ATTACK = PGD(eps=0.1, step_size=0.05, steps=1)


def brightness(x: Tensor) -> Tensor:
    return x.sum((1, 2, 3))


ENTRIES: dict[str, Callable[[Any], object]] = {
    "pgd": lambda x: ATTACK(brightness, x),
    "pgd without a start": lambda x: PGD(eps=0.1, step_size=0.1, steps=0, random_start=False)(brightness, x),
    "pgd in the euclidean norm": lambda x: PGD(eps=0.1, step_size=0.1, steps=1, norm="l2")(brightness, x),
    "fgsm": lambda x: fgsm(eps=0.1)(brightness, x),
    "objective": lambda x: Objective(NETWORK, SCAAT(), 2, 1)(x, LABEL, LABEL),
    "robust accuracy": lambda x: robust_correct(NETWORK, x, LABEL, ATTACK),
    "curve": lambda x: robustness_curve(NETWORK, x, LABEL, ATTACK, eps=(0.1,)),
    "probes": lambda x: masking_probe(NETWORK, x, LABEL, ATTACK),
}
BAD = {
    "normalised": (GOOD - 0.45) / 0.25,
    "bytes as floats": GOOD * 255,
    "from -1 to 1": 2 * GOOD - 1,
    "nan": torch.where(GOOD > 0.9, math.nan, GOOD),
    "just above": torch.where(GOOD > 0.9, 1 + 2**-20, GOOD),
    "bytes": (GOOD * 255).byte(),
    "whole numbers": (GOOD * 255).long(),
    "no batch": GOOD[0],
    "none": GOOD[:0],
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", BAD)
def test_refused(entry: str, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        ENTRIES[entry](BAD[kind])
    said = str(caught.value)
    assert said.startswith(("pixels must be in [0, 1], got values from", "images must be floating point (n, c, h, w)"))
    assert "\n" not in said


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_ends_of_the_range_are_accepted(entry: str) -> None:
    ENTRIES[entry](GOOD.round())


def test_a_value_that_rounds_to_the_bound_is_told_in_full() -> None:
    with pytest.raises(InputError, match=r"got values from 0 to 1\.00000095"):
        check_pixels(torch.tensor([0, 1 + 2**-20]).view(1, 1, 1, 2))


def test_bounds_of_ones_own() -> None:
    attack = PGD(eps=2.0, step_size=1.0, steps=1, bounds=(-3.0, 3.0))
    assert attack(brightness, BAD["normalised"]).aminmax().max <= 3
    with pytest.raises(InputError, match=r"pixels must be in \[-3, 3\], got values from"):
        attack(brightness, BAD["bytes as floats"])


def test_shape_is_looked_at_where_the_numbers_are_known() -> None:
    with already_checked():
        check_pixels(BAD["bytes as floats"])
        with pytest.raises(InputError, match="images must be floating point"):
            check_pixels(BAD["bytes"])


@given(st.floats(-2, 2, width=32))
def test_an_attack_moves_no_pixel_by_more_than_its_radius_or_refuses(value: float) -> None:
    x = torch.full((1, 1, 2, 2), value)
    try:
        moved = ATTACK(brightness, x)
    except InputError:
        assert not 0 <= value <= 1
    else:
        assert (moved - x).abs().max() <= 0.1 + 1e-6
