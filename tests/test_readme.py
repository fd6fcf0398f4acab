"""What the README shows is what the results say."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def script():
    """Import a script of benchmarks/."""

    def imported(name):
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return imported


@pytest.fixture(scope="module")
def result():
    return json.loads((ROOT / "results" / "demo.json").read_text())


def test_its_numbers_are_those_of_the_results(script):
    headline = script("headline")
    *boards, tuned = (json.loads((ROOT / file).read_text()) for file in (*headline.BOARDS, headline.PHOTOGRAPHS))
    assert headline.with_numbers(README, boards, tuned) == README
    assert README.count(headline.END) == 2 and len(re.findall(r"\d\s?%?\s?\[", README)) >= 6


def test_the_demo_has_the_numbers_of_its_results(script, numbers, result):
    assert numbers((ROOT / "results" / "demo.md").read_text()) == numbers(script("demo_table").page(result))


def test_its_picture_is_cut_from_the_results(script):
    before_after = script("before_after")
    found = before_after.tiles(np.asarray(Image.open(ROOT / before_after.SOURCE).convert("RGB")))
    assert len(found) == 8 and {len(row) for row in found} == {4}
    assert {tile.shape[0] for row in found for tile in row} <= {153, 154}
    assert (ROOT / before_after.OUT).stat().st_size < 400_000


def test_lerf_orders_scaat_sgt_regular(result):
    lerf = {name: run["metrics"]["aopc_lerf"]["mean"] for name, run in result["runs"].items()}
    assert lerf["scaat"] < lerf["sgt"] < lerf["regular"]
