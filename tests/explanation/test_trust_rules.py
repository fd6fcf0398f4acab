"""The rules: every one of them speaks where it should, and none of them is silent about what fails."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.core.errors import InputError
from pellucid.explanation.trust_checks import (
    AS_GOOD,
    ASKED,
    COVERAGE,
    ERROR,
    POOR,
    SHAKY,
    UNSTEADY,
    WORST,
    _faithful,
    _kept,
    _steady,
    checks,
)
from pellucid.explanation.trust_rules import FAULTS, LEVELS, Thresholds, judge

from .conftest import SHOWN

GOOD = {
    "gini": 0.5,
    "faithfulness": 0.4,
    "beats_random": 1.0,
    "aopc_morf": 0.5,
    "aopc_lerf": 0.1,
    "random_aopc": 0.2,
    "stability_coverage": 1.0,
    "similarity": 0.8,
    "similarity_error": 0.01,
}
MORE = replace(SHOWN, more=True)
USUAL = {"ris": 50.0, "ros": 50.0, "faithfulness": 50.0, "gini": 50.0}


def judged(percentiles=None, *, counts=SHOWN, probability=0.9, agreement=(0.5,), **figures):
    percentiles = USUAL if percentiles is None else percentiles
    return judge(GOOD | figures, percentiles, counts=counts, probability=probability, agreement=agreement)


def test_a_good_map_raises_no_objection_and_is_not_called_right() -> None:
    found = judged()
    assert (found.level, found.reasons) == ("no objection", ())
    assert "no proof" in found.sentence and "rely" not in found.sentence


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"gini": 0.0}, "flat"),
        ({"gini": math.nan}, "flat"),
        ({"beats_random": 1 - 5 / 38}, "unfaithful"),
        ({"beats_random": 0.5}, "unfaithful"),
        ({"faithfulness": 0.0}, "unfaithful"),
        ({"faithfulness": -0.4}, "unfaithful"),
        ({"faithfulness": math.nan}, "unfaithful"),
        ({"beats_random": math.nan}, "unfaithful"),
        ({"aopc_morf": 0.009, "aopc_lerf": -0.005, "random_aopc": 0.001, "faithfulness": 0.014}, "untested"),
        ({"stability_coverage": 0.25}, "prediction-changes"),
        ({"stability_coverage": math.nan}, "prediction-changes"),
        ({"similarity": UNSTEADY - 0.01, "similarity_error": 0.003}, "unsteady"),
        ({"similarity": math.nan}, "unsteady"),
    ],
)
def test_what_fails_a_check_is_not_to_be_relied_upon(figures, reason) -> None:
    found = judged(**figures)
    assert (found.level, found.reasons) == ("do not rely", (reason,))
    assert found.sentence.startswith("Do not rely on this map: ") and found.sentence.endswith(".")


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"beats_random": 1 - 2 / 38}, "hardly-faithful"),
        ({"beats_random": 1 - 4 / 38}, "hardly-faithful"),
        ({"stability_coverage": 0.3}, "prediction-wavers"),
        ({"stability_coverage": 0.7}, "prediction-wavers"),
        ({"similarity": UNSTEADY - 0.01}, "hardly-steady"),
        ({"similarity": UNSTEADY + 0.01}, "hardly-steady"),
    ],
)
def test_what_the_draws_cannot_tell_is_neither_refused_nor_passed(figures, reason) -> None:
    found = judged(**figures, counts=MORE)
    assert (found.level, found.reasons) == ("undecided", (reason,))
    assert found.sentence.startswith("This card cannot tell") and "--" not in found.sentence
    found = judged(**figures, counts=SHOWN)
    assert found.level == "with care" and reason in found.reasons
    assert judged(**figures, gini=0.0, counts=MORE).level == "do not rely"


def test_a_random_map_is_passed_or_refused_wrongly_no_more_than_once_in_twenty() -> None:
    """Three truths at the border of each rule, 4 000 pictures each: chance crosses it with a probability of ERROR."""
    random, pictures = np.random.default_rng(0), 4000
    outcomes = {"faithful": [], "better": [], "kept": [], "steady": []}
    for _ in range(pictures):
        maps = random.standard_t(4, 20)
        both = np.r_[maps[1:], -maps[1:]]
        outcomes["faithful"].append(_faithful(maps[0], (both < maps[0]).mean(), 19) == "passes")
        border = 1.645  # the 95th percentile of a normal distribution: 5 % of random maps are as good
        maps = random.normal(size=19)
        outcomes["better"].append(_faithful(border, (np.r_[maps, -maps] < border).mean(), 19) == "fails")
        outcomes["kept"].append(_kept(random.binomial(20, COVERAGE) / 20, 20))
        alike = random.normal(UNSTEADY, 0.05, 3)
        outcomes["steady"].append(_steady(alike.mean(), alike.std(ddof=1) / 3**0.5, 3))
    chance = 3.1 * (ERROR * (1 - ERROR) / pictures) ** 0.5
    assert AS_GOOD == ERROR == 0.05
    for name in ("faithful", "better"):
        assert np.mean(outcomes[name]) <= ERROR + chance
    for name in ("kept", "steady"):
        for outcome in ("passes", "fails"):
            assert 0 < outcomes[name].count(outcome) / pictures <= ERROR + chance


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
    assert found.sentence.count(": ") == 1 and ", and " in found.sentence
    assert found.sentence.endswith(FAULTS[True, "both"] + ".")


def test_one_map_alone_has_no_one_to_agree_with() -> None:
    assert judged(agreement=()).level == "no objection"


@pytest.mark.parametrize(
    ("figures", "probability", "fault"),
    [
        ({}, 0.9, "neither"),
        ({"faithfulness": 0.0}, 0.9, "map"),
        ({"similarity": 0.4}, 0.9, "map"),
        ({"stability_coverage": 0.1}, 0.9, "network"),
        ({}, 0.3, "network"),
        ({"faithfulness": 0.0}, 0.3, "both"),
        ({"aopc_morf": 0.0, "aopc_lerf": 0.0, "random_aopc": 0.0}, 0.9, "neither"),
    ],
)
def test_it_is_told_whether_the_map_or_the_network_is_at_fault(figures, probability, fault) -> None:
    found = judged(**figures, probability=probability)
    assert found.fault == fault
    assert found.sentence.endswith((FAULTS[found.level == "do not rely", fault] or found.sentence[:-1]) + ".")


def test_the_sentence_names_the_noise_and_how_sure_the_network_is() -> None:
    loud = replace(SHOWN, sigma=0.1)
    assert "it changes strongly under slight noise (σ 0.1)" in judged(similarity=0.0, counts=loud).sentence
    assert "slight noise (σ 0.1) changes the prediction" in judged(stability_coverage=0.0, counts=loud).sentence
    assert "not sure of its answer (16 %)" in judged(probability=0.16).sentence


def test_every_check_is_listed_with_its_threshold_and_what_was_found() -> None:
    listed = {check.question: check for check in judged().checks}
    assert len(listed) == 9 and {check.outcome for check in listed.values()} == {"passes"}
    assert all(check.found and check.asked and not check.rule for check in listed.values())
    assert [check.asked for check in judged({}).checks if check.outcome == "not made"] == [
        f"{WORST:g} %; {POOR:g} % to be read without care", f"{POOR:g} % of the reference",
    ]  # fmt: skip
    assert len(judged(gini=0.0).checks) == 3, "of a map that is the same everywhere nothing can be asked"
    words = {check.found for check in judged(beats_random=36 / 38, stability_coverage=0.95).checks}
    assert {"better than 36 of 38 random maps", "on 19 of 20 noisy copies"} <= words


NUMBER = st.one_of(st.floats(-2, 2), st.just(math.nan))
FIGURES = st.fixed_dictionaries({name: NUMBER for name in GOOD})
PERCENTILES = st.fixed_dictionaries({name: st.one_of(st.none(), st.floats(0, 100)) for name in USUAL})


@given(FIGURES, PERCENTILES, NUMBER, st.lists(NUMBER, max_size=3))
def test_no_map_is_passed_that_fails_a_check(figures, percentiles, probability, agreement) -> None:
    found = judge(figures, percentiles, counts=SHOWN, probability=probability, agreement=agreement, name="the map")
    assert found.sentence.startswith(LEVELS[found.level].format(map="the map"))
    passes = (
        figures["gini"] > 0
        and figures["faithfulness"] > 0
        and figures["stability_coverage"] > 0.25
        and not math.isnan(figures["similarity"])
        and all(percentiles[name] is None or percentiles[name] >= WORST for name in ("ris", "ros"))
    )
    assert (found.level != "do not rely") <= passes
    assert (found.level == "no objection") <= (figures["similarity"] >= UNSTEADY and figures["beats_random"] > 0.9)
    assert bool(found.reasons) == (found.level != "no objection")
    listed = checks(figures, percentiles, counts=SHOWN, probability=probability, agreement=agreement)
    assert found.checks == listed
    assert (found.level == "do not rely") == any(check.outcome == "fails" for check in listed)
    assert set(found.reasons) - {"no-reference"} <= {check.rule for check in listed}
    assert all(bool(check.rule) == bool(check.reason) == (check.outcome in ASKED) for check in listed)


@given(PERCENTILES, st.floats(0, 1))
def test_worse_figures_never_make_a_better_judgement(percentiles, worse) -> None:
    order = list(LEVELS)
    good = judge(GOOD, percentiles, counts=MORE, probability=0.9)
    for name in ("faithfulness", "beats_random", "stability_coverage", "similarity"):
        bad = judge(GOOD | {name: GOOD[name] - worse}, percentiles, counts=MORE, probability=0.9)
        assert order.index(bad.level) <= order.index(good.level)


def test_calibrated_thresholds_are_those_that_the_grey_truth_set_chose():
    results = json.loads((Path(__file__).parents[2] / "results" / "trust-card.json").read_text())
    grey = next(board for board in results["boards"] if board["board"] == "truth:beside")
    assert asdict(Thresholds.calibrated()) == grey["moved"]
    given = {"counts": MORE, "probability": 0.9}
    assert judge(GOOD | {"gini": 0.74}, USUAL, **given).level == "no objection"
    told = judge(GOOD | {"gini": 0.74}, USUAL, **given, thresholds=Thresholds.calibrated())
    assert told.level == "with care" and "diffuse" in {check.rule for check in told.checks}
    assert judge(GOOD | {"gini": 0.76}, USUAL, **given, thresholds=Thresholds.calibrated()).level == "no objection"


@pytest.mark.parametrize("wrong", [{"unsteady": -1.1}, {"poor": 101.0}, {"diffuse": math.nan}, {"unsure": 2.0}])
def test_a_threshold_outside_its_range_is_one_sentence(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=rf"^{name} must be in \[-?\d+, \d+\], got "):
        Thresholds(**wrong)
