"""With one seed everything is the same twice, whatever draws inside; no stability holds a map's own noise."""

import random
import sys
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from pellucid import Evaluation, evaluate
from pellucid.core.randomness import SampleDraws, StepDraws, fork, pinned
from pellucid.data import Dataset
from pellucid.explanation.examination import Examination
from pellucid.explanation.finding import examine
from pellucid.metrics import map_similarity, max_sensitivity, relative_stability
from pellucid.metrics.perturbation import NoisyCopies
from pellucid.saliency import SmoothGrad

X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
TARGET = torch.tensor([0, 1, 0])


def everything():
    """One number from each of the global generators."""
    return torch.rand(1).item(), float(np.random.rand()), random.random()


class Drawing(nn.Module):
    """A network that draws in every forward pass, also in eval mode, from all of the global generators."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 2)
        with torch.no_grad():
            self.last.weight.copy_(torch.linspace(-1, 1, 128).reshape(2, 64))
            self.last.bias.zero_()

    def forward(self, x):
        noise = torch.randn(len(x), 2) * (0.1 + random.random()) + torch.from_numpy(np.random.rand(len(x), 2)).float()
        return self.last(x.flatten(1)) + 0.05 * noise


def of_torch(model, x, target):
    return torch.randn_like(x)


def of_numpy(model, x, target):
    return torch.from_numpy(np.random.standard_normal(x.shape)).to(x.dtype)


def of_python(model, x, target):
    return torch.full_like(x, random.random()) * torch.arange(64).reshape(8, 8)


@pytest.fixture(params=[None, 5, SampleDraws(0, (0, 1, 2)), StepDraws(0, 3)], ids=["none", "torch", "sample", "step"])
def source(request):
    return torch.Generator().manual_seed(request.param) if isinstance(request.param, int) else request.param


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Softplus(), nn.Linear(8, 2)).eval()


@pytest.mark.parametrize("explain", [of_torch, of_numpy, of_python])
def test_a_map_that_is_noise_alone_is_as_stable_as_can_be(explain, source) -> None:
    """Its changes are its own draws, which every copy of an image shares: what is left is exactly nothing."""
    given = {"generator": source}
    assert (relative_stability(plain(), X, TARGET, explain, **given)["ris"] == 0).all()
    assert (max_sensitivity(plain(), X, TARGET, explain, **given) == 0).all()
    alike = map_similarity(plain(), X, TARGET, explain, **given)
    assert torch.allclose(alike["rank_correlation"], torch.ones(3))


def test_smoothgrad_of_one_sample_is_as_stable_as_its_image() -> None:
    """Its own noise is larger than that of the copies: with draws of their own the maps would be others altogether."""
    method = SmoothGrad(samples=1, sigma=0.5)
    alike = map_similarity(plain(), X, TARGET, method, sigma=1e-4, generator=SampleDraws(0, (0, 1, 2)))
    assert (alike["rank_correlation"] > 0.999).all()
    maps = [method(plain(), X, TARGET, generator=SampleDraws(seed, (0, 1, 2))) for seed in (0, 1)]
    assert (maps[0] - maps[1]).abs().mean() > 0.01 * maps[0].abs().mean()


def test_a_network_that_draws_answers_all_copies_with_the_same_draws(source) -> None:
    network = Drawing().eval()
    with torch.no_grad():
        network.last.weight.zero_()
    copies = NoisyCopies(network, X, TARGET, "vanilla_gradient", generator=source)
    clean, *noisy = copies.observe(noise="gaussian", sigma=0.05, between=(0.02, 0.2), draws=3)
    assert all(torch.equal(clean.logits, copy.logits) for copy in noisy)
    assert all(not torch.equal(clean.image, copy.image) for copy in noisy)


@pytest.mark.parametrize("block", [lambda: fork(0, "x"), lambda: pinned(SampleDraws(0, (1,)), "x")])
def test_the_global_generators_go_on_as_if_nothing_had_been(block) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = [everything() for _ in range(2)]
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    found = [everything()]
    with block():
        inside = everything()
        with block():  # one in the other
            assert everything() == inside
        np.random.seed(7)  # as a user's function may
    with pytest.raises(KeyError), block():
        _ = {}[everything()]
    assert [*found, everything()] == expected
    with block():
        assert everything() == inside


def test_sources_that_differ_pin_other_numbers() -> None:
    seen = []
    for source in (SampleDraws(0, (1,)), SampleDraws(1, (1,)), SampleDraws(0, (2,)), StepDraws(0, 1)):
        for purpose in ("logits", "map"):
            with pinned(source, purpose):
                seen.append(everything())
    assert len(set(seen)) == 8


METRIC = """
import random
from dataclasses import dataclass

import numpy as np
import torch

from pellucid import Column, Metric


@dataclass(frozen=True, kw_only=True)
class Guess(Metric):
    columns = {"guess": Column(title="Guess", definition="Drawn from every global generator.")}

    def __call__(self, case):
        drawn = torch.rand(len(case)) + torch.from_numpy(np.random.rand(len(case))) + random.random()
        return {"guess": drawn + case.heatmap.sum((1, 2))}


def noise(model, x, target):
    return torch.randn_like(x) + float(np.random.rand())
"""


@pytest.fixture
def users(tmp_path, monkeypatch) -> ModuleType:
    (tmp_path / "draws_of_a_user.py").write_text(METRIC)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "draws_of_a_user", raising=False)
    import draws_of_a_user

    return draws_of_a_user


def test_an_evaluation_of_what_draws_is_the_same_twice(users, tmp_path) -> None:
    images = (X * 255).to(torch.uint8)
    dataset = Dataset("dots", "test", ("a", "b"), (1, 8, 8), TARGET, images, images)
    asked = Evaluation(
        images=3, gallery=2, repeats=1, steps=4, draws=2, saliency=("draws_of_a_user.noise", "smoothgrad"),
        stability=("noise", "smoothgrad"), metrics=("default", "draws_of_a_user.Guess", "map_ssim", "max_sensitivity"),
    )  # fmt: skip
    network, found = Drawing().eval(), []
    for number in range(2):
        before = torch.get_rng_state()
        run = evaluate(network, dataset, asked, out=tmp_path / f"run{number}", progress=False)
        assert torch.equal(torch.get_rng_state(), before)
        found.append((pq.read_table(run / "rows.parquet"), (run / "maps.safetensors").read_bytes()))
        _ = [everything() for _ in range(5)]
    assert found[0][0].equals(found[1][0]) and found[0][1] == found[1][1]
    assert found[0][0]["ris/noise"].to_pylist() == [0, 0, 0]


def test_a_card_of_what_draws_is_the_same_twice(users) -> None:
    asked = Examination.quick(saliency=(users.noise, "smoothgrad"))
    found = []
    for _ in range(2):
        (finding,) = examine(Drawing().eval(), X[:1], [11], asked)
        found.append(finding)
        everything()
    assert torch.equal(found[0].probabilities, found[1].probabilities)
    for name, first in found[0].maps.items():
        again = found[1].maps[name]
        assert torch.equal(first.attribution, again.attribution)
        np.testing.assert_array_equal(list(first.figures.values()), list(again.figures.values()))
    assert found[0].maps["noise"].figures["ris"] == 0
