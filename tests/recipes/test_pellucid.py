"""Compositions are the methods that they say, and the front that a search found becomes a table."""

import json
from dataclasses import asdict, replace

import pytest

from pellucid import Experiment, reproduction
from pellucid.config import from_config, to_config
from pellucid.core.errors import InputError
from pellucid.methods import SCAAT, AdversarialSCAAT, AdversarialTraining, Regular
from pellucid.recipes.pellucid import (
    AXES,
    DATASETS,
    TABLES,
    WORDS,
    Composition,
    candidates,
    experiment,
    front,
    rivals,
    trace,
)
from pellucid.recipes.table import SCALES, setting


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_candidate_can_be_named_written_and_read(dataset, scale) -> None:
    at = setting(dataset, scale, path="somewhere")
    found = candidates(at, scale)
    assert found[0] == Composition() and found[0].name == "regular"
    assert len({each.name for each in found}) == len(found)
    assert not {each.name for each in found} & set(rivals(at, scale))
    for each in found:
        made = experiment(at, each)
        assert from_config(to_config(made), Experiment) == made
        assert replace(made, method=Regular(), smoothing=None) == replace(at.base, method=Regular())


@pytest.mark.parametrize(
    ("composition", "kind"),
    [
        (Composition(), Regular),
        (Composition(attacked_share=1), AdversarialTraining),
        (Composition(weight=0.3, eps=0.1), SCAAT),
        (Composition(weight=0.3, eps=0.1, attacked_share=0.5), AdversarialSCAAT),
    ],
)
def test_a_composition_is_one_method(composition, kind) -> None:
    at = setting("fashion-mnist", "full")
    method = composition.method(at)
    assert type(method) is kind
    if kind is AdversarialTraining:
        assert (method.clean, method.attack.eps) == ("none", at.eps)
        half = replace(composition, attacked_share=0.25).method(at)
        assert (half.clean, half.clean_share) == ("share", 0.75)
    if kind is AdversarialSCAAT:
        assert method.scaat == replace(composition, attacked_share=0).method(at)
        assert (method.attack.eps, method.attacked_share) == (at.eps, 0.5)
    smooth = experiment(at, replace(composition, filter="gaussian"))
    assert smooth.method == method and smooth.smoothing.layers == (at.stage,)


def _trace(folder, **changed):
    at = setting("fashion-mnist", "smoke")
    rows = []
    for number, each in enumerate(candidates(at, "smoke")):
        measured = {c.metric: {"mean": 1 + number} for axis in AXES.values() for c in axis}
        rows.append({"run": each.name, "settings": asdict(each), "measured": measured, "morf_not_below": True})
    rows.append({"run": "sgt", "settings": None, "measured": measured, "morf_not_below": False})
    on = [rows[2]["run"], rows[4]["run"], rows[6]["run"], "sgt"]
    for row in rows:
        row |= {"front": row["run"] in on, "best_or_tied": ["sparsity"] if row["run"] == on[2] else []}
    found = {"rows": rows, "front": on, "recommended": on[0]} | changed
    (folder / "results").mkdir()
    (folder / "results" / "selection-pellucid-fashion-mnist-cpu.json").write_text(json.dumps(found))
    return found


def test_without_a_search_there_is_one_composition_of_each_kind(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = front("fashion-mnist", "cpu")
    assert "no search was made" in table.title and not table.claims
    kinds = {type(run.method) for run in table.runs.values()}
    assert kinds == {Regular, AdversarialTraining, SCAAT, AdversarialSCAAT}
    assert next(iter(table.runs)) == "regular" and table.evaluation.split == "test"


def test_a_found_front_is_the_table_and_its_claims(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = _trace(tmp_path)
    table = front("fashion-mnist", "full")
    # The second of the front is best at nothing.
    assert list(table.runs) == ["regular", found["recommended"], *found["front"][2:]]
    claims = {claim.metric: claim for claim in table.claims if claim.baseline != "regular"}
    own = [claim for claim in table.claims if claim.baseline == "regular"]
    assert [claim.metric for claim in own] == ["clean_accuracy", "aopc_lerf", "aopc_morf", "gini"]
    # The later a row, the greater all its numbers: the last is best where more is better, the first elsewhere.
    large = dict.fromkeys(("clean_accuracy", "robust_accuracy", "gini"), "sgt")
    assert {metric: claim.baseline for metric, claim in claims.items()} == large
    assert claims["gini"].low == -0.02 and claims["gini"].high is None and claims["gini"].kind == "difference"
    assert {claim.run for claim in table.claims} == {found["recommended"]}
    assert {claim.baseline for claim in table.claims} <= set(table.runs)

    for row in found["rows"]:
        row["measured"]["ris"]["mean"] = 1 / row["measured"]["ris"]["mean"]
    (tmp_path / "results" / "selection-pellucid-fashion-mnist-cpu.json").write_text(json.dumps(found))
    (ris,) = [claim for claim in front("fashion-mnist", "cpu").claims if claim.metric == "ris"]
    assert (ris.kind, ris.low, ris.high) == ("factor", None, 1.1)
    assert ris.text.endswith(" in RIS by more than ×1.1")


def test_claims_are_held_against_the_best_and_not_against_one_that_rounds_to_the_same_step(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = _trace(tmp_path)
    values = {"aopc_lerf": (0.00134, 0.00121, 0.00068), "robust_accuracy": (0.6, 0.698, 0.706)}
    for metric, means in values.items():
        for name, mean in zip(found["front"], means, strict=False):
            (row,) = [row for row in found["rows"] if row["run"] == name]
            row["measured"][metric]["mean"] = mean
    found["rows"][-1]["measured"]["robust_accuracy"]["mean"] = None
    (tmp_path / "results" / "selection-pellucid-fashion-mnist-cpu.json").write_text(json.dumps(found))
    against = {claim.metric: claim.baseline for claim in front("fashion-mnist", "cpu").claims}
    assert against["robust_accuracy"] == found["front"][2]
    lerf = [claim.baseline for claim in front("fashion-mnist", "cpu").claims if claim.metric == "aopc_lerf"]
    assert lerf == [found["front"][2], "regular"]


def test_every_number_of_an_axis_has_words() -> None:
    assert set(WORDS) == {criterion.metric for axis in AXES.values() for criterion in axis}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rows": [{"run": "a"}]}, "is no trace of"),
        ({"recommended": "nobody"}, "names a network that it has no row of"),
    ],
)
def test_a_damaged_trace_is_refused(tmp_path, changed, sentence) -> None:
    _trace(tmp_path, **changed)
    with pytest.raises(InputError, match=sentence):
        trace("fashion-mnist", "cpu", tmp_path / "results")
    assert trace("mnist", "cpu", tmp_path / "results") is None


def test_the_front_is_reproduced(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduction, "PAPERS", tuple({*reproduction.PAPERS, "pellucid"}))
    _trace(tmp_path)
    (file,) = reproduction.reproduce(
        reproduction.Reproduction(paper="pellucid", scale="smoke", seeds=1), progress=False
    )  # fmt: skip
    assert file.name == "pellucid-front-fashion-mnist-smoke.md" and list(TABLES) == ["front"]
    text = file.read_text()
    assert "# pellucid, front: Those of the Pareto front that are best" in text
    claims = json.loads(file.with_suffix(".json").read_text())["claims"]
    assert any(claim["text"].endswith("MoRF is not below regular training's") for claim in claims)
