"""Compositions are the methods that they say, and the front that a search found becomes a table."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pellucid import Experiment
from pellucid.cli import main
from pellucid.config import from_config, to_config
from pellucid.core.errors import InputError
from pellucid.methods import SCAAT, AdversarialSCAAT, AdversarialTraining, Regular
from pellucid.papers.pellucid import (
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
    trainings,
)
from pellucid.papers.plan import SCALES
from pellucid.papers.reproduce import Reproduction, reproduce
from pellucid.papers.setting import setting
from pellucid.papers.stages import stages_of
from pellucid.papers.table import tables

RESULTS = Path(__file__).parents[2] / "results" / "raw"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_candidate_can_be_named_written_and_read(dataset, scale) -> None:
    at = setting(dataset, scale, path="somewhere")
    found = candidates(at)
    assert found[0] == Composition() and found[0].name == "regular"
    assert len({each.name for each in found}) == len(found)
    assert not {each.name for each in found} & set(rivals(at))
    others = {} if scale == "smoke" else rivals(at)
    assert trainings(at) == {each.name: experiment(at, each) for each in found} | others
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
    for number, each in enumerate(candidates(at)):
        measured = {c.metric: {"mean": 1 + number} for axis in AXES.values() for c in axis}
        rows.append({"run": each.name, "settings": asdict(each), "measured": measured, "morf_not_below": True})
    rows.append({"run": "sgt", "settings": None, "measured": measured, "morf_not_below": False})
    on = [rows[2]["run"], rows[4]["run"], rows[6]["run"], "sgt"]
    for row in rows:
        row |= {"front": row["run"] in on, "best_or_tied": ["sparsity"] if row["run"] == on[2] else []}
    found = {"dataset": "fashion-mnist", "rows": rows, "front": on, "recommended": on[0]} | changed
    return found, _written(folder, found)


def _written(folder, found):
    file = folder / "trace.json"
    file.write_text(json.dumps(found))
    return file


def test_without_a_search_there_is_one_composition_of_each_kind() -> None:
    table = front(setting("mnist", "cpu"))
    assert "no search was made" in table.title and not table.claims
    kinds = {type(run.method) for run in table.runs.values()}
    assert kinds == {Regular, AdversarialTraining, SCAAT, AdversarialSCAAT}
    assert next(iter(table.runs)) == "regular" and table.evaluation.split == "test"


@pytest.mark.parametrize("scale", SCALES)
def test_the_plan_is_the_same_in_every_directory(tmp_path, monkeypatch, scale) -> None:
    plan = Reproduction(paper="pellucid", scale=scale)
    here = tables(plan)
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    assert tables(plan) == here and stages_of(plan, tables(plan)) == stages_of(plan, here)
    # A trace that lies about is not read without being named.
    _, file = _trace(tmp_path / "results")
    file.rename(tmp_path / "results" / f"selection-pellucid-fashion-mnist-{scale}.json")
    assert tables(plan) == here


def test_the_plan_is_the_published_front() -> None:
    (table,) = tables(Reproduction(paper="pellucid"))
    published = json.loads((RESULTS / "pellucid-front-fashion-mnist-cpu.json").read_text())
    assert list(table.runs) == list(published["measured"])
    assert [claim.text for claim in table.claims] == [claim["text"] for claim in published["claims"]]
    assert len(table.claims) == 9


def test_another_network_has_not_the_usual_networks_front() -> None:
    (table,) = tables(Reproduction(paper="pellucid", network="resnet18"))
    assert "no search was made" in table.title


def test_a_found_front_is_the_table_and_its_claims(tmp_path) -> None:
    found, file = _trace(tmp_path)
    table = front(setting("fashion-mnist", "full", trace=file))
    # The second of the front is best at nothing.
    assert list(table.runs) == ["regular", found["recommended"], *found["front"][2:]]
    claims = {claim.metric: claim for claim in table.claims if claim.baseline != "regular"}
    against_regular = [claim for claim in table.claims if claim.baseline == "regular"]
    assert [claim.metric for claim in against_regular] == ["clean_accuracy", "aopc_lerf", "aopc_morf", "gini"]
    # The later a row, the greater all its numbers: the last is best where more is better, the first elsewhere.
    large = dict.fromkeys(("clean_accuracy", "robust_accuracy", "gini"), "sgt")
    assert {metric: claim.baseline for metric, claim in claims.items()} == large
    assert claims["gini"].low == -0.02 and claims["gini"].high is None and claims["gini"].kind == "difference"
    assert {claim.run for claim in table.claims} == {found["recommended"]}
    assert {claim.baseline for claim in table.claims} <= set(table.runs)

    for row in found["rows"]:
        row["measured"]["ris"]["mean"] = 1 / row["measured"]["ris"]["mean"]
    at = setting("fashion-mnist", "cpu", trace=_written(tmp_path, found))
    (ris,) = [claim for claim in front(at).claims if claim.metric == "ris"]
    assert (ris.kind, ris.low, ris.high) == ("factor", None, 1.1)
    assert ris.text.endswith(" in RIS by more than ×1.1")


def test_claims_are_held_against_the_best_and_not_against_one_that_rounds_to_the_same_step(tmp_path) -> None:
    found, _ = _trace(tmp_path)
    values = {"aopc_lerf": (0.00134, 0.00121, 0.00068), "robust_accuracy": (0.6, 0.698, 0.706)}
    for metric, means in values.items():
        for name, mean in zip(found["front"], means, strict=False):
            (row,) = [row for row in found["rows"] if row["run"] == name]
            row["measured"][metric]["mean"] = mean
    found["rows"][-1]["measured"]["robust_accuracy"]["mean"] = None
    claims = front(setting("fashion-mnist", "cpu", trace=_written(tmp_path, found))).claims
    assert {claim.metric: claim.baseline for claim in claims}["robust_accuracy"] == found["front"][2]
    lerf = [claim.baseline for claim in claims if claim.metric == "aopc_lerf"]
    assert lerf == [found["front"][2], "regular"]


def test_every_number_of_an_axis_has_words() -> None:
    assert set(WORDS) == {criterion.metric for axis in AXES.values() for criterion in axis}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rows": [{"run": "a"}]}, "is not a record of"),
        ({"recommended": "nobody"}, "names a network that it has no row of"),
        ({"dataset": "mnist"}, "is the trace of a search on mnist, and the table is of fashion-mnist"),
    ],
)
def test_a_damaged_trace_is_refused(tmp_path, changed, sentence) -> None:
    _, file = _trace(tmp_path, **changed)
    with pytest.raises(InputError, match=sentence):
        trace(setting("fashion-mnist", "cpu", trace=file))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe\x00", b'{"rows": 1}'])
def test_a_file_that_is_no_trace_is_refused(tmp_path, content) -> None:
    file = tmp_path / "trace.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"trace\.json is not a record of `pellucid select pellucid`"):
        trace(setting("fashion-mnist", "cpu", trace=file))


def test_the_trace_of_another_search_is_refused() -> None:
    file = RESULTS / "selection-xu2023-fashion-mnist-cpu.json"
    with pytest.raises(InputError, match="is not a record of `pellucid select pellucid`"):
        trace(setting("fashion-mnist", "cpu", trace=file))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "pellucid --trace nowhere.json",
            "trace must be a JSON file of `pellucid select pellucid`, got nowhere.json, which",
        ),
        (
            "xu2023 --trace nowhere.json",
            "trace is for the paper pellucid, whose networks were chosen by a search; got it for xu",
        ),
    ],
)
def test_a_trace_that_is_not_there_or_of_no_use_gets_one_sentence(capsys, words, sentence) -> None:
    assert main(["reproduce", *words.split(), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"pellucid: {sentence}") and said.count("\n") == 1


def test_the_front_is_reproduced(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, trace_file = _trace(tmp_path)
    plan = Reproduction(paper="pellucid", scale="smoke", seeds=1, trace=trace_file)
    (file,) = reproduce(plan, progress=False)
    assert file.name == "pellucid-front-fashion-mnist-smoke.md" and list(TABLES) == ["front"]
    text = file.read_text()
    assert "# pellucid, front: Those of the Pareto front that are best" in text
    result = json.loads(file.with_suffix(".json").read_text())
    assert any(claim["text"].endswith("MoRF is not below regular training's") for claim in result["claims"])
    assert "--trace FILE" in result["command"] and set(result["measured"]) == set(tables(plan)[0].runs)
