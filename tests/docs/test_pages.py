"""Every page: its links lead somewhere, its commands are understood, its Python runs, and it is not too long."""

import re
from pathlib import Path

import pytest

from .conftest import PAGES, ROOT, blocks, commands

ELSEWHERE = {
    "explain.md": "tests/explanation/test_documentation.py",
    "extend.md": "tests/test_extend.py",
    "integrations.md": "tests/integrations/test_guide.py",
    "reproduce.md": "tests/papers/test_guide.py",
    "training.md": "tests/docs/test_training_page.py",
    "truth.md": "tests/test_truth_page.py",
}
"""Pages whose Python another test runs."""
HERE = [page for page in PAGES if page.name not in ELSEWHERE and blocks(page, "python")]
COMMANDS = [pytest.param(words, id=f"{page.name}:{' '.join(words)[:60]}") for page in PAGES for words in commands(page)]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    assert not [link for link in links if not (page.parent / link).exists()]


def anchors(page: Path) -> set[str]:
    """What a link to a page's headings says behind its #."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_headings_lead_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#([^)\s]+)\)", page.read_text())
    targets = [((page.parent / file if file else page), anchor) for file, anchor in links]
    assert not [anchor for target, anchor in targets if target.suffix == ".md" and anchor not in anchors(target)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_are_short(page: Path) -> None:
    limit = 900 if page.name == "README.md" else 1500
    assert len(re.findall(r"\S*\w\S*", page.read_text(encoding="utf-8"))) < limit


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_are_understood(words: list[str], reader: Path, understood) -> None:
    assert understood(words)


def test_a_wrong_command_is_not_understood(reader: Path, understood, capsys) -> None:
    assert not understood(["train", "runs/x", "--no-such-setting", "1"])
    assert "no-such-setting" in capsys.readouterr().err


@pytest.mark.parametrize("page", HERE, ids=name)
def test_python_runs(page: Path, reader: Path, capsys) -> None:
    space: dict = {"__name__": "page"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), space)
    assert capsys.readouterr().out


def test_pages_run_elsewhere_are_tested() -> None:
    shown = {page.name for page in PAGES if blocks(page, "python")}
    assert set(ELSEWHERE) <= shown
    assert all(page in (ROOT / test).read_text() for page, test in ELSEWHERE.items())


def test_results_are_indexed() -> None:
    index = (ROOT / "results/README.md").read_text()
    pages = [page for page in (ROOT / "results").glob("*.md") if page.name != "README.md"]
    assert not [page.name for page in pages if f"]({page.name})" not in index]


def test_tables_of_the_readme_fit_a_page() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|")]
    assert rows and max(line.count("|") for line in rows) <= 4
