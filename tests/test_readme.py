"""What the README shows is what the results say, and its code runs."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_tables_have_the_numbers_of_the_results(script, numbers, result):
    headline = script("headline")
    shown = README[README.index(headline.BEGIN) : README.index(headline.END)]
    assert numbers(shown) == numbers(headline.headline(json.loads((ROOT / headline.FILE).read_text())))
    assert numbers((ROOT / "results" / "demo.md").read_text()) == numbers(script("demo_table").page(result))


def test_lerf_orders_scaat_sgt_regular(result):
    lerf = {name: run["metrics"]["aopc_lerf"]["mean"] for name, run in result["runs"].items()}
    assert lerf["scaat"] < lerf["sgt"] < lerf["regular"]


def test_every_link_is_there():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_lines_of_python_run(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "SCAAT" in done.stdout and "LeRF" in done.stdout


def test_the_commands_run_from_top_to_bottom(tmp_path):
    (block,) = [code for code in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if "pellucid train" in code]
    script = block.replace("pellucid ", f"{sys.executable} -m pellucid ")
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "| sgt | SaliencyGuided" in done.stdout and (tmp_path / "report.html").exists()
