"""The card's own metrics are metrics like any other, and a user's own metric is a figure like any other."""

import json
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from pellucid import Evaluation
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws, uniform
from pellucid.explanation.batch import explain
from pellucid.explanation.card import FIGURES
from pellucid.explanation.examination import Examination
from pellucid.explanation.finding import examine
from pellucid.explanation.reference import of_folder
from pellucid.explanation.trust_metrics import PredictionKept, RandomMaps, Steadiness, region_means
from pellucid.metrics import (
    Case,
    Column,
    Metric,
    PerturbationCurves,
    RelativeStability,
    aopc,
    perturbation_curves,
    rank_correlation,
)
from pellucid.metrics.measure import measured
from pellucid.saliency import VanillaGradient

from .conftest import pixels


@dataclass(frozen=True, kw_only=True)
class Peak(Metric):
    scale: float = 1.0
    columns = {"peak": Column(title="Peak", question="How bright is the brightest pixel?", direction="higher")}

    def __call__(self, case):
        return {"peak": self.scale * case.heatmap.flatten(1).amax(1)}


@dataclass(frozen=True)
class Brightness(Metric):
    about = "network"
    columns = {
        "brightness": Column(title="Brightness", unit="%", scale=100, direction="higher"),
        "rows": Column(title="Rows", curve=True),
    }

    def __call__(self, case):
        return {"brightness": case.x.mean((1, 2, 3)), "rows": case.x.mean((1, 3))}


@dataclass(frozen=True)
class Broken(Metric):
    columns = {"broken": Column(title="Broken")}

    def __call__(self, case):
        raise ZeroDivisionError("nothing\nto divide by")


@dataclass(frozen=True)
class Taken(Metric):
    columns = {"similarity": Column(title="Another steadiness")}

    def __call__(self, case):
        return {"similarity": case.x.mean((1, 2, 3))}


@pytest.fixture
def case(subject) -> Case:
    x = torch.stack([torch.tensor(pixels(number, seed=number)) for number in range(3)]).permute(0, 3, 1, 2) / 255
    return Case(model=subject.model, x=x, label=torch.arange(3), index=torch.tensor([7, 8, 9]), seed=4)


class Curved(nn.Module):
    """A network whose gradient is another one at every image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 8), nn.Tanh(), nn.Linear(8, 4))
        self.gradients = 0

    def forward(self, x):
        self.gradients += len(x) * x.requires_grad
        return self.layers(x)


def curved() -> Curved:
    torch.manual_seed(0)
    return Curved().eval()


def test_steadiness_is_the_mean_rank_correlation_of_region_means(case) -> None:
    case = replace(case, model=curved())
    values = measured(Steadiness(draws=3, sigma=0.2, region=3), case)
    clean, *noisy = (version.image for version in case.noisy(draws=3, sigma=0.2))
    means = [
        region_means(VanillaGradient()(case.model, x, case.target).abs().mean(1).detach(), 3) for x in (clean, *noisy)
    ]
    alike = torch.stack([rank_correlation(means[0], other) for other in means[1:]])
    torch.testing.assert_close(values["similarity"], alike.mean(0))
    torch.testing.assert_close(values["similarity_error"], alike.std(0) / 3**0.5)
    assert (values["similarity"] < 0.999).all()
    assert measured(Steadiness(draws=1), case)["similarity_error"].isnan().all()


def test_the_prediction_is_kept_where_noise_is_small(case) -> None:
    assert (measured(PredictionKept(draws=5), case)["stability_coverage"] == 1).all()
    noisy = measured(PredictionKept(draws=40, sigma=9.0), case)["stability_coverage"]
    assert ((noisy > 0) & (noisy < 0.7)).all()


def test_random_maps_have_the_curves_of_random_maps(case) -> None:
    curves = PerturbationCurves(steps=4, repeats=1, region=1)
    values = measured(RandomMaps(curves=curves, maps=2), case)
    for number in range(2):
        draws = SampleDraws(4, (7, 8, 9))
        random = uniform((3, 16, 16), draws.of(f"random_map/{number}"))
        found = perturbation_curves(
            case.model, case.x, case.target, random, steps=4, repeats=1, region=1, generator=draws
        )
        expected = aopc(found["morf"]) - aopc(found["lerf"])
        torch.testing.assert_close(values["random_faithfulness"][:, number], expected)
    assert values["random_aopc"].shape == (3,)


def test_every_figure_has_its_meaning() -> None:
    assert all(column.title and (column.plain or column.definition) for column in FIGURES.values())
    given = {name: column for metric in Examination().suite("smoothgrad") for name, column in metric.columns.items()}
    figures = [name for name, column in given.items() if not column.curve]
    assert set(FIGURES) == {*figures, "faithfulness", "beats_random"}


def test_how_many_go_through_the_network_together_changes_nothing() -> None:
    model, x = curved(), torch.rand(2, 3, 16, 16)
    case = Case(model=model, x=x, label=torch.tensor([0, 1]), index=torch.tensor([7, 8]), chunk=2)
    for metric in (
        RandomMaps(curves=PerturbationCurves(steps=3, repeats=2), maps=5),
        PredictionKept(sigma=0.5, draws=7),
    ):
        alone, together = (metric(replace(case, chunk=chunk)) for chunk in (2, 7))
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, rtol=0, atol=1e-6)


def test_the_maps_of_noisy_copies_are_made_once_for_all_metrics() -> None:
    x = torch.rand(2, 3, 16, 16)
    quick = Examination.quick(["vanilla_gradient"])
    for metrics in ((), ("map_ssim", "map_rank_correlation", "rrs", Peak())):
        model = curved()
        further = tuple(metric.overridden({"draws": 3}) for metric in replace(quick, metrics=metrics).further())
        (found, _) = examine(model, x, [1, 2], replace(quick, metrics=further))
        assert model.gradients == 2 * (1 + quick.stability.draws)
        assert found.notes == () and len(found.maps["vanilla_gradient"].figures) == len(FIGURES) + len(metrics)


def test_an_own_metric_is_a_figure_after_pellucids_own(subject, examination, folder, tmp_path) -> None:
    examination = replace(examination, metrics=(Peak(scale=2.0), Brightness(), "hoyer", "gini"))
    reference = of_folder(subject, folder, examination, progress=False)
    assert "peak/inputxgradient" in reference.columns and "brightness" not in reference.columns
    explain(
        subject, [folder / "05.png"], tmp_path, examination=examination, reference=reference,
        formats=("json", "html", "png", "npz"), progress=False,
    )  # fmt: skip
    card = json.loads((tmp_path / "05-card.json").read_text())
    arrays = np.load(tmp_path / "05-card.npz")
    for method, map_ in card["maps"].items():
        assert list(map_["figures"]) == [*FIGURES, "hoyer", "peak", "brightness"]
        assert map_["figures"]["peak"]["value"] == pytest.approx(2 * arrays[f"heatmap/{method}"].max())
        assert 0 <= map_["figures"]["peak"]["percentile"] <= 100
        assert map_["figures"]["brightness"]["percentile"] is None
    assert card["settings"]["metrics"]["Peak"] == {"scale": 2.0} and card["notes"] == []
    html = (tmp_path / "05-card.html").read_text()
    page = html.partition("<article>")[2]
    assert 0 < page.index("Sparsity (Gini)</th>") < page.index("Peak</th>") < page.index("Brightness</th><td>42 %")
    assert "<dt>Peak</dt><dd>How bright is the brightest pixel? Higher is better.</dd>" in html


def test_a_metric_that_fails_is_told_and_spares_the_others(subject, examination, folder, tmp_path) -> None:
    broken = replace(examination, metrics=(Broken(), Peak()))
    explain(subject, [folder], tmp_path, examination=broken, formats=("json", "html"), progress=False)
    card = json.loads((tmp_path / "05-card.json").read_text())
    figures = card["maps"]["vanilla_gradient"]["figures"]
    assert card["notes"] == ["Broken was left out: ZeroDivisionError: nothing to divide by"]
    assert figures["broken"] == {"value": None, "percentile": None} and figures["peak"]["value"] > 0
    assert "Broken was left out" in (tmp_path / "05-card.html").read_text()


def test_a_metric_with_a_column_of_the_cards_is_refused() -> None:
    with pytest.raises(InputError, match="the column 'similarity' of Taken is one of the card's; give it another name"):
        Examination(metrics=(Taken(),))
    with pytest.raises(InputError, match="unknown metric 'pek'"):
        Examination(metrics=("pek",))
    with pytest.raises(InputError, match="a card needs aopc_morf, aopc_lerf, ris and ros, got "):
        Examination(stability=RelativeStability(noise="uniform"))


def test_an_evaluations_own_metrics_and_settings_are_followed() -> None:
    curves = PerturbationCurves(steps=3, orders=("lerf", "random"))
    found = Examination.like(Evaluation(metrics=("gini", Peak(), curves, Taken())))
    assert found.metrics == (Peak(),) and found.curves == PerturbationCurves(steps=3, repeats=1)
    uniform_alone = Evaluation(metrics=(RelativeStability(noise="uniform", sigma=0.3),), sigma=0.1)
    assert Examination.like(uniform_alone).stability == RelativeStability(sigma=0.1, draws=3)


def test_the_old_name_of_the_network_still_works() -> None:
    from pellucid import explanation
    from pellucid.explanation import explained_network

    for module in (explanation, explained_network):
        with pytest.warns(DeprecationWarning, match="Subject is now ExplainedNetwork"):
            assert module.Subject is explained_network.ExplainedNetwork
        with pytest.raises(AttributeError, match="Objekt"):
            module.Objekt  # noqa: B018  attribute access is what is tested
    sys.modules.pop("pellucid.explanation.page", None)
    with pytest.warns(DeprecationWarning, match="card_page"):
        from pellucid.explanation.page import card_page
    assert card_page.__module__ == "pellucid.explanation.card_page"
