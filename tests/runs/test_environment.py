"""What a run was made with is told from the package's own files."""

import subprocess
from pathlib import Path

import pytest

from pellucid.runs.environment import _commit


@pytest.fixture
def package(tmp_path) -> Path:
    """A committed package in a checkout that holds results too."""
    folder = tmp_path / "src" / "package"
    (tmp_path / "results").mkdir()
    folder.mkdir(parents=True)
    for file in (folder / "__init__.py", tmp_path / "results" / "table.md"):
        file.write_text("")
    me = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*me, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return folder


def test_a_changed_table_is_no_changed_package(package) -> None:
    commit, dirty = _commit(package)
    assert len(commit) == 40 and dirty is False
    (package.parents[1] / "results" / "table.md").write_text("new")
    (package.parents[1] / "runs").mkdir()
    (package.parents[1] / "runs" / "rows").write_text("new")
    assert _commit(package) == (commit, False)


@pytest.mark.parametrize("file", ["__init__.py", "new.py"])
def test_a_changed_or_new_module_is_told(package, file) -> None:
    (package / file).write_text("x = 1")
    assert _commit(package)[1] is True


def test_an_installed_package_has_no_commit(package, tmp_path_factory) -> None:
    installed = package.parents[1] / ".venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert _commit(installed) == (None, None)
    assert _commit(tmp_path_factory.mktemp("elsewhere")) == (None, None)
