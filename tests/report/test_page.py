"""The page as a person meets it, in a real browser, and its numbers against `compare`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from pellucid.errors import InputError
from pellucid.report.measures import written
from pellucid.report.page import write_report
from pellucid.report.runs import read_runs
from pellucid.report.table import compare
from pellucid.statistics import Interval


@pytest.fixture(scope="module")
def report(six_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(six_runs, tmp_path_factory.mktemp("page") / "report.html")


def _open(browser: Browser, report: Path, *, width: int = 1024, **options: object) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    outside = [url for url in asked if url != report.as_uri() and not url.startswith("data:")]
    context.close()
    assert said == []
    assert outside == []


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    yield from _open(browser, report)


def test_every_number_of_the_table_is_compares(page: Page, six_runs: list[Path]) -> None:
    comparison = compare(read_runs(six_runs), metrics=["all"])
    cells = page.eval_on_selector_all(
        "#numbers tbody td",
        """cells => cells.map(c => ({run: c.parentElement.cells[0].textContent, metric: c.dataset.metric,
             data: [c.dataset.value, c.dataset.low, c.dataset.high, c.dataset.n].map(Number),
             mean: c.querySelector(".mean b").textContent, interval: c.querySelector(".interval").textContent}))""",
    )
    shown = {}
    for cell in cells:
        name = max((name for name in comparison if cell["run"].strip().startswith(name)), key=len)
        shown[name, cell["metric"]] = cell
    expected = {(name, metric): values for name, run in comparison.items() for metric, values in run["metrics"].items()}
    assert shown.keys() == expected.keys()
    for where, values in expected.items():
        mean, low, high = written(Interval(**values), where[1])
        assert shown[where]["data"] == list(values.values())
        assert (shown[where]["mean"], shown[where]["interval"]) == (mean, f"[{low}, {high}]")


@pytest.mark.parametrize("width", [360, 1024, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_never_scrolls_sideways(browser: Browser, report: Path, width: int, scheme: str) -> None:
    for page in _open(browser, report, width=width, color_scheme=scheme):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        page.click("#more")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_mode_is_dark(browser: Browser, report: Path) -> None:
    ink = {}
    for scheme in ("light", "dark"):
        for page in _open(browser, report, color_scheme=scheme):
            rgb = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
            text = re.findall(r"\d+", page.locator(".panel svg text").first.evaluate("t => getComputedStyle(t).fill"))
            ink[scheme] = (sum(map(int, rgb)), sum(map(int, text)))
    assert ink["light"][0] > 700 > 200 > ink["light"][1]
    assert ink["dark"][0] < 200 < 600 < ink["dark"][1]


def test_a_head_sorts_best_first_then_the_other_way(page: Page) -> None:
    column = "td[data-metric=aopc_lerf]"
    head = page.locator("#numbers th[data-metric=aopc_lerf]")
    for order, sign in (("ascending", 1), ("descending", -1)):
        head.get_by_role("button").click()
        values = page.eval_on_selector_all(f"#numbers {column}", "cells => cells.map(c => Number(c.dataset.value))")
        assert values == sorted(values, key=lambda value: sign * value)
        assert head.get_attribute("aria-sort") == order
    page.locator("#numbers th[data-metric=gini] button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("#numbers th[data-metric=gini]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Run", exact=True).click()
    assert page.locator("#numbers tbody th").first.inner_text().strip().startswith("regular")


def test_sorting_works_from_the_keyboard(page: Page) -> None:
    page.locator("#numbers th[data-metric=gini] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("#numbers tbody th").first.inner_text().strip().startswith("scaat")


def test_the_switch_shows_one_kind_of_map(page: Page) -> None:
    for title, name in (("SmoothGrad", "smoothgrad"), ("Vanilla gradient", "vanilla_gradient")):
        page.get_by_label(title, exact=True).check()
        visible = page.eval_on_selector_all(
            "[data-map]",
            "all => all.filter(one => one.offsetParent || one.getClientRects().length).map(o => o.dataset.map)",
        )
        assert set(visible) == {name}
    assert page.locator("#numbers td[data-metric='gini']").first.is_visible()
    assert page.locator("#numbers td[data-metric='gini/smoothgrad']").first.is_hidden()
    assert page.locator("#numbers td[data-metric='clean_accuracy']").first.is_visible()


def test_definitions_open_by_keyboard(page: Page) -> None:
    details = page.locator("#about-gini")
    text = details.get_by_text("Hurley and Rickard 2009")
    assert text.is_hidden()
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert text.is_visible()
    assert "n = 200" in details.inner_text()


def test_the_gallery_opens_and_closes(browser: Browser, make_run, tmp_path: Path) -> None:
    small = write_report([make_run(gallery=9, saliency=("vanilla_gradient",))], tmp_path / "small.html")
    for page in _open(browser, small):
        rows = page.locator(".gallery tbody tr")
        seen = []
        for _ in range(3):
            seen.append(sum(row.is_visible() for row in rows.all()))
            page.locator("#more").click()
        assert seen == [6, 9, 6]


def test_every_picture_and_figure_has_words(page: Page) -> None:
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("svg:not([aria-label]):not([aria-hidden])").count() == 0
    assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_right_and_wrong_are_said_in_words(page: Page) -> None:
    marks = set(page.locator(".gallery td .right, .gallery td .wrong").all_inner_texts()) - {""}
    assert marks == {"✓ right", "✗ wrong"}


def test_print_opens_the_definitions(page: Page) -> None:
    assert len(page.pdf(prefer_css_page_size=True)) > 10_000
    assert page.locator("#about-ris").get_attribute("open") is not None


def test_without_script_everything_is_there(browser: Browser, report: Path) -> None:
    for page in _open(browser, report, java_script_enabled=False):
        assert page.locator("#numbers td[data-metric='gini/smoothgrad']").first.is_visible()
        assert page.locator(".gallery tbody tr").last.is_visible()


def test_names_are_escaped_everywhere(browser: Browser, make_run, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    runs = [
        make_run(f"{name}{i}", method="SCAAT", saliency=("vanilla_gradient",), images=20, gallery=2) for i in range(2)
    ]
    out = write_report(runs, tmp_path / "page.html")
    for page in _open(browser, out):
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("#numbers tbody th").first.inner_text().strip().startswith(f"{name}0")
        assert "49" not in page.locator("#numbers tbody th").first.inner_text()


def test_one_run_makes_a_page(browser: Browser, make_run, tmp_path: Path) -> None:
    out = write_report([make_run(images=1, gallery=1, epochs=1)], tmp_path / "deep" / "one.html")
    for page in _open(browser, out):
        assert page.locator(".headline").inner_text().startswith("There is nothing to compare")


def test_large_colour_pictures_stay_below_the_limit(make_run, tmp_path: Path) -> None:
    runs = [make_run(f"run{i}", size=224, channels=3, gallery=24, images=30) for i in range(3)]
    assert write_report(runs, tmp_path / "large.html").stat().st_size < 15e6


def test_the_same_runs_make_the_same_file(make_run, tmp_path: Path) -> None:
    runs = [make_run(name, saliency=("vanilla_gradient",)) for name in ("one", "other")]
    first, again = (write_report(runs, tmp_path / name).read_bytes() for name in ("first.html", "again.html"))
    assert first == again


def test_nothing_is_written_where_a_run_is_wrong(make_run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run directory"):
        write_report([make_run(), tmp_path / "nowhere"], tmp_path / "out" / "report.html")
    assert not (tmp_path / "out").exists()


def test_a_page_is_made_without_torch(make_run, tmp_path: Path) -> None:
    code = (
        "import sys; from pellucid.report import compare, read_runs, render; "
        "path, out = sys.argv[1:]; render(compare(read_runs([path])), 'text'); "
        "assert 'matplotlib' not in sys.modules, 'matplotlib'; "
        "from pellucid.report import write_report; write_report([path], out); "
        "assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(make_run()), str(tmp_path / "out.html")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
