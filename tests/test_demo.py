"""The main job, end to end: the whole of `pellucid demo` on fewer images."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import pellucid.demo
from pellucid import AdversarialTraining, Data, Evaluation, InputError, Regular, SaliencyGuided, fit
from pellucid.demo import Demo, demo, experiments
from pellucid.papers.stages import Stage, finished
from pellucid.report import compare, read_runs

NAMES = ["regular", "at", "at-smoothing", "sgt", "scaat", "scaat-fast"]


def test_the_six_runs():
    runs = experiments()
    assert list(runs) == NAMES
    assert [type(runs[name].method) for name in NAMES[:4]] == [
        Regular,
        AdversarialTraining,
        AdversarialTraining,
        SaliencyGuided,
    ]
    assert runs["scaat"].method.attack.steps == 4 and runs["scaat"].method.share == 1
    assert runs["scaat-fast"].method.attack.steps == 1 and runs["scaat-fast"].method.share == 1 / 8
    assert runs["at-smoothing"].smoothing.filter == "gaussian" and runs["at"].smoothing is None
    assert all(run.dataset == Data() and run.network.name == "lenet5" for run in runs.values()), "all of Fashion-MNIST"


@pytest.fixture
def tiny(monkeypatch):
    real = experiments
    monkeypatch.setattr(
        pellucid.demo,
        "experiments",
        lambda choice: {name: replace(run, dataset=Data(limit=256), epochs=1) for name, run in real(choice).items()},
    )
    monkeypatch.setattr(
        pellucid.demo,
        "Evaluation",
        lambda **given: Evaluation(images=20, steps=5, repeats=1, draws=2, gallery=10, seed=given["seed"]),
    )


def test_everything_is_left_behind_and_a_second_call_skips_it(tiny, tmp_path, monkeypatch):
    said = []
    report = demo(Demo(out=tmp_path / "demo", jobs=1), say=said.append)
    assert report == tmp_path / "demo" / "report.html"
    files = {file.name for file in (tmp_path / "demo" / "scaat").iterdir()}
    assert files == {
        *[
            "experiment.yaml",
            "data.json",
            "environment.json",
            "model.safetensors",
            "state.pt",
            "train.csv",
            "q.parquet",
            "extremes.safetensors",
        ],
        *["evaluation.yaml", "rows.parquet", "maps.safetensors"],
        *[".lock", "digests.json"],
    }
    assert "The report is at" in said[-1]
    table = compare(read_runs([tmp_path / "demo" / name for name in NAMES]))
    assert list(table) == NAMES
    page = report.read_text()
    assert all(name in page for name in NAMES)
    assert 'src="http' not in page and 'href="http' not in page, "it needs no network"
    assert (tmp_path / "demo" / "maps.png").stat().st_size > 10_000
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "demo").glob("*/[!.]*")}
    monkeypatch.setattr(pellucid.demo, "write_report", lambda runs, file: file)  # drawn once is enough
    demo(Demo(out=tmp_path / "demo", jobs=1), say=said.append)
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "demo").glob("*/[!.]*")}


def test_other_settings_in_the_same_folder_are_one_sentence(tiny, tmp_path):
    fit(pellucid.demo.experiments(Demo())["regular"], tmp_path / "regular")
    with pytest.raises(InputError, match="regular was begun with another seed: 0 there, 1 asked for"):
        demo(Demo(out=tmp_path, seed=1), say=lambda line: None)


@pytest.mark.slow
def test_the_quick_demo_from_the_command_line(tmp_path):
    command = [sys.executable, "-m", "pellucid"]
    done = subprocess.run([*command, "demo", "--quick"], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "demo-quick"
    assert str(folder.relative_to(tmp_path) / "report.html") in done.stdout
    compared = subprocess.run(
        [*command, "compare", *(str(folder / name) for name in NAMES), "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(compared.stdout)) == set(NAMES)


@pytest.mark.slow
def test_two_at_once_leave_what_one_after_the_other_leaves(tmp_path):
    """Real processes, which see nothing of what a test has patched: the settings are small by themselves."""
    few = {name: replace(run, dataset=Data(limit=128, validation=64), epochs=1) for name, run in experiments().items()}
    measured = Evaluation(images=10, metrics=("gini",), gallery=1)
    stages = {
        jobs: [
            Stage(run=tmp_path / str(jobs) / name, experiment=few[name], evaluation=measured, classified=False)
            for name in ("regular", "at")
        ]
        for jobs in (1, 2)
    }
    assert all(len(list(finished(stages[jobs], jobs))) == 2 for jobs in stages)
    for one, two in zip(stages[1], stages[2], strict=True):
        assert (one.run / "model.safetensors").read_bytes() == (two.run / "model.safetensors").read_bytes()
        assert {file.name for file in one.run.iterdir()} == {file.name for file in two.run.iterdir()}


def test_no_job_is_one_sentence():
    with pytest.raises(InputError, match="^jobs must be at least 1, got 0$"):
        Demo(jobs=0)
