"""Robust correctness, its curve, probes and AutoAttack: known answers, properties, bad input."""

import copy
import logging
import math
import sys
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pellucid import randomness
from pellucid.attacks import PGD
from pellucid.errors import InputError
from pellucid.metrics import autoattack_correct, autoattack_names, masking_probe, robust_correct, robustness_curve
from pellucid.randomness import SampleDraws


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(classes: int = 3) -> nn.Sequential:
    with randomness.fork(0):
        layers = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Dropout(), nn.Tanh(), nn.Flatten(), nn.Linear(216, classes))
    return layers.double().eval()


def linear(classes: int) -> nn.Sequential:
    with randomness.fork(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).double().eval()


def radius(model: nn.Sequential, x: Tensor, norm: Literal["linf", "l2"]) -> Tensor:
    """The exact robust radius of a linear network: over the other classes, the least margin / ||w_y - w_j||_dual."""
    logits, weight = model(x).detach(), model[1].weight.detach()
    label = logits.argmax(1)
    margin = logits.gather(1, label[:, None]) - logits
    slope = (weight[label][:, None] - weight[None]).norm(p=1 if norm == "linf" else 2, dim=2)
    return (margin / slope).nan_to_num(math.inf).amin(dim=1)


def counted(model: nn.Module) -> tuple[Any, list[int]]:
    """The network as a function, and how many images each of its gradients was for."""
    sizes: list[int] = []

    def run(x: Tensor) -> Tensor:
        if x.requires_grad:
            sizes.append(len(x))
        logits: Tensor = model(x)
        return logits

    return run, sizes


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


class TestMaskingProbe:
    def test_each_probe_is_the_attack_that_it_names(self) -> None:
        model, x, draws = network(), random(40, 1, 8, 8), SampleDraws(2, tuple(range(40)))
        label, other = torch.arange(40) % 3, network().double()
        other[4].weight.data = -other[4].weight.data
        attack = PGD(eps=0.05, step_size=0.01, steps=4)

        def alone(restarts: int = 1, **change: Any) -> list[bool]:
            return robust_correct(
                model, x, label, PGD(**{"eps": 0.05, "step_size": 0.01, "steps": 4} | change),
                restarts=restarts, generator=draws,
            ).tolist()  # fmt: skip

        found = masking_probe(model, x, label, attack, restarts=3, transfer=other, generator=draws, chunk=9)
        assert list(found) == ["one_step", "many_step", "long", "restarts", "unbounded", "transfer"]
        assert found["one_step"].tolist() == alone(step_size=0.05, steps=1, random_start=False)
        assert found["many_step"].tolist() == alone()
        assert found["long"].tolist() == alone(steps=20)
        assert found["restarts"].tolist() == alone(restarts=3)
        assert not found["unbounded"].any()
        # The other network's gradients point away, so they leave right what is right.
        assert torch.equal(found["transfer"], model(x).argmax(1) == label)
        assert 0 < found["long"].sum() < found["many_step"].sum() < found["transfer"].sum() < 40

    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_the_unbounded_attack_reaches_every_image(self, norm: Literal["linf", "l2"]) -> None:
        def nearly_black(x: Tensor) -> Tensor:
            return torch.stack([x.mean((1, 2, 3)), torch.full_like(x[:, 0, 0, 0], 0.001)], dim=1)

        attack = PGD(eps=0.01, step_size=0.001, steps=1, norm=norm)
        found = masking_probe(nearly_black, torch.ones(3, 1, 9, 9), torch.tensor([0, 0, 0]), attack)
        assert found["restarts"].all() and not found["unbounded"].any()

    def test_without_a_random_start_all_restarts_are_one(self) -> None:
        model, sizes = counted(network())
        x = random(8, 1, 8, 8)
        attack = PGD(eps=0.03, step_size=0.01, steps=2, random_start=False)
        found = masking_probe(model, x, network()(x).argmax(1), attack)
        assert torch.equal(found["restarts"], found["many_step"]) and "transfer" not in found
        assert sizes == [8] * (1 + 2 + 10 + 50)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"restarts": 1}, "restarts must be at least 2, to be more than one attack, got 1"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
            ({"transfer": network().train()}, "network must be in eval mode"),
            ({"transfer": network(2), "label": torch.tensor([0, 2])}, r"classes must be in \[0, 1\]"),
            ({"x": random(2, 1, 8, 8) + 1}, r"pixels must be in \[0, 1\]"),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        attack = PGD(eps=0.1, step_size=0.05, steps=1)
        given = {"model": network(), "x": random(2, 1, 8, 8), "label": torch.tensor([0, 1]), "attack": attack}
        with pytest.raises(InputError, match=message):
            masking_probe(**(given | change))


class TestAutoAttack:
    @pytest.mark.parametrize(("norm", "eps"), [("linf", 0.03), ("l2", 0.3)])
    def test_no_weaker_than_pgd(self, norm: Literal["linf", "l2"], eps: float) -> None:
        model, x = network(4), random(20, 1, 8, 8)
        label = model(x).argmax(1)
        label[:2] = (label[:2] + 1) % 4
        found = autoattack_correct(model, x, label, eps=eps, norm=norm, attacks=["apgd-ce"], chunk=12)
        attack = PGD(eps=eps, step_size=eps / 4, steps=20, norm=norm)
        pgd = robust_correct(model, x, label, attack, generator=SampleDraws(0, tuple(range(20))))
        assert (found <= pgd).all() and found.dtype == torch.bool
        assert found.any() and not found[:2].any() and found.sum() < 18

    @pytest.mark.parametrize(
        ("classes", "norm"),
        [
            (2, "linf"),
            (3, "l2"),
            *(pytest.param(classes, norm, marks=pytest.mark.slow) for classes in (4, 6) for norm in ("linf", "l2")),
        ],
    )
    def test_radius_of_a_linear_network(self, classes: int, norm: Literal["linf", "l2"]) -> None:
        model, x = linear(classes), 0.4 + 0.2 * random(20, 1, 8, 8)
        exact = radius(model, x, norm)
        ordered = exact.sort().values
        middle = ordered[5:15]
        gap = (middle[1:] - middle[:-1]).argmax()
        eps = ((middle[gap] + middle[gap + 1]) / 2).item()
        targeted = [name for name in autoattack_names(classes) if name in ("apgd-ce", "apgd-t", "fab-t")]
        found = autoattack_correct(model, x, model(x).argmax(1), eps=eps, norm=norm, attacks=targeted)
        assert torch.equal(found, exact > eps)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("classes", "norm", "eps"), [(2, "linf", 0.03), (3, "l2", 0.3), (4, "linf", 0.03), (12, "l2", 0.3)]
    )
    def test_every_number_of_classes(self, classes: int, norm: Literal["linf", "l2"], eps: float) -> None:
        model, x = network(classes), random(12, 1, 8, 8)
        label, attack = model(x).argmax(1), PGD(eps=eps, step_size=eps / 4, steps=20, norm=norm)
        pgd = robust_correct(model, x, label, attack, generator=SampleDraws(0, tuple(range(12))))
        standard = autoattack_correct(model, x, label, eps=eps, norm=norm)
        plus = autoattack_correct(model, x, label, eps=eps, norm=norm, version="plus")
        assert (standard <= pgd).all() and (plus <= pgd).all()
        assert not standard.all()

    @pytest.mark.slow
    def test_as_the_package_itself_runs_it(self) -> None:
        from pyautoattack import AutoAttack

        model, x = network(10).float(), random(12, 1, 8, 8).float()
        label = model(x).argmax(1)
        with randomness.fork(0):
            adversary = AutoAttack(model, eps=0.02, seed=5)
            adversary.logger.setLevel(logging.CRITICAL)
            attacked, _ = adversary.run_standard_evaluation(x, label, batch_size=5)
        found = autoattack_correct(model, x, label, eps=0.02, seed=5, chunk=5)
        assert torch.equal(found, model(attacked).argmax(1) == label)
        assert 0 < found.sum() < 12

    @pytest.mark.parametrize("classes", range(2, 12))
    @pytest.mark.parametrize("version", ["standard", "plus", "rand"])
    def test_names_keep_the_package_to_what_exists(
        self, classes: int, version: Literal["standard", "plus", "rand"]
    ) -> None:
        names = autoattack_names(classes, version=version)
        assert names[0] == "apgd-ce" and len(set(names)) == len(names)
        assert ("apgd-t" in names) == (classes >= 4 and version != "rand")
        assert ("apgd-dlr" in names) == ((classes >= 3 and version != "standard") or classes == 3)

    def test_nothing_of_the_caller_changes(self, capfd: pytest.CaptureFixture[str]) -> None:
        model, x = network(4), random(6, 1, 8, 8)
        label = model(x).argmax(1).to(torch.uint8)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept = copy.deepcopy((x, label, model.state_dict()))
        state = torch.get_rng_state()
        traced: list[str] = []
        before = sys.gettrace()
        tracer = lambda frame, event, argument: traced.append(event)
        sys.settrace(tracer)
        try:
            found = autoattack_correct(model, x, label, eps=0.02, attacks=["fab-t"])
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(x, kept[0]) and torch.equal(label, kept[1])
        assert all(torch.equal(now, kept[2][name]) for name, now in model.state_dict().items())
        assert all(p.grad is not None and torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
        assert not any(module.training for module in model.modules())
        assert not found.requires_grad
        assert capfd.readouterr() == ("", "")

    def test_what_the_package_warns_of_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        probabilities = nn.Sequential(*network(4), nn.Softmax(dim=1)).eval()
        x = random(3, 1, 8, 8)
        autoattack_correct(probabilities, x, probabilities(x).argmax(1), eps=0.01, attacks=["apgd-ce"])
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert ["probability distribution" in record.message for record in told] == [True]
        assert told[0].name == "pellucid.metrics.robustness"

    def test_the_seed_decides(self) -> None:
        model, x = network(4), random(8, 1, 8, 8)
        label, seen = model(x).argmax(1), []

        def run(seed: int) -> list[Tensor]:
            starts: list[Tensor] = []

            def remember(x: Tensor) -> Tensor:
                if x.requires_grad:
                    starts.append(x.detach().clone())
                return model(x)

            with torch.inference_mode():
                autoattack_correct(remember, x, label, eps=0.02, attacks=["apgd-ce"], seed=seed)
            return starts

        seen = [run(0), run(0), run(1)]
        assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
        assert not torch.equal(seen[0][0], seen[2][0])
        assert all((start - x).abs().max() <= 0.02 + 1e-6 for start in seen[0])

    @pytest.mark.parametrize(
        ("dtype", "memory"), [(torch.float32, torch.channels_last), (torch.bfloat16, torch.contiguous_format)]
    )
    def test_any_floating_type_and_layout(self, dtype: torch.dtype, memory: torch.memory_format) -> None:
        model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(144, 4)).to(dtype, memory_format=memory)
        x = random(3, 2, 8, 8).to(dtype).contiguous(memory_format=memory)
        label = model.eval()(x).argmax(1)
        found = autoattack_correct(model, x, label, eps=0.5, norm="l2", attacks=["apgd-ce"])
        assert found.shape == (3,)
        assert autoattack_correct(model, x, label, eps=0.0, attacks=["apgd-ce"]).all()

    @pytest.mark.slow
    def test_logits_that_are_a_view_of_the_images(self) -> None:
        x = torch.tensor([[0.9, 0.1, 0.0], [0.6, 0.5, 0.1]]).view(2, 3, 1, 1)
        found = autoattack_correct(nn.Flatten().eval(), x, torch.tensor([0, 0]), eps=0.1, attacks=["apgd-ce", "square"])
        assert found.tolist() == [True, False]

    def test_nothing_is_left_to_attack(self) -> None:
        model, x = network(4), random(3, 1, 8, 8)
        assert not autoattack_correct(model, x, (model(x).argmax(1) + 1) % 4, eps=0.1).any()

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyautoattack", None)
        with pytest.raises(InputError, match=r"needs the package pyautoattack.*`pip install pellucid\[autoattack\]`"):
            autoattack_correct(network(), random(1, 1, 8, 8), torch.tensor([0]), eps=0.1)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"eps": 8.0}, r"eps must be in \[0, 1\], got 8"),
            ({"eps": math.nan}, r"eps must be in \[0, 1\], got nan"),
            ({"norm": "l1"}, "norm must be linf or l2, got 'l1'"),
            ({"version": "custom"}, "version must be standard, plus, rand, got 'custom'"),
            ({"attacks": ["pgd"]}, "attacks must be some of apgd-ce, apgd-dlr, fab-t, square, got pgd"),
            ({"attacks": ["apgd-t"]}, "attacks must be some of apgd-ce, apgd-dlr, fab-t, square, got apgd-t"),
            ({"attacks": []}, "attacks must be some of .*, got none"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
            ({"label": torch.tensor([0, 3])}, r"classes must be in \[0, 2\]"),
            ({"model": network().train()}, "network must be in eval mode"),
            ({"model": lambda x: x[:, 0, 0, :1], "label": torch.tensor([0, 0])}, "at least 2 classes, got 1"),
            (
                {"model": lambda x: x[:, 0, 0, :3], "x": random(2, 1, 12, 12), "norm": "l2"},
                "l2 square attack fails on images of 12 x 12 pixels; leave it out of attacks",
            ),
            (
                {"model": lambda x: x[:, 0, 0, :3], "x": random(2, 1, 4, 8), "norm": "l2"},
                "l2 square attack fails on images of 4 x 8 pixels",
            ),
        ],
    )
    def test_one_sentence(self, change: dict[str, Any], message: str) -> None:
        given = {"model": network(), "x": random(2, 1, 8, 8), "label": torch.tensor([0, 1]), "eps": 0.1}
        with pytest.raises(InputError, match=message):
            autoattack_correct(**(given | change))
