"""The wheel and the source archive install and work away from the tree; what is said of versions is one thing."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_said_once_and_the_same_everywhere() -> None:
    changelog = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    (cited,) = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert changelog[0] == cited == pellucid.__version__
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]


def test_nothing_bounds_a_dependency_from_above() -> None:
    (torch,) = [one for one in PROJECT["dependencies"] if one.startswith("torch")]
    assert "<" not in torch and "==" not in torch
    bounded = [one for one in PROJECT["dependencies"] if "<" in one]
    assert not bounded


def test_the_container_needs_only_what_its_context_has() -> None:
    kept = {line[1:] for line in (ROOT / ".containerignore").read_text().split() if line.startswith("!")}
    assert kept >= {"src", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"}
    assert all((ROOT / name).exists() for name in kept)
    extras = set(re.search(r"pellucid\[([\w,]+)\]", (ROOT / "Containerfile").read_text())[1].split(","))
    assert extras <= set(PROJECT["optional-dependencies"])


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; without this tree on Python's path."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, and the source archive that it was made of."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "venv", folder / "tools", cwd=folder)
    tools = folder / "tools" / "bin" / "python"
    run(tools, "-m", "pip", "install", "--quiet", "hatchling>=1.26", cwd=folder)
    run(tools, "-m", "hatchling", "build", "--directory", folder, cwd=ROOT)
    return folder


@pytest.mark.slow
class TestBuilt:
    def test_the_archives_hold_what_they_should(self, built: Path) -> None:
        (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
        assert wheel.name == f"pellucid-{pellucid.__version__}-py3-none-any.whl"
        packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("pellucid/")}
        source = ROOT / "src"
        tracked = run("git", "ls-files", "src", cwd=ROOT).splitlines()
        assert packed == {Path(name).relative_to("src").as_posix() for name in tracked}, source
        with tarfile.open(archive) as opened:
            names = {name.partition("/")[2] for name in opened.getnames()}
        assert {"README.md", "LICENSE", "CITATION.cff", "mkdocs.yml", "docs/index.md", "results/README.md"} <= names

    @pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
    def test_it_works_away_from_the_tree(self, built: Path, tmp_path: Path, kind: str) -> None:
        (file,) = built.glob(kind)
        target = tmp_path / "installed"
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, file, cwd=tmp_path)
        python = [sys.executable, "-W", "error::ImportWarning"]
        where = run(*python, "-c", "import pellucid; print(pellucid.__file__)", cwd=tmp_path, PYTHONPATH=str(target))
        assert Path(where.strip()).is_relative_to(target)
        made = """
import torch, pellucid
from pellucid.report import write_report
network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 2))
data = torch.utils.data.TensorDataset(torch.rand(8, 1, 8, 8), torch.arange(8) % 2)
few = pellucid.Evaluation(metrics=("gini",), images=8, gallery=2)
run = pellucid.evaluate(network, data, few, out="run", classes=["a", "b"], mean=0.0, std=1.0)
print(write_report([run], "report.html").stat().st_size)
(card,) = pellucid.explain(network, torch.rand(1, 8, 8), mean=0.0, std=1.0)
print(card.judgement.level)
"""
        printed = run(*python, "-c", made, cwd=tmp_path, PYTHONPATH=str(target))
        assert int(printed.split()[0]) > 10_000
        command = [*python, "-m", "pellucid"]
        assert pellucid.__version__ in run(*command, "--version", cwd=tmp_path, PYTHONPATH=str(target))
        for words in (["metrics"], ["presets"], ["study", "--help"]):
            assert run(*command, *words, cwd=tmp_path, PYTHONPATH=str(target))
