"""A metric of a user's own package works in torchmetrics and Quantus as one of pellucid's does."""

import importlib
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics import MetricCollection

from pellucid import VanillaGradient, heatmap
from pellucid.core.errors import InputError
from pellucid.integrations.quantus import ExplainFunc, QuantusMetric
from pellucid.integrations.torchmetrics import TorchMetric
from pellucid.metrics import RelativeStability

SOURCE = """
from dataclasses import dataclass
import pellucid
import torch

@dataclass(frozen=True, kw_only=True)
class Peak(pellucid.Metric):
    scale: float = 1.0
    columns = {"peak": pellucid.Column(title="Peak", question="How bright?", unit="", direction="higher")}

    def __call__(self, case):
        return {"peak": self.scale * case.heatmap.flatten(1).amax(1)}

@dataclass(frozen=True, kw_only=True)
class Contrast(pellucid.Metric):
    side: int = 0
    columns = {
        "profile": pellucid.Column(title="Profile", curve=True),
        "signed_sum": pellucid.Column(title="Sum"),
        "drawn": pellucid.Column(title="Drawn", direction="lower", shown=False),
    }
    aggregates = {
        "contrast": pellucid.Column(title="Contrast", aggregate="ratio of means", of=("signed_sum", "drawn")),
    }

    def fitted(self, images):
        return Contrast(side=images.side)

    def __call__(self, case):
        drawn = case.draws.uniform((len(case), 1))[:, 0]
        profile = case.heatmap.mean(1)[:, :self.side]
        return {"profile": profile, "signed_sum": case.attribution.flatten(1).sum(1), "drawn": drawn}

class Wrong(Peak):
    def __call__(self, case):
        return {"peak": case.heatmap.amax()}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_saliency_metrics.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("my_saliency_metrics")


@pytest.fixture(scope="module")
def case():
    x = torch.rand(6, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.Flatten(), nn.Linear(216, 3)).eval()
    weight = torch.randn(3, 216, generator=torch.Generator().manual_seed(1))
    network[1].load_state_dict({"weight": weight, "bias": torch.zeros(3)})
    with torch.no_grad():
        target = network(x).argmax(1)
    return {"model": network, "x": x, "target": target, "attribution": VanillaGradient()(network, x, target)}


class TestTorchmetrics:
    def test_it_is_the_mean_of_its_values(self, package, case):
        maps = heatmap(case["attribution"])
        metric = TorchMetric(package.Peak(scale=2.0), confidence=0.95)
        metric.update(heatmap=maps[:2])
        metric.update(heatmap=maps[2:])
        values = 2 * maps.flatten(1).amax(1)
        assert torch.equal(metric.rows()["peak"], values)
        found = metric.compute()
        torch.testing.assert_close(found["peak"], values.mean())
        assert found["peak_low"] < found["peak"] < found["peak_high"]
        assert metric.higher_is_better

    def test_a_collection_gives_it_everything(self, package, case):
        metrics = MetricCollection({"peak": TorchMetric("my_saliency_metrics.Peak"), "gini": TorchMetric("gini")})
        saliency = VanillaGradient()
        metrics.update(**{name: case[name] for name in ("model", "x", "target")}, saliency=saliency, preds=case["x"])
        torch.testing.assert_close(metrics.compute()["peak"], heatmap(case["attribution"]).flatten(1).amax(1).mean())

    def test_curves_aggregates_settings_of_the_images_and_draws(self, package, case):
        given = {name: case[name] for name in ("model", "x")} | {"saliency": "vanilla_gradient"}
        metric, by_position = TorchMetric(package.Contrast()), TorchMetric(package.Contrast())
        found = metric(**given)
        rows = metric.rows()
        assert rows["profile"].shape == (6, 8) and set(found) == {"signed_sum", "contrast"}
        torch.testing.assert_close(rows["signed_sum"], case["attribution"].flatten(1).sum(1))
        torch.testing.assert_close(found["contrast"], rows["signed_sum"].mean() / rows["drawn"].mean().clamp(min=1e-6))
        assert metric.higher_is_better is None
        by_position.update(**given, index=[3, 4, 5, 6, 7, 8])
        assert not torch.equal(by_position.rows()["drawn"], rows["drawn"])
        curve = TorchMetric(package.Contrast(), columns=("profile",))(**given)
        assert list(curve) == [f"profile_{k}" for k in range(8)]
        torch.testing.assert_close(torch.stack(list(curve.values())), rows["profile"].mean(0))

    def test_pickling(self, package, case):
        metric = TorchMetric(package.Peak(scale=3.0))
        metric.update(heatmap=heatmap(case["attribution"]))
        assert pickle.loads(pickle.dumps(metric)).compute() == metric.compute()

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (
                {"x": torch.ones(2, 1, 4, 4)},
                "Contrast needs heatmap, or model, x and saliency to make it, which were not given",
            ),
            ({"heatmap": torch.ones(2, 4, 4)}, "Contrast needs x, images (n, c, h, w) in [0, 1], which was not given"),
            (
                {"heatmap": torch.ones(2, 4, 4), "x": torch.ones(2, 1, 4, 4)},
                "Contrast needs saliency, whatever pellucid.as_saliency accepts, which was not given",
            ),
            (
                {"x": torch.ones(2, 1, 4, 4), "saliency": "vanilla_gradient"},
                "Contrast needs model, a torch.nn.Module from images to logits, which was not given",
            ),
            ({"x": torch.ones(2, 1, 4, 4), "index": [1]}, "index must be 2 positions, one per image, got [1]"),
        ],
    )
    def test_what_it_needs_and_was_not_given(self, package, given, sentence):
        with pytest.raises(InputError) as caught:
            TorchMetric(package.Contrast()).update(**given)
        assert str(caught.value) == sentence

    @pytest.mark.parametrize(
        ("make", "sentence"),
        [
            (lambda own: TorchMetric(own.Peak), "metrics must be names or pellucid.Metric objects, got <class"),
            (lambda own: TorchMetric("my_saliency_metrics.Peek"), "cannot import 'my_saliency_metrics.Peek'"),
            (lambda own: TorchMetric("sparsity"), "one metric is wrapped at a time, got 'sparsity'"),
            (lambda own: TorchMetric(own.Peak(), columns=("gini",)), "columns must be among peak, got gini"),
            (lambda own: TorchMetric(own.Peak(), columns=()), "columns must be among peak, got none"),
            (
                lambda own: TorchMetric("gini").update(torch.ones(1, 2, 2), 0),
                "update takes heatmap without their names",
            ),
            (
                lambda own: TorchMetric(own.Wrong()).update(heatmap=torch.ones(2, 4, 4)),
                "'peak' of Wrong must have shape (2,), a number for each image, got ()",
            ),
            (
                lambda own: QuantusMetric(own.Contrast(), column="profile"),
                "column must be a number per image (signed_sum, drawn), got 'profile'",
            ),
            (
                lambda own: QuantusMetric(own.Peak(), scale=2),
                "settings are the metric's own, as in Gini(...), got scale",
            ),
            (lambda own: QuantusMetric("robust_curve"), "column must be a number per image (all are curves), got None"),
        ],
    )
    def test_mistakes(self, package, make, sentence):
        with pytest.raises(InputError) as caught:
            make(package)
        assert sentence in str(caught.value)


class TestQuantus:
    def test_scores(self, package, case):
        x, y = case["x"].numpy(), case["target"].numpy()
        expected = (2 * heatmap(case["attribution"]).flatten(1).amax(1)).tolist()
        metric = QuantusMetric(package.Peak(scale=2.0))
        assert (metric.name, metric.score_direction, metric.evaluation_category) == ("Peak", "higher", "None")
        assert metric(None, x, y, a_batch=case["attribution"].numpy()) == expected
        scores = metric(case["model"], x, y, explain_func=ExplainFunc("vanilla_gradient"), batch_size=4)
        assert scores == metric.evaluation_scores == pytest.approx(expected)
        assert metric.all_evaluation_scores == expected + scores and metric.details == {}

    def test_a_metric_sees_the_signed_maps_that_were_given(self, package, case):
        x, y, maps = case["x"].numpy(), case["target"].numpy(), -case["attribution"].numpy()
        metric = QuantusMetric(package.Contrast())
        scores = metric(None, x, y, a_batch=maps)
        assert scores == pytest.approx(maps.reshape(6, -1).sum(1).tolist(), rel=1e-4)
        assert set(metric.details) == {"profile", "drawn"} and np.shape(metric.details["profile"]) == (6, 8)
        other = QuantusMetric("my_saliency_metrics.Contrast", column="drawn")
        assert other(None, x, y, a_batch=maps) == metric.details["drawn"] and other.score_direction == "lower"

    def test_any_column_of_pellucids(self, case):
        x, y = case["x"].numpy(), case["target"].numpy()
        metric = QuantusMetric(RelativeStability(noise="uniform", draws=2), column="stability_coverage_uniform")
        scores = metric(case["model"], x, y, explain_func="vanilla_gradient")
        assert metric.evaluation_category == "Robustness" and all(0 <= score <= 1 for score in scores)
        assert set(metric.details) == {"ris_uniform", "ros_uniform"}
        robust = QuantusMetric("robust_correct")
        assert set(robust(case["model"], x, y)) <= {0.0, 1.0}
