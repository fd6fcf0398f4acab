"""The measures behind a card: the truth is faithful and steady, what is no explanation is neither."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pellucid import Evaluation, SmoothGrad
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws, uniform
from pellucid.explanation.examination import Examination
from pellucid.explanation.finding import examine
from pellucid.explanation.trust_rules import Counts, judge
from pellucid.metrics import (
    PerturbationCurves,
    RelativeStability,
    aopc,
    gini,
    perturbation_curves,
    relative_stability,
)

from .conftest import pixels

QUICK = Examination(
    saliency=("vanilla_gradient",),
    curves=PerturbationCurves(steps=5, repeats=1),
    stability=RelativeStability(draws=2),
    predictions=10,
    random_maps=9,
)


def batch(*bright):
    return torch.stack([torch.tensor(pixels(one, seed=one)) for one in bright]).permute(0, 3, 1, 2).float() / 255


def judged(found):
    return judge(found.figures, {"gini": 50.0}, counts=QUICK.counts("vanilla_gradient"), probability=0.9)


def reversed_truth(model, x, target):
    return 1 / (1e-3 + torch.autograd.functional.jacobian(lambda y: model(y).gather(1, target[:, None]).sum(), x).abs())


def chaos(model, x, target):
    return torch.sin(1e5 * x)


def noise(model, x, target, *, generator=None):
    return uniform(x.shape, generator)


def flat(model, x, target):
    return torch.ones_like(x)


def test_the_truth_is_faithful_and_steady(subject) -> None:
    for bright, found in enumerate(examine(subject.model, batch(0, 1, 2, 3), [1, 2, 3, 4], QUICK)):
        assert found.target == bright
        map_ = found.maps["vanilla_gradient"]
        assert map_.figures["similarity"] == map_.figures["stability_coverage"] == 1
        assert map_.figures["ris"] == 0 and map_.figures["gini"] == pytest.approx(0.75)
        assert judged(map_).level == "no objection"
        rows, columns = np.nonzero(map_.heatmap.numpy())
        assert set(rows // 8) == {bright // 2} and set(columns // 8) == {bright % 2}


@pytest.mark.parametrize(
    ("explain", "reason"),
    [(reversed_truth, "unfaithful"), (chaos, "unsteady"), (noise, "unfaithful"), (flat, "flat")],
)
def test_what_is_no_explanation_is_not_to_be_relied_upon(subject, explain, reason) -> None:
    examination = replace(QUICK, saliency=(explain,))
    for found in examine(subject.model, batch(0, 3), [1, 2], examination):
        (map_,) = found.maps.values()
        assert judged(map_).level == "do not rely" and reason in judged(map_).reasons


def test_random_maps_pass_as_seldom_as_is_said(subject) -> None:
    """One random heatmap in twenty is expected to pass; 120 images, 99.9 % of the binomial."""
    examination = replace(QUICK, saliency=(noise,), stability=RelativeStability(draws=1), predictions=1)
    found = examine(subject.model, batch(*[0] * 120), list(range(120)), examination)
    judgements = [judged(next(iter(one.maps.values()))) for one in found]
    assert sum("unfaithful" not in one.reasons and "hardly-faithful" not in one.reasons for one in judgements) <= 15
    assert sum("unfaithful" in one.reasons for one in judgements) >= 60


def test_a_random_map_and_its_reverse_are_counted(subject) -> None:
    """Their values are opposite, so that a map of the middle beats half of them."""
    (found,) = examine(subject.model, batch(0), [1], replace(QUICK, saliency=(reversed_truth, "vanilla_gradient")))
    worst, best = (map_.figures for map_ in found.maps.values())
    assert worst["faithfulness"] == pytest.approx(-best["faithfulness"], rel=0.05)
    assert worst["beats_random"] == 0 and best["beats_random"] == 1


def test_the_predictions_kept_are_counted_over_copies_of_their_own(subject) -> None:
    class Wavering(torch.nn.Module):
        calls = 0

        def forward(self, x):
            return subject.model(x) + 20 * (x[:, 0, 8, 8] > x[:, 0, 8, 9])[:, None] * torch.tensor([0, 1, 0, 0])

    x = batch(0)
    x[:, 0, 8, 8] = x[:, 0, 8, 9]
    (found,) = examine(Wavering().eval(), x, [1], replace(QUICK, predictions=200))
    assert found.maps["vanilla_gradient"].figures["stability_coverage"] == pytest.approx(0.5, abs=0.12)


def test_figures_are_those_of_the_metrics(subject) -> None:
    x, draws = batch(1), SampleDraws(0, (7,))
    (found,) = examine(subject.model, x, [7], replace(QUICK, saliency=("captum.attr.InputXGradient",)))
    (map_,) = found.maps.values()
    heatmap = map_.heatmap[None]
    curves = perturbation_curves(
        subject.model, x, torch.tensor([1]), heatmap, steps=5, repeats=1, region=1, generator=draws
    )
    stability = relative_stability(
        subject.model, x, torch.tensor([1]), _by_name("captum.attr.InputXGradient"), draws=2, generator=draws
    )
    assert map_.figures["aopc_morf"] == aopc(curves["morf"]).item()
    assert map_.figures["faithfulness"] == pytest.approx((aopc(curves["morf"]) - aopc(curves["lerf"])).item())
    assert map_.figures["gini"] == gini(heatmap).item()
    assert map_.figures["ris"] == stability["ris"].item() and map_.figures["ros"] == stability["ros"].item()


def _by_name(name):
    from pellucid.saliency import as_saliency

    return as_saliency(name)


def test_batch_mates_change_nothing(subject, examination) -> None:
    together = examine(subject.model, batch(0, 1, 2), [5, 6, 7], examination)
    for i, found in enumerate(together):
        (alone,) = examine(subject.model, batch(i), [5 + i], examination)
        assert alone.agreement == pytest.approx(found.agreement)
        for name, map_ in found.maps.items():
            assert map_.figures == pytest.approx(alone.maps[name].figures, rel=1e-4, abs=1e-6, nan_ok=True)


def test_another_class_may_be_explained(subject) -> None:
    (found,) = examine(subject.model, batch(0), [1], QUICK, target=3)
    assert found.target == 3 and found.probabilities.argmax() == 0
    assert found.maps["vanilla_gradient"].heatmap[:8].sum() == 0


def test_agreement_is_of_all_pairs(subject) -> None:
    examination = replace(QUICK, saliency=("vanilla_gradient", "captum.attr.InputXGradient", noise))
    (found,) = examine(subject.model, batch(0), [1], examination)
    assert list(found.agreement) == [
        ("vanilla_gradient", "inputxgradient"),
        ("vanilla_gradient", "noise"),
        ("inputxgradient", "noise"),
    ]
    assert (
        found.agreement["vanilla_gradient", "inputxgradient"] > 0.7 > 0.3 > found.agreement["inputxgradient", "noise"]
    )


def test_small_images_have_fewer_steps() -> None:
    assert Examination().fitted((3, 224, 224)).curves.region == 16
    assert Examination().fitted((3, 224, 224)).curves.steps == 20
    assert Examination().fitted((1, 4, 4)).curves.steps == 3
    assert Examination().fitted((1, 1, 1)).curves.steps == 1


def test_what_figures_are_counted_over() -> None:
    quick, full = Examination.quick(), Examination()
    assert quick.counts("smoothgrad") == Counts(random_maps=19, predictions=20, maps=3, more=True)
    assert full.counts("smoothgrad") == Counts(random_maps=39, predictions=50, maps=10, more=False)
    assert replace(quick, draws_of=(("smoothgrad", 7),)).counts("smoothgrad").maps == 7


def test_a_runs_evaluation_is_followed() -> None:
    evaluation = Evaluation(
        saliency=("vanilla_gradient", SmoothGrad(samples=3)),
        steps=7,
        repeats=4,
        draws=9,
        sigma=0.1,
        seed=5,
        region=4,
        fill="mean",
        channels="signed_mean",
    )
    for full, repeats in ((False, 1), (True, 4)):
        found = Examination.like(evaluation, full=full)
        assert found.saliency == evaluation.saliency
        curves = found.curves
        assert (curves.steps, curves.repeats, curves.region, curves.fill) == (7, repeats, 4, "mean")
        assert (found.stability.sigma, found.seed, found.channels) == (0.1, 5, "signed_mean")
        assert dict(found.draws_of) == {"vanilla_gradient": 9}
    chosen = Examination.like(evaluation, ["smoothgrad", "integrated_gradients"])
    assert chosen.saliency == (SmoothGrad(samples=3), "integrated_gradients")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"saliency": ()}, "at least one method"),
        ({"saliency": ("smoothgrad", "smoothgrad")}, "each kind of map once"),
        ({"saliency": ("smothgrad",)}, "smothgrad"),
        ({"stability": {"draws": 0}}, "draws must be at least 1, got 0"),
        ({"random_maps": 0}, "random_maps must be at least 1, got 0"),
        ({"predictions": 0}, "predictions must be at least 1, got 0"),
        ({"curves": {"fill": "red"}}, "fill must be one of"),
        ({"channels": "red"}, "channels must be one of"),
    ],
)
def test_settings_that_cannot_be(options, sentence) -> None:
    kinds = {"curves": PerturbationCurves, "stability": RelativeStability}
    with pytest.raises(InputError, match=sentence):
        Examination(**{name: kinds[name](**value) if name in kinds else value for name, value in options.items()})
