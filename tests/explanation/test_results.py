"""Result pages are what their data say."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["explain_photographs"])
def test_the_page_is_rendered_from_the_data(monkeypatch, script) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    file = ROOT / "results" / script.replace("_", "-")
    page = __import__(script).page(json.loads(file.with_suffix(".json").read_text(encoding="utf-8")))
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page
