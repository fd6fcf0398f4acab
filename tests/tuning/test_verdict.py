from hypothesis import given, strategies as st

from pellucid.statistics import Interval
from pellucid.tuning.verdict import GOALS, verdict

SAME = Interval(0.0, -0.02, 0.02, 200)


def interval(mean: float, half: float, n: int = 200) -> Interval:
    return Interval(mean, mean - half, mean + half, n)


def test_a_better_map_at_no_cost_is_worth_it() -> None:
    found = verdict({"mass": interval(0.1, 0.02), "ris": interval(-3, 1)}, {"mass": 0.4, "ris": 12}, SAME, step=1.8)
    assert (found.ending, found.gained, found.lost) == ("worth it", ("mass", "ris"), ())
    assert found.sentence == (
        "Worth it: 10 points more of the map lies on the object and maps change 25 % less when the photograph is a "
        "little noisy; accuracy changes by +0.0 points [−2.0, +2.0]; a step took 1.8 times as long."
    )


def test_nothing_shown_is_no_gain() -> None:
    found = verdict({"gini": interval(0.01, 0.02)}, {"gini": 0.4}, SAME, step=2)
    assert found.ending == "no gain"
    assert found.sentence.startswith("No gain, keep the control: no improvement of sparsity (Gini) is shown;")


def test_a_worse_goal_or_dear_accuracy_makes_a_trade() -> None:
    gains = {"mass": interval(0.1, 0.02), "gini": interval(-0.1, 0.02)}
    assert verdict(gains, {"mass": 0.4, "gini": 0.5}, SAME, step=2).sentence.startswith(
        "A trade: 10 points more of the map lies on the object, but sparsity (Gini) got worse;"
    )
    dear = verdict({"mass": interval(0.1, 0.02)}, {"mass": 0.4}, interval(-0.03, 0.02), step=2)
    assert dear.ending == "a trade" and "accuracy changes by −3.0 points [−5.0, −1.0]" in dear.sentence


def test_a_lower_ris_is_better_and_few_images_tell_nothing() -> None:
    assert verdict({"ris": interval(3, 1)}, {"ris": 12}, SAME, step=2).lost == ("ris",)
    assert verdict({"ris": interval(3, 1, n=19)}, {"ris": 12}, SAME, step=2).ending == "cannot be told"


def test_a_gain_from_nothing_counts() -> None:
    found = verdict({"no_objection": interval(0.4, 0.1)}, {"no_objection": 0.0}, SAME, step=2)
    assert found.ending == "worth it" and "no objection on 40 points more of the photographs" in found.sentence
    sparser = verdict({"gini": interval(0.4, 0.1)}, {"gini": 0.0}, SAME, step=2)
    assert "maps are clearly sparser" in sparser.sentence


def test_corrected_for_how_much_is_tested() -> None:
    barely = interval(1.0, 0.95)  # shown if it were tested alone
    alone = verdict({"gini": barely}, {"gini": 1}, SAME, step=1)
    among = verdict({goal.name: barely if goal.name == "gini" else interval(0, 1) for goal in GOALS},
                    dict.fromkeys((goal.name for goal in GOALS), 1.0), SAME, step=1)  # fmt: skip
    assert (alone.gained, among.gained) == (("gini",), ())


@given(st.dictionaries(st.sampled_from([goal.name for goal in GOALS]), st.floats(-1, 1), min_size=1))
def test_the_sentence_agrees_with_the_ending(means: dict[str, float]) -> None:
    found = verdict(
        {name: interval(mean, 0.3) for name, mean in means.items()}, dict.fromkeys(means, 1.0), SAME, step=1
    )
    starts = {"worth it": "Worth it:", "a trade": "A trade:", "no gain": "No gain, keep the control:"}
    assert found.sentence.startswith(starts[found.ending]) and found.sentence.endswith(".")
    assert not set(found.gained) & set(found.lost)
    assert (found.ending == "no gain") == (not found.gained)
