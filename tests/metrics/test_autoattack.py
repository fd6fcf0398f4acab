"""AutoAttack: PGD, exact radii and the package itself, its names, side effects, bad input."""

import copy
import logging
import math
import sys
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import autoattack_correct, autoattack_names, robust_correct

from .conftest import linear, radius, random, robustness_network as network


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
        assert told[0].name == "pellucid.metrics.autoattack"

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
            ({"version": "custom"}, "version must be one of standard, plus, rand, got 'custom'"),
            ({"attacks": ["pgd"]}, "attacks must be some of apgd-ce, apgd-dlr, fab-t, square, got pgd"),
            ({"attacks": ["apgd-t"]}, "attacks must be some of apgd-ce, apgd-dlr, fab-t, square, got apgd-t"),
            ({"attacks": []}, "attacks must be some of .*, got none"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
            ({"label": torch.tensor([0, 3])}, r"classes must be in \[0, 2\]"),
            ({"model": network().train()}, "network must be in eval mode"),
            ({"model": lambda x: x[:, 0, 0, :1], "label": torch.tensor([0, 0])}, "got one number for each image"),
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
