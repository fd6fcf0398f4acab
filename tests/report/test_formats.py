"""The written forms of a comparison: all numbers are there, names are escaped, text fits a terminal."""

import csv
import io
import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.report.formats import render
from pellucid.report.measures import written
from pellucid.report.table import compare
from pellucid.runs.evaluated import read_runs
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

NASTY = r"a_b & 50% $x$ #1 {y} ~^\ <b>|*`"


@pytest.fixture(scope="module")
def comparison(six_runs):
    return compare(read_runs(six_runs))


def _named(name: str) -> dict:
    values = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 9}
    return {name: {"method": "Own_Method", "smoothing": None, "metrics": {"clean_accuracy": values, "gini": values}}}


def _cells(comparison) -> list[str]:
    found = []
    for run in comparison.values():
        for name, values in run["metrics"].items():
            mean, low, high = written(Interval(**values), Measure.named(name))
            found.append(f"{mean} [{low}, {high}]")
    return found


def test_json_is_the_comparison(comparison) -> None:
    assert json.loads(render(comparison, "json")) == comparison


def test_csv_holds_every_number_in_full(comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert [row["run"] for row in rows] == list(comparison)
    for row in rows:
        for name, values in comparison[row["run"]]["metrics"].items():
            assert float(row[name]) == values["mean"]
            assert float(row[f"{name}_low"]) == values["low"]
            assert float(row[f"{name}_high"]) == values["high"]
            assert int(row[f"{name}_n"]) == values["n"]


def test_text_fits_100_columns_and_holds_every_interval(comparison) -> None:
    text = render(comparison, "text")
    assert max(map(len, text.splitlines())) <= 100
    assert all(cell in text for cell in _cells(comparison))
    assert "LeRF (×10⁻³) ↓" in text
    assert "SmoothGrad maps" in text


def test_html_is_well_formed_and_holds_every_interval(comparison) -> None:
    page = ElementTree.fromstring(f"<div>{comparison._repr_html_().partition('<p>')[0]}</div>")
    assert all(len({len(row) for row in table.iter("tr")}) == 1 for table in page.iter("table"))
    cells = {"".join(cell.itertext()) for cell in page.iter("td")}
    assert set(_cells(comparison)) <= cells
    assert {head.text for head in page.iter("th") if head.get("scope") == "row"} == set(comparison)


def test_names_in_html_are_text() -> None:
    page = ElementTree.fromstring(f"<div>{render(_named(NASTY), 'html')}</div>")
    assert NASTY in {head.text for head in page.iter("th")} and not list(page.iter("b"))


def test_a_notebook_shows_runs_by_their_directories(six_runs) -> None:
    shown = compare(six_runs[:2], metrics=["gini"], baseline=six_runs[0])
    assert shown == compare(read_runs(six_runs[:2]), metrics=["gini"], baseline=read_runs(six_runs)[0])
    assert shown._repr_html_() == render(shown, "html")
    assert shown._repr_markdown_() == render(shown, "markdown")


def test_text_columns_are_aligned(comparison) -> None:
    for block in render(comparison, "text").split("\n\n")[:-1]:
        lines = [line for line in block.splitlines() if "[" in line]
        assert len(lines) == 6
        ends = [[match.end() for match in re.finditer(r"\]", line)] for line in lines]
        assert all(places == ends[0] for places in ends)


def test_markdown_holds_every_interval(comparison) -> None:
    text = render(comparison, "markdown")
    assert all(cell in text for cell in _cells(comparison))


def test_latex_holds_every_interval_below_its_mean(comparison) -> None:
    text = render(comparison, "latex").replace("$-$", "−").replace("--", "–")
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    found = [
        mean + " " + interval.removeprefix(r"{\scriptsize ").removesuffix("}")
        for means, intervals in pairwise(rows)
        if not intervals[0].strip() and "scriptsize" in intervals[2]
        for mean, interval in zip(means[2:], intervals[2:], strict=True)
    ]
    assert sorted(found) == sorted(_cells(comparison))


def test_latex_is_a_table_for_each_kind_of_map(comparison) -> None:
    text = render(comparison, "latex")
    assert text.count(r"\begin{tabular}") == 4
    assert r"\multicolumn{2}{c}{Are the predictions right?} \\" in text
    for table in text.split("\n\n"):
        width = len(re.findall(r"\\begin\{tabular\}\{(\w+)\}", table)[0])
        spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", table)]
        assert sum(spans) == width - 2
        assert re.findall(r"\\cmidrule\(lr\)\{\d+-(\d+)\}", table)[-1] == str(width)


def test_markdown_rows_have_as_many_cells_as_heads() -> None:
    head, rule, row = render(_named(NASTY), "markdown").split("\n\n")[0].splitlines()
    assert len(set(map(len, (re.split(r"(?<!\\)\|", line) for line in (head, rule, row))))) == 1
    assert r"a\_b &amp; 50% $x$ \#1 {y} \~^\\ &lt;b&gt;\|\*\`" in row


def test_latex_escapes_names_and_balances() -> None:
    text = render(_named(NASTY), "latex")
    name = (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}b\textgreater{}\textbar{}*`"
    )
    assert name in text
    assert r"Own\_Method" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == text.count(r"\toprule")
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) == 2  # three cells: run, method, one metric


@pytest.mark.parametrize("name", ["[3pt]", "*star"])
def test_latex_takes_no_name_for_an_option_of_the_line_break(name: str) -> None:
    rows = [line for line in render(_named(name), "latex").splitlines() if name in line]
    assert len(rows) == 2 and all(row.startswith("{}" + name) for row in rows)


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+1", "-run", "@run", "\trun", "\rrun", "＝run"])
def test_csv_runs_nothing_in_a_spreadsheet(name: str) -> None:
    named = _named(name)
    named[name] |= {"method": name, "smoothing": name}
    row = next(csv.DictReader(io.StringIO(render(named, "csv"), newline="")))
    assert row["run"] == row["method"] == row["smoothing"] == f"'{name}"
    assert row["gini"] == "0.5"


def test_csv_quotes_names() -> None:
    name = 'a,"b"\nc'
    assert next(csv.DictReader(io.StringIO(render(_named(name), "csv"))))["run"] == name


def test_text_keeps_a_line_per_run() -> None:
    assert "a\\nb\\x1b[0m" in render(_named("a\nb\x1b[0m"), "text")


def test_a_run_without_a_metric_has_a_dash() -> None:
    both = _named("one") | _named("two")
    both["two"]["metrics"] = {"clean_accuracy": {"mean": None, "low": None, "high": None, "n": 0}}
    line = next(line for line in render(both, "text").splitlines() if line.startswith("two"))
    assert line.split() == ["two", "Own_Method", "–"]
    assert next(row for row in csv.DictReader(io.StringIO(render(both, "csv"))) if row["run"] == "two")["gini"] == ""


def test_unknown_format() -> None:
    with pytest.raises(InputError, match="format must be one of text, csv, latex, markdown, html, json, got 'xml'"):
        render({}, "xml")


@pytest.mark.parametrize("form", ["text", "csv", "latex", "markdown", "html"])
def test_differences_are_rows_of_their_own(six_runs, form) -> None:
    runs = read_runs(six_runs)
    against = compare(runs, metrics=["gini"], baseline=runs[0])
    text = render(against, form)
    sign = "$-$" if form == "latex" else "−"
    assert f"scaat {sign} regular" in text and f"regular {sign} regular" not in text
    assert f"scaat {sign} regular" not in render(compare(runs, metrics=["gini"]), form)
    values = against["scaat"]["differences"]["gini"]
    mean, low, high = written(Interval(**values), Measure.named("gini"))
    cells = {
        "csv": [str(values["mean"])],
        "latex": [f" & {mean} ", f"[{low}, {high}]"],
        "html": [f"<td>{mean} <small>[{low}, {high}]"],
    }
    assert all(cell in text for cell in cells.get(form, [f"{mean} [{low}, {high}]"]))


def test_the_baseline_on_the_command_line(make_run, capsys) -> None:
    first, other = str(make_run("first")), str(make_run("other"))
    for words in ([first, other], [other]):
        assert main(["compare", *words, "--baseline", first, "--metrics", "gini", "--format", "json"]) == 0
        table = json.loads(capsys.readouterr().out)
        assert list(table) == ["first", "other"] and table["other"]["baseline"] == "first"
    assert main(["compare", other, "--baseline", "nowhere"]) == 2
    assert "no run directory" in capsys.readouterr().err


def test_the_note_counts_the_images_of_every_column() -> None:
    table = _named("one")
    assert "over 9 test images;" in render(table, "text")
    table["one"]["metrics"]["ris"] = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 7}
    table["one"]["metrics"]["ros"] = {"mean": None, "low": None, "high": None, "n": 0}
    assert "over 7 to 9 test images;" in render(table, "text")


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_a_number_that_does_not_exist_is_one_dash(form: str) -> None:
    table = _named("one")
    table["one"]["metrics"]["gini"] = {"mean": None, "low": None, "high": None, "n": 9}
    assert "[–" not in render(table, form) and "nan" not in render(table, form)
