"""torchmetrics: the same numbers as the functions, however batches, processes and devices cut the images."""

import importlib
import pickle
import sys

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings, strategies as st
from torch import nn
from torchmetrics import MetricCollection

from pellucid import PGD, heatmap
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.integrations import torchmetrics as ours
from pellucid.integrations.given import image_draws
from pellucid.metrics import (
    Interventions,
    Prediction,
    aopc,
    compressed_size,
    effective_complexity,
    entropy,
    gini,
    hoyer,
    perturbation_curves,
    pixel_entropy,
    png_size,
    prediction_changes,
    rank_accuracy,
    relative_stability,
    relevance_mass,
    robust_correct,
)
from pellucid.saliency import VanillaGradient
from pellucid.statistics import mean_interval
from pellucid.statistics.shares import clopper_pearson

ATTACK = PGD(eps=0.05, step_size=0.02, steps=3)
CURVES = {"fraction": 0.5, "steps": 4, "repeats": 2, "region": 2}
MAPS = {
    ours.Gini: gini,
    ours.Hoyer: hoyer,
    ours.Entropy: entropy,
    ours.PixelEntropy: pixel_entropy,
    ours.EffectiveComplexity: effective_complexity,
    ours.CompressedSize: compressed_size,
    ours.PngSize: png_size,
}


def network():
    with randomness.fork(0):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)).eval()


def images(n=10, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def given_all():
    model, x = network(), images()
    with torch.no_grad():
        target = model(x).argmax(1)
    maps = heatmap(VanillaGradient()(model, x, target))
    return {"model": model, "x": x, "target": target, "label": target, "heatmap": maps, "saliency": VanillaGradient()}


def everything(**kwargs):
    return MetricCollection(
        [
            ours.Gini(**kwargs),
            ours.AOPC(**CURVES, **kwargs),
            ours.RelativeStability(draws=2, layer="0", **kwargs),
            ours.RobustAccuracy(ATTACK, **kwargs),
        ]
    )


def cut(given_all, part):
    return {name: value[part] if isinstance(value, torch.Tensor) else value for name, value in given_all.items()}


@pytest.mark.parametrize("kind", MAPS)
def test_a_map_metric_is_the_mean_of_its_function(kind, given_all):
    metric = kind()
    metric.update(given_all["heatmap"][:3])
    metric.update(given_all["heatmap"][3:])
    values = MAPS[kind](given_all["heatmap"])
    torch.testing.assert_close(metric.compute(), values.mean())
    (rows,) = metric.rows().values()
    assert torch.equal(rows, values)


def test_model_metrics_are_means_of_their_functions(given_all):
    model, x, target = given_all["model"], given_all["x"], given_all["target"]
    draws = image_draws(x, 0)
    curves = perturbation_curves(model, x, target, given_all["heatmap"], generator=draws, **CURVES)
    stability = relative_stability(model, x, target, VanillaGradient(), layer="0", draws=2, generator=draws)
    found = everything()(**given_all)
    expected = {
        "Gini": gini(given_all["heatmap"]).mean(),
        "aopc_morf": aopc(curves["morf"]).mean(),
        "aopc_lerf": aopc(curves["lerf"]).mean(),
        "aopc_rel": torch.tensor(torch.nan),  # of a LeRF that may be 0 there is none
        "ris": stability["ris"].nanmean(),
        "ros": stability["ros"].nanmean(),
        "rrs": stability["rrs"].nanmean(),
        "stability_coverage": stability["coverage"].mean(),
        "RobustAccuracy": robust_correct(model, x, target, ATTACK, generator=draws).float().mean(),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, equal_nan=True)
    assert not mean_interval(aopc(curves["lerf"])).low > 0


def test_former_names_keep_their_arguments_columns_and_direction(given_all):
    model, x, target = given_all["model"], given_all["x"], given_all["target"]
    stability = ours.RelativeStability(form="both", noise="one-sided", layer="0", draws=2, eps_min=1e-5, sigma=0.1)
    stability.update(model, x, target, "vanilla_gradient")
    kinds = [f"{kind}{form}" for form in ("", "_elementwise") for kind in ("ris", "ros", "rrs")]
    assert list(stability.compute()) == [*kinds, "stability_coverage"]
    robust = ours.RobustAccuracy(attack=ATTACK, restarts=2)
    robust.update(x=x, model=model, label=target)
    assert list(robust.rows()) == ["robust_accuracy"] and robust.compute().ndim == 0
    assert list(ours.CompressedSize().names + ours.PngSize().names) == ["compressed_size", "png_size"]
    assert ours.HeatmapMetric(measure=gini).names == ("gini",)
    assert ours.EffectiveComplexity(threshold=0.5)(x[:, 0]) == effective_complexity(x[:, 0], threshold=0.5).mean()
    directions = [ours.Gini, ours.Hoyer, ours.RobustAccuracy, ours.Entropy, ours.PixelEntropy, ours.CompressedSize]
    directions += [ours.PngSize, ours.EffectiveComplexity, ours.RelativeStability, ours.AOPC, ours.HeatmapMetric]
    assert [kind.higher_is_better for kind in directions] == [True] * 3 + [False] * 6 + [None] * 2
    assert all(isinstance(kind(), ours.PerImageMetric) for kind in (ours.Gini, ours.AOPC, ours.RelativeStability))


@pytest.mark.parametrize("kind", ours.__all__)
def test_every_class_is_found_where_it_says(kind):
    named = getattr(ours, kind)
    assert (named.__module__, named.__qualname__) == (ours.__name__, kind) and named.__doc__


@pytest.mark.parametrize(("name", "better"), [("gini", True), ("entropy", False), ("aopc_rel", None)])
def test_the_direction_is_that_of_the_columns(name, better):
    assert ours.TorchMetric(name).higher_is_better is better


def test_shares_of_predictions_are_given_and_statistics_left_out(given_all):
    right = given_all["label"].clone()
    right[:3] = (right[:3] + 1) % 3
    metric = ours.TorchMetric(Prediction())
    told = metric(given_all["model"], given_all["x"], right, torch.arange(10))
    assert list(told) == ["brier", "negative_log_likelihood", "clean_accuracy"]
    assert told["clean_accuracy"] == pytest.approx(0.7)


@given(st.integers(1, 9))
@settings(max_examples=5)
def test_batches_change_nothing(where):
    model, x = network(), images()
    target = torch.zeros(10, dtype=torch.int64)
    given_all = {
        "model": model, "x": x, "target": target, "label": target, "heatmap": x[:, 0], "saliency": "smoothgrad"
    }  # fmt: skip
    whole, parts, forward = everything(), everything(), everything()
    whole.update(**given_all)
    for part in (slice(0, where), slice(where, 10)):
        parts.update(**cut(given_all, part))
        forward(**cut(given_all, part))  # its own path in torchmetrics, which resets in between
    for name, value in whole.compute().items():
        torch.testing.assert_close(parts.compute()[name], value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(forward.compute()[name], value, rtol=1e-4, atol=1e-5)


def test_positions_give_the_noise_of_an_evaluation(given_all):
    model, x, target = given_all["model"], given_all["x"], given_all["target"]
    metric = ours.AOPC(seed=3, **CURVES)
    metric.update(model, x, target, given_all["heatmap"], index=torch.arange(20, 30))
    draws = SampleDraws(3, tuple(range(20, 30)))
    curves = perturbation_curves(model, x, target, given_all["heatmap"], generator=draws, **CURVES)
    assert torch.equal(metric.rows()["aopc_morf"], aopc(curves["morf"]))
    assert not torch.equal(metric.rows()["aopc_morf"], aopc_by_pixels(given_all))


def aopc_by_pixels(given_all):
    metric = ours.AOPC(seed=3, **CURVES)
    metric.update(given_all["model"], given_all["x"], given_all["target"], given_all["heatmap"])
    return metric.rows()["aopc_morf"]


def test_an_image_without_a_value_is_left_out():
    # Predicts by the sign of noise around a half, so that noisy images change class.
    model = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    x = torch.cat([torch.full((1, 1, 8, 8), 0.5002), torch.full((1, 1, 8, 8), 0.9)])
    metric = ours.RelativeStability(draws=1, seed=next(s for s in range(50) if flips(model, x, s)))
    found = metric(model, x, torch.tensor([0, 0]), lambda model, x, target: x)
    assert metric.rows()["ris"].isnan().tolist() == [True, False]
    assert torch.equal(found["ris"], metric.rows()["ris"][1])
    assert found["stability_coverage"] == 0.5


def flips(model, x, seed):
    found = relative_stability(
        model, x, torch.tensor([0, 0]), lambda m, x, t: x, draws=1, generator=image_draws(x, seed)
    )
    return found["coverage"].tolist() == [0, 1]


def test_without_images_the_mean_is_nan():
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert ours.Gini().compute().isnan()
    metric = ours.Gini()
    metric.update(images()[:, 0])
    metric.reset()
    assert metric.rows()["gini"].numel() == 0


def test_interval_is_that_of_the_statistics(given_all):
    metric = ours.Gini(confidence=0.9, resamples=300)
    found = metric(given_all["heatmap"])
    expected = mean_interval(gini(given_all["heatmap"]), confidence=0.9, resamples=300)
    assert [found[name].item() for name in ("gini", "gini_low", "gini_high")] == pytest.approx(
        [expected.mean, expected.low, expected.high]
    )
    both = ours.AOPC(**CURVES, confidence=0.9, resamples=300)
    found = both(given_all["model"], given_all["x"], given_all["target"], given_all["heatmap"])
    assert set(found) == {f"aopc_{kind}{end}" for kind in ("morf", "lerf", "rel") for end in ("", "_low", "_high")}
    assert found["aopc_morf_low"] < found["aopc_morf"] < found["aopc_morf_high"]
    assert found["aopc_rel_low"].isnan() and found["aopc_rel"].isnan() and found["aopc_rel_high"].isnan()


def test_a_ratio_is_that_of_the_means_where_the_divisor_is_not_0():
    # The map points away from what the network uses, so that LeRF is far above 0.
    bright = lambda x: torch.stack([x[:, 0, 0, 0], 1 - x[:, 0, 0, 0]], dim=1).clamp(1e-3).log()
    x, maps = torch.ones(10, 1, 8, 8), torch.ones(10, 8, 8)
    maps[:, 0, 0] = 0
    both = ours.AOPC(**CURVES | {"region": 1}, confidence=0.9, resamples=300)
    found = both(bright, x, torch.zeros(10, dtype=torch.int64), maps)
    rows = both.rows()
    assert found["aopc_rel"].item() == pytest.approx((rows["aopc_morf"].mean() / rows["aopc_lerf"].mean()).item())
    assert found["aopc_rel_low"] <= found["aopc_rel"] <= found["aopc_rel_high"]


def test_a_collection_keeps_metrics_apart_whose_first_batches_agree():
    bright = lambda x: torch.stack([x.mean((1, 2, 3)), torch.full((len(x),), 0.5)], dim=1)
    metrics = MetricCollection(
        {
            name: ours.RobustAccuracy(PGD(eps=eps, step_size=eps, steps=2))
            for name, eps in (("weak", 0.1), ("strong", 0.3))
        }
    )
    right, x = torch.tensor([0]), torch.full((1, 1, 2, 2), 0.95)
    metrics.update(model=bright, x=x, label=right)
    metrics.update(model=bright, x=x - 0.2, label=right)
    assert {name: value.item() for name, value in metrics.compute().items()} == {"weak": 1.0, "strong": 0.5}


def test_pickling_and_state_dict(given_all):
    metrics = everything(confidence=0.95, resamples=50)
    metrics.update(**given_all)
    copy = pickle.loads(pickle.dumps(metrics))
    torch.testing.assert_close(copy.compute(), metrics.compute(), rtol=0, atol=0, equal_nan=True)
    copy.update(**given_all)
    assert len(copy["Gini"].rows()["gini"]) == 20


def test_under_inference_mode_and_half_precision_maps(given_all):
    metrics = everything()
    with torch.inference_mode():
        metrics.update(**{name: v.clone() if isinstance(v, torch.Tensor) else v for name, v in given_all.items()})
        found = metrics.compute()
    assert all(value.isfinite() for name, value in found.items() if name != "aopc_rel")
    assert ours.Gini()(given_all["heatmap"].bfloat16()).dtype == torch.float32


def test_nothing_of_the_caller_changes(given_all):
    before = {name: v.clone() for name, v in given_all.items() if isinstance(v, torch.Tensor)}
    state = torch.get_rng_state()
    everything().update(**given_all)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(given_all[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in given_all["model"].parameters())


def two_processes(rank, file, queue):
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    metric = ours.AOPC(confidence=0.9, resamples=50, **CURVES)
    x = images()
    part = slice(0, 3) if rank == 0 else slice(3, 10)  # uneven, as a last batch is
    metric.update(network(), x[part], torch.zeros(10, dtype=torch.int64)[part], x[part, 0])
    queue.put({name: value.item() for name, value in metric.compute().items()})
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    mp.spawn(two_processes, (tmp_path / "rendezvous", queue), nprocs=2)
    alone = ours.AOPC(confidence=0.9, resamples=50, **CURVES)
    x = images()
    expected = alone(network(), x, torch.zeros(10, dtype=torch.int64), x[:, 0])
    for found in (queue.get(), queue.get()):
        assert found == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ours.Gini(confidence=95), "confidence must be in (0, 1), got 95"),
        (lambda: ours.HeatmapMetric(gini, name="my measure"), "got 'my measure'"),
        (lambda: ours.HeatmapMetric(gini, name="update"), "got 'update'"),
        (lambda: ours.RelativeStability(form="cosine"), "got 'cosine'"),
        (
            lambda: ours.AOPC(**CURVES)(network(), images(2), torch.tensor([0, 1]), images(2)[:, 0], index=[1]),
            "got [1]",
        ),
    ],
)
def test_mistakes(make, sentence):
    with pytest.raises(InputError) as caught:
        make()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("package", ["torchmetrics", "lightning", "captum"])
def test_a_missing_package_is_one_sentence(package, monkeypatch):
    monkeypatch.delitem(sys.modules, f"pellucid.integrations.{package}", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] in (package, "pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"needs the package {package} .*`pip install pellucid\[{package}\]`"):
        importlib.import_module(f"pellucid.integrations.{package}")


def test_a_mask_is_handed_over():
    maps, mask = images()[:, 0], images(seed=1)[:, 0] < 0.3
    for named, unnamed in (({"heatmap": maps, "mask": mask}, ()), ({}, (maps, mask))):
        for name, function in (("mass", relevance_mass), ("rank_accuracy", rank_accuracy)):
            metric = ours.TorchMetric(name)
            metric.update(*unnamed, **named)
            assert torch.equal(metric.rows()[name], function(maps, mask))
    with pytest.raises(InputError, match="RelevanceMass needs mask, which marks what decides the class of each image"):
        ours.TorchMetric("mass").update(heatmap=maps)


def test_exchanged_images_are_handed_over():
    model, x, changed = network(), images(), {"cause": images(seed=1), "rest": images(seed=2)}
    metric = ours.TorchMetric(Interventions(exchanged=("cause", "rest")))
    metric.update(model=model, x=x, label=torch.zeros(10, dtype=torch.int64), changed=changed)
    expected = prediction_changes(model, x, changed["cause"]).float()
    assert torch.equal(metric.rows()["follows_cause"], expected)


def test_a_share_has_its_exact_interval() -> None:
    """As in a table of runs: ten of ten right is not certain."""
    model, x = network(), images()
    metric = ours.TorchMetric(Prediction(), confidence=0.9)
    metric.update(model, x, model(x).argmax(1), range(10))
    found = {name: value.item() for name, value in metric.compute().items()}
    exact = clopper_pearson(10, 10, confidence=0.9)
    assert found["clean_accuracy"] == found["clean_accuracy_high"] == 1
    assert found["clean_accuracy_low"] == pytest.approx(exact.low)
