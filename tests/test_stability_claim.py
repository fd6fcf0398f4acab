"""The finding on stability says what its numbers say, and its pages are what its files hold."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "raw"


@pytest.fixture(scope="module")
def claim():
    spec = importlib.util.spec_from_file_location("stability_claim", ROOT / "benchmarks" / "stability_claim.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Run:
    def __init__(self, values):
        self._values = np.asarray(values, dtype=float)

    def values(self, column):
        return self._values


def test_pages_have_the_numbers_of_their_files(claim, numbers) -> None:
    result = json.loads((RESULTS / "stability-claim.json").read_text())
    assert numbers((RESULTS / "stability-claim.md").read_text()) == numbers(claim.page(result))
    assert numbers("\n".join(result["finding"])) == numbers("\n".join(claim.finding(result["contrasts"])))
    result = json.loads((RESULTS / "everything.json").read_text())
    assert numbers((RESULTS / "everything.md").read_text()) == numbers(claim.everything(result))


def test_factors_are_those_that_were_put_in(claim) -> None:
    random = np.random.default_rng(0)
    others = [_Run(random.gamma(5, size=200)) for _ in range(3)]
    ones = [_Run(2 * other._values) for other in others]
    found = claim.contrast(ones, others, "ris", np.ones(200, dtype=bool))
    for kind in ("typical", "mean"):
        assert found[kind]["value"] == pytest.approx(2)
        assert (found[kind]["low"], found[kind]["high"]) == pytest.approx((2, 2))
        assert found[kind]["seeds"] == pytest.approx([2, 2, 2])
    assert claim.answer(found, rises=True) == "confirmed"
    assert claim.answer(found, rises=False) == "refuted"


def test_one_seed_against_two_decides_nothing(claim) -> None:
    others = [_Run(np.ones(100) + 0.01 * np.arange(100)) for _ in range(3)]
    ones = [_Run(factor * other._values) for factor, other in zip((2.0, 1.6, 0.9), others, strict=True)]
    found = claim.contrast(ones, others, "ris", np.ones(100, dtype=bool))
    assert claim.answer(found, rises=True) == "cannot be told"


def test_a_few_huge_values_decide_nothing_alone(claim) -> None:
    """The mean falls, the typical value rises: the claim turns with the aggregation, so it is not told."""
    others = [_Run(np.r_[np.full(99, 1.0), 1e6]) for _ in range(3)]
    ones = [_Run(np.r_[np.full(99, 1.5), 1.0]) for _ in range(3)]
    found = claim.contrast(ones, others, "ros", np.ones(100, dtype=bool))
    assert found["typical"]["value"] > 1 > found["mean"]["value"]
    assert claim.answer(found, rises=True) == "cannot be told"
