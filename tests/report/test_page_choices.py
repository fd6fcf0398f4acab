"""What a reader can choose on the page: weights, columns, networks, filters, one picture large; links keep it."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from pellucid.report.page import write_report
from pellucid.runs.evaluated import read_runs


@pytest.fixture(scope="module")
def three(six_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three of the six runs, with the address of a trust card."""
    index = int(read_runs(six_runs[:1])[0].maps["index"][0])
    cards = {"at": {index: "cards/at/test-0-card.html"}}
    out = tmp_path_factory.mktemp("choices") / "report.html"
    return write_report([six_runs[k] for k in (0, 1, 4)], out, cards=cards, title="Which one?")


@pytest.fixture
def page(browser: Browser, three: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(three.as_uri())
    yield page
    context.close()
    assert said == []


def test_the_first_screen_answers_which_at_what_cost_and_how_sure(page: Page) -> None:
    first = page.locator(".take").first
    assert first.bounding_box()["y"] + first.bounding_box()["height"] < 800
    assert first.locator(".choice").inner_text() == "scaat"
    assert first.locator("dt").all_inner_texts() == ["Why", "Cost", "How sure"]
    assert page.locator("h1").inner_text() == "Which one?"
    assert "Trained on 1 January 2026" in page.locator(".lead").inner_text()
    assert "(SCAAT)" in first.inner_text() and "a random map 0.33" in first.locator(".scaled").inner_text()


def test_sliders_weigh_the_questions(page: Page) -> None:
    assert page.locator("#weighed th").all_inner_texts()[0] == "scaat"
    questions = page.locator("[data-weight]")
    for number in range(questions.count()):
        questions.nth(number).fill("0")
    said = page.locator("#weighed-said")
    assert said.inner_text() == "With these weights no network comes first."
    accuracy = page.get_by_label("Which network names most pictures correctly?")
    accuracy.fill("4")
    assert said.inner_text().startswith("With these weights regular")
    assert page.locator("output").first.inner_text() == accuracy.get_attribute("aria-valuetext") == "most"
    robust = page.get_by_label("Which network stays right most often under attack?")
    accuracy.fill("0")
    robust.fill("1")
    assert said.inner_text() == "With these weights at comes first."
    assert page.locator("#weighed tr").first.inner_text().split()[:4] == ["at", "2", "0", "0"]


def test_columns_are_chosen_and_a_link_keeps_them(page: Page, three: Path) -> None:
    entropy = page.locator("#numbers td[data-metric=entropy]").first
    recall = page.locator("#numbers td[data-metric=balanced_accuracy]").first
    assert entropy.is_visible() and recall.is_hidden()
    page.locator("#chooser summary").click()
    page.locator("#chooser").get_by_label("Entropy", exact=True).uncheck()
    page.locator("#chooser").get_by_label("Balanced accuracy").check()
    assert entropy.is_hidden() and recall.is_visible()
    spans = page.locator("#numbers .groups th:visible").evaluate_all("all => all.reduce((n, th) => n + th.colSpan, 0)")
    assert spans == page.locator("#numbers thead tr:nth-child(2) th:visible").count() - 1
    page.locator("#numbers th[data-metric=gini] button").click()
    page.select_option("#map", "smoothgrad")
    page.locator("#networks summary").click()
    page.locator("#networks input").nth(1).uncheck()
    page.select_option("#answered", "wrong")
    page.locator("[data-weight='0']").fill("4")
    page.locator("[data-weight='0']").dispatch_event("change")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#numbers td[data-metric^=entropy]:visible").count() == 0
    assert page.locator("#numbers td[data-metric=balanced_accuracy]:visible").count() == 2
    assert page.locator("#numbers th[data-metric=gini]").get_attribute("aria-sort") == "descending"
    assert page.locator("#map").input_value() == "smoothgrad"
    assert page.locator("#answered").input_value() == "wrong"
    assert page.locator("[data-weight='0']").input_value() == "4"
    assert page.locator("#numbers tbody tr:visible").count() == 2
    page.locator("#chooser summary").click()
    page.get_by_role("button", name="The main columns").click()
    assert "columns" not in page.url
    assert page.locator("#numbers td[data-metric=balanced_accuracy]:visible").count() == 0


def test_a_hidden_network_is_gone_everywhere(page: Page) -> None:
    places = "#numbers tbody tr, #pictures th[data-run], #curves .legend li, #weighed tr, .changes > div"
    shown = page.locator(places)
    before = shown.locator("visible=true").count()
    lines = page.locator("#curves svg .run-1")
    assert lines.count() > 0 and lines.first.is_visible()
    page.locator("#networks summary").click()
    page.locator("#networks input").nth(1).uncheck()
    assert page.locator("#networks-shown").inner_text() == "2 of 3"
    assert shown.locator("visible=true").count() == before - 5
    assert lines.first.is_hidden()
    page.keyboard.press("Escape")
    assert page.locator("#networks").get_attribute("open") is None


def test_head_and_contents_stay_in_sight(page: Page) -> None:
    page.get_by_role("link", name="Table", exact=True).click()
    page.locator(".scroll.tall").evaluate("one => { one.style.maxHeight = '260px'; one.scrollTop = 200; }")
    head, box = page.locator("#numbers thead"), page.locator(".scroll.tall")
    assert head.bounding_box()["y"] == pytest.approx(box.bounding_box()["y"], abs=2)
    assert page.locator("#bar").bounding_box()["y"] == 0
    page.wait_for_function("document.querySelector('.bar [aria-current]').hash === '#table'")


def test_one_picture_large_compares_two_networks(page: Page, six_runs: list[Path]) -> None:
    box = page.locator("#lightbox")
    page.locator("#pictures tbody tr").first.locator("td .map:visible img").nth(1).click()
    assert box.is_visible() and box.get_by_label("Left").input_value() == "1"
    right, left = page.locator("#lightbox-right"), page.locator("#lightbox-left")
    seam = box.get_by_label("Where they meet")
    seam.fill("25")
    assert left.evaluate("one => one.style.clipPath").replace("0px", "0") == "inset(0 75% 0 0)"
    run = read_runs(six_runs[1:2])[0]
    heatmap = run.maps["heatmap/vanilla_gradient"][0]
    stack = page.locator("#lightbox-stack").bounding_box()
    page.mouse.move(stack["x"] + stack["width"] * 4.5 / 28, stack["y"] + stack["height"] * 13.5 / 28)
    value = page.locator("#lightbox-value").inner_text()
    share = min(1.0, heatmap[13, 4] / np.percentile(heatmap, 99))
    assert value.startswith("at, column 5, row 14: ")
    assert int(value.split(": ")[1].split()[0]) == pytest.approx(100 * share, abs=1)
    page.mouse.move(stack["x"] + stack["width"] * 20.5 / 28, stack["y"] + stack["height"] / 2)
    assert page.locator("#lightbox-value").inner_text().startswith("scaat, ")
    assert page.locator("#lightbox-said a").get_attribute("href") == "cards/at/test-0-card.html"
    title = page.locator("#lightbox-title").inner_text()
    box.get_by_role("button", name="Next picture").click()
    assert page.locator("#lightbox-title").inner_text() != title
    assert right.is_visible()
    page.keyboard.press("Escape")
    assert box.is_hidden()
    page.locator(".enlarge").first.focus()
    page.keyboard.press("Enter")
    assert box.is_visible()


def test_a_map_tells_its_values_below_the_pointer(page: Page) -> None:
    image = page.locator("#pictures .map:visible img").first
    image.scroll_into_view_if_needed()
    image.hover()
    told = page.locator("#hover").inner_text()
    assert re.fullmatch(r"column 1[45], row 1[45]: \d+ % of this map’s scale, [\d.]+", told)
    page.locator("#gallery-title").hover()
    assert page.locator("#hover").is_hidden()


def test_a_map_tells_the_same_values_on_another_colour_scale(page: Page) -> None:
    images, hover = page.locator("#pictures .map:visible img"), page.locator("#hover")
    page.locator("#one-scale").check()
    changed = images.evaluate_all("all => all.findIndex(one => one.dataset.shown)")
    assert changed >= 0
    told = []
    for _ in range(2):
        images.nth(changed).hover()
        hover.filter(has_text="column").wait_for()
        told.append(hover.inner_text())
        page.goto("about:blank")
        page.go_back()
        page.evaluate("history.replaceState(null, '', '#gallery')")
        page.reload()
        assert images.nth(changed).get_attribute("data-shown") is None
    assert told[0] == told[1]


def test_pictures_link_to_their_cards(page: Page) -> None:
    assert page.locator("#pictures .card").count() == 1
    link = page.locator("#pictures .card")
    assert link.text_content().startswith("Trust card") and link.get_attribute("href") == "cards/at/test-0-card.html"


def test_the_rows_are_saved_as_csv(page: Page, six_runs: list[Path], tmp_path: Path) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the rows as CSV").click()
    waiting.value.save_as(tmp_path / "rows.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text(encoding="utf-8"))))
    runs = read_runs([six_runs[k] for k in (0, 1, 4)])
    assert len(rows) == sum(run.rows.num_rows for run in runs)
    assert [row["run"] for row in rows[::200]] == ["regular", "at", "scaat"]
    np.testing.assert_allclose([float(row["gini"]) for row in rows[:200]], runs[0].values("gini"), rtol=1e-3)
    assert rows[0]["class"] == runs[0].words(int(runs[0].rows["label"][0].as_py()))


def test_skip_links_come_first(page: Page) -> None:
    seen = []
    for _ in range(3):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.hash"))
    assert seen == ["#recommendation", "#table", "#gallery"]


def test_paper_begins_with_a_summary_of_one_page(page: Page) -> None:
    page.emulate_media(media="print")
    assert page.locator("#recommendation").evaluate("one => getComputedStyle(one).breakAfter") == "page"
    sheet = (210 - 2 * 12) / 25.4 * 96
    page.set_viewport_size({"width": 1032, "height": 800})
    bottom = page.locator("#recommendation").bounding_box()
    assert bottom["y"] + bottom["height"] <= sheet
    assert page.locator("#bar").is_hidden() and page.locator("#weights").is_hidden()
