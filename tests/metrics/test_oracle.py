"""What each region is worth, and curves divided by those of its order: identities, a numpy reference, two fills."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from pellucid import Evaluation
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import (
    COLUMNS,
    DERIVED,
    Case,
    PerturbationCurves,
    oracle_map,
    perturbation_curves,
    region_losses,
)
from pellucid.metrics.measure import measured
from pellucid.metrics.metric import Metric
from pellucid.metrics.suite import check_twice, select

from .conftest import faithfulness_network as network, faithfulness_setting as setting, logit_of, random

ALL = ("morf", "lerf", "random", "oracle")
FURTHER = ("abs_lerf", "oracle_gap", "morf_gain", "oracle_gain")
QUICK: dict[str, Any] = {"fraction": 0.5, "steps": 4, "repeats": 2, "region": 2, "oracle_repeats": 2}


def weights(side: int = 6) -> Tensor:
    """Of every pixel, no two alike."""
    return torch.randperm(side * side, generator=torch.Generator().manual_seed(0)).double().view(side, side) + 1


def additive(x: Tensor) -> Tensor:
    """The probability of class 0 is the weighted sum of the pixels."""
    weight = weights(x.shape[-1])
    return logit_of(lambda image: (image[:, 0] * weight / weight.sum()).sum((1, 2)).clamp(1e-9, 1 - 1e-9))(x)


def halves(n: int = 3) -> Tensor:
    """Images of which each replaced region loses: their mean is below every pixel that has weight."""
    x = torch.zeros(n, 1, 6, 12).double()
    x[..., :6] = 0.9
    return x


def left(x: Tensor) -> Tensor:
    return additive(x[..., :6])


class TestRegions:
    def test_an_additive_network_is_ordered_exactly(self) -> None:
        x, target = halves(), torch.zeros(3, dtype=torch.int64)
        losses = region_losses(left, x, target, region=1, fill="mean")
        expected = weights() / weights().sum() * (0.9 - 0.45)
        torch.testing.assert_close(losses[..., :6], expected.expand(3, 6, 6))
        assert losses[..., 6:].abs().max() < 1e-12
        order = losses[0, :, :6].flatten().argsort()
        assert torch.equal(order, weights().flatten().argsort())

    def test_nothing_is_worth_anything_to_a_network_that_ignores_the_image(self) -> None:
        x, target, _ = setting()
        constant = torch.linspace(-1, 2, 5, dtype=torch.float64)
        losses = region_losses(lambda x: constant.expand(len(x), 5), x, target)
        assert torch.equal(losses, torch.zeros(4, 12, 12).double())

    @settings(max_examples=15, deadline=None)
    @given(
        n=st.integers(1, 3), h=st.integers(3, 7), w=st.integers(3, 7), region=st.integers(1, 4),
        repeats=st.integers(1, 3), chunk=st.integers(1, 30), fill=st.sampled_from(["uniform", "mean"]),
        seed=st.integers(0, 99),
    )  # fmt: skip
    def test_one_region_at_a_time(
        self, n: int, h: int, w: int, region: int, repeats: int, chunk: int, fill: Any, seed: int
    ) -> None:
        x, target, _ = setting(n, 2, h, w, seed)
        draws = SampleDraws(seed, tuple(range(n)))
        model = network(seed, 2)
        options: dict[str, Any] = {"region": region, "fill": fill, "repeats": repeats, "chunk": chunk}
        found = region_losses(model, x, target, **options, generator=draws).numpy()

        def probability(image: np.ndarray, label: int) -> float:
            with torch.no_grad():
                logits = model(torch.from_numpy(image)[None])[0].numpy()
            return float(np.exp(logits - logits.max())[label] / np.exp(logits - logits.max()).sum())

        noise = [draws.of("oracle").of(f"perturbation/{r}").uniform(x.shape).double().numpy() for r in range(repeats)]
        for i in range(n):
            image, label = x[i].numpy(), int(target[i])
            sources = (
                [one[i] for one in noise]
                if fill == "uniform"
                else [np.ones((2, h, w)) * image.mean((1, 2))[:, None, None]]
            )
            for top in range(0, h, region):
                for at in range(0, w, region):
                    square = np.s_[top : top + region, at : at + region]
                    lost = []
                    for source in sources:
                        changed = image.copy()
                        changed[(slice(None), *square)] = source[(slice(None), *square)]
                        lost.append(probability(image, label) - probability(changed, label))
                    np.testing.assert_allclose(found[i][square], np.mean(lost), atol=1e-9)

    def test_chunk_and_batch_mates_change_nothing(self) -> None:
        x, target, _ = setting(5)
        losses = [
            region_losses(network(), x, target, region=3, generator=SampleDraws(1, (4, 9, 2, 7, 7)), chunk=chunk)
            for chunk in (1, 4, 100)
        ]
        torch.testing.assert_close(losses[1], losses[0], atol=1e-12, rtol=0)
        torch.testing.assert_close(losses[2], losses[0], atol=1e-12, rtol=0)
        alone = region_losses(network(), x[1:2], target[1:2], region=3, generator=SampleDraws(1, (9,)))
        torch.testing.assert_close(alone, losses[0][1:2], atol=1e-12, rtol=0)

    def test_linear_imputation_of_a_region_in_a_flat_image_changes_only_noise(self) -> None:
        x, target = torch.full((1, 1, 8, 8), 0.5).double(), torch.tensor([0])
        losses = region_losses(logit_of(lambda x: x.mean((1, 2, 3))), x, target, region=2, fill="linear", repeats=1)
        assert 0 < losses.abs().max() < 0.01

    def test_the_oracle_map_is_a_heatmap_in_the_same_order(self) -> None:
        x, target, _ = setting()
        draws = SampleDraws(0, (0, 1, 2, 3))
        losses = region_losses(network(), x, target, region=2, generator=draws)
        best = oracle_map(network(), x, target, region=2, generator=draws)
        assert best.amin() == 0 and (best.amin((1, 2)) == 0).all()
        torch.testing.assert_close(best - best[:, :1, :1], losses - losses[:, :1, :1])

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"repeats": 0}, "repeats must be at least 1, got 0"),
            ({"region": 0}, "region must be at least 1, got 0"),
            ({"fill": "black"}, "fill must be one of uniform, mean, blur, linear, got 'black'"),
        ],
    )
    def test_bad_input(self, change: dict[str, Any], sentence: str) -> None:
        x, target, _ = setting()
        with pytest.raises(InputError) as caught:
            region_losses(network(), x, target, **change)
        assert str(caught.value) == sentence


def case(n: int = 4, heatmap: Tensor | None = None, seed: int = 0, **changes: Any) -> Case:
    x, target, other = setting(n, seed=seed)
    given: dict[str, Any] = {
        "model": network(), "x": x, "label": target, "explained": target, "index": torch.arange(n),
        "given": other if heatmap is None else heatmap,
    }  # fmt: skip
    return Case(**given | changes)


def ratio(values: dict[str, Tensor], name: str) -> float:
    above, below = DERIVED[name].of
    return (values[above].mean() / values[below].mean()).item()


class TestNormalised:
    @pytest.mark.parametrize("fill", ["uniform", "mean"])
    def test_a_map_equal_to_the_oracle_has_1(self, fill: Any) -> None:
        metric = PerturbationCurves(orders=ALL, between=True, further=FURTHER, fill=fill, **QUICK)
        seen = case()
        best = oracle_map(
            seen.model, seen.x, seen.target, region=2, fill=fill, repeats=2, generator=seen.draws, chunk=seen.chunk
        )
        values = measured(metric, case(heatmap=best))
        assert torch.equal(values["area_between"], values["oracle_gap"])
        assert ratio(values, "faithfulness_normalised") == ratio(values, "morf_normalised") == 1
        assert torch.equal(values["oracle_curve"], values["morf_curve"])

    def test_a_random_map_has_about_0_and_the_reverse_of_the_oracle_less(self) -> None:
        n = 400
        x, target = halves(1).expand(n, -1, -1, -1).contiguous(), torch.zeros(n, dtype=torch.int64)
        given: dict[str, Any] = {"model": left, "x": x, "explained": target, "index": torch.arange(n)}
        metric = PerturbationCurves(
            orders=ALL, between=True, further=FURTHER, fill="mean", fraction=0.5, steps=4, region=2
        )
        values = measured(metric, Case(**given, given=random(n, 6, 12)))
        assert abs(ratio(values, "faithfulness_normalised")) < 0.1
        assert abs(ratio(values, "morf_normalised")) < 0.1
        assert ratio(values, "morf_over_random") == pytest.approx(1, abs=0.1)
        assert ratio(values, "lerf_over_random") == pytest.approx(1, abs=0.1)
        best = oracle_map(left, x[:1], target[:1], region=2, fill="mean")
        values = measured(metric, Case(**given, given=(best.amax() - best).expand(n, -1, -1)))
        assert ratio(values, "faithfulness_normalised") == pytest.approx(-1)

    def test_no_order_beats_the_oracle_of_an_additive_network(self) -> None:
        x, target = halves(200), torch.zeros(200, dtype=torch.int64)
        options: dict[str, Any] = {"fraction": 0.5, "steps": 4, "region": 2, "fill": "mean"}
        best = perturbation_curves(left, x, target, oracle_map(left, x, target, region=2, fill="mean"), **options)
        other = perturbation_curves(left, x, target, random(200, 6, 12), **options)
        assert (best["morf"] >= other["morf"] - 1e-12).all() and (best["lerf"] <= other["lerf"] + 1e-12).all()

    def test_further_numbers_are_made_of_the_curves(self) -> None:
        values = measured(PerturbationCurves(orders=ALL, between=True, further=FURTHER, **QUICK), case())
        assert torch.equal(values["abs_lerf"], values["aopc_lerf"].abs())
        assert torch.equal(values["morf_gain"], values["aopc_morf"] - values["aopc_random"])
        assert torch.equal(values["oracle_gain"], values["aopc_oracle"] - values["aopc_random"])
        torch.testing.assert_close(values["aopc_oracle"], values["oracle_curve"].mean(1))

    def test_the_curves_that_were_there_are_the_same_to_the_last_bit(self) -> None:
        before = measured(PerturbationCurves(**QUICK), case())
        beside = measured(PerturbationCurves(orders=ALL, between=True, further=FURTHER, **QUICK), case())
        assert all(torch.equal(value, beside[name]) for name, value in before.items())


class TestChoice:
    def test_what_is_asked_for_alone_is_measured(self) -> None:
        (metric,) = select(["faithfulness_normalised"])
        assert set(metric.columns) >= {"area_between", "oracle_gap"} and "aopc_random" not in metric.columns
        (metric,) = select(["abs_lerf"])
        assert set(metric.columns) == {"aopc_lerf", "lerf_curve", "abs_lerf"}
        (metric,) = select(["oracle_gap"])
        assert set(metric.columns) == {"aopc_oracle", "oracle_curve", "oracle_gap"}

    def test_two_fills_stand_in_one_evaluation(self) -> None:
        evaluation = Evaluation(metrics=("aopc_morf", "faithfulness_normalised_mean"), steps=7)
        one, other = evaluation.chosen()
        assert isinstance(one, PerturbationCurves) and isinstance(other, PerturbationCurves)
        assert (one.fill, other.fill, one.steps, other.steps) == ("uniform", "mean", 7, 7)
        blurred = Evaluation(metrics=evaluation.metrics, fill="blur").chosen()
        assert [metric.settings("aopc_morf")["fill"] for metric in blurred] == ["blur", "mean"]
        found = [measured(metric, case()) for metric in (one, other)]
        alone = measured(PerturbationCurves(fill="mean", steps=7, orders=("morf",)), case())
        assert torch.equal(found[1]["aopc_morf_mean"], alone["aopc_morf"])

    def test_a_suffix_of_ones_own_has_names_and_words_of_its_own(self) -> None:
        metric: Metric = PerturbationCurves(fill="blur", suffix="blur", further=("abs_lerf",))
        check_twice(select(["aopc_morf", metric]))
        assert list(metric.columns) == [
            "aopc_morf_blur", "aopc_lerf_blur", "abs_lerf_blur", "morf_curve_blur", "lerf_curve_blur",
        ]  # fmt: skip
        column = metric.columns["aopc_morf_blur"]
        assert column.title == "MoRF, blur fill" and "with regions replaced by the blurred image." in column.definition
        assert metric.aggregates["faithfulness_normalised_blur"].of == ("area_between_blur", "oracle_gap_blur")
        assert metric.only(["abs_lerf_blur"]).columns.keys() == {"aopc_lerf_blur", "lerf_curve_blur", "abs_lerf_blur"}
        with pytest.raises(InputError, match="suffix must be of letters, digits and underscores, got 'a b'"):
            PerturbationCurves(suffix="a b")

    def test_columns_of_both_fills_are_of_one_question(self) -> None:
        for name in ("aopc_morf", "abs_lerf", "oracle_gap"):
            assert COLUMNS[f"{name}_mean"].question == COLUMNS[name].question
            assert COLUMNS[f"{name}_mean"].family == COLUMNS[name].family
