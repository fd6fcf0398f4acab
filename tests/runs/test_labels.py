"""From training to tables, with several labels an image: every stored number against one made here by other means."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import pellucid
from pellucid import (
    PGD,
    SCAAT,
    AdversarialTraining,
    Data,
    Evaluation,
    Experiment,
    GradientPenalty,
    InputError,
    Network,
    Optimizer,
    Regular,
    SaliencyGuided,
    evaluate,
    fgsm,
    fit,
)
from pellucid.core.label_sets import label_code, label_words
from pellucid.data import load
from pellucid.exports import export, standalone
from pellucid.metrics import InsertionDeletion, auc, gini
from pellucid.report.gallery import gallery
from pellucid.runs.evaluated import Run, read_run, read_runs
from pellucid.runs.evaluation import measurement_of
from pellucid.runs.labels import explained_labels
from pellucid.runs.measures import Measure
from pellucid.runs.predictions import predict
from pellucid.runs.training import load_network

MODULE = '''
import numpy as np, torch
from torch import nn

SIDE = 8


class Findings(torch.utils.data.Dataset):
    """Three bright corners, each there or not; of some pictures it is not known of the third."""

    classes = ["left", "right", "low"]

    def __init__(self, split):
        self.n, self.offset = 48, len(split)

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        drawn = np.random.default_rng([i, self.offset])
        label = drawn.integers(0, 2, 3).astype(np.float32)
        image = 0.2 * drawn.random((SIDE, SIDE), np.float32)
        for number, corner in enumerate([np.s_[:3, :3], np.s_[:3, 5:], np.s_[5:, 2:5]]):
            image[corner] += 0.7 * label[number]
        label[2] = np.nan if i % 7 == 0 else label[2]
        return torch.from_numpy(image)[None], label


def make(split):
    return None if split == "validation" else Findings(split)


def network(num_classes):
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.Softplus(), nn.Flatten(), nn.Linear(216, num_classes))
'''
METHODS = {
    "regular": Regular(),
    "at": AdversarialTraining(attack=PGD(eps=0.05, step_size=0.03, steps=2)),
    "sgt": SaliencyGuided(fraction=0.3),
    "scaat": SCAAT(attack=fgsm(eps=0.05), region=1),
    "penalty": GradientPenalty(weight=0.01),
}
QUICK = Evaluation(
    images=16, saliency=("vanilla_gradient",), steps=4, repeats=1, draws=2, robust_eps=0.05, region=1, gallery=6,
    metrics=("default", "road_morf", "randomisation", InsertionDeletion(measures=("deletion",), steps=4, region=1)),
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A run of each method, evaluated."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "findings_of_a_user.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        made = {}
        for name, method in METHODS.items():
            experiment = Experiment(
                dataset=Data(name="findings_of_a_user:make", channels=1, validation=8, augmentation="none"),
                network=Network(name="findings_of_a_user:network"), method=method, epochs=10, batch_size=20,
                optimizer=Optimizer(lr=0.02),
            )  # fmt: skip
            settings = {"accelerator": "cpu", "progress": False}
            fit(experiment, folder / name, snapshots=5, **settings)
            made[name] = evaluate(folder / name, QUICK, **settings)
        yield made


def test_every_method_learns_the_labels(runs: dict[str, Path]) -> None:
    for name, run in runs.items():
        with (run / "train.csv").open() as file:
            log = list(csv.DictReader(file))
        assert float(log[-1]["validation_loss"]) < float(log[0]["validation_loss"]) < 3 * 0.8, name
        assert float(log[-1]["validation_accuracy"]) > 0.8, name
        assert json.loads((run / "data.json").read_text())["task"] == "multilabel"


def test_the_rows_are_what_the_network_says(runs: dict[str, Path]) -> None:
    run = runs["regular"]
    network, test = load_network(run), load(read_dataset(), "test")
    rows = pq.read_table(run / "rows.parquet").to_pydict()
    for place, index in enumerate(rows["index"]):
        x = test.take([index]).float() / 255
        truth = test.labels[index].tolist()
        probability = network(x).detach()[0].sigmoid().tolist()
        known = [number for number in range(3) if not np.isnan(truth[number])]
        explained = max(known, key=lambda number: probability[number])
        assert rows["explained"][place] == explained
        assert rows["label_probability"][place] == pytest.approx(probability, rel=1e-4)
        assert rows["label_truth"][place] == pytest.approx(truth, nan_ok=True)
        assert rows["score"][place] == pytest.approx(probability[explained], rel=1e-4)
        applies = {number for number in known if truth[number] == 1}
        said = {number for number in known if probability[number] >= 0.5}
        assert rows["label"][place] == sum(2**number for number in applies)
        assert rows["prediction"][place] == sum(2**number for number in said)
        right = [number for number in known if (number in applies) == (number in said)]
        assert rows["label_accuracy"][place] == pytest.approx(len(right) / len(known))
        x.requires_grad_()
        (slope,) = torch.autograd.grad(network(x)[0, explained], x)
        assert rows["gini"][place] == pytest.approx(gini(slope.abs().mean(1)).item(), rel=1e-3)
        assert not rows["robust_correct"][place] or explained in right, "robust is right, of the explained label"


def read_dataset() -> Data:
    return Data(name="findings_of_a_user:make", channels=1, validation=8, augmentation="none")


def test_curves_follow_the_labels_probability_and_chunks_change_nothing(runs: dict[str, Path]) -> None:
    network, test = load_network(runs["scaat"]), load(read_dataset(), "test")
    index = [5, 3, 40, 21, 7]
    x, label = test.take(index).float() / 255, test.labels[index]
    measured = {
        chunk: measurement_of(replace(QUICK, chunk=chunk), "own", test)(network, x, label, index) for chunk in (2, 128)
    }
    assert measured[2].keys() == measured[128].keys()
    for name, values in measured[128].items():
        torch.testing.assert_close(measured[2][name], values, rtol=1e-3, atol=1e-5, equal_nan=True, msg=name)
    explained = explained_labels(network(x), label)
    assert measured[128]["index"].tolist() == index
    assert len(set(explained.tolist())) > 1, "several labels are explained in one batch"
    for place, number in enumerate(explained.tolist()):
        alone = x[place : place + 1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(alone)[0, number], alone)
        order = slope.abs().flatten().argsort(descending=True)
        curve = []
        for gone in (0, 16, 32, 48, 64):
            image = alone.detach().flatten().index_fill(0, order[:gone], 0).view(1, 1, 8, 8)
            curve.append(network(image)[0, number].sigmoid().item())
        area = sum(curve) / 4 - (curve[0] + curve[-1]) / 8
        assert measured[128]["deletion"][place].item() == pytest.approx(area, abs=1e-3)


def test_true_explains_a_label_that_applies(runs: dict[str, Path]) -> None:
    network, test = load_network(runs["regular"]), load(read_dataset(), "test")
    logits = network(test.images.float() / 255)
    chosen = explained_labels(logits, test.labels, "true")
    applies = (test.labels > 0).any(1)
    assert bool((test.labels.gather(1, chosen[:, None])[applies] == 1).all())
    assert not bool(test.labels.gather(1, chosen[:, None]).isnan().any())
    assert torch.equal(chosen[~applies], explained_labels(logits, test.labels)[~applies])


def test_one_label_can_be_asked_for_in_every_image(runs: dict[str, Path]) -> None:
    network, test = load_network(runs["regular"]), load(read_dataset(), "test")
    asked = measurement_of(replace(QUICK, label="low", metrics=("gini", "robust_correct")), "own", test)
    index = list(range(14))
    x, label = test.take(index).float() / 255, test.labels[index]
    values = asked(network, x, label, index)
    assert values["explained"].tolist() == [2] * 14
    torch.testing.assert_close(values["score"], network(x).detach()[:, 2].sigmoid())
    assert values["robust_correct"].isnan().nonzero().flatten().tolist() == [0, 7], "where the truth is not known"
    assert not values["gini"].isnan().any()
    right = (network(x)[:, 2] > 0) == (label[:, 2] > 0)
    assert not bool((values["robust_correct"] == 1)[~right].any())
    assert asked.columns(network)["gini"].parameters["label"] == 2
    with pytest.raises(InputError, match="label must be one of left, right, low, got 'up'"):
        measurement_of(replace(QUICK, label="up"), "own", test)
    one_class = replace(test, labels=(test.labels[:, 0] > 0).long())
    with pytest.raises(InputError, match="label 'low' is for images with several labels; each image of find"):
        measurement_of(replace(QUICK, label="low"), "own", one_class)


def test_tables_report_and_comparison_read_the_runs(runs: dict[str, Path]) -> None:
    read = read_runs(list(runs.values()))  # refuses runs of different images, whose labels must be the same
    for run in read:
        accuracy = run.measures["clean_accuracy"].interval(run).mean
        rows = run.rows.to_pydict()
        assert accuracy == pytest.approx(np.mean(np.equal(rows["label"], rows["prediction"])))
        assert run.measures["label_accuracy"].interval(run).mean == pytest.approx(np.mean(rows["label_accuracy"]))
        assert not {"balanced_accuracy", "calibration_error", "brier"} & run.measures.keys()
        said, truth = np.array(rows["label_probability"]), np.array(rows["label_truth"])
        of_labels = [auc(said[known, j], truth[known, j]) for j, known in enumerate(~np.isnan(truth).T)]
        assert run.measures["auc"].interval(run).mean == pytest.approx(np.mean(of_labels))
        assert "explained label: yes or no" in run.measures["robust_accuracy"].definition
        assert "explained label: yes or no" not in run.measures["label_accuracy"].definition
    pictures = gallery(read, ["vanilla_gradient"])
    names = {"none", *("left", "right", "low"), "left + right", "left + low", "right + low", "left + right + low"}
    assert {row.label for row in pictures.rows} <= names
    assert pictures.rows[0].predictions[0][1].split()[0] in ("left", "right", "low")


def test_maps_and_snapshots_are_those_of_the_explained_label(runs: dict[str, Path]) -> None:
    run = runs["penalty"]
    maps, network = load_file(run / "maps.safetensors"), load_network(run)
    assert len(maps["index"]) == 6
    for place in range(6):
        x = (maps["images"][place : place + 1].float() / 255).requires_grad_()
        (slope,) = torch.autograd.grad(network(x)[0, int(maps["explained"][place])], x)
        torch.testing.assert_close(maps["heatmap/vanilla_gradient"][place], slope.abs()[0, 0], rtol=1e-3, atol=1e-5)
    kept = read_run(run).snapshots
    assert kept["label"].ndim == 1 and kept["prediction"].shape == (2, len(kept["label"]))


def test_predictions_of_every_image(runs: dict[str, Path]) -> None:
    table = pq.read_table(predict(runs["at"])).to_pydict()
    rows = pq.read_table(runs["at"] / "rows.parquet").to_pydict()
    for place, index in enumerate(rows["index"]):
        assert table["label"][index] == rows["label"][place]
        assert table["prediction"][index] == rows["prediction"][place]
        whole = 1.0
        for probability, truth in zip(rows["label_probability"][place], rows["label_truth"][place], strict=True):
            whole *= 1 if np.isnan(truth) else max(probability, 1 - probability)
        assert table["confidence"][index] == pytest.approx(whole, rel=1e-3)


def test_sets_of_labels_as_numbers() -> None:
    label = torch.tensor([[1.0, 0.0, 1.0], [0.0, -1.0, torch.nan]])
    assert label_code(label).tolist() == [5, 0]
    assert label_code(torch.ones(1, 62)).item() == 2**62 - 1
    assert label_code(torch.tensor([3, 1])).tolist() == [3, 1]
    assert label_words(6, "abc", "multilabel") == "b + c"
    with pytest.raises(InputError, match="at most 62 labels can be measured together, got 63"):
        label_code(torch.ones(1, 63))


def test_sixty_labels_are_compared_to_the_last_digit() -> None:
    label = np.array([1 << 57, (1 << 57) + 1, 0, 3])
    rows = pa.table({"label": label, "prediction": label - [0, 1, 0, 3]})
    run = Run("many", Path("many"), {}, rows, {"columns": {}})
    assert run.right.tolist() == [True, False, True, False]
    (right,) = Measure.named("clean_accuracy").sample(run)
    assert right.tolist() == [1, 0, 1, 0]


def test_a_network_of_another_number_of_labels_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    experiment = Experiment(
        dataset=read_dataset(), network=Network(name="findings_of_a_user:network", options={"num_classes": 4})
    )
    with pytest.raises(InputError, match=r"must give logits of shape \(2, 3\)"):
        fit(experiment, tmp_path / "run", progress=False)
    assert isinstance(load_network(runs["sgt"]), nn.Module)


def test_one_logit_is_trained_measured_and_scored_as_two_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one_logit_of_a_user.py").write_text(
        MODULE
        + """
class One(Findings):
    classes = ["no", "yes"]

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return image, int(label[0])


def one(split):
    return None if split == "validation" else One(split)


def one_logit():
    return network(1)
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    experiment = Experiment(
        dataset=Data(name="one_logit_of_a_user:one", channels=1, validation=8, augmentation="none"),
        network=Network(name="one_logit_of_a_user:one_logit"), method=METHODS["scaat"], epochs=8, batch_size=20,
        optimizer=Optimizer(lr=0.02),
    )  # fmt: skip
    run = fit(experiment, tmp_path / "run", accelerator="cpu", progress=False)
    evaluate(run, replace(QUICK, metrics=("gini", "robust_correct")), accelerator="cpu", progress=False)
    one_logit = import_module("one_logit_of_a_user")
    model, rows = load_network(run), pq.read_table(run / "rows.parquet").to_pydict()
    test = load(experiment.dataset, "test")
    logit = model[1](model[0](test.take(rows["index"]).float() / 255))[:, 0]
    assert logit.shape == (16,) and "network.3.weight" in load_file(run / "model.safetensors")
    said = (logit > 0).long()
    assert rows["prediction"] == said.tolist()
    images = test.take(rows["index"]).float() / 255
    export(run, tmp_path / "export", ("state_dict",))
    for network in (pellucid.load(run), standalone.load(one_logit.one_logit(), tmp_path / "export")):
        torch.testing.assert_close(network(images), model(images))
        assert network(images).argmax(1).tolist() == rows["prediction"]
    assert rows["score"] == pytest.approx(torch.where(said > 0, logit, -logit).sigmoid().tolist(), rel=1e-4)
    assert read_run(run).measures["clean_accuracy"].interval(read_run(run)).mean > 0.9
    assert "auc" in read_run(run).measures
