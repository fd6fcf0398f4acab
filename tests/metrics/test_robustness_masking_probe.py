"""The attacks that are held against the attack: which one each is, how far it goes, what it costs, bad input."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from pellucid.attacks import PGD
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import masking_probe, robust_correct

from .conftest import counted, random, robustness_network as network


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
