"""Parts of a batch: the draws are those of the whole, whatever they come from, and so is every measure."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator, SampleDraws, StepDraws
from pellucid.metrics.chunks import attribution_of, rows_of
from pellucid.metrics.curvature import gradient_variation, hessian_trace, top_hessian_eigenvalue
from pellucid.metrics.sanity import baseline_similarity, randomisation_similarity
from pellucid.metrics.sensitivity import local_lipschitz, max_sensitivity
from pellucid.metrics.similarity import map_similarity
from pellucid.metrics.stability import relative_stability
from pellucid.saliency import SmoothGrad, as_saliency

N = 5
SOURCES: dict[str, Callable[[], Generator]] = {
    "sample": lambda: SampleDraws(3, (9, 4, 0, 77, 5)),
    "step": lambda: StepDraws(seed=1, step=2, rank=1, world=2),
    "torch": lambda: torch.Generator().manual_seed(7),
}


SMOOTH = SmoothGrad(samples=2)
MEASURES: dict[str, Callable[..., Any]] = {
    "stability": partial(relative_stability, saliency=SMOOTH, form="both", layer="penultimate", sigma=0.2, draws=3),
    "similarity": partial(map_similarity, saliency=SMOOTH, sigma=0.2, draws=3, window=3),
    "lipschitz": partial(local_lipschitz, saliency=SMOOTH, draws=3),
    "sensitivity": partial(max_sensitivity, saliency=SMOOTH, draws=3),
    "randomisation": partial(randomisation_similarity, saliency=SMOOTH),
    "baseline": partial(baseline_similarity, saliency=SMOOTH),
    "variation": partial(gradient_variation, draws=3),
    "eigenvalue": partial(top_hessian_eigenvalue, iterations=4),
    "eigenvalue by difference": partial(top_hessian_eigenvalue, iterations=4, method="difference"),
    "trace": partial(hessian_trace, draws=3),
}


def network() -> nn.Sequential:
    with randomness.fork(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))
    return model.double().eval()


def images() -> tuple[Tensor, Tensor]:
    x = torch.rand(N, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x, torch.tensor([0, 1, 2, 0, 1])


def drawn(source: Generator, n: int) -> list[Tensor]:
    """What a saliency could draw, in an order that a sequential source notices."""
    first = randomness.normal((n, 3, 2), randomness.of(source, "a"))
    second = randomness.uniform((n,), randomness.of(randomness.of(source, "b"), "c"))
    return [first, second, randomness.normal((n, 1), source)]


@pytest.mark.parametrize("kind", SOURCES)
@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=N, unique=True))
def test_rows_of_the_whole_batchs_draws(kind: str, rows: list[int]) -> None:
    whole, part = drawn(SOURCES[kind](), N), drawn(rows_of(SOURCES[kind](), sorted(rows), N), len(rows))
    for everyone, some in zip(whole, part, strict=True):
        assert torch.equal(some, everyone[sorted(rows)])


def test_the_whole_batch_keeps_its_source() -> None:
    source = torch.Generator()
    assert rows_of(source, range(N), N) is source
    assert rows_of(None, range(N), N) is None


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("chunk", [1, 2, N, 100])
def test_a_drawing_saliency_is_the_same_in_parts(kind: str, chunk: int) -> None:
    (x, target), model, explain = images(), network(), SmoothGrad(samples=3)
    sizes: list[int] = []
    counted = lambda x: (sizes.append(len(x)), model(x))[1]
    whole = attribution_of(explain, model, x, target, SOURCES[kind])
    torch.testing.assert_close(whole, explain(model, x, target, generator=SOURCES[kind]()))
    torch.testing.assert_close(attribution_of(explain, counted, x, target, SOURCES[kind], chunk=chunk), whole)
    assert max(sizes) == min(chunk, N)


@pytest.mark.parametrize("kind", [*SOURCES, "global"])
@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_the_same_in_parts_and_bounds_them(name: str, kind: str) -> None:
    sizes: list[int] = []
    (x, target), model = images(), network()
    model.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))

    def measured(chunk: int | None) -> dict[str, Tensor]:
        sizes.clear()
        with randomness.fork(11):
            found = MEASURES[name](model, x, target, chunk=chunk, generator=SOURCES.get(kind, lambda: None)())
        return found if isinstance(found, dict) else {name: found}

    whole = measured(None)
    assert max(sizes) == N
    for chunk in (1, 2, 100):
        parts = measured(chunk)
        assert max(sizes) == min(chunk, N)
        for key, value in whole.items():
            torch.testing.assert_close(parts[key], value, rtol=1e-7, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("name", MEASURES)
def test_a_chunk_of_nothing_is_refused(name: str) -> None:
    x, target = images()
    with pytest.raises(InputError, match="chunk must be at least 1, got 0"):
        MEASURES[name](network(), x, target, chunk=0)


def test_bad_input() -> None:
    x, target = torch.rand(2, 1, 2, 2), torch.tensor([0, 1])
    second_is_nan = as_saliency(lambda model, x, target: torch.where(target[:, None, None, None] == 1, torch.nan, x))
    with pytest.raises(InputError, match="the attribution must be finite, got nan"):
        attribution_of(second_is_nan, nn.Flatten(), x, target, lambda: None, chunk=1)
    with pytest.raises(InputError, match="chunk must be at least 1, got 0"):
        attribution_of(as_saliency(lambda model, x, target: x), nn.Flatten(), x, target, lambda: None, chunk=0)
