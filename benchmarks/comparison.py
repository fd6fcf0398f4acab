"""What other libraries have, looked up in copies of their repositories.

python benchmarks/comparison.py COPIES      looks up every cell, writes results/comparison.json and the table of
                                            docs/comparison.md; COPIES/OWNER+NAME/repo is a git directory for each
python benchmarks/comparison.py             writes the table again from results/comparison.json
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comparison_cells import LIBRARIES, ROWS, Found, Library, Searched

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "comparison.json"
PAGE = ROOT / "docs" / "comparison.md"
START, END = "<!-- table: benchmarks/comparison.py writes this -->", "<!-- end -->"
TEXT = ("py", "md", "rst")


def looked_up(copies: Path) -> dict[str, Any]:
    """Every cell of every row, looked up in the newest commit of each copy.

    Raises:
        SystemExit: where a file lacks the words that a cell names, or where words are found that should be missing.
    """
    libraries, cells, wrong = {}, [], []
    for library in LIBRARIES:
        repository = copies / library.repository.replace("/", "+") / "repo"
        libraries[library.name] = _facts(library, repository)
        for row in ROWS:
            cell = row.cells.get(library.name, Searched(row.pattern))
            found = _found(cell, library, repository)
            cells.append({"row": row.what, "library": library.name, **found})
            if not found["holds"]:
                wrong.append(f"{row.what}, {library.name}: {found}")
    if wrong:
        raise SystemExit("These cells do not hold:\n" + "\n".join(wrong))
    return {"looked_up": datetime.now(UTC).date().isoformat(), "libraries": libraries, "cells": cells}


def table(result: Mapping[str, Any]) -> str:
    """The table of docs/comparison.md, and below it what was looked up where."""
    names = list(result["libraries"])
    cells = {(cell["row"], cell["library"]): cell for cell in result["cells"]}
    lines = [
        "| | pellucid | " + " | ".join(names) + " |",
        "| --- " * (len(names) + 2) + "|",
        *(
            f"| {row.what} | {row.pellucid} | "
            + " | ".join(_shown(cells[row.what, name], result["libraries"][name]) for name in names)
            + " |"
            for row in ROWS
        ),
        "",
        "## How this was checked",
        "",
        f"On {result['looked_up']} a script looked up every cell in a copy of each repository:",
        "",
        "| library | version | commit |",
        "| --- | --- | --- |",
        *(
            f"| [{name}]({facts['address']}) | {facts['version']} | "
            f"[{facts['commit'][:10]}]({facts['address']}/tree/{facts['commit']}) of {facts['date']} |"
            for name, facts in result["libraries"].items()
        ),
        "",
        "- **A word with a link** leads to a file that shows it, at that commit. The script checked that the file has "
        "the words that we looked for.",
        "- **A dash** means that none of the words that we searched for stands in the library's code or documentation. "
        "A library may have the thing under another name.",
        "- **not examined** means that we have not found out.",
        "",
        "The words and files are in [comparison_cells.py](../benchmarks/comparison_cells.py). Corrections are welcome.",
    ]
    return "\n".join(lines)


def page(text: str, result: Mapping[str, Any]) -> str:
    """The page's text with the table between its two marks."""
    before, rest = text.split(START)
    return f"{before}{START}\n{table(result)}\n{END}{rest.split(END, 1)[1]}"


def _shown(cell: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if cell["path"] is None:
        return cell["how_much"]
    return f"[{cell['how_much']}]({facts['address']}/blob/{facts['commit']}/{cell['path']})"


def _found(cell: Found | Searched | None, library: Library, repository: Path) -> dict[str, Any]:
    if cell is None:
        return {"path": None, "words": None, "how_much": "not examined", "holds": True}
    if isinstance(cell, Found):
        text = _git(repository, "show", f"HEAD:{cell.path}")
        return {"path": cell.path, "words": cell.words, "how_much": cell.how_much, "holds": cell.words in text}
    hits = list(_hits(cell, library, repository))
    return {"path": None, "words": cell.pattern, "how_much": "–", "holds": not hits, "hits": hits[:5]}


def _hits(cell: Searched, library: Library, repository: Path) -> Iterator[str]:
    within = cell.within or library.searched
    files = _git(repository, "ls-tree", "-r", "--name-only", "HEAD", "--", *within).splitlines()
    known = [file for file in files if file.rpartition(".")[2] in TEXT]
    if not known:
        raise SystemExit(f"{library.name}: no file to search in {', '.join(within)}.")
    found = _git(repository, "grep", "-nIiE", cell.pattern, "HEAD", "--", *known, allowed=(0, 1))
    yield from (line.removeprefix("HEAD:")[:160] for line in found.splitlines())


def _facts(library: Library, repository: Path) -> dict[str, str]:
    path, pattern = library.version
    version = re.search(pattern, _git(repository, "show", f"HEAD:{path}"))
    if version is None:
        raise SystemExit(f"{library.name}: {path} does not say the version.")
    commit, date = _git(repository, "log", "-1", "--format=%H %cs").split()
    address = f"https://github.com/{library.repository}"
    return {"version": version[1], "commit": commit, "date": date, "address": address}


def _git(repository: Path, *words: str, allowed: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=False)
    if done.returncode not in allowed:
        raise SystemExit(f"git {' '.join(words)[:80]} in {repository}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode("utf-8", errors="replace")


def main() -> None:
    if len(sys.argv) > 1:
        RESULTS.write_text(json.dumps(looked_up(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n", "utf-8")
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")


if __name__ == "__main__":
    main()
