"""What decides the class of a split's images, from the dataset to the rows; what is asked for where it is not known."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

import pellucid.runs.evaluation
from pellucid import Column, Data, Evaluation, Experiment, InputError, Metric, evaluate, fit, heatmap
from pellucid.data import Dataset, load
from pellucid.data.splits import Truth
from pellucid.explanation.examination import Examination
from pellucid.metrics import part_losses, part_rank, prediction_changes, relevance_mass
from pellucid.metrics.suite import FAMILIES
from pellucid.runs.evaluation import known_of, measurement_of
from pellucid.runs.trained import open_run
from pellucid.saliency import VanillaGradient

QUICK: dict[str, Any] = {"images": 12, "saliency": ("vanilla_gradient",), "gallery": 2, "batch_size": 8, "chunk": 5}
THINGS = ("cause", "rest", "decoy", "without top", "without middle", "without bottom")
PARTS = {"top": slice(0, 9), "middle": slice(9, 18), "bottom": slice(18, 28), "decoy": slice(24, 28)}


def known(dataset: Dataset) -> Dataset:
    """The dataset as if the middle decided the class; the first image's mask is not known."""
    n = len(dataset)
    images = dataset.take(range(n))
    mask = torch.zeros(n, 28, 28, dtype=torch.bool)
    mask[1:, 9:18] = True
    parts = {name: torch.zeros(n, 28, 28, dtype=torch.bool) for name in PARTS}
    for name, rows in PARTS.items():
        parts[name][:, rows] = True
    changed = {thing: images.roll(k + 1, dims=0) for k, thing in enumerate(THINGS)}
    return replace(dataset, truth=Truth(mask, changed, parts))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "regular"
    fit(Experiment(dataset=Data(limit=256), epochs=1, batch_size=64), folder)
    return folder


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch):
    def opened(run, split):
        model, dataset = open_run(run, split)
        return model, known(dataset)

    monkeypatch.setattr(pellucid.runs.evaluation, "open_run", opened)


def test_rows_are_those_of_the_functions_image_by_image(run, told):
    evaluate(run, Evaluation(**QUICK, metrics=("truth", "gini")))
    model, dataset = open_run(run, "test")
    truth = known(dataset).truth
    for row in pq.read_table(run / "rows.parquet").to_pylist():
        i = row["index"]
        x = dataset.image(i)[None].float() / 255
        target = model(x).argmax(1)
        maps = heatmap(VanillaGradient()(model, x, target)).detach()
        mass = relevance_mass(maps, truth.mask[i][None]).item()
        assert row["mass"] == (None if i == 0 else pytest.approx(mass, abs=1e-5))
        changed = {name: images[i][None].float() / 255 for name, images in truth.changed.items()}
        for name, column in (("cause", "follows_cause"), ("rest", "follows_rest"), ("decoy", "reliance")):
            assert row[column] == prediction_changes(model, x, changed[name]).item()
        parts = {name: truth.parts[name][i][None] for name in ("top", "middle", "bottom")}
        losses = part_losses(model, x, target, {name: changed[f"without {name}"] for name in parts})
        assert row["part_rank"] == pytest.approx(part_rank(maps, parts, losses).item(), abs=1e-5)


def test_the_mass_is_measured_by_default_where_a_mask_is_known(run, told, monkeypatch):
    evaluate(run, Evaluation(**QUICK))
    with_mask = pq.read_table(run / "rows.parquet").column_names
    monkeypatch.undo()
    evaluate(run, Evaluation(**QUICK))
    without = pq.read_table(run / "rows.parquet").column_names
    assert [name for name in with_mask if name not in without] == ["mass", "mass_lift"]


def chosen(dataset: Dataset, *metrics: Any) -> set[str]:
    made = measurement_of(Evaluation(metrics=metrics), dataset.name, dataset)
    return {name for metric in made.metrics for name in metric.columns}


def test_what_a_dataset_cannot_tell_is_left_out_or_refused():
    dataset = load(Data(), "test")
    whole = known(dataset)
    assert known_of(dataset) == set()
    assert known_of(whole) >= {"mask", "parts", "changed cause", "part decoy"}
    everything = chosen(whole, "all")
    truths = chosen(whole, "truth")
    assert truths < everything and chosen(dataset, "all") == everything - truths
    beside = replace(dataset, truth=Truth(whole.truth.mask, {name: whole.truth.changed[name] for name in THINGS[:2]}))
    assert truths - chosen(beside, "truth") == {"reliance", "part_rank", "confession", "decoy_mass"}
    sentence = (
        "the metric 'mass' needs where what decides the class is, which is not known for fashion-mnist; such metrics"
        " are for the datasets truth:NAME and folders with masks"
    )
    for metrics in (("mass",), ("gini", "mass"), ("truth",)):
        with pytest.raises(InputError) as caught:
            chosen(dataset, *metrics)
        assert str(caught.value) == sentence
    with pytest.raises(
        InputError, match="'reliance' needs the images with the decoy exchanged, which is not known for"
    ):
        chosen(beside, "reliance")


@dataclass(frozen=True, kw_only=True)
class Outside(Metric):
    columns = {"outside": Column(title="Outside")}
    needs = {"outside": ("mask",)}

    def __call__(self, case):
        return {"outside": (case.heatmap * ~case.mask).sum((1, 2))}


def test_a_metric_of_ones_own_says_what_it_needs():
    dataset = load(Data(), "test")
    assert chosen(known(dataset), Outside()) == {"outside"}
    with pytest.raises(InputError, match="the metric 'outside' needs where what decides the class is, which is not"):
        chosen(dataset, Outside())


def test_a_card_knows_no_truth():
    assert not {name for name in Examination(metrics=("all",)).columns() if name.startswith("mass")}
    with pytest.raises(InputError, match="the metric 'mass' needs .*, which is not known for the image of a card"):
        Examination(metrics=("mass",))
    assert "truth" in FAMILIES
