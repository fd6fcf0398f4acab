"""Warnings of gradient masking: exact counts, noise, networks that mask and one that does not, bad input."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.stats import binom
from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import masking_probe, masking_warnings


def share(right: int, n: int = 100) -> list[float]:
    return [1.0] * right + [0.0] * (n - right)


def kinds(warnings: list[str]) -> list[str]:
    """The probe that each sentence speaks of."""
    begin = {
        "One step": "one_step",
        "An attack made on another network": "transfer",
        "Five times the steps": "long",
        "More random starts": "restarts",
        "AutoAttack": "autoattack",
        "The attack had no gradient": "gradient",
        "The same attack on the margin": "margin",
        "An attack without bounds": "unbounded",
    }
    return [next(name for words, name in begin.items() if sentence.startswith(words)) for sentence in warnings]


class TestKnownAnswers:
    def test_every_sign_in_its_order_with_its_numbers(self) -> None:
        rows = {
            "masking_many_step": share(80),
            "masking_unbounded": share(50),
            "masking_restarts": share(40),
            "masking_long": share(30),
            "masking_transfer": share(20),
            "masking_one_step": share(10),
            "gini": [0.5] * 100,
        }
        found = masking_warnings(rows, chance=0.1)
        assert kinds(found) == ["one_step", "transfer", "long", "restarts", "unbounded"]
        for sentence, (left, less) in zip(found, [(10, 70), (20, 60), (30, 50), (40, 40)], strict=False):
            assert f"{left}.0 % of images stay right, not 80.0 % ({less}.0 points less, 95 % interval " in sentence
            assert sentence.endswith(("100 images).", "100 images; up to 2 is expected)."))
        assert "50.0 % of images stay right (95 % interval 39.8 to 60.2, 100 images), above chance, 10.0 %" in found[4]

    def test_what_stands_beside_robust_accuracy(self) -> None:
        rows = {
            "robust_correct": share(60),
            "robust_gradient": [0.0] * 45 + [1.0] * 55,
            "robust_one_step": share(90),
            "robust_margin": share(20),
        }
        found = masking_warnings(rows, chance=0.1)
        assert kinds(found) == ["gradient", "margin"]
        assert found[0].startswith(
            "The attack had no gradient to follow on 45 of the 60 images that stay right, so it did not attack them: "
            "without these, robust accuracy is 15.0 %, not 60.0 %"
        )
        assert "20.0 % of images stay right, not 60.0 % (40.0 points less" in found[1]
        assert kinds(masking_warnings(rows | {"robust_one_step": share(10)}, chance=0.1))[1] == "one_step"
        probed = rows | {"robust_one_step": share(10), "masking_one_step": share(90)}
        assert "one_step" not in kinds(masking_warnings(probed, chance=0.1)), "the probe's own is what counts"

    @pytest.mark.parametrize("blind", range(6))
    def test_a_few_images_without_gradient_are_no_sign(self, blind: int) -> None:
        rows = {"robust_correct": share(50), "robust_gradient": [0.0] * blind + [1.0] * (100 - blind)}
        assert bool(masking_warnings(rows, chance=0.1)) == (blind > 2)

    def test_wrong_and_unknown_images_without_gradient_are_no_sign(self) -> None:
        rows = {"robust_correct": share(50), "robust_gradient": [1.0] * 50 + [0.0] * 30 + [math.nan] * 20}
        assert masking_warnings(rows, chance=0.1) == []
        assert masking_warnings({**rows, "robust_gradient": [math.nan] * 100}, chance=0.1) == []

    def test_stronger_attacks_that_are_stronger_are_no_sign(self) -> None:
        rows = {
            "masking_one_step": share(90),
            "masking_many_step": share(50),
            "masking_transfer": share(95),
            "masking_long": share(49),
            "masking_restarts": share(48),
            "masking_unbounded": share(5),
        }
        assert masking_warnings(rows, chance=0.1) == []

    @pytest.mark.parametrize("gained", range(1, 30))
    @pytest.mark.parametrize("lost", [0, 3, 9])
    def test_a_sign_begins_where_the_exact_test_refuses_chance(self, gained: int, lost: int) -> None:
        n = 500
        many = np.array([1.0] * gained + [0.0] * lost + [1.0] * (n - gained - lost))
        one = np.array([0.0] * gained + [1.0] * lost + [1.0] * (n - gained - lost))
        p = binom.sf(gained - 1, gained + lost, 0.5)
        found = masking_warnings({"masking_many_step": many, "masking_one_step": one}, chance=0.5)
        assert bool(found) == (p < 0.01)
        assert all(f"p = {p:.4f}" in sentence or p < 1e-4 for sentence in found)

    @pytest.mark.parametrize("right", range(45, 75))
    def test_unbounded_is_held_against_chance(self, right: int) -> None:
        rows = {"masking_many_step": share(80), "masking_unbounded": share(right)}
        assert bool(masking_warnings(rows, chance=0.5)) == (binom.sf(right - 1, 100, 0.5) < 0.01)

    def test_what_is_still_called_converged(self) -> None:
        rows = {"masking_many_step": share(900, 1000), "masking_long": share(860, 1000)}
        assert kinds(masking_warnings(rows, chance=0.1)) == ["long"]
        assert masking_warnings(rows, chance=0.1, points=0.05) == []
        assert masking_warnings({**rows, "masking_long": share(875, 1000)}, chance=0.1) == []
        assert kinds(masking_warnings({**rows, "masking_long": share(875, 1000)}, chance=0.1, points=0)) == ["long"]

    def test_effort_is_held_against_what_is_reported(self) -> None:
        rows = {
            "masking_many_step": share(900, 1000),
            "masking_long": share(860, 1000),
            "robust_correct": share(870, 1000),
        }
        assert masking_warnings(rows, chance=0.1) == []
        (found,) = masking_warnings({**rows, "autoattack_correct": share(800, 1000)}, chance=0.1)
        assert found.startswith("AutoAttack is stronger") and "80.0 % of images stay right, not 87.0 %" in found
        # What only more random starts find is not masked by them.
        assert kinds(masking_warnings({**rows, "masking_one_step": share(880, 1000)}, chance=0.1)) == ["one_step"]

    def test_images_that_only_one_of_two_knows_do_not_count(self) -> None:
        unknown = [math.nan] * 50
        rows = {
            "masking_many_step": [*share(60), *unknown, *share(50, 50)],
            "masking_one_step": [*share(40), *share(0, 50), *unknown],
        }
        (found,) = masking_warnings(rows, chance=0.5)
        alone = {"masking_many_step": share(60), "masking_one_step": share(40)}
        assert [found] == masking_warnings(alone, chance=0.5)
        nothing = {
            "masking_many_step": [math.nan] * 3,
            "masking_one_step": share(1, 3),
            "masking_unbounded": [math.nan] * 3,
        }
        assert masking_warnings(nothing, chance=0.5) == []


class TestNoise:
    @settings(max_examples=50, deadline=None)
    @given(n=st.integers(1, 6), seed=st.integers(0, 2**20))
    def test_a_handful_of_images_shows_nothing(self, n: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        names = ("one_step", "many_step", "long", "restarts", "transfer")
        rows = {f"masking_{name}": random.integers(0, 2, n).astype(float) for name in names}
        assert masking_warnings(rows, chance=0.5) == []

    def test_false_alarms_are_as_rare_as_said(self) -> None:
        # Every probe is as strong as the attack, and the unbounded one leaves just chance: the edge of no sign.
        random = np.random.default_rng(0)
        names = ("one_step", "many_step", "long", "restarts", "transfer")
        alarms = 0
        for _ in range(100):
            rows = {f"masking_{name}": (random.random(200) < 0.5).astype(float) for name in names}
            rows["masking_unbounded"] = (random.random(200) < 0.1).astype(float)
            alarms += bool(masking_warnings(rows, chance=0.1))
        assert alarms <= 10  # 5 expected at most; 11 or more have a chance below 0.02


N = 250
DRAWS = SampleDraws(0, tuple(range(N)))
ATTACK = PGD(eps=0.1, step_size=0.025, steps=10)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def margin(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3)) - 0.5


def two(logit: Tensor) -> Tensor:
    return torch.stack([logit, -logit], dim=1)


def plain(x: Tensor) -> Tensor:
    return two(20 * margin(x))


def saturated(x: Tensor) -> Tensor:
    """The same classes; the gradient is exactly 0 nearly everywhere."""
    return two((1e4 * margin(x)).tanh())


def quantised(x: Tensor) -> Tensor:
    return plain((x * 16).round() / 16)


def rippled(x: Tensor) -> Tensor:
    """Nearly the same classes, with hills of 0.01 in which small steps stay."""
    return two(20 * margin(x) + torch.sin(400 * margin(x)))


IMAGES = 0.5 + 0.3 * (noise(N, 1, 1, 1, seed=1) - 0.5) + 0.1 * (noise(N, 1, 4, 4, seed=2) - 0.5)


def signs(model: Any, x: Tensor, attack: PGD, *, truth: Any = plain, transfer: Any = None) -> list[str]:
    probes = masking_probe(model, x, truth(x).argmax(1), attack, transfer=transfer, generator=DRAWS)
    return kinds(masking_warnings({f"masking_{name}": value.numpy() for name, value in probes.items()}, chance=0.5))


class TestNetworks:
    def test_ordinary_networks_show_no_sign(self) -> None:
        assert signs(plain, IMAGES, ATTACK, transfer=saturated) == []
        with randomness.fork(0):
            model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 2)).double().eval()
            other = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 2)).double().eval()
        assert (
            signs(model, noise(N, 1, 8, 8), PGD(eps=0.03, step_size=0.0075, steps=10), truth=model, transfer=other)
            == []
        )

    @pytest.mark.parametrize("model", [saturated, quantised])
    def test_vanishing_gradients(self, model: Any) -> None:
        found = signs(model, IMAGES, ATTACK, transfer=plain)
        assert {"transfer", "unbounded"} <= set(found) and "one_step" not in found

    def test_shattered_gradients(self) -> None:
        found = signs(rippled, IMAGES, PGD(eps=0.1, step_size=0.002, steps=60), transfer=plain)
        assert found == ["one_step", "transfer", "restarts", "unbounded"]

    def test_too_few_steps(self) -> None:
        assert {"one_step", "long"} <= set(signs(plain, IMAGES, PGD(eps=0.1, step_size=0.01, steps=3)))


def test_no_torch_is_imported() -> None:
    program = "import sys; from pellucid.metrics import masking_warnings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({}, {}, "needs the column masking_many_step or robust_correct, and another probe's, got neither"),
        (
            {"masking_many_step": [1.0]},
            {},
            "needs the column masking_many_step or robust_correct, and another probe's, got masking_many_step",
        ),
        ({"masking_unbounded": [1.0]}, {}, "needs the column masking_many_step .*, got masking_unbounded"),
        (
            {"masking_many_step": [1.0, 0.0], "masking_long": [1.0]},
            {},
            r"must be \(n,\) of one length, got masking_long \(1,\) and \(2,\)",
        ),
        (
            {"masking_many_step": [[1.0]], "masking_long": [[1.0]]},
            {},
            r"must be \(n,\) of one length, got masking_many",
        ),
        (
            {"masking_long": [1.0], "masking_one_step": [1.0]},
            {},
            "needs the column masking_many_step or robust_correct, and another probe's, got",
        ),
        (
            {"robust_correct": [1.0], "robust_gradient": [0.5]},
            {},
            "robust_gradient must be 0, 1 or NaN for each image, got 0.5",
        ),
        (
            {"masking_many_step": [1.0], "robust_correct": [1.0]},
            {},
            "and another probe's, got masking_many_step, robust_correct",
        ),
        (
            {"masking_many_step": [1.0], "masking_long": [0.5]},
            {},
            "masking_long must be 0, 1 or NaN for each image, got 0.5",
        ),
        ({}, {"chance": 10}, r"chance must be in \(0, 1\), got 10"),
        ({}, {"chance": math.nan}, r"chance must be in \(0, 1\), got nan"),
        ({}, {"alpha": 0}, r"alpha must be in \(0, 0.5\), got 0"),
        ({}, {"points": 1}, r"points must be in \[0, 1\), got 1"),
    ],
)
def test_one_sentence(rows: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        masking_warnings(rows, **{"chance": 0.1, **options})
