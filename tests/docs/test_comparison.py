"""The page that compares libraries has the table of what was looked up, and every cell was looked up."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    module = __import__("comparison")
    yield module
    sys.path.remove(str(ROOT / "benchmarks"))
    for name in ("comparison", "comparison_cells"):
        del sys.modules[name]


@pytest.fixture
def result() -> dict:
    return json.loads((ROOT / "results/comparison.json").read_text(encoding="utf-8"))


def test_the_page_has_the_table_of_what_was_looked_up(script, result):
    text = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
    assert script.page(text, result) == text


def test_every_cell_was_looked_up_as_it_is_written_now(script, result):
    known = {(cell["row"], cell["library"]): cell for cell in result["cells"]}
    assert set(known) == {(row.what, library.name) for row in script.ROWS for library in script.LIBRARIES}
    for row in script.ROWS:
        for library in script.LIBRARIES:
            cell, stored = row.cells.get(library.name, script.Searched(row.pattern)), known[row.what, library.name]
            assert stored["holds"]
            if isinstance(cell, script.Found):
                assert (stored["path"], stored["words"]) == (cell.path, cell.words)
            elif cell is not None:
                assert stored["words"] == cell.pattern


def test_a_cell_that_does_not_hold_is_refused(script, tmp_path, monkeypatch):
    """In a repository made here, a file without the words, and a word that should be missing."""
    (library, *_), (row, *_) = script.LIBRARIES, script.ROWS
    repository = tmp_path / library.repository.replace("/", "+") / "repo"
    (repository / "captum").mkdir(parents=True)
    (repository / "captum/__init__.py").write_text('__version__ = "1.0"\n')
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(repository), *words], check=True)
    monkeypatch.setattr(script, "LIBRARIES", (library,))

    def looked_up(cell):
        monkeypatch.setattr(script, "ROWS", (replace(row, what="thing", cells={library.name: cell}),))
        return script.looked_up(tmp_path)

    assert looked_up(script.Found("captum/__init__.py", "1.0"))["libraries"]["Captum"]["version"] == "1.0"
    assert looked_up(script.Searched("nothing of the kind"))["cells"][0]["holds"]
    for cell in (script.Found("captum/__init__.py", "2.0"), script.Searched("VERSION")):
        with pytest.raises(SystemExit, match="thing, Captum"):
            looked_up(cell)
