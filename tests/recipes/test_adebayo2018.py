"""Networks that have fit true and shuffled labels: do they, and are their maps told apart."""

from dataclasses import replace
from pathlib import Path

import captum.attr
import pytest
import scipy.stats
import skimage.metrics
import torch
from torch import Tensor, nn

from pellucid import Experiment
from pellucid.config import from_config, to_config
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.data import load
from pellucid.metrics.sanity import edge_map, random_map, randomisation_similarity
from pellucid.metrics.survival import survives
from pellucid.recipes.adebayo2018 import experiments, label_similarity, training_accuracy
from pellucid.runs.training import fit, load_network
from pellucid.saliency import IntegratedGradients, SmoothGrad, VanillaGradient, heatmap

NAMES = {f"{kind}_{sign}" for kind in ("rank_correlation", "ssim") for sign in ("absolute", "signed")}


def network(seed: int) -> nn.Sequential:
    with randomness.fork(seed):
        layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(256, 3))
    return layers.double().eval()


def images(n: int = 3) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 2, 10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.arange(
        n
    ) % 3


def test_the_runs_differ_in_their_labels_alone() -> None:
    true, shuffled = experiments(seed=3).values()
    assert replace(shuffled, dataset=replace(shuffled.dataset, labels="true")) == true != shuffled
    assert from_config(to_config(shuffled), Experiment) == shuffled
    assert true.seed == 3


class TestSimilarity:
    def test_of_a_network_with_itself(self) -> None:
        model, (x, target) = network(0), images()
        found = label_similarity(model, model, x, target, SmoothGrad(samples=2))
        assert set(found) == {"shuffled", "edge_map", "random_map"}
        assert all(set(values) == NAMES for values in found.values())
        for value in found["shuffled"].values():
            torch.testing.assert_close(value, torch.ones(3, dtype=torch.float64))
        assert found["edge_map"]["rank_correlation_absolute"].abs().max() < 0.9

    @pytest.mark.parametrize("blind", [edge_map, random_map])
    def test_maps_that_look_at_no_network_do_not_pass(self, blind) -> None:  # type: ignore[no-untyped-def]
        for value in label_similarity(network(0), network(1), *images(), blind)["shuffled"].values():
            torch.testing.assert_close(value, torch.ones(3, dtype=torch.float64))

    def test_an_edge_map_is_its_own_baseline(self) -> None:
        for value in label_similarity(network(0), network(1), *images(), edge_map)["edge_map"].values():
            torch.testing.assert_close(value, torch.ones(3, dtype=torch.float64))

    def test_agrees_with_scipy_and_scikit_image(self) -> None:
        one, other, (x, target) = network(0), network(1), images()
        found = label_similarity(one, other, x, target, VanillaGradient())["shuffled"]
        for sign, channels, data_range in (("absolute", "mean_abs", 1), ("signed", "signed_mean", 2)):
            maps = [heatmap(VanillaGradient()(model, x, target), channels=channels) for model in (one, other)]  # type: ignore[arg-type]
            a, b = ((value / value.abs().amax((1, 2), keepdim=True)).numpy() for value in maps)
            for i in range(3):
                assert found[f"rank_correlation_{sign}"][i].item() == pytest.approx(
                    scipy.stats.spearmanr(a[i].ravel(), b[i].ravel())[0]
                )
                assert found[f"ssim_{sign}"][i].item() == pytest.approx(
                    skimage.metrics.structural_similarity(a[i], b[i], data_range=data_range)
                )

    def test_chunks_change_nothing(self) -> None:
        arguments = (network(0), network(1), *images(), SmoothGrad(samples=2))
        draws = SampleDraws(0, (5, 6, 9))
        whole, parts = (label_similarity(*arguments, chunk=chunk, generator=draws) for chunk in (None, 2))
        for name, values in whole.items():
            for measure, value in values.items():
                torch.testing.assert_close(parts[name][measure], value)

    def test_bad_input(self) -> None:
        model, (x, target) = network(0), images()
        with pytest.raises(InputError, match="only the network it was built on; give its class"):
            label_similarity(model, network(1), x, target, captum.attr.Saliency(model))
        with pytest.raises(InputError, match="must be in eval mode"):
            label_similarity(model, network(1).train(), x, target, VanillaGradient())
        with pytest.raises(InputError, match="window must be odd"):
            label_similarity(model, network(1), x, target, VanillaGradient(), window=11)


def trained(folder: Path, *, quick: bool = False) -> dict[str, Path]:
    runs = {}
    for name, experiment in experiments().items():
        if quick:
            few = replace(experiment.dataset, limit=60, validation=20)
            experiment = replace(experiment, dataset=few, epochs=60, batch_size=20)
        runs[name] = fit(experiment, folder / name, accelerator="cpu", progress=False)
    return runs


def maps_differ(runs: dict[str, Path], count: int) -> dict[str, dict[str, Tensor]]:
    test = load(experiments()["true-labels"].dataset, "test")
    true, shuffled = (load_network(run, test) for run in runs.values())
    x = test.take(range(count)).float() / 255
    with torch.no_grad():
        target = true(x).argmax(1)
    return label_similarity(true, shuffled, x, target, VanillaGradient(), generator=SampleDraws(0, tuple(range(count))))


def test_a_small_network_fits_both_labels_and_its_maps_differ(tmp_path: Path) -> None:
    runs = trained(tmp_path, quick=True)
    assert [training_accuracy(run) for run in runs.values()] == pytest.approx([1, 1], abs=0.05)
    found = maps_differ(runs, 50)
    assert found["shuffled"]["rank_correlation_signed"].mean().abs() < 0.2
    assert found["shuffled"]["rank_correlation_absolute"].mean() < 0.7


@pytest.mark.slow
def test_the_recipe(tmp_path: Path) -> None:
    runs = trained(tmp_path)
    assert all(training_accuracy(run) > 0.99 for run in runs.values())
    found = {name: {k: v.mean() for k, v in values.items()} for name, values in maps_differ(runs, 200).items()}
    assert found["shuffled"]["rank_correlation_signed"].abs() < 0.05
    assert found["edge_map"]["rank_correlation_absolute"] > 0.2
    assert found["shuffled"]["rank_correlation_absolute"] < 0.6
    assert found["shuffled"]["ssim_absolute"] < 0.3
    assert found["random_map"]["rank_correlation_absolute"].abs() < 0.02

    test = load(experiments()["true-labels"].dataset, "test")
    model, x = load_network(runs["true-labels"], test), test.take(range(200)).float() / 255
    with torch.no_grad():
        target = model(x).argmax(1)
    verdicts = {
        name: survives({layer: value.numpy() for layer, value in randomised.items()}).verdict
        for name, randomised in (
            ("gradient", randomisation_similarity(model, x, target, VanillaGradient())),
            ("integrated gradients", randomisation_similarity(model, x, target, IntegratedGradients(steps=10))),
            ("edges", randomisation_similarity(model, x, target, edge_map)),
        )
    }
    # Integrated gradients are multiplied by the image, whose background is black.
    assert verdicts == {"gradient": "falls", "integrated gradients": "survives", "edges": "survives"}
