"""The findings' folder: every number again in its files, SYNTHETIC everywhere, the page as a person meets it."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.study.analysis import analyse
from pellucid.study.findings import tables, write_findings
from pellucid.study.raters import simulated
from pellucid.study.responses import Responses, read_responses
from pellucid.study.words import p_value, signed

FEW = 100
NASTY = "Maps & <script>alert(1)</script> $people$"


@pytest.fixture(scope="module")
def responses(make_study) -> Responses:
    study = make_study(3, title=NASTY, images=6, equivalence={"trust": 0.5})
    made = simulated(study, 30, {"smoothed": 0.7}, 4)
    people = tuple(
        replace(one, expertise={"vision": ("none", "some")[at % 2]}, completed=at != 5)
        for at, one in enumerate(made.participants)
    )
    answers = tuple(replace(one, correct=one.image != "2") for one in made.answers)
    return replace(made, participants=people, answers=answers, withdrawn=1)


@pytest.fixture(scope="module")
def export(responses: Responses, make_export, tmp_path_factory) -> Path:
    return make_export(tmp_path_factory.mktemp("study") / "export", responses)


@pytest.fixture(scope="module")
def out(export: Path) -> Path:
    return write_findings(export, export.parent / "findings", synthetic=True, resamples=FEW).parent


@pytest.fixture(scope="module")
def of_people(make_study, make_export, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    export = make_export(folder / "export", simulated(make_study(2, names=("trust",)), 12), people=True)
    return write_findings(export, folder / "findings", resamples=FEW).parent


def test_everything_that_synthetic_raters_left_says_so(out: Path) -> None:
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".json", ".csv", ".R", ".svg", ".pdf", ".png"}
    for path in files:
        if path.suffix in (".html", ".json", ".R"):
            assert "SYNTHETIC" in path.read_text()
        if path.suffix == ".csv":
            head, *rows = csv.reader(path.read_text().splitlines())
            assert head[0] == "data" and rows
            assert {row[0] for row in rows} == {"SYNTHETIC"}
    page = (out / "findings.html").read_text()
    assert page.count("<table") == page.count('<caption><span><strong class="stamp">SYNTHETIC')
    assert page.count("<svg") == len(re.findall('aria-label="SYNTHETIC DATA', page)) == 4
    assert page.count(">SYNTHETIC</text>") == 4
    assert "people began" not in page


def test_what_people_left_does_not(of_people: Path) -> None:
    for path in of_people.rglob("*"):
        if path.suffix in (".html", ".json", ".csv", ".R"):
            text = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.DOTALL)
            assert "SYNTHETIC" not in text
            assert "synthetic" not in text.replace("synthetic-", "")  # the simulated participants' names


def test_figures_are_written_in_three_formats(of_people: Path) -> None:
    names = {path.name for path in (of_people / "figures").iterdir()}
    assert names == {f"{stem}-trust.{kind}" for stem in ("answers", "differences") for kind in ("svg", "pdf", "png")}


def test_tables_and_json_hold_the_analysis(out: Path, export: Path) -> None:
    analysis, _ = analyse(read_responses(export), synthetic=True, resamples=FEW)
    expected = tables(analysis)
    found = json.loads((out / "findings.json").read_text())
    for name, rows in expected.items():
        written = list(csv.DictReader((out / "tables" / f"{name}.csv").read_text().splitlines()))
        assert len(written) == len(rows) == len(found[name])
        for one, row in zip(written, rows, strict=True):
            for column, value in row.items():
                assert one[column] == ("" if value is None else str(value))
    assert found["deviations"] == list(analysis.deviations)
    assert found["participants"] == {"began": 30, "analysed": 29}


def test_the_page_has_the_numbers(out: Path, export: Path) -> None:
    analysis, _ = analyse(read_responses(export), synthetic=True, resamples=FEW)
    page = (out / "findings.html").read_text()
    for result in analysis.results:
        assert f"<td>{result.statistic:.2f}</td>" in page
        for pair in result.pairs:
            head = f'<th scope="row">{result.question}</th><td class="text">{pair.condition} − {pair.against}</td>'
            [cells] = re.findall(rf"{head}(.*?)</tr>", page)
            assert f"<td>{p_value(pair.p).replace('<', '&lt;')}</td>" in cells
            assert f"{signed(pair.shift.mean)} [{signed(pair.shift.low)}, {signed(pair.shift.high)}]" in cells
            assert ("★" in cells) == result.found(pair)
    assert "1 more withdrew" in page


def test_a_title_is_text(out: Path) -> None:
    page = (out / "findings.html").read_text()
    assert "<script" not in page
    assert "Maps &amp; &lt;script&gt;alert(1)&lt;/script&gt; $people$" in page


def test_the_command_writes_the_same(make_study, make_export, tmp_path: Path, capsys) -> None:
    export = make_export(tmp_path / "export", simulated(make_study(2, names=("trust",), images=2), 8))
    done = main(["study", "analyze", str(export), "--out", str(tmp_path / "out"), "--synthetic"])
    assert (done, capsys.readouterr().out.strip()) == (0, str(tmp_path / "out" / "findings.html"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "30 of 30 participants are synthetic raters, not people; give --synthetic"),
        (["--synthetic", "--test", "joy"], "no question is named 'joy'"),
        (["--synthetic", "--equivalence", "sufficiency"], "QUESTION=POINTS, such as trust=0.5, got 'sufficiency'"),
        (["--synthetic", "--equivalence", "sufficiency=nan"], "above 0, got nan"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(export: Path, tmp_path: Path, capsys, options, said) -> None:
    assert main(["study", "analyze", str(export), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_mistakes(export: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 100, got 10"):
        write_findings(export, tmp_path / "out", synthetic=True, resamples=10)
    with pytest.raises(InputError, match="holds a study's own files"):
        write_findings(export, export, synthetic=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; the findings are a folder"):
        write_findings(export, tmp_path / "file", synthetic=True)


def _open(browser: Browser, path: Path, *, width: int, scheme: str = "light") -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((path / "findings.html").as_uri())
    yield page
    context.close()
    assert said == []
    assert asked == [(path / "findings.html").as_uri()]


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1024, "dark"), (1920, "light")])
def test_page_never_scrolls_sideways(browser: Browser, out: Path, width: int, scheme: str) -> None:
    for page in _open(browser, out, width=width, scheme=scheme):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".banner").is_visible()


def test_dark_mode_is_dark_and_figures_follow(browser: Browser, of_people: Path) -> None:
    for page in _open(browser, of_people, width=1024, scheme="dark"):
        paper, ink = (
            [int(part) for part in re.findall(r"\d+", page.evaluate(code))]
            for code in (
                "getComputedStyle(document.body).backgroundColor",
                "getComputedStyle(document.querySelector('.panel svg text')).fill",
            )
        )
        assert sum(paper) < 200 < 600 < sum(ink)
        assert page.locator(".banner").count() == 0


def test_every_table_has_heads_and_a_caption(browser: Browser, out: Path) -> None:
    for page in _open(browser, out, width=1024):
        counts = page.eval_on_selector_all(
            "table",
            """all => all.map(t => [t.caption !== null, t.tHead.rows[0].cells.length,
                 ...[...t.tBodies[0].rows].map(r => r.cells.length)])""",
        )
        for captioned, head, *rows in counts:
            assert captioned
            assert set(rows) == {head}
