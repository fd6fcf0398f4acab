"""The rules: every one of them speaks where it should, and none of them is silent about what fails."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.explanation.judgement import COVERAGE, LEVELS, POOR, SHAKY, UNSTEADY, WORST, judge

GOOD = {
    "peak": 1.0,
    "gini": 0.5,
    "faithfulness": 0.4,
    "random_limit": 0.1,
    "aopc_morf": 0.5,
    "aopc_lerf": 0.1,
    "random_aopc": 0.2,
    "stability_coverage": 1.0,
    "similarity": 0.8,
}
USUAL = {"ris": 50.0, "ros": 50.0, "faithfulness": 50.0, "gini": 50.0}


def judged(percentiles=None, *, probability=0.9, agreement=(0.5,), **figures):
    return judge(
        GOOD | figures, USUAL if percentiles is None else percentiles, probability=probability, agreement=agreement
    )


def test_a_good_map_raises_no_objection_and_is_not_called_right() -> None:
    found = judged()
    assert (found.level, found.reasons) == ("no objection", ())
    assert "no proof" in found.sentence and "rely" not in found.sentence


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"peak": 0.0, "gini": 0.0}, "flat"),
        ({"gini": 0.0}, "flat"),
        ({"peak": math.nan}, "flat"),
        ({"faithfulness": 0.1}, "unfaithful"),
        ({"faithfulness": -0.4}, "unfaithful"),
        ({"faithfulness": math.nan}, "unfaithful"),
        ({"random_limit": math.nan}, "unfaithful"),
        ({"aopc_morf": 0.009, "aopc_lerf": -0.005, "random_aopc": 0.001, "faithfulness": 0.014}, "untested"),
        ({"stability_coverage": COVERAGE - 0.01}, "prediction-changes"),
        ({"stability_coverage": math.nan}, "prediction-changes"),
        ({"similarity": UNSTEADY - 0.01}, "unsteady"),
        ({"similarity": math.nan}, "unsteady"),
    ],
)
def test_what_fails_a_check_is_not_to_be_relied_upon(figures, reason) -> None:
    found = judged(**figures)
    assert (found.level, found.reasons) == ("do not rely", (reason,))
    assert found.sentence.startswith("Do not rely on this map: ") and found.sentence.count(".") == 1


@pytest.mark.parametrize("name", ["ris", "ros"])
def test_the_least_steady_maps_of_a_network(name) -> None:
    assert judged(USUAL | {name: WORST - 0.1}).reasons == ("least-steady",)
    assert judged(USUAL | {name: WORST}).reasons == ("less-steady",)
    assert judged(USUAL | {name: POOR}).level == "no objection"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (judged(similarity=SHAKY - 0.01), "shaky"),
        (judged(USUAL | {"faithfulness": POOR - 0.1}), "less-faithful"),
        (judged(probability=0.49), "unsure"),
        (judged(probability=math.nan), "unsure"),
        (judged(agreement=(0.3, -0.1)), "disagreement"),
        (judged({}), "no-reference"),
        (judged(dict.fromkeys(USUAL)), "no-reference"),
    ],
)
def test_doubts_ask_for_care(found, reason) -> None:
    assert (found.level, found.reasons) == ("with care", (reason,))


def test_several_reasons_make_one_sentence() -> None:
    found = judged(faithfulness=0.0, stability_coverage=0.0, similarity=0.0)
    assert found.reasons == ("unfaithful", "prediction-changes", "unsteady")
    assert found.sentence.count(".") == 1 and ", and " in found.sentence


def test_one_map_alone_has_no_one_to_agree_with() -> None:
    assert judged(agreement=()).level == "no objection"


NUMBER = st.one_of(st.floats(-2, 2), st.just(math.nan))
FIGURES = st.fixed_dictionaries({name: NUMBER for name in GOOD})
PERCENTILES = st.fixed_dictionaries({name: st.one_of(st.none(), st.floats(0, 100)) for name in USUAL})


@given(FIGURES, PERCENTILES, NUMBER, st.lists(NUMBER, max_size=3))
def test_no_map_is_passed_that_fails_a_check(figures, percentiles, probability, agreement) -> None:
    found = judge(figures, percentiles, probability=probability, agreement=agreement, name="the map")
    assert found.sentence.startswith(LEVELS[found.level].format(map="the map"))
    passes = (
        figures["peak"] > 0
        and figures["gini"] > 0
        and figures["faithfulness"] > figures["random_limit"]
        and figures["stability_coverage"] >= COVERAGE
        and figures["similarity"] >= UNSTEADY
        and all(percentiles[name] is None or percentiles[name] >= WORST for name in ("ris", "ros"))
    )
    assert (found.level != "do not rely") <= passes
    assert bool(found.reasons) == (found.level != "no objection")


@given(PERCENTILES, st.floats(0, 1))
def test_worse_figures_never_make_a_better_judgement(percentiles, worse) -> None:
    order = list(LEVELS)
    good = judge(GOOD, percentiles, probability=0.9)
    for name in ("faithfulness", "stability_coverage", "similarity"):
        bad = judge(GOOD | {name: GOOD[name] - worse}, percentiles, probability=0.9)
        assert order.index(bad.level) <= order.index(good.level)
