"""Areas of perturbation curves: sums, numpy's integral, lines, bad input."""

import numpy as np
import pytest
import scipy.integrate
import torch
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.metrics import aopc, area_between, area_under

from .conftest import random


class TestReference:
    def test_aopc(self) -> None:
        curve = random(5, 21)
        expected = [sum(row) / 21 for row in curve.tolist()]
        torch.testing.assert_close(aopc(curve), torch.tensor(expected, dtype=torch.float64))


class TestAreas:
    def test_between(self) -> None:
        morf, lerf = random(5, 21), random(5, 21, seed=1)
        torch.testing.assert_close(area_between(morf, lerf), aopc(morf) - aopc(lerf))
        assert torch.equal(area_between(morf, morf), torch.zeros(5).double())
        torch.testing.assert_close(area_between(morf, lerf), -area_between(lerf, morf))

    @settings(max_examples=20, deadline=None)
    @given(steps=st.integers(1, 30), seed=st.integers(0, 1000))
    def test_under(self, steps: int, seed: int) -> None:
        curve = random(4, steps + 1, seed=seed)
        expected = scipy.integrate.trapezoid(curve.numpy(), np.linspace(0, 1, steps + 1), axis=1)
        torch.testing.assert_close(area_under(curve), torch.from_numpy(expected))
        authors = (curve.sum(1) - curve[:, 0] / 2 - curve[:, -1] / 2) / steps
        torch.testing.assert_close(area_under(curve), authors)

    def test_under_a_line(self) -> None:
        torch.testing.assert_close(area_under(torch.linspace(0, 1, 9)[None]), torch.tensor([0.5]))
        torch.testing.assert_close(area_under(torch.full((2, 7), 0.3)), torch.tensor([0.3, 0.3]))


class TestBadInput:
    def test_aopc_and_areas(self) -> None:
        with pytest.raises(InputError, match=r"curve must be \(n, steps \+ 1\).*got shape \(21,\)"):
            aopc(torch.zeros(21))
        with pytest.raises(InputError, match=r"got shape \(3, 1\)"):
            aopc(torch.zeros(3, 1))
        with pytest.raises(InputError, match=r"got shape \(3,\)"):
            area_under(torch.zeros(3))
        with pytest.raises(InputError, match=r"curve must be \(n, steps \+ 1\).*got shape \(3,\)"):
            area_between(torch.zeros(3), torch.zeros(3))
        with pytest.raises(InputError, match=r"both curves must have one shape, got \(3, 4\) and \(1, 4\)"):
            area_between(torch.zeros(3, 4), torch.zeros(1, 4))
