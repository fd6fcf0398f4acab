"""For whom a network is worse: the site that is made hard is found, by compare, page and gate, and nobody else."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.report.gate import check
from pellucid.report.page import write_report
from pellucid.report.requirement import parse
from pellucid.report.subgroups import MOST, compare_by, gap_sentence, gaps, measures_by, sections_by
from pellucid.runs.evaluated import Run, read_run, read_runs
from pellucid.runs.measures import Measure
from pellucid.runs.subgroups import Subgroup, part_of
from pellucid.statistics import paired_difference

from .conftest import SIX, write_run

ACCURACY = Measure.named("clean_accuracy")
GOOD, OTHER = SIX["regular"][2], SIX["scaat"][2]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two networks of two classes; site B is hard, site D has 5 images; read only."""
    folder = tmp_path_factory.mktemp("sites")
    paths = [
        write_run(folder, name, means=means, images=300, classes=["benign", "malignant"], sites="AAABBBCC")
        for name, means in (("old", GOOD), ("new", OTHER))
    ]
    for path in paths:
        _with_sites(path, ["D"] * 5)
    return paths


def _with_sites(path: Path, first: list[str], name: str = "subgroup site") -> None:
    """Replace what the first images' column says."""
    rows = pq.read_table(path / "rows.parquet")
    there = rows["subgroup site"].to_pylist()
    values = pa.array([*first, *there[len(first) :]])
    place = rows.column_names.index("subgroup site")
    rows = rows.set_column(place, name, values) if name in rows.column_names else rows.append_column(name, values)
    pq.write_table(rows, path / "rows.parquet")


def site(run: Run, value: str) -> np.ndarray:
    return np.array(run.rows["subgroup site"].to_pylist()) == value


def test_the_hard_site_is_found_and_no_other(two: list[Path]) -> None:
    run = read_run(two[0])
    found = gaps(run, "site", measures_by([run], "site"))
    assert {gap.subgroup.value for gap in found} == {"A", "B", "C"}  # D is too small
    assert {gap.subgroup.value for gap in found if gap.is_worse} == {"B"}
    (gap,) = (gap for gap in found if gap.subgroup.value == "B" and gap.measure == ACCURACY)
    right = run.values("prediction") == run.values("label")
    inside = site(run, "B")
    assert gap.value.mean == right[inside].mean() and gap.others.mean == right[~inside].mean()
    table = [[right[part].sum(), (~right[part]).sum()] for part in (inside, ~inside)]
    assert gap.p < 0.001 and scipy.stats.fisher_exact(table).pvalue < 0.001
    said = gap_sentence(run, "site", found)
    assert said.startswith("Worse for site B: Accuracy ") and "of the others (p < 0.001)" in said


def test_chance_is_not_called_a_gap(tmp_path: Path) -> None:
    """Twenty networks whose sites are drawn at random: few are called worse for any of four sites."""
    run = read_run(write_run(tmp_path, "one", images=200, sites="AB"))
    place, calls = run.rows.column_names.index("subgroup site"), 0
    for seed in range(20):
        drawn = np.random.default_rng(seed).choice(list("KLMN"), 200)
        rows = run.rows.set_column(place, "subgroup site", pa.array(drawn.tolist()))
        found = gaps(Run("one", run.path, run.config, rows, run.info), "site", [ACCURACY])
        assert len(found) == 4
        calls += any(gap.is_worse for gap in found)
    assert calls <= 2


def test_two_subgroups_are_one_test(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, "one", images=100, sites="AC"))
    first, second = gaps(run, "site", [ACCURACY])
    assert first.difference.mean == -second.difference.mean and first.p == second.p


def test_compare_by_a_column(two: list[Path]) -> None:
    runs = read_runs(two)
    table = compare_by(runs, "site", baseline=runs[0])
    parts = {part["subgroup"]["value"]: part for part in table.values() if part["method"] and "subgroup" in part}
    assert next(iter(table)) == "old" and len(table) == 10 and parts["D"]["metrics"] == {}
    assert [part["subgroup"]["n"] for part in parts.values()][-1] == 5
    assert list(table["old"]["metrics"]) == ["clean_accuracy", "auc", "sensitivity", "specificity"]
    right = [run.values("prediction") == run.values("label") for run in runs]
    inside = site(runs[0], "B")
    part = table[f"new [site=B, n {inside.sum()}]"]
    assert part["metrics"]["clean_accuracy"]["mean"] == right[1][inside].mean()
    expected = paired_difference(right[1][inside], right[0][inside]).mean
    assert part["differences"]["clean_accuracy"]["mean"] == pytest.approx(expected)
    assert table["new"]["caveats"][-1].startswith("Worse for site B")
    assert json.loads(json.dumps(table, allow_nan=False)) == table


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_the_command_line(two: list[Path], capsys, form: str) -> None:
    assert main(["compare", *map(str, two), "--by", "site", "--format", form, "--baseline", str(two[0])]) == 0
    out = capsys.readouterr().out
    assert "site=B" in out and "site=D" in out


def test_classes_and_further_metrics(two: list[Path], capsys) -> None:
    words = ["compare", str(two[0]), "--by", "class", "--metrics", "clean_accuracy,precision,f1,sensitivity_at_95"]
    assert main([*words, "--format", "json"]) == 0
    table = json.loads(capsys.readouterr().out)
    run = read_run(two[0])
    label, prediction = (run.rows[name].to_numpy() for name in ("label", "prediction"))
    (part,) = (part for name, part in table.items() if "class=benign" in name)
    assert part["metrics"]["clean_accuracy"]["mean"] == (prediction[label == 0] == 0).mean()
    assert part["metrics"]["precision"]["mean"] == pytest.approx((label[prediction == 0] == 0).mean())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--by", "age"], "has no 'age' for its images; it has site, class"),
        (["--by", "site", "--metrics", "stability"], "no run has the metric 'stability'; --by takes names such as"),
    ],
)
def test_mistakes_are_one_sentence(two: list[Path], capsys, words, sentence) -> None:
    assert main(["compare", str(two[0]), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_gate_holds_subgroups(two: list[Path]) -> None:
    runs = read_runs(two)
    (one,) = check(two[1], two[0], parse("accuracy[site=B]>=-0.5"))
    parts = [part_of(run, Subgroup("site", "B")) for run in runs]
    assert one.found == ACCURACY.difference(parts[1], parts[0]) and one.verdict == "pass"
    assert str(one.requirement) == "clean_accuracy[site=B] >= -0.5"
    every = check(two[1], two[0], parse("auc[site=*]>=-0.5, gini[class=*]>=-1"))
    assert [str(one.requirement).partition(" ")[0] for one in every] == [
        *(f"auc[site={value}]" for value in "ABC"),
        *(f"gini[class={value}]" for value in ("benign", "malignant")),
    ]
    (few,) = check(two[1], two[0], parse("accuracy[site=D]>=-0.5"))
    assert few.verdict == "not enough images to tell" and "5 images" in few.reason
    for text, sentence in (
        ("accuracy[site=E]>=0", "no image whose site is 'E'; there are A, B, C, D"),
        ("accuracy[age=*]>=0", "has no 'age' for its images"),
        ("mass[site=A]>=0", "has no metric 'mass'"),
    ):
        with pytest.raises(InputError, match=sentence):
            check(two[1], two[0], parse(text))


def test_the_page_says_for_whom(two: list[Path], tmp_path: Path) -> None:
    html = write_report(two, tmp_path / "report.html").read_text(encoding="utf-8")
    section = html.partition('id="subgroups"')[2].partition("</section>")[0]
    assert "Which pictures is it worse for?" in section and "<h3>By site</h3>" in section and "All 2 classes" in section
    assert "Worse for site B: Accuracy" in section
    rows = section.split("<tr>")
    (hard,) = (row for row in rows if '<th scope="row">B</th>' in row)
    (easy,) = (row for row in rows if '<th scope="row">A</th>' in row)
    (few,) = (row for row in rows if '<th scope="row">D</th>' in row)
    assert '<span class="mark worse">' in hard and '<span class="mark worse">' not in easy
    assert "<td>5</td>" in few and "[" not in few.partition("</tbody>")[0]


def test_many_subgroups_are_not_a_table(two: list[Path], tmp_path: Path) -> None:
    path = write_run(tmp_path, "patients", images=80, sites="A")
    _with_sites(path, [f"patient {i}" for i in range(MOST + 1)], "subgroup patient")
    (patients,) = (part for part in sections_by([read_run(path)]) if part["by"] == "patient")
    assert (patients["rows"], patients["count"]) == ([], MOST + 2)


def test_of_many_classes_the_hardest_are_told(tmp_path: Path) -> None:
    classes = [f"class {k}" for k in range(MOST + 3)]
    run = read_run(write_run(tmp_path, "many", images=900, classes=classes, sites="A"))
    (part,) = (part for part in sections_by([run]) if part["by"] == "class")
    assert part["count"] == len(classes) and len(part["rows"]) == MOST
    recall = {name: (run.values("prediction") == k)[run.values("label") == k].mean() for k, name in enumerate(classes)}
    left_out = recall.keys() - {row["name"] for row in part["rows"]}
    assert min(recall[name] for name in left_out) >= max(recall[row["name"]] for row in part["rows"])
