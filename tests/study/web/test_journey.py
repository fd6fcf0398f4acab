"""The study in a real browser: phone and desktop, keyboard alone, without JavaScript."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette

from pellucid.study.folder import read_study, write_study
from pellucid.study.serve import running
from pellucid.study.store import Store
from pellucid.study.web import application


@pytest.fixture
def address(app: Starlette) -> Iterator[str]:
    with running(app) as address:
        yield address


def open_page(browser: Browser, width: int, height: int, **options: Any) -> tuple[Page, list[str]]:
    page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    return page, said


def go_on(page: Page) -> None:
    with page.expect_navigation():  # and its pictures
        page.locator("main form .bar button").click()


def visible_button(page: Page, height: int) -> None:
    """Continue is on the screen without scrolling."""
    box = page.locator("main .bar button").first.bounding_box()
    assert box and box["y"] >= 0 and box["y"] + box["height"] <= height


def agree(page: Page, address: str) -> None:
    page.goto(address)
    for name in ("Continue", "I agree and take part"):
        with page.expect_navigation():
            page.get_by_role("button", name=name).click()


@pytest.fixture
def short(make_study: Callable[..., Path], open_store: Callable[..., Store]) -> Iterator[tuple[str, Store]]:
    """A study of five pages."""
    folder = make_study("short", checks=(), expertise=(), comment=False)
    write_study(replace(study := read_study(folder), questions=study.questions[:2]), folder / "study.yaml")
    store = open_store(folder)
    with running(application(folder, store)) as address:
        yield address, store


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (390, 844),
        pytest.param(844, 390, marks=pytest.mark.slow),
        pytest.param(1280, 800, marks=pytest.mark.slow),
    ],
)
def test_a_whole_journey(browser: Browser, address: str, store: Store, width: int, height: int) -> None:
    page, said = open_page(browser, width, height)
    agree(page, address)
    while page.locator("input[name=step]").count():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth)")
        visible_button(page, height)
        for group in page.locator("fieldset").all():
            group.get_by_role("radio").first.check()
        for box in page.locator("main .options label").all():
            size = box.bounding_box()
            assert size and size["height"] >= 44 and size["width"] >= 40
        go_on(page)
    assert page.get_by_role("heading", name="Thank you").is_visible()
    [participant] = store.participants()
    assert (participant["viewport_width"], participant["viewport_height"]) == (width, height)
    assert all(step["seconds"] is not None and step["seconds"] < 60 for step in store.steps())
    assert [text for text in said if "preload" not in text] == []


def test_what_was_chosen_outlives_a_lost_connection(browser: Browser, short: tuple[str, Store]) -> None:
    address, store = short
    page, _ = open_page(browser, 390, 844, has_touch=True, is_mobile=True)
    agree(page, address)
    while page.locator("input[name=step]").input_value() != "trial-1":
        for group in page.locator("fieldset").all():
            group.get_by_role("radio").first.check()
        go_on(page)
    for group in page.locator("fieldset").all():
        group.get_by_role("radio").nth(4).check()
    page.reload()  # as a phone does that was short of memory
    assert [field.input_value() for field in page.locator("input:checked").all()] == ["5", "5"]
    page.context.set_offline(True)
    page.locator("main .bar button").click()
    expect(page.get_by_role("status")).to_contain_text("Your choices are kept on this page")
    page.get_by_role("radio", name="3").first.check()  # they can still be changed
    stored = len(store.steps())
    with page.expect_navigation():
        page.context.set_offline(False)  # and are sent by themselves
    expect(page.locator("input[name=step]")).to_have_value("trial-2")
    assert page.locator("input:checked").count() == 0
    steps = store.steps()
    assert len(steps) == stored + 1
    assert list(steps[-1]["answers"].values()) == ["3", "5"] and steps[-1]["seconds"] > 0


def test_pictures_can_be_made_larger_on_a_phone(browser: Browser, short: tuple[str, Store]) -> None:
    address, _ = short
    page, _ = open_page(browser, 390, 844)
    agree(page, address)
    go_on(page)
    small = page.locator(".half").last.bounding_box()
    page.get_by_role("button", name="Larger pictures").click()
    large = page.locator(".half").last.bounding_box()
    assert small and large and small["width"] >= 170 and large["width"] >= 350


def test_the_keyboard_alone(browser: Browser, short: tuple[str, Store]) -> None:
    address, store = short
    page, _ = open_page(browser, 1024, 768)
    agree(page, address)
    while page.locator("input[name=step]").count():
        page.locator("h1").evaluate("(h) => { h.tabIndex = -1; h.focus(); }")
        for _ in range(page.locator("fieldset").count()):
            page.keyboard.press("Tab")
            page.keyboard.press("Space")
        page.keyboard.press("Tab")
        with page.expect_navigation():
            page.keyboard.press("Enter")
    assert store.participants()[0]["finished_at"]


@pytest.fixture
def returning(
    make_study: Callable[..., Path], open_store: Callable[..., Store], visitor_at: Callable[..., Any], browser: Browser
) -> Iterator[Callable[..., Page]]:
    """Open the last page of a finished study that leads to a recruiting service, with a clock that the test moves."""
    folder = make_study("returning", completion_code="C1A2", completion_url="https://service.example/done?id={id}")
    app = application(folder, open_store(folder))
    visitor = visitor_at(app).agree(PROLIFIC_PID="5f1a").go_to("never")
    link = re.search(r'class="link" href="https?://[^/]*([^"]+)"', visitor.text)
    assert link
    with running(app) as address:

        def opened(**options: Any) -> Page:
            page, _ = open_page(browser, 390, 844, **options)
            page.context.route("https://service.example/**", lambda route: route.fulfill(body="service"))
            page.clock.install()
            page.goto(address + link[1])
            return page

        yield opened


def test_the_last_page_leads_back_by_itself_but_once(returning: Callable[..., Page]) -> None:
    page = returning()
    expect(page.get_by_role("status")).to_have_text("You will be taken back to the platform in 15 seconds.")
    assert page.locator(".code").inner_text() == "C1A2"
    assert page.get_by_role("link", name="Return to the platform").is_visible()
    page.clock.run_for(14_500)
    assert page.locator("[data-left]").inner_text() == "1 s left"
    assert page.get_by_role("status").inner_text().endswith("in 15 seconds."), "a screen reader does not hear the count"
    with page.expect_navigation():
        page.clock.run_for(1000)
    assert page.url == "https://service.example/done?id=5f1a"
    page.go_back()
    page.clock.run_for(60_000)
    assert page.get_by_role("heading", name="Thank you").is_visible()


def test_who_reads_on_stays(returning: Callable[..., Page]) -> None:
    def press(page: Page) -> None:
        page.get_by_role("button", name="Stay on this page").click()

    for act in (press, lambda page: page.keyboard.press("PageDown"), lambda page: page.mouse.wheel(0, 100)):
        page = returning()
        page.clock.run_for(3000)
        act(page)
        expect(page.get_by_role("status")).to_contain_text("You stay on this page.")
        page.clock.run_for(60_000)
        assert page.get_by_role("heading", name="Thank you").is_visible()
        assert page.get_by_role("button", name="Stay on this page").is_hidden()
        page.context.close()


def test_without_motion_or_script_the_button_alone_leads_back(returning: Callable[..., Page]) -> None:
    options: list[dict[str, Any]] = [{"reduced_motion": "reduce"}, {"java_script_enabled": False}]
    for each in options:
        page = returning(**each)
        page.clock.run_for(60_000)
        assert page.get_by_role("status").inner_text() == ""
        page.get_by_role("link", name="Return to the platform").click()
        assert page.url == "https://service.example/done?id=5f1a"
        page.context.close()


def test_without_javascript(browser: Browser, short: tuple[str, Store]) -> None:
    address, store = short
    page, _ = open_page(browser, 360, 740, java_script_enabled=False)
    agree(page, address)
    while page.locator("input[name=step]").count():
        for group in page.locator("fieldset").all():
            group.get_by_role("radio").last.check()
        go_on(page)
    [participant] = store.participants()
    assert participant["finished_at"] and participant["viewport_width"] is None
    assert {step["seconds"] for step in store.steps()} == {None}


def test_back_reload_and_double_click(browser: Browser, short: tuple[str, Store]) -> None:
    address, store = short
    page, _ = open_page(browser, 800, 700)
    agree(page, address)
    for _ in range(3):
        for group in page.locator("fieldset").all():
            group.get_by_role("radio").first.check()
        before = page.locator("input[name=step]").input_value()
        page.locator("main form .bar button").dblclick()
        expect(page.locator("input[name=step]")).not_to_have_value(before)
    page.go_back()
    page.reload()
    where = page.locator("input[name=step]").get_attribute("value")
    names = [step["name"] for step in store.steps()]
    assert len(names) == len(set(names))
    page.goto(f"{address}/study")
    assert page.locator("input[name=step]").get_attribute("value") == where


def test_questions_have_names_for_a_screen_reader(browser: Browser, address: str) -> None:
    page, _ = open_page(browser, 800, 700)
    agree(page, address)
    while page.locator("input[name=step]").get_attribute("value") != "trial-1":
        for group in page.locator("fieldset").all():
            group.get_by_role("radio").first.check()
        go_on(page)
    group = page.get_by_role("group", name="how much do you trust")
    assert group.get_by_role("radio").count() == 7
    assert group.get_by_role("radio", name="1 not at all").count() == 1
    assert group.get_by_role("radio", name="7 completely").count() == 1
    assert page.get_by_role("progressbar").count() == 1
    assert page.get_by_role("img", name="explanation map").count() == 1
    go_on(page)
    assert page.get_by_role("alert").is_visible()
    assert page.locator(".error").evaluate("(e) => e === document.activeElement")
