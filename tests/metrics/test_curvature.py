"""Curvature: quadratics, whole Hessians by torch, kinks that only a difference sees, properties, bad input."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.randomness import SampleDraws
from pellucid.metrics.curvature import Method, gradient_variation, hessian_trace, top_hessian_eigenvalue

from .conftest import random

METHODS: list[Method] = ["exact", "difference"]
MEASURES: list[Callable[..., Tensor]] = [gradient_variation, top_hessian_eigenvalue, hessian_trace]


def network() -> nn.Sequential:
    with randomness.fork(0):
        layers = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.Softplus(beta=5), nn.Dropout(), nn.Flatten(), nn.Linear(36, 8), nn.Softplus(),
            nn.Linear(8, 3),
        )  # fmt: skip
    for parameter in layers.parameters():
        parameter.data *= 3
    return layers.double().eval()


def symmetric(size: int) -> Tensor:
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return matrix + matrix.T


def quadratic(matrix: Tensor, *, scale: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Logits of which the first is x'Ax/2; with ``scale`` -1 the loss of class 0 is x'Ax/2 + 500 to the last digit."""

    def logits(x: Tensor) -> Tensor:
        flat = x.flatten(1)
        value = ((flat @ matrix) * flat).sum(1) / 2
        return torch.stack([scale * value - 500, torch.zeros_like(value)], dim=1)

    return logits


def hessians(model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor) -> Tensor:
    """Each image's whole Hessian of the cross-entropy, by torch."""
    size = x[0].numel()
    each = [
        torch.autograd.functional.hessian(lambda v, t=t: functional.cross_entropy(model(v[None]), t[None]), one)
        for one, t in zip(x, label, strict=True)
    ]
    return torch.stack([hessian.reshape(size, size) for hessian in each])


def largest(hessian: Tensor) -> Tensor:
    values = torch.linalg.eigvalsh(hessian)
    return values.gather(1, values.abs().argmax(1, keepdim=True))[:, 0]


class ByHand(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Attention(nn.Module):
    """Each pixel a token; one fused attention over all."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(2, 12), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.into(4 * x.flatten(2).transpose(1, 2))[:, None].chunk(3, -1)
        return self.out(functional.scaled_dot_product_attention(query, key, value)[:, 0].mean(1))


def margins(x: Tensor) -> Tensor:
    first = torch.zeros(len(x), dtype=torch.long)
    return torch.nn.functional.multi_margin_loss(x.flatten(1), first, reduction="none").square()[:, None, None, None]


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * grad


class TestQuadratics:
    label = torch.zeros(3, dtype=torch.int64)

    def test_a_linear_logit_has_no_variation(self) -> None:
        with randomness.fork(0):
            model = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).double().eval()
        assert gradient_variation(model, random(3, 1, 3, 3), self.label).max() < 1e-12

    @pytest.mark.parametrize("radius", [1e-3, 0.1, 2.0])
    def test_variation_is_what_the_hessian_does_to_unit_vectors(self, radius: float) -> None:
        matrix, x, draws = symmetric(9), random(3, 1, 3, 3), SampleDraws(0, (4, 5, 6))
        found = gradient_variation(quadratic(matrix), x, self.label, radius=radius, draws=3, generator=draws)
        units = [functional.normalize(draws.of(f"curvature/{i}").normal(x.shape).double().flatten(1)) for i in range(3)]
        expected = torch.stack([(u @ matrix).norm(dim=1) for u in units]).mean(0)
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)

    def test_variation_over_many_directions(self) -> None:
        # On the sphere the mean of |Hu|^2 is |H|^2/size, and all |Hu| are equal where all eigenvalues are +-5.
        values = torch.tensor([5.0, -5.0] * 4 + [5.0], dtype=torch.float64)
        found = gradient_variation(quadratic(values.diag()), random(3, 1, 3, 3), self.label, draws=1)
        torch.testing.assert_close(found, torch.full((3,), 5.0, dtype=torch.float64))

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("sign", [1, -1])
    def test_eigenvalue_has_its_sign(self, method: Method, sign: int) -> None:
        values = sign * torch.tensor([-7.0, 4.0, 3.0, 1.0, 0.0, 0.0, 2.0, 1.0, -1.0], dtype=torch.float64)
        turn, _ = torch.linalg.qr(symmetric(9))
        model = quadratic(turn @ values.diag() @ turn.T, scale=-1)
        found = top_hessian_eigenvalue(model, random(3, 1, 3, 3), self.label, iterations=30, method=method)
        torch.testing.assert_close(found, torch.full((3,), -7.0 * sign, dtype=torch.float64), rtol=1e-6, atol=0)

    @pytest.mark.parametrize("method", METHODS)
    def test_trace_of_a_diagonal_needs_one_draw(self, method: Method) -> None:
        diagonal = torch.arange(-2.0, 7.0, dtype=torch.float64)
        found = hessian_trace(
            quadratic(diagonal.diag(), scale=-1), random(3, 1, 3, 3), self.label, draws=1, method=method
        )
        torch.testing.assert_close(found, torch.full((3,), 18.0, dtype=torch.float64), rtol=1e-8, atol=0)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("measure", [top_hessian_eigenvalue, hessian_trace])
    def test_a_hessian_of_zeros(self, measure: Callable[..., Tensor], method: Method) -> None:
        model = quadratic(torch.zeros(9, 9, dtype=torch.float64), scale=-1)
        assert measure(model, random(3, 1, 3, 3), self.label, method=method).tolist() == [0, 0, 0]


class TestWholeHessians:
    def test_the_reference_is_worth_it(self) -> None:
        x, label = random(4, 2, 5, 5), torch.tensor([0, 1, 2, 0])
        assert largest(hessians(network(), x, label)).abs().min() > 0.01

    @pytest.mark.parametrize("method", METHODS)
    def test_eigenvalue(self, method: Method) -> None:
        model, x, label = network(), random(4, 2, 5, 5), torch.tensor([0, 1, 2, 0])
        expected = largest(hessians(model, x, label))
        found = top_hessian_eigenvalue(model, x, label, iterations=300, method=method, step=1e-4)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)

    @pytest.mark.parametrize("method", METHODS)
    def test_each_draw_of_the_trace(self, method: Method) -> None:
        model, x, label, draws = network(), random(4, 2, 5, 5), torch.tensor([0, 1, 2, 0]), SampleDraws(0, (0, 1, 2, 3))
        whole = hessians(model, x, label)
        signs = torch.where(draws.of("curvature/0").uniform(x.shape) < 0.5, -1, 1).double().flatten(1)
        expected = torch.einsum("ni,nij,nj->n", signs, whole, signs)
        found = hessian_trace(model, x, label, draws=1, method=method, step=1e-4, generator=draws)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)

    def test_of_hardsigmoid(self) -> None:
        with randomness.fork(1):
            model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Hardsigmoid(), nn.Flatten(), nn.Linear(27, 3)).double().eval()
        x, label = random(2, 2, 5, 5), torch.tensor([0, 1])
        written_out = nn.Sequential(model[0], ByHand(lambda x: (x + 3).clamp(0, 6) / 6), *model[2:])
        found = top_hessian_eigenvalue(model, x, label, iterations=300)
        torch.testing.assert_close(found, largest(hessians(written_out, x, label)), rtol=1e-5, atol=1e-12)

    def test_of_fused_attention(self) -> None:
        with randomness.fork(1):
            model = Attention().double().eval()
        x, label = random(2, 2, 4, 4), torch.tensor([0, 1])
        by_hand = top_hessian_eigenvalue(model, x, label, iterations=100, method="difference", step=1e-4)
        found = top_hessian_eigenvalue(model, x, label, iterations=100)
        torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-9)

    @pytest.mark.parametrize("kind", ["margins", "once", "within"])
    def test_without_second_derivatives_it_is_measured_by_differences_and_told(
        self, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tell.cache_clear()
        layer: nn.Module = ByHand({"margins": margins, "once": Once.apply, "within": torch._C._nn.hardsigmoid}[kind])
        with randomness.fork(1):
            model = nn.Sequential(nn.Conv2d(2, 3, 3), layer, nn.Flatten(), nn.LazyLinear(3)).double().eval()
            x, label = random(2, 2, 5, 5), torch.tensor([0, 1])
            model(x)
        for measure in (top_hessian_eigenvalue, hessian_trace):
            found = measure(model, x, label, generator=SampleDraws(0, (0, 1)))
            expected = measure(model, x, label, generator=SampleDraws(0, (0, 1)), method="difference")
            assert torch.equal(found, expected) and found.abs().min() > 0
        assert capsys.readouterr().err.count("an operation without a second derivative") == 1

    def test_trace_within_its_known_error(self) -> None:
        model, x, label = network(), random(4, 2, 5, 5), torch.tensor([0, 1, 2, 0])
        whole, draws = hessians(model, x, label), SampleDraws(0, (0, 1, 2, 3))
        trace = whole.diagonal(dim1=1, dim2=2).sum(1)
        off = (whole**2).sum((1, 2)) - (whole.diagonal(dim1=1, dim2=2) ** 2).sum(1)
        found = hessian_trace(model, x, label, draws=400, generator=draws)
        assert ((found - trace).abs() < 3.5 * (2 * off / 400).sqrt()).all()
        assert ((2 * off / 400).sqrt() < 0.5 * trace.abs().max()).all()

    def test_more_iterations_never_lower_it(self) -> None:
        model, x, label, draws = network(), random(4, 2, 5, 5), torch.tensor([0, 1, 2, 0]), SampleDraws(0, (0, 1, 2, 3))
        sizes = [top_hessian_eigenvalue(model, x, label, iterations=k, generator=draws).abs() for k in (1, 2, 4, 8, 16)]
        assert all((after >= before - 1e-12).all() for before, after in pairwise(sizes))


class TestKinks:
    """max(x - 1/2, 0) times 8 as the loss: its gradient jumps from 0 to 8 at a half and is constant elsewhere."""

    x = torch.tensor([0.495, 0.505, 0.2, 0.9], dtype=torch.float64)[:, None, None, None]
    label = torch.zeros(4, dtype=torch.int64)

    @staticmethod
    def model(x: Tensor) -> Tensor:
        value = 8 * (x - 0.5).relu().sum((1, 2, 3))
        return torch.stack([-value - 500, torch.zeros_like(value)], dim=1)

    def test_the_exact_hessian_sees_none(self) -> None:
        assert top_hessian_eigenvalue(self.model, self.x, self.label).abs().max() < 1e-200  # the softmax's own
        assert hessian_trace(self.model, self.x, self.label).abs().max() < 1e-200

    def test_the_difference_sees_those_within_its_step(self) -> None:
        expected = torch.tensor([400.0, 400.0, 0.0, 0.0], dtype=torch.float64)
        torch.testing.assert_close(
            top_hessian_eigenvalue(self.model, self.x, self.label, method="difference", step=0.01), expected
        )
        torch.testing.assert_close(
            hessian_trace(self.model, self.x, self.label, method="difference", step=0.01), expected
        )

    def test_variation_sees_those_within_its_radius(self) -> None:
        # Half of the directions cross the kink, and the gradient then changes by 8 over a distance of 0.01.
        found = gradient_variation(
            self.model, self.x, self.label, radius=0.01, draws=400, generator=SampleDraws(0, tuple(range(4)))
        )
        assert found[:2].tolist() == pytest.approx([400, 400], rel=0.25)
        assert found[2:].tolist() == [0, 0]


class TestProperties:
    @settings(max_examples=8)
    @given(order=st.permutations(range(5)), count=st.integers(1, 5), measure=st.sampled_from(MEASURES))
    def test_batch_mates_never_matter(self, order: list[int], count: int, measure: Callable[..., Tensor]) -> None:
        model, x, label, index = network(), random(5, 2, 5, 5), torch.tensor([0, 1, 2, 0, 1]), (5, 80, 1, 7, 0)
        chosen = order[:count]
        everyone = measure(model, x, label, generator=SampleDraws(0, index))
        some = measure(model, x[chosen], label[chosen], generator=SampleDraws(0, tuple(index[i] for i in chosen)))
        torch.testing.assert_close(some, everyone[chosen])

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_nothing_of_the_caller_changes(self, measure: Callable[..., Tensor], dtype: torch.dtype) -> None:
        model, x, label = network().to(dtype), random(3, 2, 5, 5).to(dtype), torch.tensor([0, 1, 2], dtype=torch.uint8)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept, state = copy.deepcopy((x, label, model.state_dict())), torch.get_rng_state()
        value = measure(model, x, label, generator=SampleDraws(0, (0, 1, 2)))
        assert value.shape == (3,) and value.dtype == dtype and not value.requires_grad
        assert torch.equal(x, kept[0]) and torch.equal(label, kept[1]) and not x.requires_grad
        assert all(torch.equal(now, kept[2][name]) for name, now in model.state_dict().items())
        assert all(p.grad is not None and torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
    def test_works_where_gradients_are_off(self, measure: Callable[..., Tensor], block: Callable[[], Any]) -> None:
        model, draws = network(), SampleDraws(0, (0, 1, 2))
        expected = measure(model, random(3, 2, 5, 5), torch.tensor([0, 1, 2]), generator=draws)
        with block():
            found = measure(model, random(3, 2, 5, 5), torch.tensor([0, 1, 2]), generator=draws)
            assert torch.equal(found, expected)

    def test_float32_agrees_with_float64(self) -> None:
        x, label, draws = random(3, 2, 5, 5), torch.tensor([0, 1, 2]), SampleDraws(0, (0, 1, 2))
        for measure in MEASURES:
            exact = measure(network(), x, label, generator=draws)
            rough = measure(network().float(), x.float(), label, generator=draws)
            torch.testing.assert_close(rough.double(), exact, rtol=1e-2, atol=1e-3)


class TestBadInput:
    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"label": torch.tensor([0, 3])}, r"classes must be in \[0, 2\], got values from 0 to 3"),
            ({"label": torch.tensor([0.0, 1.0])}, "classes must be 2 whole numbers"),
            ({"x": random(2, 2, 5, 5) + 0.5}, r"pixels must be in \[0, 1\]"),
            ({"model": network().train()}, "network must be in eval mode"),
            ({"model": lambda x: x.flatten(1) * math.nan}, "logits must be finite, got nan"),
        ],
    )
    def test_of_all(self, measure: Callable[..., Tensor], change: dict[str, Any], message: str) -> None:
        given = {"model": network(), "x": random(2, 2, 5, 5), "label": torch.tensor([0, 1])} | change
        with pytest.raises(InputError, match=message):
            measure(given["model"], given["x"], given["label"])

    @pytest.mark.parametrize(
        ("measure", "change", "message"),
        [
            (gradient_variation, {"radius": 0.0}, "radius must be above 0 and finite, got 0.0"),
            (gradient_variation, {"radius": math.inf}, "radius must be above 0 and finite, got inf"),
            (gradient_variation, {"draws": 0}, "draws must be at least 1, got 0"),
            (top_hessian_eigenvalue, {"iterations": 0}, "iterations must be at least 1, got 0"),
            (top_hessian_eigenvalue, {"step": -1.0}, "step must be above 0 and finite, got -1.0"),
            (hessian_trace, {"method": "both"}, "method must be exact or difference, got 'both'"),
        ],
    )
    def test_of_numbers(self, measure: Callable[..., Tensor], change: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            measure(network(), random(2, 2, 5, 5), torch.tensor([0, 1]), **change)
