"""The page as a person meets it, in a real browser, and its numbers against `compare`."""

import base64
import io
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page
from safetensors.numpy import load_file, save_file

from pellucid.report.formats import render
from pellucid.report.measures import written
from pellucid.report.page import MANY, _named, write_report
from pellucid.report.table import compare
from pellucid.runs.evaluated import read_runs
from pellucid.runs.measures import KNOWN, Measure, measures_of, ordered
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
        mean, low, high = written(Interval(**values), Measure.named(where[1]))
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
    page.get_by_role("button", name="Network", exact=True).click()
    assert page.locator("#numbers tbody th").first.text_content().strip().startswith("regular")


def test_sorting_works_from_the_keyboard(page: Page) -> None:
    page.locator("#numbers th[data-metric=gini] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("#numbers tbody th").first.text_content().strip().startswith("scaat")


def test_the_switch_shows_one_kind_of_map(page: Page) -> None:
    for title, name in (("SmoothGrad", "smoothgrad"), ("Vanilla gradient", "vanilla_gradient")):
        page.select_option("#map", label=title)
        visible = page.eval_on_selector_all(
            "[data-map]",
            "all => all.filter(one => one.offsetParent || one.getClientRects().length).map(o => o.dataset.map)",
        )
        assert set(visible) == {name}
    assert page.locator("#numbers td[data-metric='gini']").first.is_visible()
    assert page.locator("#numbers td[data-metric='gini/smoothgrad']").first.is_hidden()
    assert page.locator("#numbers td[data-metric='clean_accuracy']").first.is_visible()


def test_a_section_without_a_figure_for_this_kind_of_map_is_hidden(page: Page) -> None:
    stability = page.locator("#stability")
    assert stability.is_visible()
    page.select_option("#map", "smoothgrad")
    assert stability.is_hidden() and page.locator("#curves").is_visible()
    page.select_option("#map", "vanilla_gradient")
    assert stability.is_visible()


def test_definitions_open_by_keyboard(page: Page) -> None:
    details = page.locator("#about-gini")
    text = details.get_by_text("Hurley and Rickard 2009")
    assert text.is_hidden()
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert text.is_visible()
    assert "n = 200" in details.inner_text()


def test_a_question_mark_opens_what_the_column_means(page: Page) -> None:
    text = page.locator("#about-gini").get_by_text("Hurley and Rickard 2009")
    assert text.is_hidden()
    page.get_by_role("link", name="What Gini index means").first.focus()
    page.keyboard.press("Enter")
    assert text.is_visible()
    dead = "all => all.filter(a => !document.querySelector(a.hash)?.matches('details')).map(a => a.hash)"
    assert page.locator("a[href^='#about-']").evaluate_all(dead) == []


def test_the_questions_name_their_measures_and_open_what_they_mean(page: Page) -> None:
    links = page.locator(".sliders a")
    unknown = {"mass", "faithfulness_normalised_mean"}  # what these runs have not measured
    named = (Measure.named(name) for name in KNOWN if name not in unknown)
    questions = [measure for measure in ordered(named) if measure.column.contest]
    assert links.all_inner_texts() == [measure.title for measure in questions]
    for link, measure in zip(links.all(), questions, strict=True):
        link.click()
        assert page.locator(f"#about-{measure.name} dl").is_visible()


@pytest.mark.parametrize(("title", "form"), [("CSV", "csv"), ("LaTeX", "latex"), ("Markdown", "markdown")])
def test_the_table_is_copied_as_compare_writes_it(browser: Browser, report: Path, six_runs, title, form) -> None:
    runs = read_runs(six_runs)
    wanted = ["all"] if form == "csv" else [measure.name for measure in measures_of(runs) if measure.column.main]
    for page in _open(browser, report):
        page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
        page.get_by_role("button", name=title, exact=True).click()
        assert page.evaluate("window.copied") == render(compare(runs, metrics=wanted), form)
        assert page.locator("#copied").inner_text() == f"{title} copied."
        # A browser that gives a local file no clipboard: the old way, and where that is refused the text is selected.
        page.evaluate("() => { delete Navigator.prototype.clipboard; window.copied = null; }")
        page.evaluate(
            "() => addEventListener('copy', e => {"
            " const a = e.target; window.copied = a.value.slice(a.selectionStart, a.selectionEnd); })"
        )
        page.get_by_role("button", name=title, exact=True).click()
        assert page.evaluate("window.copied") == render(compare(runs, metrics=wanted), form)
        assert page.locator("#copied").inner_text() == f"{title} copied."
        page.evaluate("() => { document.execCommand = () => false; getSelection().removeAllRanges(); }")
        page.get_by_role("button", name=title, exact=True).click()
        assert page.locator("#copied").inner_text().startswith(f"{title} is selected below")
        area = page.locator(f"#copy-{form}")
        assert area.is_visible()
        assert area.evaluate("a => a.selectionEnd - a.selectionStart === a.value.length && a.value.length > 0")


def _shown(page: Page) -> list[str]:
    rows = page.locator("#pictures tbody tr")
    return rows.evaluate_all("all => all.filter(r => !r.hidden).map(r => r.cells[0].querySelector('img').alt)")


def test_the_gallery_is_sorted_and_filtered(page: Page, six_runs: list[Path]) -> None:
    runs = read_runs(six_runs)
    drawn = _shown(page)
    page.click("#more")
    page.select_option("#order", "aopc_lerf")
    page.select_option("#whose", "4")
    for end, sign in (("worst", -1), ("best", 1)):
        page.select_option("#end", end)
        order = [int(re.findall(r"picture (\d+)", alt)[0]) for alt in _shown(page)]
        rows = np.searchsorted(runs[4].rows["index"].to_numpy(), order)
        values = runs[4].values("aopc_lerf")[rows]
        assert len(order) == 8 and values.tolist() == sorted(values, key=lambda value: sign * value)
    first = page.locator("#pictures tbody tr").first.locator("td").nth(4).locator(".value").text_content()
    assert float(first.removeprefix("LeRF: ")) == pytest.approx(values[0], rel=5e-3)
    page.select_option("#order", "")
    assert page.locator(".value").count() == 0
    assert _shown(page)[:6] == drawn
    page.select_option("#answered", "right")
    everywhere = [run.maps["prediction"] == run.maps["label"] for run in runs]
    assert len(_shown(page)) == np.all(everywhere, axis=0).sum()
    page.select_option("#answered", "wrong")
    assert len(_shown(page)) == 8 - np.all(everywhere, axis=0).sum()
    page.select_option("#answered", "1")
    assert len(_shown(page)) == 8 - everywhere[1].sum()
    page.select_option("#answered", "")
    label = runs[0].info["classes"][int(runs[0].maps["label"][0])]
    page.select_option("#of-class", label)
    assert len(_shown(page)) == (runs[0].maps["label"] == runs[0].maps["label"][0]).sum()
    assert all(alt.lower().endswith(label.lower()) for alt in _shown(page))
    assert page.locator("#found").inner_text() == f"{len(_shown(page))} of 8 pictures shown"


def test_measures_of_other_maps_are_not_offered(page: Page) -> None:
    ris = page.locator("#order option[value=ris]")
    assert ris.evaluate("o => o.disabled") is False
    page.select_option("#order", "ris")
    page.select_option("#map", "smoothgrad")
    assert ris.evaluate("o => o.disabled") is True
    assert page.locator("#order").input_value() == ""


def test_the_map_lies_over_the_picture(page: Page) -> None:
    page.locator("#opacity").fill("40")
    over = page.locator("#pictures tbody td .map").first
    assert over.locator("img").evaluate("i => getComputedStyle(i).opacity") == "0.4"
    photograph = page.locator("#pictures tbody th img").first.get_attribute("src")
    assert over.evaluate("m => getComputedStyle(m).backgroundImage") == f'url("{photograph}")'
    assert page.locator("#opacity").get_attribute("aria-valuetext") == "40 %"


def test_one_colour_scale_per_row(page: Page, six_runs: list[Path]) -> None:
    own = page.locator("#pictures tbody tr").first.locator(".map[data-map=vanilla_gradient] img")
    before = own.evaluate_all("all => all.map(i => i.src)")
    page.locator("#one-scale").check()
    after = own.evaluate_all("all => all.map(i => i.src)")
    maps = [run.maps["heatmap/vanilla_gradient"][0] for run in read_runs(six_runs)]
    tops = [np.percentile(one, 99) for one in maps]
    for number, one in enumerate(maps):
        if tops[number] == max(tops):
            continue
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(after[number].partition(",")[2]))).convert("RGB"))
        level = np.round(np.round(255 * np.clip(one / tops[number], 0, 1)) * tops[number] / max(tops)).astype(int)
        expected = np.round(255 * colormaps["inferno"](level)[:, :, :3])
        assert np.abs(pixels - expected).max() <= 8  # one level, where a half is rounded the other way
    assert page.locator("#scale-of").inner_text() == "row"
    page.locator("#one-scale").uncheck()
    assert own.evaluate_all("all => all.map(i => i.src)") == before


def test_one_colour_scale_per_network_of_signed_maps(browser: Browser, make_run, tmp_path: Path) -> None:
    run = make_run(gallery=3, saliency=("vanilla_gradient",))
    kept = load_file(run / "maps.safetensors")
    maps = np.random.default_rng(0).normal(size=(3, 28, 28)).astype(np.float32)
    maps *= np.array([1, 2, 3], np.float32)[:, None, None]
    save_file(kept | {"heatmap/vanilla_gradient": maps}, run / "maps.safetensors")
    for page in _open(browser, write_report([run], tmp_path / "page.html")):
        images = page.locator("#pictures tbody .map img")
        before = images.evaluate_all("all => all.map(i => i.src)")
        page.locator("#network-scale").check()
        after = images.evaluate_all("all => all.map(i => i.src)")
        tops = [np.percentile(np.abs(one), 99) for one in maps]
        for uri, one, top in zip(after, maps, tops, strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))
            level = np.round(255 * np.clip(one / top / 2 + 0.5, 0, 1))
            level = np.round(127.5 + (level - 127.5) * top / max(tops)).astype(int)
            near = [np.round(255 * colormaps["RdBu_r"](level + off)[:, :, :3]) for off in (-1, 0, 1)]
            assert np.minimum.reduce([np.abs(pixels - expected).max(2) for expected in near]).max() == 0
        assert page.locator("#scale-of").inner_text() == "network"
        page.locator("#network-scale").uncheck()
        assert images.evaluate_all("all => all.map(i => i.src)") == before
        assert "for the class" in page.locator(".scale").inner_text()


def test_axe_finds_nothing_wrong(browser: Browser, make_run, tmp_path: Path) -> None:
    runs = [
        make_run(name, method=method, saliency=("vanilla_gradient", "smoothgrad"), gallery=7, images=20)
        for name, method in (("one", "Regular"), ("other", "SCAAT"))
    ]
    for page in _open(browser, write_report(runs, tmp_path / "page.html")):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        page.select_option("#order", "gini")
        # What is far out of sight has no colours yet, and axe would pass it by.
        page.add_style_tag(content="section, .scroll { content-visibility: visible !important }")
        # Each figure is one picture with words of its own; axe would take minutes for the letters inside all of them.
        page.locator(".panel:nth-child(n+2)").evaluate_all("all => all.forEach(one => one.remove())")
        passed = set()
        for scheme, rules in (("light", ""), ("dark", "runOnly: ['color-contrast'],")):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate(f"axe.run({{exclude: [['svg *']]}}, {{{rules} resultTypes: ['violations']}})")
            assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found["violations"]] == []
            passed |= {(scheme, one["id"]) for one in found["passes"]}
        checked = {("light", rule) for rule in ("image-alt", "svg-img-alt", "label", "select-name")}
        assert checked | {("light", "color-contrast"), ("dark", "color-contrast")} <= passed


def test_what_training_kept_is_shown(browser: Browser, make_run, tmp_path: Path) -> None:
    run = make_run("<i>", method="SCAAT", saliency=("vanilla_gradient",), images=20, gallery=1)
    images, label = np.zeros((2, 1, 28, 28), np.uint8), np.arange(2)
    snapshots = {"epoch": np.arange(3), "prediction": np.zeros((3, 2), np.int64)}
    heatmap = np.random.default_rng(0).random((3, 2, 28, 28), dtype=np.float32)
    save_file({"images": images, "label": label, "heatmap": heatmap, **snapshots}, run / "snapshots.safetensors")
    q = {"images": images, "label": label, "index": label, "q": np.array([0.1, 0.9], np.float32)}
    save_file(q, run / "extremes.safetensors")
    for page in _open(browser, write_report([run], tmp_path / "page.html")):
        rows = page.locator("#snapshots tbody tr")
        assert [rows.nth(i).locator("img").count() for i in range(rows.count())] == [4, 4]
        assert "epoch 3: T-shirt/top" in rows.first.inner_text() and "<i>" in rows.first.inner_text()
        page.locator("#q tbody tr").first.scroll_into_view_if_needed()
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it is drawn
        shown = page.locator("#q tbody tr").all_inner_texts()
        assert [text.split() for text in shown] == [
            ["<i>", "smallest", "q", "T-shirt/top,", "q", "0.10"],
            ["<i>", "largest", "q", "Trouser,", "q", "0.90"],
        ]


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
    page.evaluate("sources.forEach((_, one) => load(one))")  # what is not shown is loaded later
    page.evaluate("Promise.all([...document.images].map(one => one.decode()))")
    assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_right_and_wrong_are_said_in_words(page: Page) -> None:
    marks = set(page.locator(".gallery td .right, .gallery td .wrong").all_text_contents())
    assert marks == {"✓ right", "✗ wrong"}


def test_paper_has_what_is_folded_and_the_screen_folds_it_again(page: Page) -> None:
    opened = "document.querySelectorAll('details[open]').length"
    page.locator("#about-gini summary").click()
    folded = page.locator("#subgroups details, .notes details, .folded").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(opened) == folded + 1 > 1
    assert page.locator(".copy details").get_attribute("open") is None
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(opened) == 1
    assert len(page.pdf(prefer_css_page_size=True)) > 10_000


SHEET = round((297 - 2 * 12) / 25.4 * 96)
"""Width in CSS pixels of A4 landscape within its margins."""


def test_the_table_fits_on_paper(browser: Browser, report: Path) -> None:
    for page in _open(browser, report, width=SHEET):
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= SHEET
        assert page.locator("#numbers td[data-metric=ros]").first.is_visible()


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
        assert page.locator("#numbers tbody th").first.text_content().strip().startswith(f"{name}0")
        assert "49" not in page.locator("#numbers tbody th").first.text_content()


def test_names_are_bold_in_the_recommendation(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert re.search(r"<dd>The vanilla gradient maps of <b>scaat</b> are", html)
    assert "<b>at</b> and <b>at-smoothing</b> cannot be told apart" in html
    assert _named("R&D: amp & at-1, at.", ["at", "amp", "at-1"]) == (
        "R&amp;D: <b>amp</b> &amp; <b>at-1</b>, <b>at</b>."
    )


def test_one_run_makes_a_page(browser: Browser, make_run, tmp_path: Path) -> None:
    out = write_report([make_run(images=1, gallery=1, epochs=1)], tmp_path / "deep" / "one.html")
    for page in _open(browser, out):
        assert page.locator(".headline").inner_text().startswith("There is nothing to compare")


def test_many_runs_fold_what_each_gained_and_fit_on_paper(
    browser: Browser, report: Path, make_run, tmp_path: Path
) -> None:
    options = {"images": 20, "gallery": 1, "epochs": 1, "saliency": ("vanilla_gradient",)}
    count = MANY + 4
    paths = [make_run(f"run {number}", **options) for number in range(count)]
    for page in _open(browser, write_report(paths, tmp_path / "many.html"), width=SHEET):
        assert page.locator(".changes").is_hidden()
        page.locator(".folded summary").click()
        assert page.locator(".changes h3").count() == count - 1 and page.locator(".changes").is_visible()
        names = " ".join(f"'run {number}'" for number in range(count))
        assert page.get_by_text(f"pellucid report {names} --out report.html").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= SHEET
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= SHEET
    for page in _open(browser, report):
        assert page.locator(".changes").is_visible() and page.locator(".folded").count() == 0


def test_runs_that_kept_no_maps_say_how_to_keep_them(browser: Browser, make_run, tmp_path: Path) -> None:
    runs = [make_run(name, gallery=1, images=20, saliency=("vanilla_gradient",)) for name in ("a", "b")]
    for run in runs:
        kept = load_file(run / "maps.safetensors")
        save_file({name: values[:0] for name, values in kept.items()}, run / "maps.safetensors")
    for page in _open(browser, write_report(runs, tmp_path / "page.html")):
        assert "These runs kept no maps." in page.locator("#gallery").inner_text()
        assert page.locator("#pictures, #lightbox, .example").count() == 0
        page.locator("[data-columns=all]").evaluate("one => one.click()")


def test_the_legend_of_q_names_the_runs_that_have_one(report: Path) -> None:
    section = re.search(r'<section id="q".*?</ul>', report.read_text(), flags=re.DOTALL)
    assert section
    assert re.findall(r"</svg> ([\w-]+)</li>", section[0]) == ["scaat", "scaat-fast"]
