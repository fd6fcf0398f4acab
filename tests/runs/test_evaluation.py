"""Rows and maps of a network trained on the real Fashion-MNIST."""

import copy
import json
from importlib import import_module

import captum.attr
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import pellucid.runs.evaluation
import pellucid.runs.measurement
from pellucid import (
    PGD,
    SCAAT,
    Data,
    Evaluation,
    Experiment,
    InputError,
    IntegratedGradients,
    SmoothGrad,
    VanillaGradient,
    evaluate,
    fgsm,
    fit,
    gini,
    heatmap,
    perturbation_curve,
    relative_stability,
)
from pellucid.core.randomness import SampleDraws
from pellucid.data import load
from pellucid.metrics import column_name, robust_correct
from pellucid.metrics.families.robustness import CHECKS
from pellucid.metrics.metric import Images
from pellucid.metrics.perturbation import NoisyCopies
from pellucid.metrics.suite import BARE, COLUMNS, FAMILIES, select, split
from pellucid.runs.evaluated import read_runs
from pellucid.runs.evaluation import measurement_of
from pellucid.runs.training import load_network

DATA = Data(limit=512)
PREDICTED = ["index", "label", "prediction", "score", "probability", "brier", "negative_log_likelihood"]
QUICK = Evaluation(images=24, saliency=("vanilla_gradient", "smoothgrad"), steps=4, repeats=2, draws=3, gallery=12)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "scaat"
    fit(Experiment(dataset=DATA, method=SCAAT(attack=fgsm(eps=0.2)), epochs=2, batch_size=64), folder)
    return evaluate(folder, QUICK)


def rows(run):
    return pq.read_table(run / "rows.parquet")


def test_columns_and_their_meaning(run):
    table = rows(run)
    per_map = ["gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve"]
    assert table.column_names == [
        *[*PREDICTED, "robust_correct", *CHECKS, *per_map, "ris", "ros", "stability_coverage"],
        *[f"{name}/smoothgrad" for name in per_map],
    ]
    facts = json.loads(table.schema.metadata[b"pellucid"])
    assert facts["format"] == 1 and facts["images"] == 24 and facts["dataset"] == "fashion-mnist"
    assert facts["classes"][0] == "T-shirt/top" and len(facts["classes"]) == 10
    assert list(facts["columns"]) == table.column_names
    assert all(column["title"] and column["definition"] for column in facts["columns"].values())
    assert facts["columns"]["robust_correct"]["parameters"]["eps"] == 0.1
    assert facts["columns"]["aopc_lerf"]["parameters"]["region"] == 2


def test_rows_against_the_functions_image_by_image(run):
    """One image alone, by the public functions, gives the row that the batch gave."""
    dataset = load(DATA, "test")
    model = load_network(run, dataset)
    table = rows(run).to_pylist()
    for row in (table[0], table[17]):
        index = torch.tensor([row["index"]])
        x, label = dataset.take(index).float() / 255, dataset.labels[index]
        draws = SampleDraws(0, (row["index"],))
        with torch.no_grad():
            score, prediction = model(x).softmax(1).max(1)
        assert (row["label"], row["prediction"]) == (label.item(), prediction.item())
        assert row["score"] == pytest.approx(score.item(), rel=1e-4)
        probability, true = np.array(row["probability"]), np.eye(10)[row["label"]]
        assert probability.sum() == pytest.approx(1, abs=1e-5) and max(probability) == np.float32(row["score"])
        assert row["brier"] == pytest.approx(((probability - true) ** 2).sum(), rel=1e-4, abs=1e-6)
        assert row["negative_log_likelihood"] == pytest.approx(-np.log(probability @ true), rel=1e-4, abs=1e-6)
        values = heatmap(VanillaGradient()(model, x, prediction))
        assert row["gini"] == pytest.approx(gini(values).item(), rel=1e-4)
        curve = perturbation_curve(model, x, prediction, values, order="lerf", steps=4, repeats=2, generator=draws)
        assert row["lerf_curve"] == pytest.approx(curve[0].tolist(), abs=1e-4)
        assert row["aopc_lerf"] == pytest.approx(np.mean(row["lerf_curve"]), abs=1e-6)
        stable = relative_stability(model, x, prediction, VanillaGradient(), draws=3, generator=draws)
        assert row["stability_coverage"] == pytest.approx(stable["coverage"].item())
        for name in ("ris", "ros"):
            if row[name] is None:
                assert stable[name].isnan()
            else:
                assert row[name] == pytest.approx(stable[name].item(), rel=1e-2)
        attack = PGD(eps=0.1, step_size=0.1 / 8, steps=20)
        assert row["robust_correct"] == robust_correct(model, x, label, attack, generator=draws).item()
        smooth = heatmap(SmoothGrad()(model, x, prediction, generator=draws.of("smoothgrad")))
        assert row["gini/smoothgrad"] == pytest.approx(gini(smooth).item(), rel=1e-4)


def test_gallery(run):
    maps = load_file(run / "maps.safetensors")
    assert maps["images"].dtype == torch.uint8 and maps["images"].shape == (12, 1, 28, 28)
    assert maps["heatmap/vanilla_gradient"].shape == maps["heatmap/smoothgrad"].shape == (12, 28, 28)
    assert len(set(maps["label"].tolist())) >= 8, "the classes in turn"
    by_index = {row["index"]: row for row in rows(run).to_pylist()}
    for i, index in enumerate(maps["index"].tolist()):
        assert by_index[index]["prediction"] == maps["prediction"][i].item()
        one = gini(maps["heatmap/vanilla_gradient"][i : i + 1]).item()
        assert by_index[index]["gini"] == pytest.approx(one, rel=1e-4)


def same(one, two):
    """Rows agree but for the rounding of sums, which depends on the size of a batch."""
    for name in one.column_names:
        a, b = one[name].to_pylist(), two[name].to_pylist()
        if isinstance(a[0], list):
            a, b = (np.concatenate(values).tolist() for values in (a, b))
        if isinstance(a[0], float):
            pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
            close = np.isclose(*np.array(pairs).T, rtol=1e-2, atol=1e-3)
            assert close.mean() > 0.95, name
        else:
            assert a == b, name


def copied(run, to):
    to.mkdir()
    for name in ("experiment.yaml", "model.safetensors"):
        (to / name).write_bytes((run / name).read_bytes())
    return to


def test_batches_and_processes_change_nothing(run, pellucid_process, tmp_path):
    other = copied(run, tmp_path / "run")
    evaluate(other, Evaluation(**vars(QUICK) | {"batch_size": 7}), devices=1)
    same(rows(run), rows(other))
    flags = ["--images=24", "--saliency=[vanilla_gradient,smoothgrad]", "--steps=4", "--repeats=2", "--draws=3"]
    two = copied(run, tmp_path / "two")
    flags += ["--gallery=12", "--batch_size=5", "--accelerator=cpu", "--devices=2", "--strategy=ddp"]
    process = pellucid_process("evaluate", two, *flags)
    process.communicate()
    assert process.returncode == 0
    assert rows(two)["index"].to_pylist() == rows(run)["index"].to_pylist(), "gathered without doubles"
    same(rows(run), rows(two))


@pytest.fixture(scope="module")
def everything(run, tmp_path_factory):
    """All that can be measured without a further package or network, of two kinds of map."""
    folder = copied(run, tmp_path_factory.mktemp("everything") / "run")
    choice = {
        "metrics": ("all", "masking_transfer"),
        "images": 10,
        "saliency": ("vanilla_gradient", "integrated_gradients"),
        "stability": ("vanilla_gradient", "integrated_gradients"),
        "transfer": str(run),
        "draws": 2,
    }
    return evaluate(folder, Evaluation(**vars(QUICK) | choice))


def test_everything_is_measured_and_defined(everything):
    table = rows(everything)
    unknown = Images((1, 28, 28), known=())  # Fashion-MNIST has no masks
    wanted = {name for metric in select(["all", "masking_transfer"], unknown) for name in metric.columns}
    for method in ("vanilla_gradient", "integrated_gradients"):
        assert wanted == {
            name for name in wanted if column_name(name, method if COLUMNS[name].of_map else BARE) in table.column_names
        }
    meaning = json.loads(table.schema.metadata[b"pellucid"])["columns"]
    assert list(meaning) == table.column_names
    for name, column in meaning.items():
        assert column["definition"] and column["family"] in FAMILIES, name
        values = table[name].to_pylist()
        assert len(values) == 10
        if column["curve"]:
            assert {type(value) for value in values} == {list} and len({len(value) for value in values}) == 1, name
    layers = meaning["randomisation"]["parameters"]["layers"]
    assert layers[0] == "network.fc3" and layers[-1] == "network.conv1"
    assert len(table["randomisation"][0]) == len(layers)
    baseline = meaning["randomisation_edges"]["parameters"], meaning["randomisation_networks"]["parameters"]
    assert baseline[0] == {"target": "predicted", "channels": "mean_abs"}
    assert baseline[1] == baseline[0] | {"seeds": [0, 1]}
    radii = meaning["robust_curve"]["parameters"]["eps"]
    assert radii == pytest.approx([0.025, 0.05, 0.1, 0.2, 0.3]) and len(table["robust_curve"][0]) == len(radii)
    noises = {"gaussian": {"sigma": 0.05}, "uniform": {"sigma": 0.05}, "one-sided": {"between": [0.02, 0.2]}}
    for noise, settings in noises.items():
        name = "rrs_elementwise" + {"gaussian": "", "uniform": "_uniform", "one-sided": "_one_sided"}[noise]
        assert meaning[name]["parameters"] == {
            "form": "elementwise", "noise": noise, **settings, "draws": 2, "eps_min": 1e-6, "layer": "penultimate",
            "target": "predicted",
        }  # fmt: skip
    smooth = "IntegratedGradients(steps=50, baseline=0.0, score='logit')"
    for name, column in meaning.items():
        of_map = COLUMNS[split(name)[0]].of_map
        assert of_map == ("target" in column["parameters"]) or name == "gradient_variation"
        assert column["parameters"].get("saliency") == (smooth if "/" in name else None), name
        mapped = of_map and column["family"] not in ("stability", "sensitivity")
        assert ("channels" in column["parameters"]) == mapped, name
    removal = {"steps": 50, "region": 2, "target": "predicted", "channels": "mean_abs"}
    assert meaning["insertion"]["parameters"] == removal | {"sigma": 2.8}
    assert meaning["deletion"]["parameters"] == removal | {"blank": 0.0}
    maps = load_file(everything / "maps.safetensors")
    assert maps["randomised/vanilla_gradient"].shape == (len(maps["index"]), len(layers), 28, 28)


def test_what_several_columns_say_agrees(everything):
    """Identities between columns that different functions computed."""
    for row in rows(everything).to_pylist():
        assert row["area_between"] == pytest.approx(row["aopc_morf"] - row["aopc_lerf"], abs=1e-6)
        assert row["aopc_random"] == pytest.approx(np.mean(row["random_curve"]), abs=1e-6)
        assert row["road_morf"] == pytest.approx(np.mean(row["road_morf_curve"]), abs=1e-6)
        assert row["randomisation_last"] == row["randomisation"][-1]
        # The same attack from the same start, and more of it.
        assert row["masking_many_step"] >= row["masking_restarts"]
        curve = row["robust_curve"]
        assert curve == sorted(curve, reverse=True)
        assert curve[0] <= (row["prediction"] == row["label"])
        # One pass over the same noisy images serves all measures of one noise.
        missing = {row[name] is None for name in ("ris", "ros", "rrs", "map_ssim", "map_rank_correlation")}
        assert len(missing) == 1 and missing == {row["stability_coverage"] == 0}


def test_metrics_that_need_more(run, tmp_path):
    with pytest.raises(InputError, match="masking_transfer needs --transfer RUN"):
        Evaluation(metrics=("masking_transfer",))
    with pytest.raises(InputError, match=r"unknown metric 'ginni'; did you mean gini\?"):
        Evaluation(metrics=("ginni",))
    for grid in ((0.2, 0.1), (0.5, 1.5), (float("nan"),)):
        with pytest.raises(InputError, match="robust_grid must hold rising radii above 0 and at most 1, got"):
            Evaluation(robust_grid=grid)
    only = rows(evaluate(copied(run, tmp_path / "run"), Evaluation(**vars(QUICK) | {"metrics": ("hoyer",)})))
    assert only.column_names == [*PREDICTED, "hoyer", "hoyer/smoothgrad"]


def test_any_explanation_is_measured(run, tmp_path):
    def brightness(model, x, target):
        return x

    choice = Evaluation(
        images=3,
        saliency=(VanillaGradient(score="probability"), captum.attr.InputXGradient, "pellucid.SmoothGrad", brightness),
        stability=("brightness",),
        target="true",
        steps=2,
        repeats=1,
        draws=2,
        gallery=2,
    )
    with pytest.raises(InputError, match="cannot be named in a file"):
        evaluate(copied(run, tmp_path / "local"), choice)
    choice = Evaluation(**vars(choice) | {"saliency": choice.saliency[:2], "stability": ("inputxgradient",)})
    table = rows(evaluate(copied(run, tmp_path / "run"), choice))
    assert {"gini", "gini/inputxgradient", "ris/inputxgradient"} <= set(table.column_names)
    assert "ris" not in table.column_names


def test_not_a_finished_run(run, tmp_path):
    with pytest.raises(InputError, match="is not a run directory"):
        evaluate(tmp_path, QUICK)
    other = copied(run, tmp_path / "other")
    (other / "model.safetensors").unlink()
    with pytest.raises(InputError, match="its training is not finished"):
        evaluate(other, QUICK)


RECORDED = {
    "autoattack_correct": "autoattack",
    "gradient_variation": "curvature",
    "top_hessian_eigenvalue": "curvature",
    "hessian_trace": "curvature",
    "insertion_deletion": "removal",
    "road": "removal",
    "randomisation_similarity": "sanity",
    "stability_of": "stability",
    "similarity_of": "similarity",
    "worst_change": "sensitivity",
    "perturbation_curves": "faithfulness",
}


def test_what_is_stored_is_what_the_functions_were_given(run, monkeypatch):
    """Every call's keywords, and every attack that was run, against the parameters of its columns."""
    dataset = load(DATA, "test")
    model = load_network(run, dataset)
    given, attacks, observed = {}, [], []

    def recorded(name, function):
        def call(*arguments, **keywords):
            given.setdefault(name, []).append(keywords)
            return function(*arguments, **keywords)

        return call

    for name, module in RECORDED.items():
        home = import_module(f"pellucid.metrics.{module}")
        monkeypatch.setattr(home, name, recorded(name, getattr(home, name)))
    observe = NoisyCopies.observe
    monkeypatch.setattr(NoisyCopies, "observe", lambda self, **k: observed.append(k) or observe(self, **k))
    attacked = PGD.__call__
    monkeypatch.setattr(PGD, "__call__", lambda self, *a, **k: attacks.append(self) or attacked(self, *a, **k))
    choice = {"metrics": ("all",), "saliency": ("vanilla_gradient",), "draws": 1, "steps": 2, "repeats": 1}
    measurement = measurement_of(Evaluation(**choice), "mnist", dataset)
    meaning = measurement.columns(model)
    x, label = dataset.take(torch.arange(2)).float() / 255, dataset.labels[:2]
    with torch.no_grad():
        label = model(x).argmax(1)  # right, so that every attack is run
    measurement(model, x, label, (0, 1))
    of = {
        "gradient_variation": "gradient_variation", "top_hessian_eigenvalue": "top_hessian_eigenvalue",
        "hessian_trace": "hessian_trace", "insertion": "insertion_deletion", "deletion": "insertion_deletion",
        "road_morf": "road", "randomisation": "randomisation_similarity", "lerf_curve": "perturbation_curves",
        "map_ssim": "similarity_of",
    }  # fmt: skip
    for column, function in of.items():
        stored = dict(meaning[column].parameters)
        for about_no_call in ("target", "layers", "score", *("noise", "sigma", "draws") * (column == "map_ssim")):
            stored.pop(about_no_call, None)
        calls = [{key: list(v) if isinstance(v, tuple) else v for key, v in call.items()} for call in given[function]]
        if function == "perturbation_curves":  # the other fill has columns of its own, and so has the oracle
            assert {call["fill"] for call in calls} == {"uniform", "mean"}
            calls = [call for call in calls if call["fill"] == stored["fill"]]
        else:
            assert len(calls) == 1
        assert all(stored.items() <= ({"channels": "mean_abs"} | call).items() for call in calls), column
    of_noise = ("noise", "sigma", "between", "draws")
    for column in ("ris", "ris_elementwise_uniform", "ros_one_sided", "map_ssim"):
        stored = {name: value for name, value in meaning[column].parameters.items() if name in of_noise}
        calls = [{key: list(v) if isinstance(v, tuple) else v for key, v in call.items()} for call in observed]
        assert any(stored.items() <= call.items() for call in calls), column
    assert all(call == {"form": "both", "eps_min": 1e-6} for call in given["stability_of"])
    assert meaning["local_lipschitz"].parameters["draws"] == 10
    boxes = [call for call in observed if not call.get("predict", True)]
    assert [(call["draws"], round(call["sigma"] * 3**0.5, 9)) for call in boxes] == [(10, 0.02)] * 2
    stored = [column.parameters for name, column in meaning.items() if name.startswith(("masking_", "robust_correct"))]
    names = ("norm", "eps", "step_size", "steps", "random_start")
    run_attacks = {tuple(getattr(attack, name) for name in names) for attack in attacks}
    assert {tuple(one[name] for name in names) for one in stored} <= run_attacks
    assert meaning["masking_restarts"].parameters["restarts"] == 5


def test_noisy_maps_are_made_once_for_all_metrics(run, monkeypatch):
    """Every family over noisy images: the clean map twice, each of three noises and the box ten times."""
    dataset = load(DATA, "test")
    model, maps = load_network(run, dataset), []
    gradient = VanillaGradient.__call__
    monkeypatch.setattr(VanillaGradient, "__call__", lambda self, *a, **k: maps.append(1) or gradient(self, *a, **k))
    families = ("sparsity", "stability", "similarity", "sensitivity")
    chosen = Evaluation(metrics=families, saliency=("vanilla_gradient",))
    x, label = dataset.take(torch.arange(2)).float() / 255, dataset.labels[:2]
    measurement_of(chosen, "fashion-mnist", dataset)(model, x, label, (0, 1))
    assert len(maps) == 1 + 1 + 3 * 10 + 10
    assert len(maps) <= 0.7 * 67, "each measure made its own before"


FEW = {"images": 3, "gallery": 1, "saliency": ("vanilla_gradient", "smoothgrad")}


def test_a_setting_that_is_the_default_is_the_same_evaluation(run, tmp_path):
    folder = copied(run, tmp_path / "same")
    evaluate(folder, Evaluation(metrics=("gini", "aopc_morf"), **FEW))
    before = (folder / "rows.parquet").stat().st_mtime_ns
    evaluate(folder, Evaluation(metrics=("aopc_morf", "gini"), fraction=0.2, repeats=5, **FEW), resume=True)
    assert (folder / "rows.parquet").stat().st_mtime_ns == before
    evaluate(folder, Evaluation(metrics=("gini", "aopc_morf"), fraction=0.15, **FEW), resume=True)
    assert (folder / "rows.parquet").stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target": "true"}, "'target': 'true'"),
        ({"channels": "abs_mean"}, "'channels': 'abs_mean'"),
        ({"saliency": (VanillaGradient(score="probability"),)}, "score='probability'"),
        ({"saliency": (SmoothGrad(samples=2),)}, "SmoothGrad.sigma=0.15, samples=2"),
        ({"saliency": (IntegratedGradients(steps=2),)}, "IntegratedGradients.steps=2"),
    ],
)
def test_runs_measured_in_other_ways_are_not_compared(run, tmp_path, change, named):
    usual = {"metrics": ("gini",), "images": 3, "gallery": 1, "saliency": ("vanilla_gradient",)}
    if "saliency" in change and not isinstance(change["saliency"][0], VanillaGradient):
        usual["saliency"] = (type(change["saliency"][0])(),)
    one = evaluate(copied(run, tmp_path / "one"), Evaluation(**usual))
    again = evaluate(copied(run, tmp_path / "again"), Evaluation(**usual | {"chunk": 2}))
    read_runs([one, again])
    other = evaluate(copied(run, tmp_path / "other"), Evaluation(**usual | change))
    with pytest.raises(InputError, match="'one' and 'other' measured gini.* with different parameters") as refused:
        read_runs([one, other])
    assert named.split(".")[0] in str(refused.value) and named.split(".")[-1] in str(refused.value)


def test_no_pass_holds_more_images_than_a_chunk_and_one_copy_of_the_network_lives(run, monkeypatch):
    dataset = load(DATA, "test")
    model = load_network(run, dataset)
    seen = []
    model.register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    other = copy.deepcopy(model)
    choice = {"metrics": ("all", "masking_transfer"), "transfer": str(run), "chunk": 3, "draws": 1, "repeats": 1}
    choice |= {"saliency": ("vanilla_gradient", SmoothGrad(samples=2)), "stability": ("smoothgrad",), "steps": 2}
    measurement = measurement_of(Evaluation(**choice), "mnist", dataset, transfer=other)
    index = tuple(range(7))
    x, label = dataset.take(torch.tensor(index)).float() / 255, dataset.labels[:7]
    found = measurement(model, x, label, index)
    assert max(seen) == 3
    attack = PGD(eps=0.1, step_size=0.1 / 8, steps=20)
    whole = robust_correct(model, x, label, attack, generator=SampleDraws(0, index))
    assert torch.equal(found["robust_correct"], whole), "an image keeps its draws"

    del seen[:]
    order = []
    randomise = pellucid.runs.measurement.randomise

    def watched(*arguments, **keywords):
        for name, network in randomise(*arguments, **keywords):
            network.register_forward_pre_hook(lambda module, arguments, name=name: order.append(name))
            yield name, network

    monkeypatch.setattr(pellucid.runs.measurement, "randomise", watched)
    maps = measurement.heatmaps(model, x, label, index)
    assert max(seen) == 3
    assert [name for i, name in enumerate(order) if order[:i].count(name) == 0] == list(dict.fromkeys(order))
    assert order == sorted(order, key=list(dict.fromkeys(order)).index), "done with one before the next is made"
    assert maps["randomised/smoothgrad"].shape == (7, len(set(order)), 28, 28)
