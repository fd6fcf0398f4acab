"""Recipes run from one command, end to end on real images, and tables say what the rows say."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.errors import InputError
from pellucid.recipes.table import Claim
from pellucid.report import read_run, summarise
from pellucid.reproduction import PAPERS, Reproduction, forecast, page, plan, reproduce, tables
from pellucid.reproduction import summarise as summarise_table

RESULTS = Path(__file__).parents[1] / "results"
MAIN = {"xu2023": "1", "bhusal2026": "main", "guesmi2024": "main", "ismail2021": "main"}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The main table of a paper at the smallest scale; made once."""
    folder = tmp_path_factory.mktemp("papers")
    made = {}

    def of(paper: str) -> tuple[Reproduction, Path]:
        if paper not in made:
            choice = Reproduction(
                paper=paper, table=MAIN[paper], scale="smoke", seeds=1 + (paper == "xu2023"), out=folder / "runs",
                results=folder / "results",
            )  # fmt: skip
            made[paper] = choice, reproduce(choice, progress=False)[0]
        return made[paper]

    return of


@pytest.mark.parametrize("paper", PAPERS)
def test_every_recipe_runs(smoke, paper) -> None:
    choice, file = smoke(paper)
    result = json.loads(file.with_suffix(".json").read_text())
    assert file.read_text() == page(result)
    (table,) = tables(choice)
    assert list(result["measured"]) == list(table.runs)
    for run, values in result["measured"].items():
        assert list(values) == result["metrics"], run
        assert all(value["mean"] is None or value["low"] <= value["high"] for value in values.values())
    assert {claim["verdict"] for claim in result["claims"]} <= {"confirmed", "refuted", "cannot be told"}
    assert result["command"].startswith(f"pellucid reproduce {paper} --table {MAIN[paper]}")


def test_numbers_are_means_over_seeds_of_the_rows(smoke) -> None:
    choice, file = smoke("xu2023")
    result = json.loads(file.with_suffix(".json").read_text())
    runs = [read_run(stage.run) for stage in plan(choice, tables(choice)) if stage.run.name == "scaat"]
    assert len(runs) == 2
    for metric in ("gini", "aopc_rel/smoothgrad", "clean_accuracy"):
        expected = np.mean([summarise(run)[metric].mean for run in runs])
        assert result["measured"]["scaat"][metric]["mean"] == pytest.approx(expected, abs=1e-9)


def test_finished_stages_are_left_and_missing_ones_made(smoke) -> None:
    choice, file = smoke("xu2023")
    stages = plan(choice, tables(choice))
    times = {stage.run: (stage.run / "rows.parquet").stat().st_mtime_ns for stage in stages}
    before = json.loads(file.with_suffix(".json").read_text())
    (stages[0].run / "rows.parquet").unlink()
    reproduce(choice, progress=False)
    changed = [run for run, when in times.items() if (run / "rows.parquet").stat().st_mtime_ns != when]
    assert changed == [stages[0].run]
    after = json.loads(file.with_suffix(".json").read_text())
    assert after["measured"] == before["measured"] and after["claims"] == before["claims"]


def test_two_tables_share_their_networks() -> None:
    choice = Reproduction(paper="xu2023", scale="smoke", seeds=1)
    wanted = tables(choice)
    assert [table.number for table in wanted] == ["1", "2", "3"]
    names = [stage.run.name for stage in plan(choice, wanted)]
    assert len(names) == len(set(names)) == len({name for table in wanted for name in table.runs})


def test_every_table_of_every_paper_and_dataset_can_be_planned(tmp_path) -> None:
    from importlib import import_module

    for paper in PAPERS:
        recipe = import_module(f"pellucid.recipes.{paper}")
        for dataset in recipe.DATASETS:
            for number in recipe.TABLES:
                choice = Reproduction(
                    paper=paper, table=number, dataset=dataset, scale="full", path=str(tmp_path), seeds=2
                )
                (table,) = tables(choice)
                assert len(plan(choice, [table])) == 2 * len(table.runs)
                assert {claim.run for claim in table.claims} | {claim.baseline for claim in table.claims} <= set(
                    table.runs
                )
                assert {claim.metric for claim in table.claims} <= set(table.metrics), (paper, number)
                assert set(table.published) <= set(table.runs)
                for values in table.published.values():
                    assert set(values) <= {*table.metrics, "time"}


def _claim(**bounds) -> Claim:
    return Claim(text="t", metric="gini", run="scaat", baseline="regular", **bounds)


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"low": -1.0}, "confirmed"),
        ({"low": 1.0}, "refuted"),
        ({"low": 0.0, "kind": "factor"}, "confirmed"),
        ({"high": 0.1, "kind": "factor"}, "refuted"),
        ({"low": 0.0, "high": 1e-9}, "cannot be told"),
    ],
)
def test_verdicts_follow_the_interval(smoke, bounds, verdict) -> None:
    choice, _ = smoke("xu2023")
    (table,) = tables(choice)
    # Between a network and itself nothing differs; between two untrained ones hardly anything.
    (found,) = summarise_table(choice, replace(table, claims=(_claim(**bounds),)))["claims"]
    low, high = found["found"]["low"], found["found"]["high"]
    assert low <= found["found"]["mean"] <= high
    if verdict == "cannot be told":
        assert low < 0 or high > 1e-9
        assert found["verdict"] in ("cannot be told", "refuted")
    else:
        assert found["verdict"] == verdict


def test_a_forecast_says_what_is_there_and_what_is_left(smoke, capsys) -> None:
    choice, _ = smoke("ismail2021")
    forecast(choice)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ismail2021, main: Accuracy while pixels are masked")
    assert [line.split()[0] for line in lines[1:4]] == ["regular", "sgt", "sgt-signed"]
    assert all("(there)" in line for line in lines[1:4])
    assert lines[-1].startswith("3 networks; about 0 s of work is left")
    forecast(replace(choice, seeds=2))
    assert "6 networks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("reproduce smith2020", "paper must be one of bhusal2026, guesmi2024, ismail2021, xu2023, got 'smith2020'"),
        ("reproduce xu2023 --table 9", "table of xu2023 must be one of 1, 2, 3, ablation-eps"),
        ("reproduce ismail2021 --dataset pcam", "dataset of ismail2021 must be one of mnist, fashion-mnist, cifar10"),
        ("reproduce xu2023 --scale tiny", "scale must be one of smoke, cpu, full, got 'tiny'"),
        ("reproduce xu2023 --seeds 0", "seeds must be at least 1, got 0"),
        ("reproduce xu2023 --dataset imagenet", "imagenet needs --path"),
    ],
)
def test_mistakes_get_one_sentence(capsys, words, sentence) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"pellucid: {sentence}") and said.count("\n") == 1


def _pcam(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for name, count in (("train", 64), ("valid", 16), ("test", 16)):
        with h5py.File(folder / f"camelyonpatch_level_2_split_{name}_x.h5", "w") as file:
            file["x"] = random.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        with h5py.File(folder / f"camelyonpatch_level_2_split_{name}_y.h5", "w") as file:
            file["y"] = (np.arange(count) % 2).astype(np.uint8).reshape(-1, 1, 1, 1)
    return folder


def _folder(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 4)):
        for name in ("n01440764", "n02102040"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.JPEG")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "make"), [("pcam", _pcam), ("imagenet", _folder)])
def test_the_large_datasets_run_in_their_real_layouts(tmp_path, dataset, make) -> None:
    (tmp_path / "data").mkdir()
    choice = Reproduction(
        paper="xu2023", table="1", dataset=dataset, scale="smoke", seeds=1, path=str(make(tmp_path / "data")),
        out=tmp_path / "runs", results=tmp_path / "results",
    )  # fmt: skip
    (file,) = reproduce(choice, progress=False)
    text = file.read_text()
    assert f"*Published* numbers are of {dataset}, ResNet-18." in text
    assert "*960*" not in text


@pytest.mark.slow
def test_several_jobs_give_the_same_table(smoke, tmp_path) -> None:
    choice, file = smoke("ismail2021")
    other = replace(choice, jobs=2, out=tmp_path / "runs", results=tmp_path / "results")
    (again,) = reproduce(other, progress=False)
    one, two = (json.loads(each.with_suffix(".json").read_text())["measured"] for each in (file, again))
    for run, values in one.items():
        for metric, value in values.items():
            assert two[run][metric]["mean"] == pytest.approx(value["mean"], rel=0.05, abs=0.05), (run, metric)


def test_published_pages_are_what_their_numbers_say() -> None:
    found = [file for file in RESULTS.glob("*.json") if "paper" in json.loads(file.read_text())]
    for file in found:
        assert file.with_suffix(".md").read_text() == page(json.loads(file.read_text())), file.name


def test_unknown_choices_are_refused_in_python() -> None:
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        Reproduction(paper="xu2023", jobs=0)
    with pytest.raises(InputError, match="dataset of xu2023 must be one of"):
        tables(Reproduction(paper="xu2023", dataset="cats"))


def test_a_tables_rows_are_the_evaluations(smoke) -> None:
    choice, _ = smoke("bhusal2026")
    (table,) = tables(choice)
    stage = plan(choice, [table])[0]
    columns = pq.read_table(stage.run / "rows.parquet").column_names
    for metric in table.metrics:
        if metric not in ("clean_accuracy", "robust_accuracy"):
            assert metric in columns
