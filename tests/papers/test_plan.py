"""What is asked for is checked without torch, and old names of the papers' modules still work."""

import subprocess
import sys
from importlib import import_module

import pytest
import torch

import pellucid.runs.threads
from pellucid import Data, Evaluation, Experiment, Network
from pellucid._moved import MOVED
from pellucid.papers import setting as settings
from pellucid.papers.plan import IMAGE_FOLDERS, PAPERS, SEARCHES
from pellucid.papers.stages import Stage, usual_jobs


def test_a_plan_is_made_without_torch() -> None:
    program = (
        "import sys\nfrom pellucid.papers.plan import Reproduction, Selection\nReproduction(paper='xu2023')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_every_paper_has_datasets_and_tables_and_every_search_a_paper() -> None:
    for paper in PAPERS:
        module = import_module(f"pellucid.papers.{paper}")
        assert set(module.DATASETS) <= set(settings.DATASETS) and module.TABLES
    assert {search.partition("-")[0] for search in SEARCHES} <= set(PAPERS)
    assert set(IMAGE_FOLDERS) == set(settings.KEPT)


OLD = [name for name in MOVED if name.split(".")[0] in ("recipes", "reproduction", "selection")]


@pytest.mark.filterwarnings("ignore:pellucid:DeprecationWarning")  # of the package around it, if it comes first
@pytest.mark.parametrize("old", OLD)
def test_an_old_module_names_the_new_one(old) -> None:
    sys.modules.pop(f"pellucid.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"pellucid.{old} is now pellucid.papers"):
        module = import_module(f"pellucid.{old}")
    assert module.__name__ == f"pellucid.{old}"


@pytest.mark.filterwarnings("ignore:pellucid:DeprecationWarning")
def test_old_names_are_the_new_objects() -> None:
    from pellucid.papers import claim, reproduce, select, table, xu2023

    old = import_module("pellucid.recipes.table")
    assert (old.Claim, old.Table, old.setting) == (claim.Claim, table.Table, settings.setting)
    assert import_module("pellucid.recipes.xu2023").TABLES is xu2023.TABLES
    assert import_module("pellucid.reproduction").reproduce is reproduce.reproduce
    assert import_module("pellucid.selection").Selection is select.Selection


def test_networks_are_trained_side_by_side_where_they_are_tiny_and_nobody_says_otherwise(monkeypatch, tmp_path) -> None:
    def stages(network: Network, names: str) -> list[Stage]:
        experiment = Experiment(dataset=Data(limit=64), network=network, batch_size=128)
        return [Stage(run=tmp_path / name, experiment=experiment, evaluation=Evaluation()) for name in names]

    monkeypatch.setattr(pellucid.runs.threads, "free_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    tiny, large = Network(name="lenet5"), Network(name="resnet18", options={"width": 32})
    assert [usual_jobs(stages(tiny, names)) for names in ("a", "ab", "abcdef")] == [1, 2, 4]
    assert usual_jobs(stages(large, "abcdef")) == usual_jobs([*stages(tiny, "a"), *stages(large, "b")]) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usual_jobs(stages(tiny, "abcdef")) == 1
