"""ROAD, insertion and deletion: identities and limits, loops over images, properties, bad input."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.metrics import area_under, blurred, insertion_deletion, linear_imputation, perturbation_curves, road

from .conftest import random


def network(seed: int = 0, channels: int = 3) -> nn.Sequential:
    with randomness.fork(seed):
        layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(), nn.Linear(32, 5),
        )  # fmt: skip
    for parameter in layers.parameters():
        parameter.data *= 3
    return layers.double().eval()


def setting(n: int = 4, c: int = 3, h: int = 10, w: int = 11, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images, the classes that an untrained network predicts, maps."""
    x = random(n, c, h, w, seed=seed)
    with torch.no_grad():
        target = network(seed, c)(x).argmax(1)
    return x, target, random(n, h, w, seed=seed + 1)


def fair(draws: tuple[int, ...] = (0, 1, 2, 3)) -> SampleDraws:
    return SampleDraws(0, draws)


def brightness(place: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """Two classes, the first of which has the brightness of one pixel as its probability."""

    def logits(x: Tensor) -> Tensor:
        value = x[:, 0, *place].clamp(1e-6, 1 - 1e-6)
        return torch.stack([value.log(), (1 - value).log()], dim=1)

    return logits


SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
ZEROS = torch.zeros(6, dtype=torch.int64)


class TestRoad:
    def test_shape_and_values(self) -> None:
        x, target, heatmap = setting()
        kept = road(network(), x, target, heatmap, generator=fair())
        assert list(kept) == ["morf", "lerf"]
        for value in kept.values():
            assert value.shape == (4, 9)
            assert value.dtype == torch.float64
            assert set(value.unique().tolist()) <= {0.0, 1.0}

    def test_nothing_removed_is_the_prediction(self) -> None:
        x, target, heatmap = setting(6)
        wrong = (target + 1) % 5
        for classes, expected in ((target, 1), (wrong, 0)):
            kept = road(network(), x, classes, heatmap, shares=(0, 0.001), orders=("morf", "lerf", "random"))
            assert all((value == expected).all() for value in kept.values())

    def test_everything_removed_does_not_depend_on_the_map(self) -> None:
        x, target, heatmap = setting(6)
        mean = x.mean((2, 3), keepdim=True).expand_as(x)
        with torch.no_grad():
            expected = (network()(mean).argmax(1) == target).double()
        for value in road(network(), x, target, heatmap, shares=(1,), noise=0).values():
            assert torch.equal(value[:, 0], expected)

    def test_only_the_relevant_pixel_counts(self) -> None:
        # Bright where the map points, dark around it: gone with that pixel, whatever else is.
        x = torch.full((6, 1, 10, 10), 0.1).double()
        x[:, 0, 4, 7] = 0.9
        kept = road(brightness((4, 7)), x, ZEROS, x[:, 0], shares=(0.01, 0.5, 0.99))
        assert (kept["morf"] == 0).all()
        assert (kept["lerf"] == 1).all()

    def test_a_flat_map_removes_in_reading_order(self) -> None:
        seen: list[Tensor] = []
        record = lambda image: (seen.append(image.clone()), torch.zeros(len(image), 2))[1]
        x = random(1, 1, 3, 4)
        kept = road(record, x, ZEROS[:1], torch.zeros(1, 3, 4), shares=(0.29, 0.5), noise=0.1)
        changed = (seen[1] != x).flatten(1).int().tolist()
        assert changed == [[1] * 3 + [0] * 9, [1] * 6 + [0] * 6]
        assert torch.equal(kept["morf"], kept["lerf"])

    def test_shares_that_are_no_binary_fractions(self) -> None:
        # 0.29 · 100 is 28.999… in floating point.
        seen: list[Tensor] = []
        record = lambda image: (seen.append(image.clone()), torch.zeros(len(image), 2))[1]
        x, shares = random(1, 1, 10, 10), [k / 100 for k in range(100)]
        road(record, x, ZEROS[:1], random(1, 10, 10), shares=shares, orders=("lerf",), noise=0.1)
        assert (seen[1] != x).sum((1, 2, 3)).tolist() == list(range(100))

    def test_noise_is_on_removed_pixels_and_the_same_everywhere(self) -> None:
        seen: list[Tensor] = []
        record = lambda image: (seen.append(image.clone()), torch.zeros(len(image), 2))[1]
        x, draws = torch.full((2, 3, 20, 20), 0.5).double(), SampleDraws(1, (4, 5))
        road(record, x, ZEROS[:2], random(2, 20, 20), shares=(0.5, 0.9), noise=0.03, generator=draws)
        noise = 0.03 * draws.of("road").normal(x.shape).double()
        for changed in seen[1].view(2, 2, 3, 20, 20), seen[2].view(2, 2, 3, 20, 20):
            for step, share in enumerate((0.5, 0.9)):
                off = changed[:, step] - 0.5
                gone = off != 0
                assert gone.sum((2, 3)).tolist() == [[400 * share] * 3] * 2
                torch.testing.assert_close(off[gone], noise[gone], atol=1e-9, rtol=0)

    @settings(max_examples=25, deadline=None)
    @given(
        n=st.integers(1, 4), c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9),
        levels=st.sampled_from([1, 3, 1000]), chunk=st.integers(1, 30), seed=st.integers(0, 1000),
    )  # fmt: skip
    def test_random_settings(self, n: int, c: int, h: int, w: int, levels: int, chunk: int, seed: int) -> None:
        """As ROAD's and Quantus's code: one image and share at a time, the first pixels of a sorted list imputed."""
        x, target, heatmap = setting(n, c, h, w, seed)
        heatmap = (heatmap * levels).floor()
        model, draws = network(seed, c), SampleDraws(seed, tuple(range(n)))
        kept = road(model, x, target, heatmap, shares=SHARES, noise=0.2, chunk=chunk, generator=draws)
        noise = 0.2 * draws.of("road").normal(x.shape).double()
        for order, value in kept.items():
            images, masks = [], []
            for i in range(n):
                relevance = heatmap[i].flatten().tolist()
                sign = -1 if order == "morf" else 1
                first = sorted(range(h * w), key=lambda k, r=relevance, s=sign: (s * r[k], k))
                for share in SHARES:
                    removed = torch.zeros(h * w, dtype=torch.bool)
                    removed[first[: int(h * w * share)]] = True
                    images.append(i)
                    masks.append(removed.view(1, h, w))
            mask = torch.stack(masks)
            filled = linear_imputation(x[images], mask) + mask * noise[images]
            with torch.no_grad():
                expected = model(filled).argmax(1) == target[images]
            assert torch.equal(value, expected.double().view(n, len(SHARES)))

    def test_the_random_order_is_that_of_the_curves(self) -> None:
        seen: list[Tensor] = []
        record = lambda image: (seen.append((image != x).any(1)), torch.zeros(len(image), 2))[1]
        x, heatmap, draws = torch.full((1, 1, 10, 10), 0.5), torch.zeros(1, 10, 10), SampleDraws(9, (3,))
        road(record, x, ZEROS[:1], heatmap, orders=("random",), shares=(0.3,), generator=draws)
        options: dict[str, Any] = {"fraction": 0.3, "steps": 1, "repeats": 1, "region": 1}
        perturbation_curves(record, x, ZEROS[:1], heatmap, orders=("random",), **options, generator=draws)
        assert seen[1].sum() == 30
        assert torch.equal(seen[1], seen[3])


class TestInsertionDeletion:
    def test_ends(self) -> None:
        x, target, heatmap = setting()
        curves = insertion_deletion(network(), x, target, heatmap, steps=7, region=2, blank=0.25)
        assert list(curves) == ["insertion", "deletion"]
        with torch.no_grad():
            score = lambda image: network()(image).softmax(1)[torch.arange(4), target]
            torch.testing.assert_close(curves["insertion"][:, 0], score(blurred(x)))
            torch.testing.assert_close(curves["insertion"][:, -1], score(x))
            torch.testing.assert_close(curves["deletion"][:, 0], score(x))
            torch.testing.assert_close(curves["deletion"][:, -1], score(torch.full_like(x, 0.25)))
        assert all(curve.shape == (4, 8) for curve in curves.values())

    def test_only_the_relevant_pixel_counts(self) -> None:
        x = random(6, 1, 10, 10).clamp(0.3, 0.9)
        heatmap = torch.zeros(6, 10, 10).double()
        heatmap[:, 4, 7] = 1
        curves = insertion_deletion(brightness((4, 7)), x, ZEROS, heatmap, steps=100, region=1)
        pixel, blur = x[:, 0, 4, 7], blurred(x)[:, 0, 4, 7]
        torch.testing.assert_close(curves["insertion"][:, 0], blur)
        torch.testing.assert_close(curves["insertion"][:, 1:], pixel[:, None].expand(6, 100))
        torch.testing.assert_close(curves["deletion"][:, 0], pixel)
        torch.testing.assert_close(curves["deletion"][:, 1:], torch.full((6, 100), 1e-6).double())
        torch.testing.assert_close(area_under(curves["insertion"]), pixel - (pixel - blur) / 200)

    def test_a_network_that_ignores_the_image(self) -> None:
        x, target, heatmap = setting()
        constant = torch.linspace(-1, 2, 5, dtype=torch.float64)
        curves = insertion_deletion(lambda x: constant.expand(len(x), 5), x, target, heatmap)
        for curve in curves.values():
            assert curve.shape == (4, 51)
            torch.testing.assert_close(area_under(curve), constant.softmax(0)[target])

    def test_one_step_on_an_image_smaller_than_the_region(self) -> None:
        x, target, heatmap = setting(h=1, w=1)
        curves = insertion_deletion(network(), x, target, heatmap, steps=1, region=5)
        # One pixel is its own blur.
        torch.testing.assert_close(curves["insertion"][:, 0], curves["insertion"][:, 1])
        torch.testing.assert_close(curves["insertion"][:, 1], curves["deletion"][:, 0])

    @settings(max_examples=25, deadline=None)
    @given(
        n=st.integers(1, 4), c=st.integers(1, 3), h=st.integers(2, 9), w=st.integers(2, 9), region=st.integers(1, 4),
        levels=st.sampled_from([1, 3, 1000]), chunk=st.integers(1, 30), seed=st.integers(0, 1000), data=st.data(),
    )  # fmt: skip
    def test_random_settings(
        self, n: int, c: int, h: int, w: int, region: int, levels: int, chunk: int, seed: int, data: st.DataObject
    ) -> None:
        """As RISE's code: one image at a time, regions copied from ``finish`` to ``start`` step by step."""
        x, target, heatmap = setting(n, c, h, w, seed)
        heatmap, model = (heatmap * levels).floor(), network(seed, c)
        corners = [(i, j) for i in range(0, h, region) for j in range(0, w, region)]
        steps = data.draw(st.integers(1, len(corners)))
        curves = insertion_deletion(model, x, target, heatmap, steps=steps, region=region, sigma=1.5, chunk=chunk)
        for name, curve in curves.items():
            for k in range(n):
                one = x[k : k + 1]
                start, finish = (
                    (blurred(one, sigma=1.5), one) if name == "insertion" else (one, torch.zeros_like(one))
                )  # fmt: skip
                start = start.clone()
                relevance = [float(heatmap[k, i : i + region, j : j + region].mean()) for i, j in corners]
                order = sorted(range(len(corners)), key=lambda m, r=relevance: (-r[m], m))
                done = 0
                for step in range(steps + 1):
                    upto = (2 * len(corners) * step + steps) // (2 * steps)  # rounded, halves up
                    for i, j in (corners[m] for m in order[done:upto]):
                        inside = (..., slice(i, i + region), slice(j, j + region))
                        start[inside] = finish[inside]
                    done = upto
                    with torch.no_grad():
                        expected = model(start).softmax(1)[0, target[k]]
                    torch.testing.assert_close(curve[k, step], expected, atol=1e-9, rtol=0)
                assert done == len(corners)


MEASURES: dict[str, Callable[..., dict[str, Tensor]]] = {
    "road": lambda *given, **options: road(
        *given, **{"orders": ("morf", "lerf", "random"), "shares": (0.3, 0.8)} | options
    ),
    "insertion_deletion": lambda *given, generator=None, **options: insertion_deletion(
        *given, steps=5, region=2, **options
    ),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
class TestProperties:
    def test_chunk_changes_nothing_and_bounds_every_forward(self, measure: Any) -> None:
        x, target, heatmap = setting(7, h=6, w=7)
        draws, whole = fair(tuple(range(7))), None
        for chunk in (1000, 1, 5, 20):
            sizes: list[int] = []
            model = network()
            model.register_forward_pre_hook(lambda _, given, sizes=sizes: sizes.append(len(given[0])))
            values = measure(model, x, target, heatmap, generator=draws, chunk=chunk)
            assert max(sizes) <= chunk
            whole = whole or values
            for name, value in values.items():
                torch.testing.assert_close(value, whole[name], atol=1e-12, rtol=0)

    def test_batch_mates_never_matter(self, measure: Any) -> None:
        x, target, heatmap = setting(5)
        heatmap[2], index = 0.5, (11, 5, 900, 0, 7)
        every = measure(network(), x, target, heatmap, generator=SampleDraws(4, index))
        for chosen in ([2], [4, 0], [3, 1, 2]):
            some = measure(
                network(), x[chosen], target[chosen], heatmap[chosen],
                generator=SampleDraws(4, tuple(index[i] for i in chosen)),
            )  # fmt: skip
            for name, value in some.items():
                torch.testing.assert_close(value, every[name][chosen], atol=1e-12, rtol=0)

    def test_scale_of_the_map_does_not_matter(self, measure: Any) -> None:
        x, target, heatmap = setting()
        one = measure(network(), x, target, heatmap, generator=fair())
        other = measure(network(), x, target, heatmap * 2.0**-20, generator=fair())
        assert all(torch.equal(one[name], other[name]) for name in one)

    def test_nothing_of_the_caller_changes(self, measure: Any) -> None:
        x, target, heatmap = setting()
        x.requires_grad_()
        model = network()
        kept = copy.deepcopy((x, target, heatmap, model.state_dict()))
        before = torch.get_rng_state()
        values = measure(model, x, target, heatmap, generator=fair())
        assert torch.equal(before, torch.get_rng_state())
        assert not any(value.requires_grad for value in values.values())
        assert x.grad is None
        assert all(torch.equal(a, b) for a, b in zip(kept[:3], (x, target, heatmap), strict=True))
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in kept[3].items())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("label", [torch.int64, torch.uint8])
    def test_dtypes_and_layout(self, measure: Any, dtype: torch.dtype, label: torch.dtype) -> None:
        x, target, heatmap = setting()
        expected = measure(network(), x, target, heatmap, generator=fair())
        x = x.to(dtype, memory_format=torch.channels_last)
        values = measure(network().to(dtype), x, target.to(label), heatmap.float(), generator=fair())
        for name, value in values.items():
            assert value.dtype == dtype
            torch.testing.assert_close(value.double(), expected[name], atol=1e-5, rtol=0)

    def test_a_single_pixel(self, measure: Any) -> None:
        x, target, heatmap = setting(h=1, w=1)
        if measure is MEASURES["insertion_deletion"]:
            with pytest.raises(InputError, match="each step must replace at least one region, got 1 regions of 2 px"):
                measure(network(), x, target, heatmap)
        else:
            # Alone it has no neighbours, so it is its channel's mean, which is itself.
            values = measure(network(), x, target, heatmap, shares=(0, 1), noise=0)
            assert all((value == 1).all() for value in values.values())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"heatmap": random(4, 6, 6)}, r"heatmap must be \(4, 10, 11\) as the images are, got \(4, 6, 6\)"),
            ({"heatmap": -random(4, 10, 11)}, "heatmap must be non-negative, got -0.99"),
            ({"x": random(4, 3, 10, 11) * 255}, r"pixels must be in \[0, 1\], got values from .* to 25"),
            ({"target": torch.tensor([0, 1, 2, 5])}, r"classes must be in \[0, 4\], got values from 0 to 5"),
            ({"model": network().train()}, "network must be in eval mode, got '.*' in training mode"),
            ({"model": lambda x: x.flatten(1) * math.nan}, "network's logits must be finite, got nan"),
            ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ],
    )
    def test_one_sentence(self, measure: Any, change: dict[str, Any], message: str) -> None:
        x, target, heatmap = setting()
        given = {"model": network(), "x": x, "target": target, "heatmap": heatmap} | change
        options = {"chunk": given.pop("chunk")} if "chunk" in given else {}
        with pytest.raises(InputError, match=message):
            measure(*given.values(), **options)

    def test_nan_on_a_changed_image_only(self, measure: Any) -> None:
        model = lambda x: torch.stack([x.mean((1, 2, 3)), (x.std((1, 2, 3)) - 0.2).sqrt()], 1)
        x = (random(1, 1, 8, 8) > 0.5).double()
        with pytest.raises(InputError, match="logits must be finite, got nan or infinity on a partly"):
            measure(model, x, ZEROS[:1], random(1, 8, 8))


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"shares": ()}, r"shares must be one number or more in \[0, 1\], got \(\)"),
            ({"shares": (0.1, 1.2)}, r"shares must be one number or more in \[0, 1\], got \(0.1, 1.2\)"),
            ({"shares": (math.nan,)}, r"shares must be .*got \(nan,\)"),
            ({"noise": -0.1}, "noise must be at least 0, got -0.1"),
            ({"noise": math.inf}, "noise must be at least 0, got inf"),
            ({"orders": ("roar",)}, "order must be one of morf, lerf, random, got 'roar'"),
        ],
    )
    def test_road(self, options: dict[str, Any], message: str) -> None:
        x, target, heatmap = setting()
        with pytest.raises(InputError, match=message):
            road(network(), x, target, heatmap, **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"steps": 0}, "region and steps must be at least 1, got 1 and 0"),
            ({"region": 0}, "region and steps must be at least 1, got 0 and 50"),
            ({"steps": 111}, "each step must replace at least one region, got 110 regions"),
            ({"blank": 1.5}, r"blank must be in \[0, 1\], got 1.5"),
            ({"blank": math.nan}, r"blank must be in \[0, 1\], got nan"),
            ({"sigma": 0.0}, "sigma of the blur must be above 0, got 0.0"),
        ],
    )
    def test_insertion_deletion(self, options: dict[str, Any], message: str) -> None:
        x, target, heatmap = setting()
        with pytest.raises(InputError, match=message):
            insertion_deletion(network(), x, target, heatmap, **options)


def test_a_map_that_points_at_the_evidence_beats_a_random_one() -> None:
    # Two classes, told apart by a bright square on the left or the right.
    x, target = 0.2 * random(20, 3, 16, 16), torch.arange(20) % 2
    heatmap = torch.zeros(20, 16, 16).double()
    for i in range(20):
        left = 2 + 8 * int(target[i])
        x[i, :, 5:10, left : left + 5] += 0.7
        heatmap[i, 5:10, left : left + 5] = 1
    model = lambda x: 4 * x.mean(1).unflatten(2, (2, 8)).amax((1, 3))
    draws = fair(tuple(range(20)))
    kept = road(model, x, target, heatmap, orders=("morf", "lerf", "random"), shares=(0.1,), generator=draws)
    accuracy = {order: float(value.mean()) for order, value in kept.items()}
    assert accuracy["lerf"] == accuracy["random"] == 1
    assert accuracy["morf"] < 0.8
    good, bad = (insertion_deletion(model, x, target, value) for value in (heatmap, heatmap.max() - heatmap))
    assert (area_under(good["insertion"]) > area_under(bad["insertion"])).all()
    assert (area_under(good["deletion"]) < area_under(bad["deletion"])).all()
