"""Robust correctness and its curve: known answers, properties, bad input."""

import copy
import math
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torch.nn import functional

from pellucid.attacks import PGD, fgsm
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import checked_robustness, masking_warnings, robust_correct, robustness_curve
from pellucid.metrics.attacked import margin

from .conftest import counted, linear, radius, random, robustness_network as network


def threshold(x: Tensor) -> Tensor:
    """Class 0 where the mean pixel is above a half: a linear network whose margin is known."""
    brightness = x.mean((1, 2, 3))
    return torch.stack([10 * brightness, torch.full_like(brightness, 5)], dim=1)


def grey(*levels: float) -> Tensor:
    return torch.tensor(levels, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


class TestKnownAnswers:
    def test_margin_of_a_linear_network(self) -> None:
        x = grey(0.95, 0.62, 0.58, 0.51, 0.49, 0.05)
        attack = PGD(eps=0.1, step_size=0.05, steps=10)
        label = torch.zeros(6, dtype=torch.int64)
        assert robust_correct(threshold, x, label, attack).tolist() == [True, True, False, False, False, False]
        assert robust_correct(threshold, x, label + 1, attack).tolist() == [False] * 5 + [True]

    def test_without_strength_it_is_clean_correctness(self) -> None:
        model, x = network(), random(20, 1, 8, 8)
        label = torch.arange(20) % 3
        clean = model(x).argmax(1) == label
        assert 0 < clean.sum() < 20
        none = PGD(eps=0.0, step_size=0.0, steps=2)
        assert torch.equal(robust_correct(model, x, label, none), clean)

    def test_every_restart_must_fail_and_the_clean_image_counts(self) -> None:
        answers = iter([grey(0.9, 0.1, 0.9, 0.9), grey(0.9, 0.9, 0.1, 0.9)])
        attack = lambda objective, x, *, generator: next(answers)
        x = grey(0.9, 0.9, 0.9, 0.1)
        correct = robust_correct(threshold, x, torch.zeros(4, dtype=torch.int64), attack, restarts=2)
        assert correct.tolist() == [True, False, False, False]
        assert correct.dtype == torch.bool

    def test_the_objective_is_the_cross_entropy_of_each_sample(self) -> None:
        model, x, label = network(), random(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
        values: list[Tensor] = []

        def attack(objective: Any, x: Tensor, *, generator: randomness.Generator) -> Tensor:
            values.append(objective(x))
            return x

        robust_correct(model, x, label, attack)
        expected = torch.stack([-model(one[None])[0].log_softmax(0)[t] for one, t in zip(x, label, strict=True)])
        torch.testing.assert_close(values[0], expected)

    def test_each_restart_starts_elsewhere(self) -> None:
        seen: list[Tensor] = []

        def attack(objective: Any, x: Tensor, *, generator: randomness.Generator) -> Tensor:
            seen.append(randomness.uniform(x.shape, generator).double())
            return seen[-1]

        for generator in (SampleDraws(0, (0, 1)), torch.Generator().manual_seed(0), None):
            seen.clear()
            robust_correct(network(), random(2, 1, 8, 8), torch.tensor([0, 1]), attack, restarts=2, generator=generator)
            assert not torch.equal(seen[0], seen[1])


class TestProperties:
    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(6)), count=st.integers(1, 6))
    def test_batch_mates_never_matter(self, order: list[int], count: int) -> None:
        model, x = network(), random(6, 1, 8, 8)
        label, index = model(x).argmax(1), (5, 80, 1, 7, 0, 12)
        attack = PGD(eps=0.02, step_size=0.01, steps=3)
        everyone = robust_correct(model, x, label, attack, generator=SampleDraws(0, index))
        chosen = order[:count]
        some = robust_correct(
            model, x[chosen], label[chosen], attack, generator=SampleDraws(0, tuple(index[i] for i in chosen))
        )
        assert torch.equal(some, everyone[chosen])

    def test_restarts_never_help_the_network(self) -> None:
        model, x = network(), random(60, 1, 8, 8)
        label, draws = model(x).argmax(1), SampleDraws(0, tuple(range(60)))
        attack = PGD(eps=0.1, step_size=0.1, steps=0)
        correct = [robust_correct(model, x, label, attack, restarts=r, generator=draws) for r in (1, 3, 9)]
        assert (correct[0] >= correct[1]).all()
        assert (correct[1] >= correct[2]).all()
        assert correct[0].sum() > correct[2].sum()

    def test_accuracy_falls_to_nothing_as_eps_grows(self) -> None:
        model, x = network(), random(40, 1, 8, 8)
        label = model(x).argmax(1)
        share = [
            robust_correct(model, x, label, PGD(eps=eps, step_size=eps / 4, steps=20)).double().mean().item()
            for eps in (0.0, 0.01, 0.03, 0.5)
        ]
        assert share[0] == 1
        assert share == sorted(share, reverse=True)
        assert share[-1] < 0.05

    @pytest.mark.parametrize("label", [torch.int64, torch.int32, torch.uint8])
    def test_nothing_of_the_caller_changes(self, label: torch.dtype) -> None:
        model, x, t = network(), random(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1], dtype=label)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept = copy.deepcopy((x, t, model.state_dict()))
        correct = robust_correct(model, x, t, PGD(eps=0.1, step_size=0.05, steps=3))
        assert not correct.requires_grad
        assert torch.equal(x, kept[0])
        assert torch.equal(t, kept[1])
        assert all(torch.equal(now, kept[2][name]) for name, now in model.state_dict().items())
        assert all(p.grad is not None and torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
        assert not any(module.training for module in model.modules())


def masked(kind: str) -> tuple[Any, Tensor, Tensor]:
    """A network whose gradients lead an attack nowhere, images, and what it calls them."""
    model, x = network(), random(12, 1, 8, 8)
    forms: dict[str, Any] = {
        "logits far apart": lambda x: 1e6 * model(x),
        "single precision": lambda x: (1e4 * model(x)).float().double(),
        "probabilities": lambda x: (1e6 * model(x)).softmax(1),
        "rounded images": lambda x: model((8 * x).round() / 8),
        "detached": lambda x: model(x.detach()) + 0 * x.sum(),
    }
    with torch.no_grad():
        return forms[kind], x, model(x).argmax(1)


MASKED = ["logits far apart", "single precision", "probabilities", "rounded images", "detached"]


class TestChecks:
    attack = PGD(eps=0.1, step_size=0.025, steps=8)

    def test_of_an_honest_network(self) -> None:
        model, x = network(), random(20, 1, 8, 8)
        label, draws = torch.arange(20) % 3, SampleDraws(0, tuple(range(20)))
        for restarts in (1, 2):
            found = checked_robustness(model, x, label, self.attack, restarts=restarts, generator=draws)
            alone = robust_correct(model, x, label, self.attack, restarts=restarts, generator=draws)
            assert torch.equal(found["robust_correct"], alone) and torch.equal(found["robust_margin"], alone)
            assert found["robust_gradient"].tolist() == [1.0] * 20
            single = robust_correct(model, x, label, fgsm(eps=0.1, random_start=False))
            assert torch.equal(found["robust_one_step"] == 1, single)

    @pytest.mark.parametrize("kind", MASKED)
    def test_images_without_a_gradient_are_found_and_told(self, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        tell.cache_clear()
        model, x, label = masked(kind)
        start = PGD(eps=0.05, step_size=0.01, steps=4, random_start=False)
        found = checked_robustness(model, x, label, start)
        stayed = found["robust_correct"]
        assert stayed.any() and found["robust_gradient"][stayed].tolist() == [0.0] * int(stayed.sum())
        assert not capsys.readouterr().err.count("no gradient")
        robust_correct(model, x, label, start)
        robustness_curve(model, x, label, start, eps=(0.05, 0.1))
        assert capsys.readouterr().err.count("an attack found no gradient on images that stay right") == 1

    @pytest.mark.parametrize("kind", ["logits far apart", "single precision"])
    def test_the_margin_has_a_gradient_where_probabilities_have_none(self, kind: str) -> None:
        (model, x, label), honest = masked(kind), network()
        draws = SampleDraws(0, tuple(range(12)))
        found = checked_robustness(model, x, label, self.attack, generator=draws)
        truly = robust_correct(honest, x, label, self.attack, generator=draws)
        assert found["robust_correct"].sum() > truly.sum() + 3
        assert found["robust_margin"].sum() <= truly.sum() + 1
        columns = {name: values.double().numpy() for name, values in found.items()}
        first, *_ = masking_warnings(columns, chance=0.34)
        assert first.startswith("The attack had no gradient to follow on ")

    def test_batch_mates_never_matter(self) -> None:
        model, x, label = masked("logits far apart")
        whole = checked_robustness(model, x, label, self.attack, generator=SampleDraws(0, tuple(range(12))))
        for i in range(0, 12, 5):
            alone = checked_robustness(model, x[[i]], label[[i]], self.attack, generator=SampleDraws(0, (i,)))
            assert all(torch.equal(alone[name], whole[name][[i]]) for name in whole)

    def test_an_attack_that_asks_for_no_gradient_is_not_judged(self) -> None:
        darken = lambda objective, x, *, generator: (x - 0.2).clamp(0, 1)
        found = checked_robustness(threshold, grey(0.9, 0.6, 0.1), torch.zeros(3, dtype=torch.int64), darken)
        assert found["robust_correct"].tolist() == [True, False, False]
        assert found["robust_gradient"].isnan().all() and found["robust_one_step"].isnan().all()

    def test_the_margin_is_above_0_where_another_class_is_predicted(self) -> None:
        logits, label = random(50, 4) - 0.5, torch.arange(50) % 4
        assert torch.equal(margin(logits, label) > 0, logits.argmax(1) != label)
        top = logits.topk(2, dim=1).values
        torch.testing.assert_close(margin(logits, logits.argmax(1)), top[:, 1] - top[:, 0])


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"restarts": 0}, "restarts must be at least 1, got 0"),
            ({"label": torch.tensor([0, 3])}, r"classes must be in \[0, 2\], got values from 0 to 3"),
            ({"label": torch.tensor([0.0, 1.0])}, "classes must be 2 whole numbers.*got torch.float32"),
            ({"x": random(2, 1, 8, 8) + 0.5}, r"pixels must be in \[0, 1\], got values from .* to 1.4"),
            ({"model": network().train()}, "network must be in eval mode"),
            ({"model": lambda x: x.flatten(1) * math.nan}, "logits must be finite, got nan"),
            ({"attack": lambda objective, x, *, generator: x + 1}, r"pixels must be in \[0, 1\], got values from 1"),
            ({"attack": lambda objective, x, *, generator: x[:1]}, r"attack must return images \(2, 1, 8, 8\), got"),
            (
                {"attack": lambda objective, x, *, generator: functional.pad(x, (1, 1))},
                r"attack must return images \(2, 1, 8, 8\), got \(2, 1, 8, 10\)",
            ),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        attack = PGD(eps=0.1, step_size=0.05, steps=1)
        given = {"model": network(), "x": random(2, 1, 8, 8), "label": torch.tensor([0, 1]), "attack": attack}
        with pytest.raises(InputError, match=message):
            robust_correct(**(given | change))


class TestCurve:
    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_radius_of_a_linear_network(self, norm: Literal["linf", "l2"]) -> None:
        # Pixels in the middle of [0, 1], so that no bound helps the network.
        model, x = linear(2), 0.4 + 0.2 * random(300, 1, 8, 8)
        exact = radius(model, x, norm)
        eps = [0.0, *exact.quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist()]
        # Four steps of a quarter reach the boundary at every radius only if the step size grows with it.
        attack = PGD(eps=0.3, step_size=0.3 / 4, steps=4, norm=norm, random_start=False)
        found = robustness_curve(model, x, model(x).argmax(1), attack, eps=eps)
        sure = (exact[:, None] - torch.tensor(eps)).abs() > 1e-6
        assert sure.double().mean() > 0.99
        assert torch.equal(found[sure], (exact[:, None] > torch.tensor(eps))[sure])
        assert found.double().mean(0).tolist() == pytest.approx([1, 0.8, 0.5, 0.2], abs=0.01)

    def test_one_radius_is_robust_correct(self) -> None:
        model, x, draws = network(), random(30, 1, 8, 8), SampleDraws(3, tuple(range(30)))
        label, attack = torch.arange(30) % 3, PGD(eps=0.05, step_size=0.02, steps=4)
        curve = robustness_curve(model, x, label, attack, eps=[0.05], restarts=3, generator=draws, chunk=7)
        correct = robust_correct(model, x, label, attack, restarts=3, generator=draws)
        assert curve.shape == (30, 1) and curve.dtype == torch.bool
        assert torch.equal(curve[:, 0], correct)
        assert 0 < correct.sum() < (model(x).argmax(1) == label).sum()

    def test_what_is_lost_stays_lost(self) -> None:
        # Bright pixels win class 0 back: the attack of the larger radius alone fails where the smaller succeeds.
        def valley(x: Tensor) -> Tensor:
            away = (x.mean((1, 2, 3)) - 0.5).abs()
            return torch.stack([torch.where(away < 0.15, 0.1 - away, 10 * away), 0 * away], dim=1)

        x, label = grey(0.5, 0.5), torch.tensor([0, 0])
        up = PGD(eps=0.12, step_size=0.12, steps=1, random_start=False)
        x[0] += 1e-3
        x[1] -= 1e-3
        assert robust_correct(valley, x, label, up).tolist() == [False, False]
        assert robust_correct(valley, x, label, PGD(eps=0.3, step_size=0.3, steps=1, random_start=False)).all()
        assert robustness_curve(valley, x, label, up, eps=[0.05, 0.12, 0.3]).tolist() == [[True, False, False]] * 2

    def test_only_what_is_left_is_attacked(self) -> None:
        net, x = network(), random(60, 1, 8, 8)
        label = net(x).argmax(1)
        label[:10] = (label[:10] + 1) % 3
        model, sizes = counted(net)
        draws = SampleDraws(0, tuple(range(60)))
        attack = PGD(eps=0.05, step_size=0.05, steps=1)
        curve = robustness_curve(model, x, label, attack, eps=[0.02, 0.04], restarts=2, generator=draws)
        first = robust_correct(net, x, label, PGD(eps=0.02, step_size=0.02, steps=1), generator=draws).sum().item()
        assert sizes[:3] == [50, first, curve[:, 0].sum().item()]
        assert 50 > sizes[1] >= sizes[2] >= sizes[3] > 0 and len(sizes) == 4

    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(6)), count=st.integers(1, 6), chunk=st.integers(1, 8))
    def test_batch_mates_never_matter_and_it_never_rises(self, order: list[int], count: int, chunk: int) -> None:
        model, x, index = network(), random(6, 1, 8, 8), (5, 80, 1, 7, 0, 12)
        label, eps = model(x).argmax(1), (0.01, 0.02, 0.04, 0.1)
        attack = PGD(eps=0.02, step_size=0.01, steps=3)
        everyone = robustness_curve(
            model, x, label, attack, eps=eps, restarts=2, generator=SampleDraws(0, index), chunk=256
        )
        assert (everyone[:, 1:] <= everyone[:, :-1]).all() and everyone.any() and not everyone.all()
        chosen = order[:count]
        draws = SampleDraws(0, tuple(index[i] for i in chosen))
        some = robustness_curve(
            model, x[chosen], label[chosen], attack, eps=eps, restarts=2, generator=draws, chunk=chunk
        )
        assert torch.equal(some, everyone[chosen])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"eps": []}, r"eps must hold rising radii, at least one, got \[\]"),
            ({"eps": [0.2, 0.1]}, r"eps must hold rising radii, at least one, got \[0.2, 0.1\]"),
            ({"eps": [0.1, 0.1]}, "eps must hold rising radii"),
            ({"eps": [-0.1, 0.1]}, r"eps must be in \[0, 1\], got -0.1"),
            ({"eps": [0.1, 8]}, r"eps must be in \[0, 1\], got 8"),
            ({"eps": [math.nan]}, r"eps must be in \[0, 1\], got nan"),
            ({"restarts": 0}, "restarts must be at least 1, got 0"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
            ({"attack": PGD(eps=0, step_size=0, steps=1)}, "the attack's own eps must be above 0"),
            ({"label": torch.tensor([0, 3])}, r"classes must be in \[0, 2\]"),
            ({"model": network().train()}, "network must be in eval mode"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        attack = PGD(eps=0.1, step_size=0.05, steps=1)
        given = {"model": network(), "x": random(2, 1, 8, 8), "label": torch.tensor([0, 1]), "attack": attack}
        with pytest.raises(InputError, match=message):
            robustness_curve(**({**given, "eps": [0.1]} | change))
