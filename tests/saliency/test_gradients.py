import subprocess
import sys

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from pellucid import InputError, IntegratedGradients, SmoothGrad, VanillaGradient, as_saliency, heatmap, lowest
from pellucid.core.randomness import SampleDraws
from pellucid.saliency import gradient_and_logits, in_chunks, saliency_name

METHODS = [VanillaGradient(), SmoothGrad(samples=3), IntegratedGradients(steps=4)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 5)).double().eval()


@pytest.fixture
def x():
    return torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


TARGET = torch.tensor([0, 2, 4, 2])


def test_gradient_of_a_linear_network_is_its_weight():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    x = torch.rand(4, 3, 2, 2)
    for method in (VanillaGradient(), SmoothGrad(samples=3)):
        torch.testing.assert_close(method(network, x, TARGET), network[1].weight[TARGET].detach().view(4, 3, 2, 2))
    torch.testing.assert_close(
        IntegratedGradients(steps=3)(network, x, TARGET), x * network[1].weight[TARGET].detach().view(4, 3, 2, 2)
    )


def test_against_captum(network, x):
    ours = VanillaGradient()(network, x, TARGET)
    torch.testing.assert_close(
        ours, captum.attr.Saliency(network).attribute(x.clone().requires_grad_(), target=TARGET, abs=False)
    )
    for steps in (1, 7, 50):
        ours = IntegratedGradients(steps=steps, baseline=0.25)(network, x, TARGET)
        theirs = captum.attr.IntegratedGradients(network).attribute(
            x.clone().requires_grad_(), 0.25, target=TARGET, n_steps=steps
        )
        torch.testing.assert_close(ours, theirs)


def test_integrated_gradients_add_up_to_the_difference_of_scores(network, x):
    total = IntegratedGradients(steps=50)(network, x, TARGET).sum((1, 2, 3))
    with torch.no_grad():
        difference = (network(x) - network(torch.zeros_like(x))).gather(1, TARGET[:, None])[:, 0]
    torch.testing.assert_close(total, difference, rtol=1e-8, atol=1e-10)


def test_smoothgrad_without_noise_is_the_gradient(network, x):
    torch.testing.assert_close(
        SmoothGrad(sigma=0, samples=3)(network, x, TARGET), VanillaGradient()(network, x, TARGET)
    )


def test_smoothgrad_against_a_loop(network, x):
    draws = SampleDraws(seed=3, index=(5, 6, 7, 8))
    expected = torch.zeros_like(x)
    for sample in range(4):
        noise = draws.of(f"smoothgrad{sample}").normal(x.shape).double()
        expected += VanillaGradient()(network, x + 0.2 * noise, TARGET) / 4
    torch.testing.assert_close(SmoothGrad(sigma=0.2, samples=4)(network, x, TARGET, generator=draws), expected)


def test_smoothgrad_noise_has_the_stated_deviation():
    seen = []
    network = lambda x: (seen.append(x.detach()), x.flatten(1))[1]
    x = torch.zeros(2, 1, 50, 50)
    SmoothGrad(sigma=0.3, samples=8)(network, x, torch.tensor([0, 1]), generator=torch.Generator().manual_seed(0))
    assert torch.cat(seen).std().item() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("chunk", [1, 3, 4, 9, 100])
def test_chunks_change_nothing_and_bound_the_batch(network, x, chunk):
    sizes = []
    counted = lambda x: (sizes.append(len(x)), network(x))[1]
    draws = SampleDraws(seed=0, index=(0, 1, 2, 3))
    for kind, count in ((VanillaGradient, {}), (SmoothGrad, {"samples": 5}), (IntegratedGradients, {"steps": 5})):
        whole = kind(**count)(network, x, TARGET, generator=draws)
        torch.testing.assert_close(kind(**count, chunk=chunk)(counted, x, TARGET, generator=draws), whole)
    assert max(sizes) <= max(chunk, 1)


def test_in_chunks():
    seen = []
    add = lambda a, b: (seen.append(len(a)), a + b[:, None])[1]
    a, b = torch.arange(14.0).view(7, 2), torch.arange(7.0)
    for chunk, sizes in ((None, [7]), (7, [7]), (100, [7]), (3, [3, 3, 1]), (1, [1] * 7)):
        assert torch.equal(in_chunks(add, a, b, chunk=chunk), a + b[:, None])
        assert seen == sizes
        seen.clear()
    with pytest.raises(InputError, match="chunk must be at least 1, got -1"):
        in_chunks(add, a, b, chunk=-1)


MEMORY = """
import resource, sys, torch
from pathlib import Path
from pellucid.core import randomness
from pellucid.models.resnet import ResNet
from pellucid.saliency import IntegratedGradients

torch.set_num_threads(1)
with randomness.fork(0):
    model = ResNet(classes=1000, shape=(3, 224, 224), stem="large").eval()
x = torch.rand(64, 3, 224, 224)
assert IntegratedGradients(steps=50, chunk=8)(model, x, torch.arange(64)).isfinite().all()
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss begins at the peak of the process that started this one
    print(1024 * int(status.read_text().split("VmHWM:")[1].split()[0]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_chunks_bound_the_memory():
    # 3200 passes of ResNet-18 forward and back: 1.0 GB, where 64 images at once take 2.2 GB.
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1.5e9


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("kind", [VanillaGradient, SmoothGrad, IntegratedGradients])
def test_maps_can_be_differentiated(network, x, kind, score):
    method = kind(score=score, chunk=3)
    draws = SampleDraws(seed=0, index=(0, 1, 2, 3))
    attribution = method(network, x, TARGET, create_graph=True, generator=draws)
    attribution.pow(2).sum().backward()
    assert network[0].weight.grad.abs().sum() > 0
    torch.testing.assert_close(attribution.detach(), method(network, x, TARGET, generator=draws))


def test_probability_is_the_other_score(network, x):
    xs = x.clone().requires_grad_()
    network(xs).softmax(1).gather(1, TARGET[:, None]).sum().backward()
    torch.testing.assert_close(VanillaGradient(score="probability")(network, x, TARGET), xs.grad)
    gradient, logits = gradient_and_logits(network, x, TARGET, score="probability")
    torch.testing.assert_close(gradient, xs.grad)
    torch.testing.assert_close(logits, network(x).detach())


@pytest.mark.parametrize("method", METHODS, ids=saliency_name)
def test_leaves_no_trace_and_batch_mates_do_not_matter(network, x, method):
    before, state = x.clone(), torch.get_rng_state()
    draws = SampleDraws(seed=0, index=(0, 1, 2, 3))
    with torch.inference_mode():
        together = method(network, x, TARGET, generator=draws)
    alone = method(network, x[2:3], TARGET[2:3], generator=SampleDraws(seed=0, index=(2,)))
    torch.testing.assert_close(together[2:3], alone)
    assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("make", [lambda network: captum.attr.Saliency(network), lambda network: captum.attr.Saliency])
def test_captum_objects_and_classes_are_accepted(network, x, make):
    explain = as_saliency(make(network))
    torch.testing.assert_close(explain(network, x, TARGET), VanillaGradient()(network, x, TARGET))
    with pytest.raises(InputError, match="Captum's, whose maps are detached"):
        explain(network, x, TARGET, create_graph=True)


def test_plain_callables_are_accepted(network, x):
    three = as_saliency(lambda model, x, target: x)
    assert torch.equal(three(network, x, TARGET, generator=None), x)
    one_channel = as_saliency(lambda model, x, target, **rest: x.mean(1))
    assert one_channel(network, x, TARGET).shape == (4, 1, 8, 8)
    with pytest.raises(InputError, match="takes no create_graph"):
        three(network, x, TARGET, create_graph=True)
    with pytest.raises(InputError, match=r"must return a tensor like the images \(4, 3, 8, 8\), got \(4,\)"):
        as_saliency(lambda model, x, target: x.sum((1, 2, 3)))(network, x, TARGET)
    assert torch.equal(
        as_saliency("pellucid.VanillaGradient")(network, x, TARGET), VanillaGradient()(network, x, TARGET)
    )
    assert saliency_name("pellucid.SmoothGrad") == "smoothgrad"
    with pytest.raises(InputError, match="has .attribute as in Captum, got 3"):
        as_saliency(3)


def test_names():
    assert [saliency_name(m) for m in METHODS] == ["vanilla_gradient", "smoothgrad", "integrated_gradients"]
    assert saliency_name(captum.attr.DeepLift) == "deeplift"


def test_heatmap_reductions():
    a = torch.tensor([[[[1.0]], [[-3.0]], [[5.0]]]])
    got = {name: heatmap(a, channels=name).item() for name in ("mean_abs", "abs_mean", "abs_sum", "signed_mean")}
    assert got == {"mean_abs": 3.0, "abs_mean": 1.0, "abs_sum": 3.0, "signed_mean": 1.0}
    with pytest.raises(InputError, match="channels must be .* got 'max'"):
        heatmap(a, channels="max")


def reference_lowest(score, q, region):
    """Rank regions with Python's stable sort, image by image."""
    n, h, w = score.shape
    mask = np.zeros((n, h, w), dtype=bool)
    for image in range(n):
        regions = [(r, c) for r in range(0, h, region) for c in range(0, w, region)]
        mean = {(r, c): float(score[image, r : r + region, c : c + region].mean()) for r, c in regions}
        for r, c in sorted(regions, key=mean.__getitem__)[: int((q[image] + 1e-6) * len(regions))]:
            mask[image, r : r + region, c : c + region] = True
    return torch.from_numpy(mask)[:, None]


@settings(max_examples=50)
@given(
    side=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    region=st.integers(1, 4),
    q=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    levels=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_lowest_against_a_sort(side, region, q, levels, seed):
    # Few integer levels make ties common; region means of integers up to 4 x 4 are exact in float64.
    score = torch.randint(-levels, levels, (3, *side), generator=torch.Generator().manual_seed(seed)).double()
    got = lowest(score, torch.tensor(q, dtype=torch.float64), region=region)
    if region in (1, 2, 4) and side[0] % region == 0 and side[1] % region == 0:
        assert torch.equal(got, reference_lowest(score, q, region))
    regions = -(-side[0] // region) * -(-side[1] // region)
    chosen = got[:, 0, ::region, ::region].sum((1, 2))
    assert chosen.tolist() == [int((value + 1e-6) * regions) for value in q]


def test_lowest_limits():
    score = torch.rand(2, 4, 4)
    assert not lowest(score, 0.0).any()
    assert lowest(score, 1.0).all()
    assert lowest(torch.zeros(1, 4, 4), 0.5).sum() == 8, "a flat map has a half, too"
    assert lowest(score, 0.7, region=4).sum() == 0, "one region is not 0.7 of one"
    with pytest.raises(InputError, match="region must be at least 1 pixel, got 0"):
        lowest(score, 0.5, region=0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SmoothGrad(sigma=-1), "sigma must not be negative, got -1"),
        (lambda: VanillaGradient(chunk=0), "chunk must be at least 1, got 0"),
        (lambda: SmoothGrad(samples=0), "samples must be at least 1, got 0"),
        (lambda: SmoothGrad(chunk=0), "chunk must be at least 1, got 0"),
        (lambda: IntegratedGradients(steps=0), "steps must be at least 1, got 0"),
        (lambda: IntegratedGradients(baseline=2), r"baseline must be a grey level in \[0, 1\], got 2"),
    ],
)
def test_bad_settings(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_function_of_your_own_may_differentiate_where_gradients_are_off(network, x):
    def own(model, x, target):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(model(x).gather(1, target[:, None]).sum(), x)[0]

    expected = own(network, x, TARGET)
    with torch.no_grad():
        assert torch.equal(as_saliency(own)(network, x, TARGET), expected)
    with torch.inference_mode():
        assert torch.equal(as_saliency(own)(network, x.clone(), TARGET.clone()), expected)


def test_a_function_that_raises_is_one_sentence(network, x):
    def broken(model, x, target):
        raise RuntimeError("no such\nlayer")

    with pytest.raises(InputError, match=r"^saliency broken raised RuntimeError: no such layer$"):
        as_saliency(broken)(network, x, TARGET)
    with pytest.raises(InputError, match=r"^saliency _lambda_ raised TypeError|^saliency lambda raised TypeError"):
        as_saliency(lambda model, x: x)(network, x, TARGET)
