"""The trainings that use no map: what they change, at what places, and that no network has a say in it."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from pellucid import PGD, SCAAT, Batch, Method, Regular, SaliencyGuided, fgsm, lowest
from pellucid.core.randomness import StepDraws
from pellucid.methods import AdversarialSCAAT, GaussianAugmentation, NoiseAugmentation
from pellucid.methods.terms import random_regions

DRAWS = StepDraws(seed=0, step=0)
ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(8, 3, 8, 8, generator=generator)
    return Batch(image, torch.randint(0, 5, (8,), generator=generator), torch.tensor([9, 3, 5, 0, 11, 2, 7, 1]))


def step(method: Method, network: nn.Module, batch: Batch) -> list[Tensor]:
    """The loss and the gradient of every weight."""
    loss = method.loss(network, batch, method.init(12, 100), generator=DRAWS)["loss"]
    return [loss.detach(), *torch.autograd.grad(loss, list(network.parameters()))]


def assert_same_bits(one: list[Tensor], other: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("method", [NoiseAugmentation(share=0), GaussianAugmentation(sigma=0)])
def test_without_noise_it_is_regular_training_bit_for_bit(method: Method, network: nn.Module, batch: Batch) -> None:
    assert_same_bits(step(method, network, batch), step(Regular(), network, batch))


def test_noise_augmentation_replaces_whole_regions_by_uniform_noise_of_a_share_of_its_own_for_each_image() -> None:
    n = 400
    x = torch.full((n, 3, 9, 7), 2.0)  # no pixel of any image, so that what is replaced can be seen
    changed = NoiseAugmentation(share=0.6, region=3).augment(x, generator=DRAWS)
    assert torch.equal(changed, NoiseAugmentation(share=0.6, region=3).augment(x, generator=DRAWS))
    replaced = changed != 2
    assert torch.equal(replaced.all(1), replaced.any(1))  # all channels of a pixel or none
    regions = torch.stack([replaced[:, 0, i : i + 3, j : j + 3].flatten(1) for i in (0, 3, 6) for j in (0, 3)], 1)
    assert torch.equal(regions.all(2), regions.any(2))
    noise = changed[replaced]
    assert noise.min() >= 0 and noise.max() <= 1
    assert noise.mean().item() == pytest.approx(0.5, abs=0.01) and noise.std().item() == pytest.approx(
        12**-0.5, abs=0.01
    )
    # Nine regions a picture, the last column 1 pixel wide; floor(9 u) of them with u from U(0, 0.6): 0 to 5.
    last = replaced[:, 0, :, 6].reshape(n, 3, 3)
    count = regions.all(2).sum(1) + last.all(2).sum(1)
    share = torch.bincount(count, minlength=6) / n
    expected = torch.tensor([1, 1, 1, 1, 1, 0.4]) / 5.4
    torch.testing.assert_close(share, expected, atol=0.06, rtol=0)


def test_gaussian_augmentation_is_the_image_plus_clipped_normal_noise(network: nn.Module, batch: Batch) -> None:
    grey = torch.full((50, 3, 8, 8), 0.5)
    noise = GaussianAugmentation(sigma=0.05).augment(grey, generator=DRAWS) - 0.5
    assert noise.mean().item() == pytest.approx(0, abs=2e-3) and noise.std().item() == pytest.approx(0.05, rel=0.02)
    edge = GaussianAugmentation(sigma=0.5).augment(torch.ones(50, 1, 8, 8), generator=DRAWS)
    assert edge.max() == 1 and edge.min() >= 0 and (edge == 1).float().mean().item() == pytest.approx(0.5, abs=0.05)
    z = DRAWS.of("noise").normal(batch.image.shape)
    loss = F.cross_entropy(network((batch.image + 0.1 * z).clip(0, 1)), batch.label)
    assert torch.equal(step(GaussianAugmentation(sigma=0.1), network, batch)[0], loss.detach())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 10), st.floats(0, 1), st.integers(0, 2**31))
def test_random_regions_are_as_many_as_the_lowest(
    height: int, width: int, region: int, share: float, seed: int
) -> None:
    x = torch.zeros(3, 2, height, width)
    generator = torch.Generator().manual_seed(seed)
    mask = random_regions(x, share, region=region, generator=generator)
    ranked = lowest(torch.rand(3, height, width), share, region=region)
    assert mask.shape == ranked.shape == (3, 1, height, width)
    corners = mask[:, 0, ::region, ::region]
    assert torch.equal(corners.flatten(1).sum(1), ranked[:, 0, ::region, ::region].flatten(1).sum(1))
    enlarged = torch.kron(corners.int(), torch.ones(1, region, region, dtype=torch.int32))[:, :height, :width]
    assert torch.equal(mask[:, 0], enlarged.bool())


def test_every_region_is_as_probable_as_any_other_smaller_ones_too() -> None:
    mask = random_regions(torch.zeros(4000, 1, 5, 5), 0.5, region=2, generator=torch.Generator().manual_seed(0))
    share = mask[:, 0, ::2, ::2].float().mean(0)  # four of nine
    torch.testing.assert_close(share, torch.full((3, 3), 4 / 9), atol=0.03, rtol=0)


def test_random_places_are_independent_of_image_and_step() -> None:
    x = torch.zeros(64, 1, 8, 8)
    one, two = (random_regions(x, 0.5, region=1, generator=StepDraws(seed=0, step=step)) for step in (0, 1))
    assert (one == two).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert len({tuple(row.flatten().tolist()) for row in one}) == 64


WHOLE = [
    (SaliencyGuided(fraction=1), {"ranking": "random"}),
    (SaliencyGuided(fraction=1, attack=ATTACK, reading="C", region=2), {"ranking": "random"}),
    (SCAAT(attack=ATTACK, q=1, q_max=1), {"ranking": "random"}),
    (SCAAT(attack=fgsm(eps=0.1), adaptive=False, q=1, share=0.5), {"ranking": "random"}),
]


@pytest.mark.parametrize(("method", "change"), WHOLE)
def test_a_mask_of_the_whole_image_gives_the_same_step_bit_for_bit(
    method: Any, change: dict[str, Any], network: nn.Module, batch: Batch
) -> None:
    control = type(method)(**{**vars(method), **change})
    assert control != method
    assert_same_bits(step(method, network, batch), step(control, network, batch))
    if isinstance(method, SCAAT):
        both = [AdversarialSCAAT(scaat=scaat, attack=ATTACK) for scaat in (method, control)]
        assert_same_bits(step(both[0], network, batch), step(both[1], network, batch))


def masks_of(method: SaliencyGuided | SCAAT, network: nn.Module, batch: Batch) -> Tensor:
    """Where the method changed the images, (n, h, w)."""
    if isinstance(method, SaliencyGuided):
        changed = method.replace(network, batch.image, batch.label, generator=DRAWS)
    else:
        state = method.init(12, 100)
        state.q.copy_(torch.linspace(0.1, 0.9, 12))
        changed = method.change(network, batch, state, generator=DRAWS)[1]
    return (changed != batch.image).any(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda ranking: SaliencyGuided(ranking=ranking, fraction=0.3, region=2),
        lambda ranking: SCAAT(ranking=ranking, attack=ATTACK),
    ],
    ids=["sgt", "scaat"],
)
def test_the_random_mask_has_the_saliency_masks_size_and_no_network_moves_it(
    make: Any, network: nn.Module, batch: Batch
) -> None:
    other = copy.deepcopy(network)
    torch.manual_seed(5)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    random, again = (masks_of(make("random"), net, batch) for net in (network, other))
    saliency, moved = (masks_of(make("absolute"), net, batch) for net in (network, other))
    assert torch.equal(random, again) and not torch.equal(saliency, moved)
    assert not torch.equal(random, saliency)
    assert torch.equal(random.flatten(1).sum(1), saliency.flatten(1).sum(1))


@pytest.mark.parametrize(("ranking", "backward"), [("absolute", 3), ("random", 2)])
def test_the_random_ranking_saves_the_saliency_pass(
    ranking: Any, backward: int, network: nn.Module, batch: Batch
) -> None:
    calls = []
    network[0].register_full_backward_hook(lambda *_: calls.append(1))
    method = SCAAT(ranking=ranking, attack=ATTACK)
    method.change(network, batch, method.init(12, 100), generator=DRAWS)
    assert len(calls) == backward
    calls.clear()
    SaliencyGuided(ranking=ranking).replace(network, batch.image, batch.label, generator=DRAWS)
    assert len(calls) == backward - 2


# Which pass moves q


def layered(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


def outcomes(network: nn.Module, batch: Batch, q_pass: Any, *, attacked: bool = False) -> tuple[Tensor, Tensor, Any]:
    """q of the batch after one step, what eval mode says of x + delta, and the step's loss."""
    network = copy.deepcopy(network).train()
    scaat = SCAAT(attack=ATTACK, warmup=0, q_pass=q_pass)
    method: Method = AdversarialSCAAT(scaat=scaat, attack=ATTACK) if attacked else scaat
    state = scaat.init(12, 100).train()
    changed = scaat.change(network, batch, state, generator=DRAWS)[1]
    with torch.no_grad():
        right = copy.deepcopy(network).eval()(changed).argmax(1) == batch.label
    torch.manual_seed(7)  # of the dropout
    loss = method.loss(network, batch, state, generator=DRAWS)["loss"]
    return state.q[batch.index], torch.where(right, 0.55, 0.45), loss


@pytest.mark.parametrize("attacked", [False, True])
@pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.Dropout(0.9)], ids=["batch-norm", "dropout"])
def test_eval_pass_moves_q_by_what_the_attack_saw(layer: nn.Module, attacked: bool, batch: Batch) -> None:
    network = layered(layer)
    if isinstance(layer, nn.BatchNorm2d):  # running statistics that are not the batch's
        nn.init.constant_(layer.running_mean, 3.0)  # type: ignore[arg-type]
        nn.init.uniform_(layer.weight, -2, 2)
    with torch.no_grad():
        batch = batch._replace(label=network.eval()(batch.image).argmax(1))
    seen, expected, loss = outcomes(network, batch, "eval", attacked=attacked)
    torch.testing.assert_close(seen, expected)
    trained, _, same = outcomes(network, batch, "train", attacked=attacked)
    assert not torch.equal(trained, seen)
    assert torch.equal(loss, same)  # only q is another


@pytest.mark.parametrize("attacked", [False, True])
def test_both_passes_agree_where_no_layer_has_modes(attacked: bool, batch: Batch) -> None:
    one, expected, _ = outcomes(layered(), batch, "eval", attacked=attacked)
    two, _, _ = outcomes(layered(), batch, "train", attacked=attacked)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, expected)
    assert one.unique().numel() == 2  # some are right and some wrong


def test_the_eval_pass_is_made_only_where_q_moves(batch: Batch) -> None:
    network = layered()
    calls: list[int] = []
    network.register_forward_pre_hook(lambda _, given: calls.append(len(given[0])))

    def forwards(**changes: Any) -> int:
        calls.clear()
        method = SCAAT(attack=ATTACK, **changes)
        method.loss(network, batch, method.init(12, 100).train(), generator=DRAWS)
        return len(calls)

    assert forwards(q_pass="eval") == forwards() + 1
    assert forwards(q_pass="eval", adaptive=False) == forwards()
