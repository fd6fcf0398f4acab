"""Footnotes: none without a reason, and each where its reason is in the rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.cli import main
from pellucid.report import compare, definitions, read_run, render
from pellucid.report.caveats import caveats, survivals
from pellucid.report.gate import check
from pellucid.report.gate_formats import github, table
from pellucid.report.page import write_report
from pellucid.report.requirement import parse


def _with(path, columns, parameters=()):
    """The run with further columns of its rows."""
    table = pq.read_table(path / "rows.parquet")
    info = json.loads(table.schema.metadata[b"pellucid"])
    for name, values in columns.items():
        values = np.asarray(values)
        array = (
            pa.array(list(values.astype("float32")), pa.list_(pa.float32())) if values.ndim == 2 else pa.array(values)
        )
        table = table.append_column(name, array)
        info["columns"][name] = {"title": name, "definition": "A column.", "unit": "", "direction": "none",
                                 "parameters": dict(parameters), "source": "a test"}  # fmt: skip
    pq.write_table(table.replace_schema_metadata({"pellucid": json.dumps(info)}), path / "rows.parquet")
    return path


@pytest.fixture
def masked(make_run):
    n = 200
    rows = {"masking_many_step": np.arange(n) < 120, "masking_one_step": np.arange(n) < 60}
    path = _with(make_run("masked", images=n), {name: values.astype(float) for name, values in rows.items()})
    falling = np.linspace([0.9, 0.8, 0.7], [0.95, 0.9, 0.8], n)
    layers = {"layers": ["fc", "conv2", "conv1"]}
    path = _with(path, {"randomisation": falling, "randomisation/smoothgrad": falling - 0.7}, layers)
    return _with(path, {"randomisation_edges": np.full(n, 0.6)})


def test_an_honest_run_has_none(make_run) -> None:
    run = read_run(make_run())
    assert caveats(run) == []
    assert survivals(run) == {}


def test_masked_gradients_and_surviving_maps_are_told(masked) -> None:
    run = read_run(masked)
    weak, alike = caveats(run)
    assert weak.startswith("One step is stronger than many, so gradients may be masked: 30.0 % of images stay right")
    assert alike.startswith("Vanilla gradient maps survive when every layer of the network is random")
    said = survivals(run)["vanilla_gradient"].sentence()
    assert "rank correlation 0.75" in said and "For comparison: with the image's edges 0.60" in said
    assert {method: survival.verdict for method, survival in survivals(run).items()} == {
        "vanilla_gradient": "survives",
        "smoothgrad": "falls",
    }
    assert list(survivals(run)["smoothgrad"].layers) == ["fc", "conv2", "conv1"]


@pytest.mark.parametrize(("eps", "told"), [(0.1, ["AutoAttack"]), (0.05, [])])
def test_autoattack_of_the_same_radius_is_a_probe_too(make_run, eps, told) -> None:
    n = 200
    path = _with(make_run("attacked", images=n), {name: np.ones(n) for name in ("masking_many_step", "masking_long")})
    path = _with(path, {"autoattack_correct": np.zeros(n)}, {"eps": eps})
    said = [sentence for sentence in caveats(read_run(path)) if sentence.startswith("AutoAttack")]
    assert [sentence.partition(" is stronger")[0] for sentence in said] == told


@pytest.fixture
def blind(make_run):
    """A run whose attack had no gradient on any image that stays right."""
    path = make_run("blind", images=200)
    right = np.asarray(pq.read_table(path / "rows.parquet")["robust_correct"])
    return _with(path, {"robust_gradient": np.where(right, 0.0, 1.0), "robust_one_step": right.astype(float),
                        "robust_margin": np.zeros(200)})  # fmt: skip


def test_an_attack_without_gradient_is_told_without_any_probe(blind, make_run) -> None:
    first, second = caveats(read_run(blind))
    assert first.startswith("The attack had no gradient to follow on ") and "robust accuracy is 0.0 %, not" in first
    assert second.startswith("The same attack on the margin between logits is stronger")
    assert "! blind" in render(compare([read_run(blind)]), "text")


def test_the_gate_says_it_of_requirements_about_robust_accuracy_alone(blind, make_run, capsys) -> None:
    sound = make_run("sound", images=200)
    of_attack, other = check(blind, sound, parse("robust_accuracy>=-0.5, gini>=-0.5"))
    assert other.caveats == () and len(of_attack.caveats) == 2
    assert of_attack.caveats[0].startswith("blind: The attack had no gradient to follow on ")
    assert check(sound, blind, parse("robust_accuracy>=-0.5"))[0].caveats == of_attack.caveats
    for form in ("text", "markdown"):
        assert table([of_attack, other], form).count("! blind: The attack had no gradient") == 1
    assert json.loads(table([of_attack, other], "json"))[0]["caveats"] == list(of_attack.caveats)
    assert "no gradient to follow" in github([of_attack])
    words = ["check", str(blind), "--baseline", str(sound), "--require", "robust_accuracy>=-0.5"]
    main(words)
    assert "! blind: The attack had no gradient to follow on " in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_they_stand_below_every_table(masked, form) -> None:
    written = render(compare([read_run(masked)]), form)
    assert "One step is stronger than many" in written.replace("\\", "")
    assert "! masked" in written.replace("\\", "")


def test_they_stand_on_the_page(masked, tmp_path) -> None:
    page = write_report([masked], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Read with care" in page
    assert "<dd>One step is stronger than many" in page
    assert page.count("survives: fails") == 1 and page.count(">passes<") == 1
    assert "Random layers, from the last on" in page


def test_definitions_below_a_table(masked) -> None:
    run = read_run(masked)
    meaning = definitions([run], ["gini", "aopc_rel", "robust_accuracy", "ris"])
    assert list(meaning) == [
        name for name in meaning if name.partition("/")[0] in ("gini", "aopc_rel", "robust_accuracy", "ris")
    ]
    assert meaning["ris"]["parameters"]["sigma"] == 0.05
    assert meaning["robust_accuracy"]["parameters"]["attack"] == "PGD"
    text = render(compare([run], metrics=["gini"]), "text", definitions=definitions([run], ["gini"]))
    assert "gini: Concentration of the map" in text and "Higher is better. (Hurley and Rickard 2009)" in text
    both = json.loads(render(compare([run]), "json", definitions=meaning))
    assert set(both) == {"runs", "definitions"}


def test_a_ratio_whose_divisor_may_be_0_is_none_and_the_reason_is_told(make_run) -> None:
    n = 200
    whole, path = read_run(make_run("whole", images=n)), make_run("level", images=n)
    table = pq.read_table(path / "rows.parquet")
    lerf = np.where(np.arange(n) % 2, 0.1, -0.1).astype(np.float32)  # of mean 0
    at = table.column_names.index("aopc_lerf")
    pq.write_table(table.set_column(at, "aopc_lerf", pa.array(lerf)), path / "rows.parquet")
    run = read_run(path)
    ratio, other = run.measures["aopc_rel"], run.measures["aopc_rel/smoothgrad"]
    assert not ratio.divides(run) and other.divides(run) and ratio.divides(whole)
    assert ratio.interval(run).n == 0 and np.isnan(ratio.interval(run).mean)
    assert ratio.difference(run, whole).n == 0 and ratio.difference(whole, run).n == 0
    assert other.interval(run).n == n
    assert caveats(run) == [
        "MoRF / LeRF is not shown for the maps of Vanilla gradient: it is divided by LeRF, which may be 0 (its "
        "interval reaches 0)."
    ]
    told = compare([whole, run], metrics=["aopc_rel"], baseline=whole)["level"]
    assert told["metrics"]["aopc_rel"]["mean"] is None and told["differences"]["aopc_rel"]["mean"] is None
    assert "–" in render(compare([run], metrics=["aopc_rel"]), "markdown")
