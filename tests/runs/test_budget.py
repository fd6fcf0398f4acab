"""What fits into a time: more time never measures less, what a user has set stays, and the plan outlives a crash."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors import safe_open
from torch import nn

import pellucid.runs.budget
import pellucid.runs.evaluation
import pellucid.runs.rows
from pellucid import Evaluation, InputError, evaluate
from pellucid.cli.main import main
from pellucid.config import from_config, read_yaml
from pellucid.data import Dataset
from pellucid.metrics.metric import Images
from pellucid.runs import RunDirectory
from pellucid.runs.budget import ENOUGH, FEWEST, SPARE, cost_of, could_be_planned, leaner, planned
from pellucid.runs.checkpoint import weights_content
from pellucid.runs.evaluation import measurement_of
from pellucid.runs.recording import of_object, record

SEC = st.floats(0.01, 1e6, allow_nan=False)


def seconds_each(evaluation):
    """A cost that a leaner evaluation has less of."""
    curves = (evaluation.repeats or 5) * len(evaluation.saliency)
    return 0.1 * curves + 0.2 * len(evaluation.saliency) + 0.5 * ("default" in evaluation.metrics)


@settings(max_examples=30)
@given(SEC, SEC, st.integers(1, 3000), st.integers(1, 2000))
def test_a_plan_fits_and_more_time_never_measures_less(one, other, size, asked):
    evaluation = Evaluation(images=asked)
    few, many = (planned(evaluation, seconds_each, seconds=seconds, images=size) for seconds in sorted((one, other)))
    levels = [replace(level, images=1) for level in leaner(evaluation)]
    for plan, seconds in ((few, min(one, other)), (many, max(one, other))):
        assert 1 <= plan.images <= min(asked, size)
        assert plan.images <= max(FEWEST, SPARE * seconds / seconds_each(plan))
        level = levels.index(replace(plan, images=1))
        if level:  # a richer one would have measured too few
            richer = list(leaner(evaluation))[level - 1]
            assert SPARE * seconds / seconds_each(richer) < min(ENOUGH, asked, size)
    assert levels.index(replace(many, images=1)) <= levels.index(replace(few, images=1))


def test_time_without_end_measures_what_was_asked_for():
    evaluation = Evaluation(images=300)
    assert planned(evaluation, seconds_each, seconds=1e9, images=5000) == evaluation
    assert planned(evaluation, seconds_each, seconds=0, images=5000).images == FEWEST


def test_what_a_user_has_set_stays():
    own = Evaluation(metrics=("gini", "robust_correct"), repeats=3, saliency=("smoothgrad",))
    assert list(leaner(own)) == [own]
    stable = Evaluation(stability=("smoothgrad",))
    assert all(len(level.saliency) == 3 for level in leaner(stable)), "what stability needs is measured"
    assert could_be_planned(own, replace(own, images=5)) and not could_be_planned(own, replace(own, repeats=1))
    with_masks = list(leaner(Evaluation(), masks=True))[-1]
    assert "mass" in with_masks.metrics and "robust_correct" not in with_masks.metrics


class Counting(nn.Module):
    """A linear classifier that counts its passes."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 3)
        self.passes = 0

    def forward(self, x):
        self.passes += len(x)
        return self.head(x.flatten(1))


def images(n=60):
    pixels = torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    classes = ("a", "b", "c")
    return Dataset("dots", "test", classes, (1, 8, 8), torch.arange(n) % 3, pixels, pixels)


def test_the_cost_is_that_of_the_parts():
    data, network = images(), Counting().eval()
    x = data.take(range(4)).float() / 255
    full = measurement_of(Evaluation(steps=2, repeats=4), "dots", data)
    once = measurement_of(Evaluation(steps=2, repeats=1, saliency=("vanilla_gradient",)), "dots", data)
    cost = cost_of(full, network, x, data.labels[:4], range(4), None)
    assert cost.maps.keys() == full.saliency.keys() and all(value >= 0 for value in cost.metrics.values())
    curves = next(value for key, value in cost.metrics.items() if key.startswith("PerturbationCurves"))
    of_maps = [value for key, value in cost.metrics.items() if key.startswith(("Gini", "Entropy", "CompressedSize"))]
    difference = curves * (4 * 3 - 1) + 2 * sum(of_maps) + sum(list(cost.maps.values())[1:])
    assert cost.of(full) - cost.of(once) == pytest.approx(difference)


@pytest.fixture
def slow(monkeypatch):
    """Every image is said to take as long as `seconds_each` says, halved for fewer maps."""

    def cost(measurement, *_):
        return SimpleNamespace(of=lambda one: float(len(one.saliency)))

    monkeypatch.setattr(pellucid.runs.budget, "cost_of", cost)


BUDGET = Evaluation(steps=2, draws=1, gallery=2, budget=29.0, robust_grid=None)


def made(run):
    return from_config(read_yaml(RunDirectory(run).evaluation), Evaluation)


def measure(out, evaluation=BUDGET, **options):
    return evaluate(Counting(), images(), evaluation, out=out, mean=0, std=1, accelerator="cpu", **options)


def test_an_evaluation_fits_its_budget_and_says_what_it_left_out(slow, tmp_path, capsys):
    run = measure(tmp_path / "run")
    assert pq.read_table(run / "rows.parquet").num_rows == made(run).images in (25, 26)
    told = capsys.readouterr().err
    assert "measuring 26 images takes about 26 s, 1 s each; left out to fit: 34 images, repeated noise" in told
    assert "smoothgrad maps, integrated gradients maps, the attack" in told


def test_a_plan_is_kept_by_what_is_resumed(slow, tmp_path, monkeypatch):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Counting()
    choice = replace(BUDGET, batch_size=10)
    options = {"out": tmp_path / "run", "mean": 0, "std": 1, "accelerator": "cpu", "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(pellucid.runs.rows, "save", lambda maps, **settings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(network, images(), choice, **options)
    monkeypatch.setattr(pellucid.runs.budget, "cost_of", lambda *_: SimpleNamespace(of=lambda one: 0.001))
    network.passes = 0
    run = evaluate(network, images(), choice, resume=True, **options)
    assert made(run).images == 26, "as planned before it was stopped, though there is more time now"
    passed = network.passes
    evaluate(network, images(), choice, resume=True, **options)
    assert network.passes <= passed + 2, "a finished one is left"
    assert made(evaluate(network, images(), choice, **options)).images == 60


def test_a_plan_that_leaves_nothing_out_is_kept_as_well(tmp_path, monkeypatch):
    """On a busier machine the rest would be other images, beside rows of the first ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Counting()
    choice = replace(BUDGET, images=50, batch_size=10, budget=1e6)
    options = {"out": tmp_path / "run", "mean": 0, "std": 1, "accelerator": "cpu", "progress": False}
    monkeypatch.setattr(pellucid.runs.budget, "cost_of", lambda *_: SimpleNamespace(of=lambda one: 0.001))
    with monkeypatch.context() as patch:
        patch.setattr(pellucid.runs.rows, "save", lambda maps, **settings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(network, images(), choice, **options)
    monkeypatch.setattr(pellucid.runs.budget, "cost_of", lambda *_: SimpleNamespace(of=lambda one: 1e5))
    run = evaluate(network, images(), choice, resume=True, **options)
    assert made(run).images == 50 and len(set(pq.read_table(run / "rows.parquet")["index"].to_pylist())) == 50


def test_another_activation_is_another_network(tmp_path):
    """It has the same weights."""
    torch.manual_seed(0)
    first, last = nn.Conv2d(1, 4, 3), nn.Linear(144, 3)
    choice = replace(BUDGET, budget=None, images=12, metrics=("gini",), saliency=("vanilla_gradient",))
    options = {"out": tmp_path / "run", "mean": 0, "std": 1, "accelerator": "cpu", "progress": False, "resume": True}
    found = []
    for between in (nn.ReLU(), nn.Softplus(), nn.Softplus()):
        run = evaluate(nn.Sequential(first, between, nn.Flatten(), last), images(), choice, **options)
        found.append((run / "rows.parquet").stat().st_mtime_ns)
        found.append(pq.read_table(run / "rows.parquet")["gini"].to_pylist())
    assert found[1] != found[3] and found[2:4] == found[4:6]


def test_the_same_network_has_the_same_file_whatever_is_marked_in_it(tmp_path):
    weights = {"a.é": torch.rand(3), "b": torch.arange(4)}
    assert len({weights_content(weights, layers="x") for _ in range(40)}) == 1
    (tmp_path / "w.safetensors").write_bytes(weights_content(weights, layers="x"))
    with safe_open(tmp_path / "w.safetensors", "pt") as opened:
        assert opened.metadata() == {"written_by": "pellucid", "pellucid.layers": "x"}
        assert all(torch.equal(opened.get_tensor(name), value) for name, value in weights.items())


def test_what_takes_long_is_told_and_nothing_else(tmp_path, monkeypatch, capsys):
    quick = replace(BUDGET, budget=None, images=3, metrics=("gini",), saliency=("vanilla_gradient",))
    measure(tmp_path / "one", quick)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(pellucid.runs.budget, "LONG", 0)
    measure(tmp_path / "two", quick)
    assert "measuring 3 images takes about 0 s" in capsys.readouterr().err
    measure(tmp_path / "three", quick, progress=False)
    assert capsys.readouterr().err == ""


def test_runs_that_share_minutes_are_measured_alike(tmp_path, monkeypatch):
    asked = []
    for name in ("one", "two"):
        record(nn.Sequential(), of_object(Counting(), images()), images(), tmp_path / name)

    def evaluated(run, evaluation, **_):
        asked.append(evaluation)
        pellucid.runs.rows.write_yaml(replace(evaluation, images=31, repeats=1), RunDirectory(run).evaluation)

    monkeypatch.setattr(pellucid.runs.evaluation, "evaluate", evaluated)
    monkeypatch.setattr("pellucid.cli.evaluate._show", lambda runs: None)
    assert main(["evaluate", str(tmp_path / "one"), str(tmp_path / "two"), "--minutes", "3"]) == 0
    assert asked[0] == Evaluation(budget=90.0) and asked[1] == Evaluation(images=31, repeats=1)


def test_budgets_that_cannot_be():
    with pytest.raises(InputError, match="budget must be positive, got -1"):
        Evaluation(budget=-1)
    assert Evaluation(budget=3).chosen(Images((1, 8, 8))) == Evaluation().chosen(Images((1, 8, 8)))
