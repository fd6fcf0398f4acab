"""Result pages have the numbers of their data, and every measure has a row in the table of parity."""

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid import metrics
from pellucid.leaderboard.presets import preset
from pellucid.leaderboard.settings import strengths
from pellucid.metrics import suite
from pellucid.papers.setting import setting

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
RAW = RESULTS / "raw"


@pytest.fixture(scope="module")
def benchmarks():
    """Import a script of `benchmarks/`, which import each other as scripts do, and forget it afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))

    def imported(name: str) -> ModuleType:
        return __import__(name)

    yield imported
    sys.path.remove(str(ROOT / "benchmarks"))
    for name in set(sys.modules) - before:
        if str(ROOT / "benchmarks") in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def stored(name: str) -> dict:
    return json.loads((ROOT / "results" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    "name",
    ["metrics-parity", "metric-cost", "explain-cost", "explain-photographs", "report-cost", "fast", "scaling", "speed"],
)
def test_page_has_the_numbers_of_its_data(benchmarks, numbers, name):
    page = benchmarks(name.replace("-", "_")).page(stored(name))
    assert numbers((ROOT / "results" / f"{name}.md").read_text()) == numbers(page)


def test_the_fast_preset_is_the_cheap_form_with_the_truest_maps(benchmarks):
    """Of the forms that cost about one and a half regular steps at most and were trained with three seeds or more."""
    cheap = [
        row for row in stored("fast")["rows"] if row["minus"] and row["seeds"] >= 3 and row["cost"]["median"] < 1.55
    ]
    best = max(cheap, key=lambda row: row["measured"]["mass"]["mean"])
    (variant,) = [one for one in benchmarks("fast_variants").VARIANTS if one.name == best["name"]]
    found = preset("fast", shape=(1, 28, 56))
    assert (found.method, found.activation.beta, found.smoothing) == (variant.method, variant.softplus, None)


@pytest.mark.parametrize("file", sorted(RAW.glob("learning-rate-*.json")), ids=lambda file: file.stem)
def test_the_learning_rate_that_was_measured_is_the_recipes(benchmarks, numbers, file):
    result = json.loads(file.read_text())
    assert numbers(file.with_suffix(".md").read_text()) == numbers(benchmarks("learning_rate").page(result))
    rows = {row["lr"]: np.mean(row["accuracy"]) for row in result["rows"]}
    dataset = "cifar10" if result["dataset"].startswith("cifar10") else result["dataset"]
    assert setting(dataset, "cpu").base.optimizer.lr == result["chosen"]
    assert rows[result["chosen"]] > max(rows.values()) - 0.01


@pytest.mark.parametrize("file", sorted(RAW.glob("sgt-autoattack-*.json")), ids=lambda file: file.stem)
def test_attacks_on_saliency_guided_networks_have_the_numbers_of_their_rows(benchmarks, numbers, file):
    result, module = json.loads(file.read_text()), benchmarks("sgt_autoattack")
    assert numbers(file.with_suffix(".md").read_text()) == numbers(module.page(result))
    made = module.summary(result["rows"])
    assert [line.keys() for line in made] == [line.keys() for line in result["summary"]]
    for line, kept in zip(made, result["summary"], strict=True):
        for name, value in line.items():  # quantiles of two versions of SciPy differ in the tenth digit
            assert value == (kept[name] if isinstance(value, str) else pytest.approx(kept[name], rel=1e-9))


def test_every_claim_of_every_table_is_on_a_page_of_claims(benchmarks, numbers):
    claims = benchmarks("claims")
    results = claims.tables(RAW)
    pages = claims.pages(results)
    assert {file.name for file in RAW.glob("claims*.md")} == set(pages)
    for name, page in pages.items():
        assert numbers((RAW / name).read_text()) == numbers(page)
    texts = [claim["text"] for result in results for claim in result["claims"]]
    assert sum(page.count("| **") for name, page in pages.items() if name != "claims.md") == len(texts) > 300


def test_the_index_of_claims_counts_every_claim_of_more_than_one_seed(benchmarks):
    claims = benchmarks("claims")
    results = claims.tables(RAW)
    lines = [line for line in claims.index(results).splitlines() if line.startswith("| ")][2:]
    counted = [sum(map(int, line.strip("| ").split(" | ")[3:])) for line in lines]
    several = sum(len(result["claims"]) for result in results if result["seeds"] > 1)
    of_papers, of_all = counted[: -len(claims.WHOSE)], counted[-len(claims.WHOSE) :]
    assert sum(of_papers) == sum(of_all) == several


def test_no_page_of_results_is_longer_than_a_reader_can_follow():
    long = {file.name: lines for file in RESULTS.rglob("*.md") if (lines := len(file.read_text().splitlines())) > 300}
    assert not long


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.json")), ids=lambda file: file.stem)
def test_no_command_that_is_stored_holds_a_path_of_a_machine(file):
    def commands(value):
        if isinstance(value, dict):
            yield from (one for key, one in value.items() if key == "command")
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from commands(one)

    told = [one for one in commands(json.loads(file.read_text())) if isinstance(one, str)]
    assert not [one for one in told if any(word.startswith(("/", "~")) for word in one.replace("=", " ").split())]


def test_every_raw_page_is_in_the_index(benchmarks):
    index = (RAW / "README.md").read_text()
    assert index == benchmarks("raw_index").page(RAW)
    assert all(f"]({file.name})" in index for file in RAW.glob("*.md") if file.name != "README.md")


PAGES = {
    "leaderboard-search": "pellucid.leaderboard.search_page", "leaderboard": "pellucid.leaderboard.page",
    "truth-measures": "pellucid.leaderboard.telling_page", "trust-card": "pellucid.leaderboard.calibration_page",
    "sentences": "pellucid.leaderboard.declared_page",
}  # fmt: skip
"""The module that writes each kind of page about the truth."""
TRUTH = sorted(file for name in PAGES for file in {*RESULTS.glob(f"{name}*.json"), *RAW.glob(f"{name}*.json")})


@pytest.mark.parametrize("file", dict.fromkeys(TRUTH), ids=lambda file: file.stem)
def test_pages_about_the_truth_have_the_numbers_of_their_data(numbers, file):
    module = next(module for name, module in PAGES.items() if file.name.startswith(name))
    page = import_module(module).page(json.loads(file.read_text()))
    assert numbers(file.with_suffix(".md").read_text()) == numbers(page)


def tuned(folder, ways, seeds, seed=0):
    """Rows of networks that were tuned in some ways, as the benchmark leaves them, with made-up numbers."""
    random, n = np.random.default_rng(seed), 20
    columns = {
        "run": ("gini", "ris", "ros", "robust_correct", "area_between", "oracle_gap", "area_between_mean",
                "oracle_gap_mean"),
        "composites": ("mass", "mass_chance", "mass/smoothgrad", "mass/gradcam"), "held-back": ("gini", "ris"),
        "held-back-composites": ("mass",),
    }  # fmt: skip
    for way in ways:
        for number in range(1, seeds + 1):
            for place, names in columns.items():
                (folder / way / f"seed{number}" / place).mkdir(parents=True)
                values = {name: random.uniform(0.1, 1, n) for name in names}
                values |= {"label": np.zeros(n, int), "prediction": random.integers(0, 2, n)}
                pq.write_table(pa.table(values), folder / way / f"seed{number}" / place / "rows.parquet")
            levels = ["no objection"] * 3 + ["with care"]
            (folder / way / f"seed{number}" / "cards.json").write_text(json.dumps(levels))


def test_the_page_of_tuned_photographs_keeps_the_network_that_was_not_measured(benchmarks, numbers, tmp_path):
    table, before = benchmarks("tune_table"), stored("tune-photographs")
    assert numbers((RESULTS / "tune-photographs.md").read_text()) == numbers(table.page(before))
    (tmp_path / "tune-photographs.json").write_text(json.dumps(before))
    tuned(tmp_path / "rows" / "resnet18-224", ["before", "regular", "trades", "stopped"], 2)
    for seed in (1, 2):  # which time had run out for
        (tmp_path / "rows/resnet18-224/stopped" / f"seed{seed}" / "run/rows.parquet").unlink()
    facts = before["origins"]["efficientnet-lite0"] | {"command": "python second"}
    table.write(tmp_path / "rows", facts, tmp_path / "tune-photographs")
    after = json.loads((tmp_path / "tune-photographs.json").read_text())
    lite = [row for row in after["rows"] if row["network"] == "efficientnet-lite0"]
    assert lite == [row for row in before["rows"] if row["network"] == "efficientnet-lite0"]
    assert set(after["origins"]) == {"efficientnet-lite0", "resnet18-224"}
    rows = {row["way"]: row["measured"] for row in after["rows"] if row["network"] == "resnet18-224"}
    assert set(rows) == {"before", "regular", "trades"}
    assert (rows["trades"]["cards"]["mean"], rows["trades"]["cards"]["difference"]["mean"]) == (0.75, 0)
    gini = [
        pq.read_table(tmp_path / "rows/resnet18-224/trades" / f"seed{seed}" / "run/rows.parquet")["gini"].to_numpy()
        for seed in (1, 2)
    ]
    assert rows["trades"]["gini"]["mean"] == pytest.approx(np.mean(gini))
    page = (tmp_path / "tune-photographs.md").read_text()
    assert "With resnet18-224:" in page and "`python second`" in page and "75.0 [" in page


def test_nothing_that_tests_has_chosen():
    searches = [json.loads(file.read_text()) for file in RAW.glob("leaderboard-search-*.json")]
    boards = [json.loads(file.read_text()) for file in RESULTS.glob("leaderboard-*.json")]
    assert searches and boards
    chose = {seed for search in searches for seed in search["seeds"]}
    assert not chose & {seed for board in boards for seed in board["seeds"]}
    assert all(board["split"] == "test" for board in boards)


@pytest.mark.parametrize("family", ["grey", "colour"])
def test_the_settings_are_those_that_the_search_chose(family):
    searches = [json.loads(file.read_text()) for file in RAW.glob("leaderboard-search-*.json")]
    for search in (search for search in searches if search["family"] == family):
        rows = {row["run"]: row["settings"] for row in search["rows"]}
        made = {row["run"]: row["settings"] for row in search["compositions"]}
        for entry, run in search["chosen"].items():
            assert dict(strengths(family, entry)) == rows[run]
        presets = {"trustworthy": search["winner"], **search["front"]} if search["winner"] else {}
        for entry, run in presets.items():
            assert dict(strengths(family, entry)) == made[run]


def test_a_table_of_scale_smoke_counts_for_no_claim(benchmarks, tmp_path):
    table = stored("raw/xu2023-1-fashion-mnist-cpu")
    for name, scale in (("one", "cpu"), ("two", "smoke")):
        (tmp_path / f"{name}.json").write_text(json.dumps(table | {"scale": scale}))
    assert [result["scale"] for result in benchmarks("claims").tables(tmp_path)] == ["cpu"]


class TestParity:
    def test_every_comparison_agrees(self, benchmarks):
        largest = benchmarks("metrics_parity").LARGEST
        rows = stored("metrics-parity")["rows"]
        assert len(rows) > 30
        for row in rows:
            assert row["passed"] and row["numbers"] > 0, row["measures"]
            # A number that is near 0 may differ by more relatively, one that is large absolutely.
            assert min(row["absolute"], row["relative"]) <= largest, row["measures"]

    def test_every_public_measure_has_a_row(self, benchmarks):
        rows = stored("metrics-parity")["rows"]
        compared = {name for row in rows for name in row["measures"]}
        functions = {name for name in metrics.__all__ if name == name.lower()}
        assert functions - compared == set(benchmarks("metrics_parity").NOT_MEASURES)

    def test_every_column_has_a_row(self, benchmarks):
        compared = {name for row in stored("metrics-parity")["rows"] for name in row["columns"]}
        known = set(suite.COLUMNS) | set(suite.DERIVED)
        assert known - compared == set(benchmarks("metrics_parity").COUNTED)

    def test_the_rows_are_those_of_the_script(self, benchmarks):
        rows = [(row["measures"], row["columns"], row["reference"]) for row in stored("metrics-parity")["rows"]]
        cases = benchmarks("metrics_parity").CASES
        assert rows == [(list(one.measures), list(one.columns), one.reference) for one in cases]

    @pytest.mark.parametrize(
        ("ours", "theirs", "passed"),
        [
            ([1.0, 2.0], [1.0, 2.0], True),
            ([1.0, 2.0], [1.0, 2.1], False),
            ([1e6], [1e6 + 1], True),
            ([1e-7], [0.0], True),
            ([1e-4], [0.0], False),
            ([1.0, float("nan")], [1.0, float("nan")], True),
            ([1.0, 2.0], [1.0, float("nan")], False),
            ([float("nan")], [float("nan")], False),
            ([1.0], [1.0, 1.0], False),
        ],
    )
    def test_what_counts_as_equal(self, benchmarks, ours, theirs, passed):
        module = benchmarks("metrics_parity")
        assert module.apart(module.flat(ours), module.flat(theirs))["passed"] is passed


def test_the_page_of_speed_says_what_its_rows_say(benchmarks):
    speed = benchmarks("speed")
    one = speed.row_of([1.0, 1.2, 1.1], what="a step", target=1.15, unit="×", command="python x.py")
    many = speed.row_of([90.0], what="images", target=100.0, unit="images/s", better="higher", command="python x.py")
    plain = speed.row_of([3.0], what="alone", target=None, unit="s", command="python x.py")
    assert (one.figure, one.n, one.is_met) == (1.1, 3, True) and one.low < one.figure < one.high
    assert (many.is_met, plain.is_met, plain.low) == (False, None, 3.0)
    machine = {"cores": 2, "cpu": "c", "python": "3", "packages": {"torch": "2"}, "commit": None, "dirty": None}
    group = {
        "rows": [asdict(row) for row in (one, many, plain)], "tried": ["nothing"], "load": [0.1, 2.0],
        "machine": machine | {"started": "2026-11-26T00:00:00"},
    }  # fmt: skip
    page = speed.page({next(iter(speed.GROUPS)): group})
    assert "1 of 2 targets are met." in page and "load average 0.1 before and 2.0 after" in page
    assert "| a step | ≤ 1.15 × | 1.1 [" in page and "| ≥ 100 images/s | 90 [90, 90] images/s | 1 | **no** |" in page


def test_every_group_of_speed_has_its_module(benchmarks):
    for name in benchmarks("speed").GROUPS:
        module = benchmarks(f"speed_{name}")
        assert callable(module.rows) and all(isinstance(sentence, str) for sentence in module.TRIED)


@pytest.mark.parametrize(
    ("threads", "cores", "busy", "expected"), [(1, 2, 0, 1), (2, 2, 0, 2), (1, 2, 1, 1), (1, 2, 3, 0.5), (2, 2, 2, 1)]
)
def test_a_fair_share_is_that_of_one_process_among_equals(benchmarks, threads, cores, busy, expected):
    assert benchmarks("speed_neighbour").share(threads, cores, busy) == expected
