"""Recipes run from one command, end to end on real images, and tables say what the rows say."""

import json
import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing import SimpleQueue
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import pellucid.methods
from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.models import build
from pellucid.papers import cost, reproduce as command, stages
from pellucid.papers.cost import Cost
from pellucid.papers.figures import draw
from pellucid.papers.plan import PAPERS
from pellucid.papers.reproduce import Reproduction, forecast, reproduce
from pellucid.papers.setting import setting
from pellucid.papers.stages import stages_of
from pellucid.papers.table import table_name, tables
from pellucid.papers.table_page import figure_file, page
from pellucid.report import read_run, summarise
from pellucid.runs.measures import Measure

RESULTS = Path(__file__).parents[2] / "results" / "raw"
MAIN = {"xu2023": "1", "bhusal2026": "main", "guesmi2024": "main", "ismail2021": "main", "pellucid": "front"}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The main table of a paper at the smallest scale; made once."""
    folder = tmp_path_factory.mktemp("papers")
    made = {}

    def of(paper: str) -> tuple[Reproduction, Path]:
        if paper not in made:
            plan = Reproduction(
                paper=paper, table=MAIN[paper], scale="smoke", seeds=1 + (paper == "xu2023"), out=folder / "runs",
                results=folder / "results",
            )  # fmt: skip
            made[paper] = plan, reproduce(plan, progress=False)[0]
        return made[paper]

    return of


@pytest.mark.parametrize("paper", PAPERS)
def test_every_recipe_runs(smoke, paper) -> None:
    plan, file = smoke(paper)
    result = json.loads(file.with_suffix(".json").read_text())
    assert file.read_text() == page(result)
    assert "no verdict is shown" in file.read_text() and "| verdict |" not in file.read_text()
    assert "commit unknown" in page(result | {"environment": result["environment"] | {"commit": None, "dirty": None}})
    judged = page(result | {"scale": "cpu"})
    assert judged.count("| **") == len(result["claims"]) and "no verdict is shown" not in judged
    told = judged.partition("What the numbers are:")[2]
    assert all(f"- {Measure.named(name).title}: " in told for name in result["metrics"] if name != "time")
    (table,) = tables(plan)
    assert list(result["measured"]) == list(table.runs)
    for run, values in result["measured"].items():
        assert list(values) == result["metrics"], run
        assert all(value["mean"] is None or value["low"] <= value["high"] for value in values.values())
    assert [claim["text"] for claim in result["claims"]] == [claim.text for claim in table.claims]
    assert all(f"| {claim['text']} |" in judged for claim in result["claims"])
    assert result["command"].startswith(f"pellucid reproduce {paper} --table {MAIN[paper]}")


def test_numbers_are_means_over_seeds_of_the_rows(smoke) -> None:
    plan, file = smoke("xu2023")
    result = json.loads(file.with_suffix(".json").read_text())
    runs = [read_run(stage.run) for stage in stages_of(plan, tables(plan)) if stage.run.name == "scaat"]
    assert len(runs) == 2
    for metric in ("gini", "aopc_lerf/smoothgrad"):
        expected = np.mean([summarise(run)[metric].mean for run in runs])
        assert result["measured"]["scaat"][metric]["mean"] == pytest.approx(expected, abs=1e-9)


def test_accuracy_is_of_all_images(smoke) -> None:
    plan, file = smoke("xu2023")
    result = json.loads(file.with_suffix(".json").read_text())
    rates = []
    for stage in stages_of(plan, tables(plan)):
        if stage.run.name == "scaat":
            every = pq.read_table(stage.run / "predictions-test.parquet").to_pandas().set_index("index")
            measured = pq.read_table(stage.run / "rows.parquet").to_pandas()
            assert (every.prediction[measured["index"]].to_numpy() == measured.prediction.to_numpy()).all()
            rates.append((every.prediction == every.label).mean())
    accuracy = result["measured"]["scaat"]["clean_accuracy"]
    assert result["accuracy_images"] == accuracy["n"] == len(every) == 10_000
    assert accuracy["mean"] == pytest.approx(np.mean(rates), abs=1e-9)
    assert "6 test images, accuracy of all 10000" in file.read_text()


def test_trainings_are_dealt_to_the_devices(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Reproduction(paper="xu2023", devices=(0, 1)).devices == (0, 1)
    with pytest.raises(InputError, match="of which this machine has 2, got 2"):
        Reproduction(paper="xu2023", devices=(0, 2))
    dealt = SimpleQueue()
    for number in (1, None):
        dealt.put(number)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    stages._take_device(dealt)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    stages._take_device(dealt)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


CONTINUES = "what was finished is kept: the same command given again continues"


@pytest.mark.parametrize(
    ("number", "group", "code", "words"),
    [
        pytest.param(signal.SIGTERM, False, 143, "stopped by SIGTERM", id="kill", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, 143, "stopped by SIGTERM", id="scheduler", marks=pytest.mark.slow),
        # parent or child may be heard first
        pytest.param(signal.SIGINT, True, 130, "(interrupted|stopped by SIGINT)", id="ctrl-c"),
    ],
)
def test_several_trainings_stop_at_once_and_keep_where_they_stand(
    pellucid_process, tmp_path, number, group, code, words
) -> None:
    """A terminal, and a scheduler such as Slurm, tell every process of the group.

    The tests may be a job in a shell's background, where Ctrl-C is ignored; the command is not.
    """
    command = "reproduce ismail2021 --seeds 1 --jobs 2 --out runs --results results"
    process = pellucid_process(*command.split(), cwd=tmp_path, alone=True)
    runs = tmp_path / "runs" / "ismail2021" / "fashion-mnist-cpu" / "main" / "seed0"
    try:
        until(lambda: len(list(runs.glob("*/experiment.yaml"))) == 2, process)
        (os.killpg if group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=60)
        until(lambda: len(list(runs.glob("*/state.pt"))) == 2, seconds=60)  # they end a moment after their parent
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a test that fails leaves no training behind
    assert process.returncode == code and re.fullmatch(f"pellucid: {words}; {CONTINUES}\n", said)
    assert len(list(runs.glob("*/state.pt"))) == 2
    assert not list(tmp_path.glob("results/*")) and not list(runs.glob("*/model.safetensors"))


def until(happened, process=None, seconds: float = 150) -> None:
    """Wait for it, as long as the process runs."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.05)


def test_finished_stages_are_left_and_missing_ones_made(smoke) -> None:
    plan, file = smoke("xu2023")
    stages = stages_of(plan, tables(plan))
    times = {stage.run: (stage.run / "rows.parquet").stat().st_mtime_ns for stage in stages}
    before = json.loads(file.with_suffix(".json").read_text())
    (stages[0].run / "rows.parquet").unlink()
    reproduce(plan, progress=False)
    changed = [run for run, when in times.items() if (run / "rows.parquet").stat().st_mtime_ns != when]
    assert changed == [stages[0].run]
    after = json.loads(file.with_suffix(".json").read_text())
    assert after["measured"] == before["measured"] and after["claims"] == before["claims"]


@pytest.mark.parametrize(
    ("paper", "number", "endings"),
    [
        ("xu2023", "figure-2", ["entropy.svg", "decay.svg"]),
        ("xu2023", "figure-3", ["maps.png", "q.png"]),
        ("ismail2021", "main", ["masking.svg"]),
        ("guesmi2024", "main", ["radius.svg"]),
    ],
)
def test_figures_stand_beside_their_table(smoke, paper, number, endings) -> None:
    plan, _ = smoke(paper)
    before = {stage.run: (stage.run / "rows.parquet").stat().st_mtime_ns for stage in stages_of(plan, tables(plan))}
    (file,) = reproduce(replace(plan, table=number), progress=False)
    result = json.loads(file.with_suffix(".json").read_text())
    assert file.read_text() == page(result)
    names = [f"{file.stem}-{ending}" for ending in endings]
    assert re.findall(r"!\[[^\]]+\]\((.+?)\)", file.read_text()) == names
    for name in names:
        drawn = file.with_name(name)
        if drawn.suffix == ".png":
            Image.open(drawn).verify()
        else:
            shown = set(ElementTree.parse(drawn).getroot().itertext())
            assert set(result["measured"]) <= {text.strip() for text in shown}
    assert all((run / "rows.parquet").stat().st_mtime_ns == when for run, when in before.items())


@pytest.mark.slow
def test_another_network_has_runs_and_files_of_its_own(tmp_path) -> None:
    plan = Reproduction(
        paper="guesmi2024", network="resnet18", scale="smoke", seeds=1, out=tmp_path / "runs", results=tmp_path
    )
    (file,) = reproduce(plan, progress=False)
    assert file.name == "guesmi2024-main-fashion-mnist-resnet18-smoke.md"
    result = json.loads(file.with_suffix(".json").read_text())
    assert result["network"] == "resnet18, width 4" and "--network resnet18" in result["command"]
    assert (tmp_path / "guesmi2024-main-fashion-mnist-resnet18-smoke-radius.svg").exists()
    assert (tmp_path / "runs" / "guesmi2024" / "fashion-mnist-resnet18-smoke" / "main" / "seed0" / "sgt").is_dir()


def test_times_are_multiples_of_the_first_trainings_step(smoke) -> None:
    plan, _ = smoke("xu2023")
    (file,) = reproduce(replace(plan, table="3"), progress=False)
    measured = json.loads(file.with_suffix(".json").read_text())["measured"]
    assert measured["regular"]["time"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 20}
    assert all(0 < values["time"]["low"] <= values["time"]["mean"] for values in measured.values())
    assert "| Time of a training step ↓ |" in file.read_text() and "1.00× [1.00, 1.00]" in file.read_text()


def test_a_device_is_one_of_those_that_are_visible(monkeypatch) -> None:
    dealt = SimpleQueue()
    dealt.put(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    stages._take_device(dealt)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"


def test_a_table_of_more_seeds_is_not_replaced(smoke, capsys) -> None:
    plan, file = smoke("xu2023")
    before = file.read_bytes()
    with pytest.raises(
        InputError, match="is of 2 seeds, and 1 would replace it with fewer; give --seeds 2 or more, or another"
    ):
        reproduce(replace(plan, seeds=1), progress=False)
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", ["reproduce ismail2021", "select ismail2021"])
def test_a_folder_that_takes_no_file_is_told_before_any_is_trained(tmp_path, capsys, command) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main([*command.split(), "--scale", "smoke", "--out", str(tmp_path / "runs"), "--results", str(file)]) == 2
    assert capsys.readouterr().err == f"pellucid: the results cannot be written into {file}: File exists\n"
    assert not (tmp_path / "runs").exists()


def test_a_network_that_cannot_be_built_is_told_before_any_is_trained(tmp_path) -> None:
    plan = Reproduction(
        paper="bhusal2026", table="main", network="package_of_nobody:net", scale="smoke", out=tmp_path / "runs",
        results=tmp_path,
    )  # fmt: skip
    with pytest.raises(InputError, match="package_of_nobody"):
        reproduce(plan, progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("dataset", "network", "shape"),
    [
        ("fashion-mnist", None, (1, 28, 28)),
        ("mnist", None, (1, 28, 28)),
        ("cifar10", None, (3, 32, 32)),
        ("cifar10", "wrn28-10", (3, 32, 32)),
        ("cifar10", "vgg16", (3, 32, 32)),
        ("cifar10", "vgg16-bn", (3, 32, 32)),
        ("imagenet", None, (3, 64, 64)),
        ("imagenet", "vgg16-bn-224", (3, 64, 64)),
    ],
)
def test_the_first_stage_of_every_network_can_be_smoothed(dataset, network, shape) -> None:
    at = setting(dataset, "full", path="somewhere" if dataset == "imagenet" else None, network=network)
    with torch.device("meta"):
        model = build(at.base.network, classes=10, shape=shape, mean=[0.5] * shape[0], std=[0.5] * shape[0])
    assert at.stage in {name.removeprefix("network.") for name, _ in model.named_modules()}


def test_an_image_folder_keeps_validation_images_and_its_name() -> None:
    at = setting("cifar10", "cpu", path="images/cifar10-jpeg")
    assert (at.dataset, at.base.dataset.name, at.base.dataset.validation) == ("cifar10", "folder", 5000)
    plan = Reproduction(paper="guesmi2024", dataset="cifar10", path="images/cifar10-jpeg", network="vgg16")
    assert plan.where == "cifar10-jpeg-vgg16-cpu"
    (table,) = tables(plan)
    assert table_name(plan, table) == "guesmi2024-main-cifar10-jpeg-vgg16-cpu"


def test_two_tables_share_their_networks() -> None:
    plan = Reproduction(paper="xu2023", scale="smoke", seeds=1)
    wanted = tables(plan)
    assert [table.number for table in wanted] == ["1", "2", "2-moving", "3", "figure-2", "figure-3"]
    names = [stage.run.name for stage in stages_of(plan, wanted)]
    assert len(names) == len(set(names)) == len({name for table in wanted for name in table.runs})


@pytest.mark.parametrize("scale", ["cpu", "full"])
def test_every_table_of_every_paper_and_dataset_can_be_planned(tmp_path, scale) -> None:
    from importlib import import_module

    for paper in PAPERS:
        recipe = import_module(f"pellucid.papers.{paper}")
        for dataset in recipe.DATASETS:
            for number in recipe.TABLES:
                plan = Reproduction(
                    paper=paper, table=number, dataset=dataset, scale=scale, path=str(tmp_path), seeds=2
                )
                (other,) = tables(replace(plan, network="vgg16-bn"))
                assert {run.network.name for run in other.runs.values()} == {"vgg16-bn"}
                (table,) = tables(plan)
                assert len(stages_of(plan, [table])) == 2 * len(table.runs)
                baselines = {claim.baseline for claim in table.claims if claim.kind not in ("value", "correlation")}
                assert {claim.run for claim in table.claims} | baselines <= set(table.runs)
                assert {claim.metric for claim in table.claims} <= {*table.metrics, "time", "q", "q_within_class"}
                assert set(table.published) <= set(table.runs)
                for values in table.published.values():
                    assert set(values) <= {*table.metrics, "time"}


def test_a_forecast_says_what_is_there_and_what_is_left(smoke, capsys) -> None:
    plan, _ = smoke("ismail2021")
    forecast(plan)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ismail2021, main: Accuracy while pixels are masked")
    assert [line.split()[0] for line in lines[1:4]] == ["regular", "sgt", "sgt-signed"]
    assert all("(there)" in line for line in lines[1:4])
    assert lines[-1].startswith("3 networks; about 0 s of work is left")
    forecast(replace(plan, seeds=2))
    assert "6 networks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "reproduce smith2020",
            "paper must be one of bhusal2026, guesmi2024, ismail2021, pellucid, xu2023, got 'smith2020'",
        ),
        (
            "reproduce xu2023 --table 9",
            "table of xu2023 must be one of 1, 1-again, 1-longer, 2, 2-moving, 3, figure-2, figure-3, ablation-eps",
        ),
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
    for split, count in (("train", 40), ("val", 4)):
        for name in ("n01440764", "n02102040"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.JPEG")
    return folder


def test_a_forecast_measures_images_that_are_classified_rightly(monkeypatch) -> None:
    """Else an attack would give up at once, and its cost be left out."""
    asked = []
    monkeypatch.setattr(
        cost, "measurement_of", lambda *_, **__: lambda model, x, label, index, truth: asked.append((model(x), label))
    )
    plan = Reproduction(paper="guesmi2024", scale="smoke", seeds=1)
    cost.estimated_cost(stages_of(plan, tables(plan))[0])
    ((logits, label),) = asked
    assert torch.equal(logits.argmax(dim=1), label)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_page_shows_the_python_that_makes_each_training(smoke, paper) -> None:
    plan, file = smoke(paper)
    (table,) = tables(plan)
    result, text = json.loads(file.with_suffix(".json").read_text()), file.read_text()
    known = {name: getattr(module, name) for module in (pellucid, pellucid.methods) for name in module.__all__}
    for name, experiment in table.runs.items():
        assert f"- {name}: `{result['trainings'][name]}`" in text
        parts = [eval(part, known) for part in result["trainings"][name].split(" + ")]
        assert parts == [
            part for part in (experiment.method, experiment.activation, experiment.smoothing) if part is not None
        ]
    assert all(f"- {note}" in text for note in table.notes)
    assert {claim["whose"] for claim in result["claims"]} <= {"paper", "ours"}
    assert ("attacked at ε" in text) is ("robust_accuracy" in result["metrics"])


def test_a_part_of_a_dataset_tells_what_the_whole_would_take(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "estimated_cost", lambda stage: Cost(2.0, 100.0))
    plan = Reproduction(
        paper="xu2023", table="1", dataset="pcam", scale="full", seeds=2, path=str(_pcam(tmp_path)), out=tmp_path
    )
    forecast(plan)
    said = capsys.readouterr().out
    # Six networks: 64 images in 2 s are 262 144 in 8192 s, and measuring stays at 100 s.
    assert "Of 262144 training images 64 are here; with all of them it would be about 13.8 h." in said


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "make"), [("pcam", _pcam), ("imagenet", _folder)])
def test_the_large_datasets_run_in_their_real_layouts(tmp_path, dataset, make) -> None:
    (tmp_path / "data").mkdir()
    plan = Reproduction(
        paper="xu2023", table="1", dataset=dataset, scale="smoke", seeds=1, path=str(make(tmp_path / "data")),
        out=tmp_path / "runs", results=tmp_path / "results",
    )  # fmt: skip
    (file,) = reproduce(plan, progress=False)
    text = file.read_text()
    assert f"*Published* numbers are of {dataset}, ResNet-18." in text
    assert "*960*" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("paper", "number"),
    [
        (paper, number)
        for paper in PAPERS
        for number in import_module(f"pellucid.papers.{paper}").TABLES
        if number != MAIN[paper]
    ],
)
def test_every_table_runs(smoke, tmp_path, paper, number) -> None:
    plan, _ = smoke(paper)
    wanted = replace(plan, table=number, seeds=1, results=tmp_path)
    (file,) = reproduce(wanted, progress=False)
    result = json.loads(file.with_suffix(".json").read_text())
    (table,) = tables(wanted)
    assert list(result["measured"]) == list(table.runs)
    assert [claim["text"] for claim in result["claims"]] == [claim.text for claim in table.claims]
    assert file.read_text() == page(result)


@pytest.mark.slow
def test_several_jobs_give_the_same_table(smoke, tmp_path) -> None:
    plan, file = smoke("ismail2021")
    other = replace(plan, jobs=2, out=tmp_path / "runs", results=tmp_path / "results")
    (again,) = reproduce(other, progress=False)
    one, two = (json.loads(each.with_suffix(".json").read_text())["measured"] for each in (file, again))
    for run, values in one.items():
        for metric, value in values.items():
            assert two[run][metric]["mean"] == pytest.approx(value["mean"], rel=0.05, abs=0.05), (run, metric)


def test_published_pages_and_figures_are_what_their_numbers_say(tmp_path, numbers) -> None:
    found = [file for file in RESULTS.glob("*.json") if "paper" in json.loads(file.read_text())]
    for file in found:
        result = json.loads(file.read_text())
        assert numbers(file.with_suffix(".md").read_text()) == numbers(page(result)), file.name
        for name, drawn in result["figures"].items():
            published = RESULTS / figure_file(result, name)
            if drawn:
                assert words_of(published) == words_of(draw(name, drawn, tmp_path / published.name)), published.name
            else:
                Image.open(published).verify()


def words_of(figure: Path) -> list[str]:
    """The text of an SVG; its lines depend on matplotlib's version."""
    return sorted(text.strip() for text in ElementTree.parse(figure).getroot().itertext() if text.strip())


def test_unknown_choices_are_refused_in_python() -> None:
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        Reproduction(paper="xu2023", jobs=0)
    with pytest.raises(InputError, match="dataset of xu2023 must be one of"):
        tables(Reproduction(paper="xu2023", dataset="cats"))


def test_a_tables_rows_are_the_evaluations(smoke) -> None:
    plan, _ = smoke("bhusal2026")
    (table,) = tables(plan)
    stage = stages_of(plan, [table])[0]
    columns = pq.read_table(stage.run / "rows.parquet").column_names
    for metric in table.metrics:
        if metric not in ("clean_accuracy", "robust_accuracy"):
            assert metric in columns
