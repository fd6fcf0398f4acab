"""Which measure tells the truth, what sentences and cards are worth: on numbers whose answer is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from pellucid.core.errors import InputError
from pellucid.explanation.levels import Examined
from pellucid.explanation.trust_rules import Counts, Thresholds
from pellucid.leaderboard import declared
from pellucid.leaderboard.calibration import Judged, is_true, moved, shares
from pellucid.leaderboard.declared import corrected, judged, p_value
from pellucid.leaderboard.entries import entry
from pellucid.leaderboard.plan import BOARDS
from pellucid.leaderboard.predictions import FIRST, LATER, SENTENCES
from pellucid.leaderboard.reading import lead
from pellucid.leaderboard.rows import MAIN, MORE
from pellucid.leaderboard.telling import MEASURES, Network, held_out, telling
from pellucid.leaderboard.telling_page import reading
from pellucid.runs.measures import KNOWN
from pellucid.statistics import Interval
from pellucid.statistics.clusters import clustered_interval, rank_correlation


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1, 1)), min_size=3, max_size=30))
def test_rank_correlation_is_spearmans(pairs):
    a, b = np.array(pairs, dtype=float).T
    found = rank_correlation(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


def test_pairs_without_a_number_are_dropped():
    assert rank_correlation([1, 2, np.nan, 3, 4], [1, 2, -9, 3, 4]) == 1
    assert np.isnan(rank_correlation([1, 2], [1, 2]))


def test_seeds_of_one_training_are_one_piece_of_evidence():
    random = np.random.default_rng(0)
    of_entry = random.normal(size=12)
    values = np.repeat(of_entry, 5)
    entries = np.repeat(np.arange(12), 5).tolist()

    def mean(chosen):
        return float(values[chosen].mean())

    clustered, alone = clustered_interval(mean, entries), clustered_interval(mean, list(range(60)))
    assert clustered.mean == alone.mean == pytest.approx(of_entry.mean())
    usual = of_entry.std() / 12**0.5
    assert (clustered.high - clustered.low) / 2 == pytest.approx(1.96 * usual, rel=0.15)
    assert clustered.high - clustered.low > 1.7 * (alone.high - alone.low)
    with pytest.raises(InputError, match="clusters must hold at least one thing"):
        clustered_interval(mean, [])


def network(entry, seed, truth, **measures):
    """A network of 40 images whose numbers are those given plus a spread that is the same for all."""
    spread = np.linspace(-0.1, 0.1, 40)
    columns = {name: value + spread for name, value in {"mass": truth, **measures}.items()}
    run = SimpleNamespace(
        rows=SimpleNamespace(num_rows=40),
        columns=columns,
        values=lambda name: columns[name],
        measures={
            name: SimpleNamespace(statistic=lambda run, values=values: lambda weight: weight @ values / weight.sum(1))
            for name, values in columns.items()
        },
    )
    return Network(entry, seed, run)


def networks():
    """Eight trainings of four seeds: Gini goes with the truth, LeRF against it, MoRF with nothing."""
    random = np.random.default_rng(1)
    return [
        network(f"entry{i}", seed, 0.5 + 0.04 * i + 0.001 * seed, gini=0.4 + 0.03 * i, aopc_lerf=-0.01 * i,
                aopc_morf=float(random.normal()), faithfulness_normalised=0.02 * i)
        for i in range(8)
        for seed in (1, 2, 3, 4)
    ]  # fmt: skip


def test_the_measure_that_goes_with_the_truth_is_found():
    found = telling(networks())
    rows = {row["measure"]: row for row in found["rows"]}
    assert set(rows) == {"gini", "aopc_lerf", "aopc_morf", "faithfulness_normalised"}
    assert rows["gini"]["networks"]["mean"] > 0.98 and rows["aopc_lerf"]["networks"]["mean"] < -0.98
    assert rows["aopc_morf"]["networks"]["low"] < 0 < rows["aopc_morf"]["networks"]["high"]
    assert rows["gini"]["images"]["mean"] == 1  # the spread over images is the same
    assert (found["networks"], found["entries"], found["seeds"]) == (32, 8, [1, 2, 3, 4])
    assert found["held_out"]["corrections"]["measure"] == "faithfulness_normalised"
    assert found["held_out"]["corrections"]["success"] is True
    text = reading({"board": "truth:made-up", **json.loads(json.dumps(found))})
    assert text.count(". ") == 2 and "which reaches the .8" in text


def test_every_measure_that_a_page_names_is_one_that_a_table_can_show():
    assert {*MAIN, *MORE, *MEASURES} <= set(KNOWN)


def test_what_odd_seeds_choose_is_told_on_even_seeds():
    every = networks()
    for one in every:
        if one.seed % 2:  # on odd seeds alone, MoRF is the truth itself
            one.run.measures["aopc_morf"] = one.run.measures["mass"]
    found = held_out(every, ["aopc_morf"])
    assert found["chosen"] == 1 and found["held"]["mean"] < 0.8 and found["success"] is False
    assert held_out([one for one in every if one.seed == 1], ["aopc_morf"]) is None


def test_a_p_value_is_that_of_the_interval():
    values = np.random.default_rng(2).normal(0.4, 1, 30)
    error = values.std(ddof=1) / 30**0.5

    def at(confidence):
        half = stats.t.ppf((1 + confidence) / 2, 29) * error
        return Interval(values.mean(), values.mean() - half, values.mean() + half, 30)

    assert p_value(at, 0.1) == pytest.approx(stats.ttest_1samp(values, 0.1).pvalue, abs=1e-4)
    assert p_value(at, values.mean()) == pytest.approx(1, abs=1e-4)
    assert p_value(at, 100.0) == 1e-3


def test_sentences_are_of_boards_and_entries_that_there_are():
    assert 15 <= len(FIRST) <= 25 and (*FIRST, *LATER) == SENTENCES
    assert not any(one.later for one in FIRST) and all(one.later for one in LATER)
    assert len({one.claim.text for one in SENTENCES}) == len(SENTENCES)
    for one in SENTENCES:
        assert one.board in BOARDS and entry(one.claim.run)
        assert (one.claim.low is None) != (one.claim.high is None)
        assert one.claim.kind == ("difference" if one.claim.baseline else "value")


def made_up(mean, seeds, n=50):
    random = np.random.default_rng(int(1000 * mean) + seeds)
    runs = {}
    for seed in range(1, seeds + 1):
        values = mean + 0.05 * random.normal(size=n)
        measure = SimpleNamespace(statistic=lambda run, values=values: lambda weight: weight @ values / weight.sum(1))
        runs[seed] = SimpleNamespace(rows=SimpleNamespace(num_rows=n), measures={"mass": measure})
    return runs


def test_a_verdict_needs_seeds_and_the_right_side(monkeypatch):
    monkeypatch.setattr(declared, "SENTENCES", [one for one in SENTENCES if one.claim.metric == "mass"])
    boards = {"truth:beside": {"scaat": made_up(0.7, 5), "regular": made_up(0.6, 5), "scaat-random": made_up(0.8, 5)}}
    found = {(row["run"], row["baseline"]): row for row in judged(boards) if row["board"] == "truth:beside"}
    assert found["scaat", "regular"]["verdict"] == "confirmed"
    assert found["scaat", "scaat-random"]["verdict"] == "refuted"
    assert found["sgt", "regular"]["verdict"] == "not measured"
    assert found["scaat", "regular"]["p_holm"] >= found["scaat", "regular"]["p"]
    assert [row["p_holm"] for row in corrected([found["scaat", "regular"]])] == [found["scaat", "regular"]["p"]]
    one = {"truth:beside": {name: {1: runs[1]} for name, runs in boards["truth:beside"].items()}}
    verdicts = {row["verdict"] for row in judged(one)}
    assert verdicts == {"one seed", "not measured"}


def test_networks_are_compared_by_their_seeds():
    """Networks that differ by their seed alone have no difference, whichever seed one entry lacks."""
    whole = {seed: made_up(0.1 * seed, 1)[1] for seed in (1, 2, 3)}
    lacking = {seed: run for seed, run in whole.items() if seed != 2}
    rows = judged({"truth:beside": {"scaat": lacking, "regular": whole}})
    found = next(row for row in rows if row["seeds"])
    assert (found["run"], found["baseline"], found["seeds"], found["found"]["mean"]) == ("scaat", "regular", 2, 0)


GOOD = {"faithfulness": 0.4, "beats_random": 1.0, "aopc_morf": 0.5, "aopc_lerf": 0.1, "random_aopc": 0.2,
        "stability_coverage": 1.0, "similarity": 0.8, "similarity_error": 0.01, "gini": 0.6}  # fmt: skip


def judged_map(similarity, true, entry="a", gini=0.8):
    counts = Counts(random_maps=39, predictions=50, maps=10)
    figures = GOOD | {"similarity": similarity, "gini": gini}
    return Judged(entry, Examined(0, figures, {"ris": 60.0}, counts, 0.9), mass=0.9 if true else 0.6, chance=0.5)


def test_thresholds_move_to_where_maps_become_true():
    maps = [judged_map(0.3 + 0.006 * i, true=i >= 60, entry="ab"[i % 2]) for i in range(120)]  # true from 0.66 on
    told = shares(maps)
    assert sum(told[level]["maps"] for level in told if level != "all") == told["all"]["maps"] == 120
    assert told["all"]["share"] == 0.5 and told["all"]["interval"]["mean"] == 0.5
    found = moved(maps)
    assert found is not None and found.shaky == 0.7
    assert shares(maps, found)["no objection"]["share"] > told["no objection"]["share"]
    assert shares(maps, Thresholds()) == told
    assert moved(maps[:20]) is None


def test_a_spread_map_is_read_with_care_where_that_goes_with_the_truth():
    maps = [judged_map(0.9, true=gini > 0.6, gini=gini) for gini in np.linspace(0.41, 0.79, 100)]
    assert shares(maps)["no objection"]["maps"] == 100  # by default the rule never speaks
    found = moved(maps)
    assert found is not None and found.diffuse == 0.6
    told = shares(maps, found)
    assert (told["no objection"]["share"], told["with care"]["share"]) == (1, 0)


def test_true_is_above_chance_by_a_part_of_the_rest():
    assert is_true(1, 0.9) and is_true(0.5, 0.0) and not is_true(0.7, 0.5) and is_true(0.5, 0.5, margin=0)


def board_of(lows):
    against = {name: {"mass": {"mean": 0.1, "low": low, "high": 0.2, "n": 9}} for name, low in lows.items()}
    return {"name": "scaat", "kind": "method", "against": against, "measured": {}}


def test_the_lead_says_what_does_not_hold():
    result = {"board": "truth:beside", "scale": "cpu", "seeds": [1, 2, 3, 4, 5], "contrasts": ["mass"]}
    above = list(lead(result | {"rows": [board_of({"regular": 0.05, "scaat-random": 0.01})]}))
    told = "higher true mass than regular training and than every control beside it"
    assert above[0] == f"**By uncorrected intervals, {told}: scaat.**"
    not_control = list(lead(result | {"rows": [board_of({"regular": 0.05, "scaat-random": -0.01})]}))
    assert not_control[1].endswith("each of its controls: scaat.")
    alone = list(lead(result | {"rows": [board_of({"regular": 0.05})]}))
    assert alone[0].endswith("beside it: none.**")
    assert alone[2] == "Higher than regular training, with no control measured beside it: scaat."
    not_even = list(lead(result | {"rows": [board_of({"regular": -0.05, "scaat-random": 0.01})]}))
    assert not_even[2] == "Not shown to be higher than regular training: scaat."
    assert "nothing is confirmed" in next(lead(result | {"seeds": [1], "rows": []}))
    few = list(lead(result | {"seeds": [1, 2], "rows": [board_of({"regular": 0.05, "scaat-random": 0.01})]}))
    assert few[0].startswith("2 of the 5 declared seeds") and few[1:] == above
