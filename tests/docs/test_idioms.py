"""docs/idioms.md is made of examples that were run, and those that can be run here work."""

import json
import sys

import pytest

from .conftest import ROOT


@pytest.fixture(scope="module")
def idioms():
    """The script that writes the page."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield __import__("idioms")
    sys.path.remove(str(ROOT / "benchmarks"))
    for name in ("idioms", "idioms_examples"):
        del sys.modules[name]


def test_the_page_is_that_of_its_results(idioms) -> None:
    result = json.loads((ROOT / idioms.RESULT).read_text())
    assert (ROOT / idioms.PAGE).read_text() == idioms.page(result)
    assert [(row["library"], row["does"]) for row in result["rows"]] == [
        (one.library, one.does) for one in idioms.IDIOMS
    ]
    assert not [row for row in result["rows"] if row["state"] == "fails"]
    assert sum(row["state"] == "works" for row in result["rows"]) >= 12


def test_an_example_ends_with_what_must_hold(idioms) -> None:
    for one in idioms.IDIOMS:
        compile(idioms.START + one.code, one.library, "exec")
        assert one.code.rstrip().splitlines()[-1].startswith("assert ")


@pytest.mark.slow
def test_the_examples_run(idioms) -> None:
    states = [(one.library, idioms.run(one, [sys.executable])["state"]) for one in idioms.IDIOMS]
    assert not [state for state in states if state[1] == "fails"]
    assert sum(state == "works" for _, state in states) >= 12


def test_what_fails_is_said_to_fail(idioms) -> None:
    wrong = idioms.Idiom(library="none", does="nothing", code="assert False\n")
    missing = idioms.Idiom(library="none", does="nothing", code="", needs=("no_such_package",))
    idioms.START, start = "", idioms.START
    try:
        assert idioms.run(wrong, [sys.executable])["state"] == "fails"
        assert idioms.run(missing, [sys.executable])["state"] == "not run"
    finally:
        idioms.START = start
