"""The notebooks run from top to bottom, have no outputs in them, and show what they promise."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
SHOWN = {
    "own-metric": "Centre",
    "rows-with-pandas": "Interval(mean=",
    "trust-card": "the vanilla gradient map",
    "tune-and-compare": "scaat",
}
"""A word in the outputs of each."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    assert notebook.cells[0].source.startswith("# ") and path.stem in SHOWN
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\((?![a-z]+:)([^)#]+)", words)
    assert links and all((path.parent / link).exists() for link in links)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client|zmq|tornado")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    data = [output["text"] if "text" in output else str(dict(output.get("data", {}))) for output in outputs]
    assert SHOWN[path.stem] in "\n".join(data)
    if path.stem == "trust-card":
        assert any("text/html" in output.get("data", {}) for output in outputs)
        assert any("image/png" in output.get("data", {}) for output in outputs)
