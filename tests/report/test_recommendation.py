"""What is recommended of runs whose relations are known: a tie is never a win, and what it costs is said."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from pellucid.report.contrasts import contrasts
from pellucid.report.recommendation import RANDOM_GINI, Contest, _tied, contests, recommend
from pellucid.report.scale import scale
from pellucid.report.table import summarise
from pellucid.report.verdict import baseline_of
from pellucid.report.weights import score, weighed
from pellucid.runs.evaluated import Run, read_runs
from pellucid.runs.measures import Measure


def _advice(runs: list[Run]):
    summaries = {run.name: summarise(run) for run in runs}
    baseline = baseline_of(runs)
    contrasted = contrasts(runs, summaries, baseline)
    found = contests(runs, summaries, contrasted)
    return recommend(runs, summaries, contrasted, baseline, found), found, summaries, baseline


@pytest.fixture(scope="module")
def six(six_runs):
    return _advice(read_runs(six_runs))


def _with(run: Run, **columns: np.ndarray) -> Run:
    rows = run.rows
    for name, values in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    return replace(run, rows=rows)


def test_each_purpose_has_its_network_its_price_and_how_sure_it_is(six) -> None:
    maps, attack, predictions = six[0]
    assert (maps.purpose, maps.runs, maps.verdict) == ("For maps you can act on", ["scaat"], "clear")
    assert maps.why.startswith("The vanilla gradient maps of scaat are the most concentrated: Gini index 0.7")
    assert re.search(
        r"scaat loses [\d.]+ points of accuracy \[[\d.]+, [\d.]+\] against regular and takes 14\.4 times", maps.cost
    )
    assert "each of the other 5 by how concentrated their maps are on the same 200 images." in maps.sure
    assert re.search(
        r"Even the smallest of these differences, from [\w-]+, would arise by chance alone in .+ \(p [<=] ", maps.sure
    )
    assert maps.cheaper.startswith("If that is too much, take scaat-fast (Gini index 0.6")
    assert set(attack.runs) == {"at", "at-smoothing"} and attack.verdict == "tie"
    assert "at and at-smoothing cannot be told apart" in attack.sure
    assert "regular" in predictions.runs and predictions.cheaper == ""


def test_equal_runs_recommend_nothing(make_run) -> None:
    runs = read_runs([make_run(name, saliency=("vanilla_gradient",)) for name in ("a", "b")])
    advice, found, *_ = _advice([runs[0], replace(runs[1], rows=runs[0].rows)])
    assert [one.runs for one in advice] == [[]] * 3
    assert all(contest.all_level for contest in found)
    assert [contest.best for contest in found if not contest.nobody] == [["a", "b"]] * 3
    assert {sign for contest in found for row in contest.signs for sign in row} == {0}
    assert "cannot be told apart by how concentrated their maps are with 60 images" in advice[0].why
    assert "more images would hardly help" in advice[0].why


def test_too_few_images_say_how_many_would_do(make_run) -> None:
    means = ((0.89, 0.1, 0.560, 1e-2, 0.2, 1.9, 8.0), (0.85, 0.1, 0.562, 1e-2, 0.2, 1.9, 8.0))
    runs = read_runs([make_run(name, means=of, images=30) for name, of in zip("ab", means, strict=True)])
    advice = _advice(runs)[0]
    for one in advice:
        assert one.runs == []
    assert re.search(r"with 30 images; about [\d,]+ would be needed to tell any two of them apart", advice[0].why)


def test_fewer_than_ten_images_choose_nobody(make_run) -> None:
    runs = read_runs([make_run(name, images=1, gallery=1) for name in ("a", "b")])
    assert {one.why for one in _advice(runs)[0]} == {"1 image is too few to recommend a network; measure 10 or more."}


def test_where_no_network_survives_an_attack_none_holds_out(make_run) -> None:
    runs = read_runs([make_run("a"), make_run("b", method="SCAAT")])
    beaten = [_with(run, robust_correct=np.zeros(60, bool)) for run in runs]
    attack = _advice(beaten)[0][1]
    assert (attack.runs, attack.verdict) == ([], "none")
    assert attack.why == "No network holds out: under this attack none names a single picture correctly."
    few = [_with(run, robust_correct=np.arange(60) < 4) for run in runs]
    assert "no more than guessing would" in _advice(few)[0][1].why


@pytest.mark.parametrize(("held", "offered"), [(28, False), (44, False), (52, True), (90, True)])
def test_a_cheaper_network_is_offered_for_a_quarter_of_the_gain_alone(make_run, held: int, offered: bool) -> None:
    runs = read_runs([make_run(name, images=200, saliency=("vanilla_gradient",)) for name in ("a", "b", "c")])
    label = runs[0].rows["label"].to_numpy()
    places = np.arange(200)
    answers = [np.where(places < right, label, (label + 1) % 10) for right in (190, 190, 150)]
    withstood = [places < count for count in (20, held, 140)]  # the third gains 120 of 200 and costs accuracy
    made = [
        _with(run, prediction=prediction, robust_correct=correct)
        for run, prediction, correct in zip(runs, answers, withstood, strict=True)
    ]
    attack = _advice(made)[0][1]
    assert attack.runs == ["c"] and "c loses 20" in attack.cost
    assert attack.cheaper.startswith("If that is too much, take b (") is offered


def test_where_the_truth_is_known_it_chooses(make_run) -> None:
    runs = read_runs([make_run(name, saliency=("vanilla_gradient",)) for name in ("a", "b")])
    info = {"columns": runs[0].info["columns"] | {"mass": {}}}
    mass = {"a": np.linspace(0.4, 0.6, 60), "b": np.linspace(0.2, 0.4, 60)}
    known = [
        replace(run, rows=run.rows.append_column("mass", pa.array(mass[run.name])), info=run.info | info)
        for run in runs
    ]
    advice, found, summaries, baseline = _advice(known)
    assert advice[0].runs == ["a"]
    assert advice[0].why.startswith("50.0 % [48.6, 51.4] of what the maps of a mark lies on what decides the class")
    assert scale(known, summaries, baseline, found).measure.name == "mass"


def test_the_scale_has_the_baseline_the_best_and_a_random_map(six) -> None:
    _, found, summaries, baseline = six
    shown = scale([], summaries, baseline, found)
    assert [(mark.name, mark.kind) for mark in shown.marks] == [
        ("regular", "baseline"),
        ("scaat", "best"),
        ("a random map", "random"),
    ]
    assert all(0 <= mark.place <= 1 for mark in shown.marks)


def test_a_map_of_random_numbers_has_the_gini_of_the_scale() -> None:
    values = np.sort(np.random.default_rng(0).random(20_000))
    rank = np.arange(1, len(values) + 1)
    gini = 1 - 2 * np.sum(values / values.sum() * (len(values) - rank + 0.5) / len(values))
    assert gini == pytest.approx(RANDOM_GINI, abs=0.005)


def _contest(signs: list[list[int]]) -> Contest:
    return Contest(Measure.named("gini"), "Q?", [], signs)


@st.composite
def _questions(draw):
    count = draw(st.integers(2, 5))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        signs = [[0] * count for _ in range(count)]
        for i in range(count):
            for j in range(i):
                signs[i][j] = draw(st.sampled_from([-1, 0, 1]))
                signs[j][i] = -signs[i][j]
        found.append(_contest(signs))
    return found, [draw(st.integers(0, 4)) for _ in found]


@given(_questions())
def test_scores_lie_between_minus_one_and_one_and_cancel(drawn) -> None:
    found, weights = drawn
    scores = [score(found, weights, run) for run in range(len(found[0].signs))]
    assert all(-1 <= value <= 1 for value in scores)
    assert sum(scores) == pytest.approx(0)
    doubled = [score(found, [2 * weight for weight in weights], run) for run in range(len(scores))]
    assert doubled == pytest.approx(scores)


def test_ties_score_nothing_and_nobody_comes_first() -> None:
    level = weighed([_contest([[0, 0], [0, 0]])], ["a", "b"])
    assert level["weighed_said"] == "With these weights no network comes first."
    assert [(row["better"], row["worse"], row["level"]) for row in level["weighed"]] == [(0, 0, 1)] * 2
    won = weighed([_contest([[0, -1], [1, 0]])], ["a", "b"])
    assert won["weighed_said"] == "With these weights b comes first."
    assert [row["score"] for row in won["weighed"]] == ["+100\u00a0%", "−100\u00a0%"]
    assert weighed([], ["a"])["weighed_said"] == "With these weights no network comes first."


@pytest.mark.parametrize(("low", "counted"), [(-0.1, False), (0.002, True)])
def test_an_interval_beside_a_tie_does_not_seem_to_contradict_it(low, counted) -> None:
    found = SimpleNamespace(difference=SimpleNamespace(low=low, high=0.04, n=500), images_needed=880)
    contest = SimpleNamespace(best=["regular", "sgt"], measure=SimpleNamespace(name="clean_accuracy"))
    said = _tied(contest, {("clean_accuracy", "regular", "sgt"): found})
    assert ("given how many pairs are compared" in said) is counted
    assert said.endswith("about 880 would be needed to tell them apart.")
