"""The researcher's page in a real browser: live, in local times, with test persons set aside."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect
from starlette.applications import Starlette

from pellucid.study.serve import running
from pellucid.study.store import Store

Visit = Callable[..., Any]


def test_the_page_is_live(browser: Browser, app: Starlette, visit: Visit, store: Store, tmp_path: Path) -> None:
    visit().agree(PROLIFIC_PID="working").go_on()
    with running(app) as address:
        page = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB").new_page()
        page.clock.install()
        page.goto(f"{address}/researcher")
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Log in").click()
        row = page.locator("#everyone tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("working")
        expect(row).to_contain_text("under way")
        began = store.participants()[0]["started_at"]
        local = page.evaluate(f"new Date('{began}').toLocaleTimeString([], {{hour: '2-digit', minute: '2-digit'}})")
        expect(row.locator("time").first).to_contain_text(local)
        assert began[11:16] != local
        page.evaluate("window.stays = true")
        visit().agree(PROLIFIC_PID="withdrawn").go_to("never")
        page.clock.fast_forward(6_000)
        expect(page.locator(".big")).to_contain_text("1 finished", timeout=15_000)  # without a reload
        expect(page.locator("#everyone tbody tr")).to_have_count(2)
        assert page.evaluate("window.stays")
        assert page.locator("svg.chart path.finished").get_attribute("d").count("V") == 1
        page.locator("#everyone tr", has_text="withdrawn").get_by_role("button").click()
        expect(page.locator(".big")).to_contain_text("0 finished")
        expect(page.locator("#everyone tr", has_text="withdrawn")).to_contain_text("test person")
        with page.expect_download() as download:
            page.get_by_role("button", name="Whom to pay").click()
        download.value.save_as(tmp_path / "approval.csv")
        rows = list(csv.DictReader(io.StringIO((tmp_path / "approval.csv").read_text())))
        assert [(each["id"], each["decision"]) for each in rows] == [("working", "wait")]
        page.context.close()
