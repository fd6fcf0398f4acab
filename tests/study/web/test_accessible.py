"""Every page of a study is accessible: axe finds nothing, light and dark, on a phone and on a desk."""

from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page

from pellucid.study.serve import running
from pellucid.study.store import Store
from pellucid.study.web import application

from .conftest import HASH, MakeStudy, OpenStore


def violations(page: Page) -> list[str]:
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{page.url}: {each['id']} {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width", "height"), [("dark", 390, 844), ("light", 844, 390), ("light", 1280, 800)])
def test_axe_finds_nothing(
    browser: Browser, make_study: MakeStudy, open_store: OpenStore, scheme: str, width: int, height: int
) -> None:
    folder = make_study("accessible", practice_feedback=True, comprehension_tries=2)
    store: Store = open_store(folder)
    with running(application(folder, store, password=HASH, preview=True)) as address:
        page = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
        ).new_page()
        found = []
        for path in ("/", "/consent?PROLIFIC_PID=5f1a"):
            page.goto(address + path)
            found += violations(page)
        with page.expect_navigation():
            page.get_by_role("button", name="I agree").click()
        while page.locator("input[name=step]").count():
            found += violations(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for group in page.locator("fieldset").all():
                group.get_by_role("radio").first.check()
            with page.expect_navigation():
                page.locator("main .bar button").click()
        found += violations(page)
        for path in ("/withdraw", "/nothing", "/researcher"):
            page.goto(address + path)
            found += violations(page)
        page.get_by_label("Password").fill("correct horse")
        with page.expect_navigation():
            page.get_by_role("button", name="Log in").click()
        found += violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()
    assert found == []
