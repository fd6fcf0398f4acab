"""What the tests share: hypothesis without a clock, a browser, the numbers of a page."""

import os
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

settings.register_profile("pellucid", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pellucid")


FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium at $PELLUCID_BROWSER, which `make test` finds or installs."""
    path = os.environ.get("PELLUCID_BROWSER")
    if not path and "CI" in os.environ:
        pytest.fail("PELLUCID_BROWSER names no browser; under CI every page is tested")
    if not path:
        pytest.skip("NO BROWSER: the pages are untested; set PELLUCID_BROWSER to a Chrome or Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], list[str]]:
    """Numbers and verdicts of a page's tables (of a text without any: of all its lines), in their order.

    A published page must go on saying these; its words may change without the page being written again.
    """

    def of(text: str) -> list[str]:
        lines = text.splitlines()
        rows = [line for line in lines if line.startswith("|")] or lines
        said = re.findall(r"[−-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|confirmed|refuted|cannot be told", "\n".join(rows))
        assert said, f"no number in {text[:80]!r}"
        return said

    return of
