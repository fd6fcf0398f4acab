"""Settings are chosen by the declared rule, kept where everybody reads them, and ready as a preset."""

import json
from dataclasses import replace
from typing import get_args

import pytest
import yaml

import pellucid
from pellucid.cli import main
from pellucid.config import from_config
from pellucid.core.errors import InputError
from pellucid.leaderboard.composition import Base, Composition, candidates
from pellucid.leaderboard.entries import ENTRIES
from pellucid.leaderboard.plan import Leaderboard
from pellucid.leaderboard.rules import chosen_strengths, most_robust, quickest, refusal, truest, winner
from pellucid.leaderboard.search import NO_PRESET, search, with_earlier
from pellucid.leaderboard.settings import keep, strengths


def row(name, accuracy, mass, faithfulness=None):
    return {
        "run": name,
        "validation_accuracy": accuracy,
        "measured": {"mass": mass, "faithfulness_normalised": faithfulness},
    }


REGULAR = row("regular", 0.80, 0.58, 0.40)


def test_a_strength_is_the_truest_that_keeps_the_accuracy():
    rows = [row("weak", 0.79, 0.60), row("middle", 0.78, 0.70), row("strong", 0.7799, 0.90)]
    assert chosen_strengths(rows, REGULAR)["run"] == "middle"  # exactly 2 points are allowed
    assert chosen_strengths([rows[2], row("worse", 0.70, 0.95)], REGULAR)["run"] == "strong"  # none is: most accurate
    assert chosen_strengths([row("flat", 0.79, None), rows[0]], REGULAR)["run"] == "weak"


def test_the_preset_is_faithful_and_within_one_point_or_two():
    true, unfaithful = row("true", 0.795, 0.75, 0.41), row("unfaithful", 0.80, 0.90, 0.39)
    truer = row("truer", 0.785, 0.85, 0.45)
    assert (found := winner([true, unfaithful, truer], REGULAR))["row"] is true and found["allowed_loss"] == 0.01
    assert (found := winner([unfaithful, truer], REGULAR))["row"] is truer and found["allowed_loss"] == 0.02
    assert found["faithful"]
    coarse = row("coarse", 0.78, 0.95, 0.1)  # two points less accurate; found where none is as faithful
    found = winner([unfaithful, coarse], REGULAR)
    assert (found["row"], found["allowed_loss"], found["faithful"]) == (coarse, 0.02, False)
    rough = row("rough", 0.77, 0.99, 0.5)
    found = winner([rough], REGULAR)
    assert (found["row"], found["allowed_loss"], found["faithful"]) == (rough, None, False)
    assert [refusal(one, REGULAR, 0.01, faithful=True) for one in (true, unfaithful, truer)] == [
        None, "faithfulness", "accuracy"
    ]  # fmt: skip


def test_the_front_has_the_truest_and_the_truest_of_the_robust():
    def attacked(name, accuracy, mass, robust):
        known = row(name, accuracy, mass)
        return known | {"measured": known["measured"] | {"robust_accuracy": robust}}

    regular = attacked("regular", 0.80, 0.58, 0.02)
    rows = [
        attacked("mild", 0.79, 0.65, 0.20),
        attacked("firm", 0.77, 0.75, 0.33),
        attacked("fine", 0.78, 0.60, 0.35),
        attacked("hard", 0.74, 0.70, 0.60),
    ]
    assert truest(rows, regular)["run"] == "firm"
    assert most_robust(rows, regular)["run"] == "firm"
    assert truest(rows[3:], regular)["run"] == "hard"  # none is accurate enough
    assert most_robust(rows[:1], regular)["run"] == "mild"  # none is robust enough
    broken = attacked("broken", 0.60, 0.90, 0.25)
    weak = attacked("weak", 0.80, 0.90, 0.10)
    assert most_robust([rows[0], broken, weak], regular)["run"] == "mild"  # nor may it lose more for that
    assert most_robust([rows[3], broken], regular)["run"] == "hard"  # unless none is accurate enough


def test_the_fast_preset_is_the_truest_of_the_quick_and_accurate():
    def timed(run, accuracy, mass, seconds):
        return {"run": run, "validation_accuracy": accuracy, "seconds": seconds, "measured": {"mass": mass}}

    regular = timed("regular", 0.80, 0.5, 10.0)
    rows = [timed("slow", 0.80, 0.9, 26.0), timed("poor", 0.77, 0.8, 11.0), timed("right", 0.82, 0.4, 10.0),
            timed("quick", 0.78, 0.6, 25.0)]  # fmt: skip
    assert quickest(rows, regular)["run"] == "quick"
    assert quickest(rows[:3], regular)["run"] == "regular"


def test_every_entry_has_settings_of_its_grid_in_every_family():
    for family in ("grey", "colour"):
        for one in ENTRIES:
            kept = strengths(family, one.settings_of or one.name)
            if not one.grid and one.kind == "control":
                continue
            if one.kind == "ours":
                assert Composition.of(kept).chosen == dict(kept)
            else:
                assert [set(kept)] * len(one.grid[family]) == [set(settings) for settings in one.grid[family]]
    with pytest.raises(InputError, match=r"settings.yaml has no settings of 'sgd' on grey images; it has regular"):
        strengths("grey", "sgd")


def test_what_was_chosen_is_kept_and_the_rest_stays(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("# read this\ngrey:\n  sgt: {fraction: 0.5}\n  at: {eps: 0.1}\ncolour:\n  at: {eps: 0.03}\n")
    keep("grey", {"at": {"eps": 0.2}, "new": {"base": "sgt", "penalty": 0.01}}, file)
    assert file.read_text().startswith("# read this\ngrey:\n  sgt: {fraction: 0.5}\n")
    assert yaml.safe_load(file.read_text()) == {
        "grey": {"sgt": {"fraction": 0.5}, "at": {"eps": 0.2}, "new": {"base": "sgt", "penalty": 0.01}},
        "colour": {"at": {"eps": 0.03}},
    }


@pytest.mark.parametrize("family", ["grey", "colour"])
def test_the_declared_compositions_differ(family):
    declared = candidates(family)
    assert len(declared) == len({one.name for one in declared}) == 40
    assert all(Composition.of(one.chosen) == one for one in declared)
    assert {one.base for one in declared} == set(get_args(Base))


def test_a_composition_without_ingredients_is_regular_training():
    plain = pellucid.Experiment()
    at = Composition()
    assert (at.method(lambda *_: None, 2), at.smooth(), at.block("relu1")) == (plain.method, None, None)
    with pytest.raises(InputError, match="settings of a composition must be among .*, got 'lr'"):
        Composition.of({"lr": 1})


def test_the_fast_preset_of_grey_images_is_the_truest_whose_penalty_looks_at_a_part_of_each_batch():
    fast, truest = (pellucid.preset(name, shape=(1, 28, 28)) for name in ("fast", "truest"))
    assert replace(fast.method, share=1.0) == truest.method and fast.method.share == 0.25
    assert (fast.activation, fast.smoothing) == (truest.activation, truest.smoothing)


def test_a_composition_without_a_term_has_no_share():
    with pytest.raises(InputError, match="^share is for a penalty or one of sgt, scaat, scaat-random, trades; regular"):
        Composition(share=0.5)
    made = Composition(base="trades", strength=0.1, share=0.5, penalty=0.01).method(lambda *_: pellucid.PGD(
        eps=0.1, step_size=0.1, steps=1), 2)  # fmt: skip
    assert (made.share, made.method.share) == (0.5, 0.5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 28, 56), (3, 32, 32), (3, 96, 96)])
def test_a_preset_loads_for_every_size(shape):
    chosen = pellucid.preset("trustworthy", shape=shape)
    experiment = chosen.applied_to(pellucid.Experiment(seed=7))
    assert (experiment.method, experiment.activation, experiment.smoothing) == (
        chosen.method, chosen.activation, chosen.smoothing
    )  # fmt: skip
    assert experiment.seed == 7
    with pytest.raises(InputError, match="preset must be one of trustworthy, truest, robust, fast, got 'best'"):
        pellucid.preset("best", shape=shape)


def printed(capsys, *flags):
    with pytest.raises(SystemExit):
        main(["train", "run", *flags, "--print_config"])
    return from_config(yaml.safe_load(capsys.readouterr().out), pellucid.Experiment)


def test_a_preset_of_the_command_line_is_below_all_flags(capsys):
    chosen = pellucid.preset("trustworthy", shape=(1, 28, 28))
    experiment = printed(capsys, "--preset", "trustworthy", "--epochs", "2")
    assert experiment == chosen.applied_to(pellucid.Experiment(epochs=2))
    # as the first flag or the last, and the preset's own method keeps its other settings
    other = printed(capsys, "--activation.beta", "3", "--method", "SCAAT", "--preset=trustworthy")
    assert other.activation == replace(chosen.activation, beta=3)
    assert other.method == pellucid.SCAAT()
    kept = type(chosen.method).__name__
    assert printed(capsys, "--preset", "trustworthy", "--method", kept).method == chosen.method
    assert main(["train", "run", "--preset", "best"]) == 2
    assert capsys.readouterr().err == "pellucid: preset must be one of trustworthy, truest, robust, fast, got 'best'\n"


def test_a_search_of_some_entries_keeps_the_others():
    def trace(run, entries, *, preset):
        rows = [row(f"{name}-{run}", 0.8, 0.6) | {"entry": name} for name in entries]
        made = {"compositions": [run], "front": {"truest": run}, "winner": run, "allowed_loss": 0.01, "faithful": True}
        names = [*entries, "trustworthy"] if preset else entries
        return {
            "regular": rows[0], "rows": rows, "rules": dict.fromkeys(("entries", "preset", "front"), run),
            "chosen": {name: f"{name}-{run}" for name in entries},
            **(made if preset else NO_PRESET), "origins": [{"entries": names, "command": run}],
        }  # fmt: skip

    whole = trace("first", ["regular", "decay", "sgt"], preset=True)
    assert with_earlier({}, whole) == whole
    some = with_earlier(whole, trace("second", ["regular", "decay"], preset=False))
    assert some["chosen"] == {"regular": "regular-second", "decay": "decay-second", "sgt": "sgt-first"}
    assert [one["run"] for one in some["rows"]] == ["regular-second", "decay-second", "sgt-first"]
    assert (some["winner"], some["front"], some["faithful"]) == ("first", {"truest": "first"}, True)
    assert some["rules"] == {"entries": "second", "preset": "first", "front": "first"}
    assert [one["entries"] for one in some["origins"]] == [["sgt", "trustworthy"], ["regular", "decay"]]
    presets = with_earlier(some, trace("third", ["regular"], preset=True))
    assert (presets["winner"], presets["compositions"]) == ("third", ["third"])
    assert [one["entries"] for one in presets["origins"]] == [["sgt"], ["decay"], ["regular", "trustworthy"]]


@pytest.mark.slow
def test_a_search_says_what_it_tried_and_chose(tmp_path):
    plan = Leaderboard(
        name="truth:shapes", scale="smoke", only=("decay", "trustworthy"), out=tmp_path / "runs", results=tmp_path
    )
    files = search(plan, progress=False)
    assert [file.name for file in files] == [
        "leaderboard-search-truth-shapes-smoke.md", "leaderboard-search-truth-shapes-smoke.json"
    ]  # fmt: skip
    trace = json.loads(files[1].read_text(encoding="utf-8"))
    assert trace["seeds"] == [101]
    by_name = {row["run"]: row for row in trace["rows"]}
    assert set(by_name) == {"regular", "decay-0.0001", "decay-0.0003", "decay-0.001", "decay-0.003"}
    of_decay = [row for row in trace["rows"] if row["entry"] == "decay"]
    assert trace["chosen"]["decay"] == chosen_strengths(of_decay, trace["regular"])["run"]
    assert trace["winner"] == winner(trace["compositions"][1:], trace["compositions"][0])["row"]["run"]
    text = files[0].read_text(encoding="utf-8")
    assert (
        f"The preset `trustworthy`: **`{trace['winner']}`**" in text and f"| **{trace['chosen']['decay']}** |" in text
    )
