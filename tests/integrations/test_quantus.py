"""Quantus's call around pellucid's measures; Quantus itself is not needed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from pellucid import IntegratedGradients, SmoothGrad, VanillaGradient, heatmap
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.integrations import quantus as ours
from pellucid.integrations.given import image_draws
from pellucid.metrics import (
    aopc,
    effective_complexity,
    gini,
    local_lipschitz,
    map_similarity,
    max_sensitivity,
    perturbation_curves,
    pixel_entropy,
    relative_stability,
    relevance_mass,
    road,
)

VANILLA = ours.ExplainFunc("vanilla_gradient")
OF_THE_MAP = {ours.Sparseness: gini, ours.EffectiveComplexity: effective_complexity}
FAST = {
    "RIS": ours.RelativeInputStability(draws=2),
    "ROS": ours.RelativeOutputStability(draws=2, form="elementwise", noise="one-sided"),
    "RRS": ours.RelativeRepresentationStability(layer="0", draws=2),
    "sparseness": ours.Sparseness(),
    "complexity": ours.Complexity(channels="signed_mean"),
    "effective": ours.EffectiveComplexity(threshold=0.2),
    "morf": ours.RegionPerturbation(fraction=0.5, steps=4, repeats=1),
    "lerf": ours.RegionPerturbation(order="lerf", fraction=0.5, steps=4, fill="mean"),
    "road": ours.ROAD(shares=(0.2, 0.5)),
    "sensitivity": ours.MaxSensitivity(draws=2),
    "lipschitz": ours.LocalLipschitzEstimate(draws=2),
    "ssim": ours.SSIM(draws=2),
    "rank": ours.RankCorrelation(draws=2),
}


def network(channels=3):
    with randomness.fork(0):
        layers = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 80, 3))
    return layers.eval()


def images(channels=3, n=5):
    x = torch.rand(n, channels, 10, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return x.numpy(), network(channels)(x).argmax(1).numpy()


def through_numpy(model, inputs, targets, **kwargs):
    assert isinstance(inputs, np.ndarray) and isinstance(targets, np.ndarray)
    return VanillaGradient()(model, torch.tensor(inputs), torch.tensor(targets)).numpy()


class TestSameNumbersAsTheFunctions:
    def test_of_the_map(self):
        x, y = images()
        maps = np.random.default_rng(0).normal(size=x.shape)
        values = heatmap(torch.tensor(maps, dtype=torch.float32))
        for kind, function in OF_THE_MAP.items():
            scores = kind()(model=None, x_batch=x, y_batch=y, a_batch=maps)
            assert scores == pytest.approx(function(values).tolist())
        nats = ours.Complexity()(None, x, y, a_batch=maps)
        assert nats == pytest.approx((pixel_entropy(values) * math.log(2)).tolist())

    def test_of_map_and_network(self):
        x, y = images()
        model, image, target = network(), torch.tensor(x), torch.tensor(y)
        values, draws = heatmap(VanillaGradient()(model, image, target)), image_draws(image, 4)
        for order in ("morf", "lerf", "random"):
            curves = perturbation_curves(
                model, image, target, values, orders=(order,), fraction=0.5, steps=4, generator=draws
            )
            metric = ours.RegionPerturbation(order=order, fraction=0.5, steps=4, seed=4)
            assert metric(model, x, y, explain_func=VANILLA) == pytest.approx(aopc(curves[order]).tolist(), abs=1e-6)
            kept = road(model, image, target, values, orders=(order,), shares=(0.2, 0.5), generator=draws)[order]
            metric = ours.ROAD(order=order, shares=(0.2, 0.5), seed=4)
            assert metric(model, x, y, explain_func=VANILLA) == pytest.approx(kept.mean(1).tolist())
            assert metric.details == {"0.2": kept[:, 0].tolist(), "0.5": kept[:, 1].tolist()}

    def test_of_the_saliency(self):
        x, y = images()
        model, image, target = network(), torch.tensor(x), torch.tensor(y)
        given = {"model": model, "x": image, "target": target, "saliency": VanillaGradient()}
        given |= {"draws": 2, "generator": image_draws(image, 0)}
        for form in ("norm", "elementwise"):
            stability = relative_stability(form=form, layer="0", **given)
            for metric in (
                ours.RelativeInputStability(draws=2, form=form),
                ours.RelativeOutputStability(draws=2, form=form),
                ours.RelativeRepresentationStability(draws=2, form=form, layer="0"),
            ):
                scores = metric(model, x, y, explain_func=VANILLA)
                assert scores == pytest.approx(stability[metric.column].tolist(), rel=1e-4)
                assert metric.details["coverage"] == stability["coverage"].tolist()
        alike = map_similarity(**given)
        assert ours.SSIM(draws=2)(model, x, y, explain_func=VANILLA) == pytest.approx(alike["ssim"].tolist())
        ranks = ours.RankCorrelation(draws=2)(model, x, y, explain_func=VANILLA)
        assert ranks == pytest.approx(alike["rank_correlation"].tolist())
        largest = ours.MaxSensitivity(draws=2)(model, x, y, explain_func=VANILLA)
        assert largest == pytest.approx(max_sensitivity(**given).tolist())
        steepest = ours.LocalLipschitzEstimate(draws=2)(model, x, y, explain_func=VANILLA)
        assert steepest == pytest.approx(local_lipschitz(**given).tolist())

    def test_of_quantus_for_one_channel(self):
        # Quantus 0.6, sparseness.py and complexity.py: maps divided by the batch's maximum, absolute, flattened.
        x, y = images(channels=1)
        maps = np.random.default_rng(0).normal(size=x.shape)
        flat = np.sort(np.abs(maps / np.abs(maps).max()).reshape(5, -1) + 1e-7, axis=1)
        n = flat.shape[1]
        sparse = ((2 * np.arange(1, n + 1) - n - 1) * flat).sum(1) / (n * flat.sum(1))
        share = flat / flat.sum(1, keepdims=True)
        assert ours.Sparseness()(None, x, y, a_batch=maps) == pytest.approx(sparse, abs=1e-5)
        assert ours.Complexity()(None, x, y, a_batch=maps) == pytest.approx(-(share * np.log(share)).sum(1), abs=1e-4)


class TestCall:
    def test_as_quantus_evaluate_calls_it(self):
        # evaluation.py of Quantus 0.6: these keywords, maps computed before, "method" among the explainer's arguments.
        x, y = images()
        model, method = network(), "vanilla"
        a_batch = VANILLA(model=model, inputs=x, targets=y, method=method)
        for name, metric in FAST.items():
            scores = metric(
                model=model,
                x_batch=x,
                y_batch=y,
                a_batch=a_batch,
                s_batch=None,
                explain_func=VANILLA,
                explain_func_kwargs={"method": method},
            )
            assert len(scores) == 5 and all(isinstance(score, float) for score in scores), name
            assert np.isfinite(scores).all(), name
            assert scores == metric.evaluation_scores == metric.all_evaluation_scores[-5:]
            assert metric.score_direction in ("higher", "lower") and metric.name == type(metric).__name__

    @pytest.mark.parametrize("name", FAST)
    def test_batches_layout_and_the_way_to_explain_change_nothing(self, name):
        x, y = images()
        model, metric = network(), FAST[name]
        expected = pytest.approx(metric(model, x, y, explain_func=VanillaGradient()), rel=1e-3, abs=1e-5)
        last = np.moveaxis(x, 1, -1)
        assert metric(model, x, y, explain_func=VANILLA, batch_size=2) == expected
        assert metric(model, x, y, explain_func=through_numpy, explain_func_kwargs={"method": "any"}) == expected
        assert metric(model, last, y, explain_func="vanilla_gradient") == expected
        assert metric(model, last, y, channel_first=False, explain_func=VANILLA, custom_batch=None) == expected

    def test_maps_of_any_layout(self):
        x, y = images()
        maps = np.random.default_rng(0).random((5, 1, 10, 12))
        metric = ours.Sparseness()
        expected = metric(None, x, y, a_batch=maps)
        assert metric(None, x, y, a_batch=maps[:, 0]) == expected
        assert metric(None, x, y, a_batch=np.repeat(maps, 3, axis=1)) == pytest.approx(expected)
        last = np.moveaxis(x, 1, -1)
        assert metric(None, last, y, a_batch=np.moveaxis(maps, 1, -1)) == expected
        assert metric(None, last, y, a_batch=maps[:, 0]) == expected

    @given(st.permutations(range(5)))
    def test_batch_mates_change_nothing(self, order):
        x, y = images()
        maps = np.random.default_rng(0).random((5, 10, 12))
        maps[3] *= 1000
        for metric in (ours.EffectiveComplexity(), ours.RegionPerturbation(fraction=0.5, steps=2, repeats=1)):
            whole = metric(network(), x, y, a_batch=maps)
            found = metric(network(), x[order], y[order], a_batch=maps[order])
            assert found == pytest.approx([whole[i] for i in order], abs=1e-6)

    def test_nothing_of_the_caller_changes(self):
        x, y = images()
        maps = np.random.default_rng(0).random((5, 10, 12))
        before, state, model = (x.copy(), y.copy(), maps.copy()), torch.get_rng_state(), network()
        for array in (x, y, maps):
            array.setflags(write=False)
        for metric in FAST.values():
            metric(model, x, y, a_batch=maps, explain_func=VANILLA)
        assert all(np.array_equal(a, b) for a, b in zip(before, (x, y, maps), strict=True))
        assert torch.equal(torch.get_rng_state(), state)

    def test_captum_explains(self):
        from captum.attr import InputXGradient

        x, y = images()
        metric = ours.RelativeInputStability(draws=2)
        scores = metric(network(), x, y, explain_func=InputXGradient)
        assert np.isfinite(scores).all() and scores != metric(network(), x, y, explain_func=VANILLA)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"explain_func": None}, "RelativeOutputStability needs explain_func(model=, inputs=, targets=, ...)"),
            ({"softmax": True}, "reads logits of a network that returns logits, got softmax=True"),
            ({"model_predict_kwargs": {"training": False}}, "model_predict_kwargs must be empty"),
            ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
            ({"nr_samples": 5}, "RelativeOutputStability has no argument 'nr_samples'"),
            ({"x_batch": np.zeros((5, 12))}, "got shape (5, 12)"),
            ({"x_batch": np.zeros((0, 3, 10, 12))}, "got shape (0, 3, 10, 12)"),
            ({"model": None, "a_batch": np.zeros((5, 10, 12))}, "needs model, a torch.nn.Module"),
            ({"model": lambda x: x}, "needs model, a torch.nn.Module"),
            ({"x_batch": np.zeros((5, 3, 3, 3), dtype="float32")}, "channel_first must be given"),
            ({"x_batch": images()[0] * 4 - 2}, "pixels must be in [0, 1]"),
            ({"a_batch": np.zeros((5, 2, 10, 12))}, "a_batch must be (5, 10, 12), or with 1 or 3 channels"),
            ({"a_batch": np.zeros(5)}, "got shape (5,)"),
        ],
    )
    def test_mistakes(self, changes, sentence):
        x, y = images()
        call = {"model": network(), "x_batch": x, "y_batch": y, "explain_func": VANILLA} | changes
        with pytest.raises(InputError) as caught:
            ours.RelativeOutputStability(draws=1)(**call)
        assert sentence in str(caught.value)

    def test_what_a_measure_reads_may_be_said(self):
        x, y = images()
        metric = ours.RegionPerturbation(fraction=0.5, steps=2, repeats=1)
        assert metric(network(), x, y, explain_func=VANILLA, softmax=True) == metric.evaluation_scores
        with pytest.raises(InputError, match="reads probabilities"):
            metric(network(), x, y, explain_func=VANILLA, softmax=False)

    def test_direction_and_family_are_those_of_before(self):
        about = {name: (metric.score_direction, metric.evaluation_category) for name, metric in FAST.items()}
        steady = {name: ("lower", "Robustness") for name in ("RIS", "ROS", "RRS", "sensitivity", "lipschitz")}
        alike = {name: ("higher", "Robustness") for name in ("ssim", "rank")}
        simple = {"sparseness": "higher", "complexity": "lower", "effective": "lower"}
        true = {"morf": "higher", "lerf": "lower", "road": "lower"}
        assert about == {
            **steady,
            **{name: (direction, "Complexity") for name, direction in simple.items()},
            **{name: (direction, "Faithfulness") for name, direction in true.items()},
            **alike,
        }
        assert ours.ROAD(order="lerf").score_direction == "higher"
        assert ours.ROAD(order="random").score_direction == ours.RegionPerturbation(order="random").score_direction
        assert ours.RegionPerturbation(order="random").score_direction == "none"

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ours.Sparseness(channels="max"),
            lambda: ours.RelativeInputStability(form="both"),
            lambda: ours.RegionPerturbation(order="best"),
            lambda: ours.ROAD(order="best"),
        ],
    )
    def test_settings_are_checked_where_they_are_given(self, make):
        with pytest.raises(InputError, match="must be"):
            make()


class TestMask:
    def test_segmentations_are_the_mask(self):
        x, y = images()
        maps, masks = x.mean(1), (x[:, 0] < 0.3)
        expected = relevance_mass(torch.from_numpy(maps), torch.from_numpy(masks)).tolist()
        metric = ours.QuantusMetric("mass")
        for segments in (masks, masks[:, None], masks.astype("float32")):
            assert metric(None, x, y, a_batch=maps, s_batch=segments, batch_size=2) == pytest.approx(expected)
        assert metric.evaluation_category == "Localisation"

    def test_they_are_not_looked_at_where_no_mask_is_needed(self):
        x, y = images()
        assert len(ours.Sparseness()(None, x, y, a_batch=x, s_batch=np.zeros(3))) == 5

    @pytest.mark.parametrize("given", [np.zeros((5, 3, 10, 12)), np.full((5, 10, 12), 0.5)])
    def test_what_is_no_mask_is_told(self, given):
        x, y = images()
        with pytest.raises(
            InputError, match=r"s_batch must be \(5, 10, 12\) or \(5, 1, 10, 12\) of 0 and 1, got shape"
        ):
            ours.QuantusMetric("mass")(None, x, y, a_batch=x, s_batch=given)


class TestExplainFunc:
    @pytest.mark.parametrize("saliency", [VanillaGradient(), IntegratedGradients(steps=4)])
    def test_it_is_the_saliency(self, saliency):
        x, y = images()
        found = ours.ExplainFunc(saliency)(model=network(), inputs=x, targets=y, method="x", device="cpu")
        expected = saliency(network(), torch.tensor(x), torch.tensor(y)).numpy()
        assert found.dtype == np.float32 and np.array_equal(found, expected)

    def test_every_image_and_call_meets_the_same_numbers(self):
        x, y = images()
        explain_func = ours.ExplainFunc(SmoothGrad(samples=3))
        whole = explain_func(model=network(), inputs=x, targets=y)
        assert np.allclose(explain_func(model=network(), inputs=x[2:], targets=y[2:]), whole[2:], atol=1e-6)
        other = ours.ExplainFunc(SmoothGrad(samples=3), seed=1)(model=network(), inputs=x, targets=y)
        assert not np.allclose(other, whole, atol=1e-6)

    def test_float64_images_on_a_float32_network(self):
        x, y = images()
        assert VANILLA(model=network(), inputs=x.astype(np.float64), targets=y.astype(np.int32)).shape == x.shape
