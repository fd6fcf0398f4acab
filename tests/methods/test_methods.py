from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from pellucid import (
    PGD,
    SCAAT,
    TRADES,
    AdaptiveQ,
    AdversarialTraining,
    Alternating,
    Batch,
    EnergyLoss,
    FreeAdversarialTraining,
    GradientAlignment,
    GradientPenalty,
    InputError,
    JacobianPenalty,
    Method,
    Objective,
    Regular,
    RightReasons,
    SaliencyGuided,
    SmoothGrad,
    StructuredAdversarialTraining,
    fgsm,
    heatmap,
    jensen_shannon,
    kl,
    lowest,
    symmetric_kl,
)
from pellucid.core import randomness
from pellucid.core.outputs import answer
from pellucid.core.pixels import already_checked
from pellucid.core.randomness import StepDraws
from pellucid.methods import AdversarialSCAAT, GaussianAugmentation, NoiseAugmentation
from pellucid.saliency import regions

DRAWS = StepDraws(seed=0, step=0)
ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
METHODS = {
    "regular": Regular(),
    "at": AdversarialTraining(attack=ATTACK),
    "at-share": AdversarialTraining(attack=ATTACK, clean="share"),
    "at-probability": AdversarialTraining(attack=ATTACK, clean="probability"),
    "at-sum": AdversarialTraining(attack=ATTACK, clean="sum"),
    "fgsm": AdversarialTraining(attack=fgsm(eps=0.1)),
    "sgt": SaliencyGuided(),
    "sgt-signed": SaliencyGuided(ranking="signed", fill="channel_mean", target="predicted", region=2),
    "sgt-smoothgrad": SaliencyGuided(saliency=SmoothGrad(samples=2)),
    "sgt-a": SaliencyGuided(attack=ATTACK, reading="A"),
    "sgt-b": SaliencyGuided(attack=ATTACK, reading="B", target="predicted"),
    "sgt-c": SaliencyGuided(attack=ATTACK, reading="C", fill="corner"),
    "scaat": SCAAT(attack=ATTACK),
    "scaat-fixed": SCAAT(attack=ATTACK, adaptive=False, divergence="jensen_shannon"),
    "scaat-fast": SCAAT(attack=fgsm(eps=0.1), share=0.25, detach_clean=True),
    "scaat-smoothgrad": SCAAT(attack=ATTACK, saliency=SmoothGrad(samples=2), divergence="kl"),
    "sgt-random": SaliencyGuided(ranking="random", attack=None, target="predicted", region=2),
    "scaat-random": SCAAT(attack=ATTACK, ranking="random"),
    "noise": NoiseAugmentation(),
    "gaussian": GaussianAugmentation(),
    "scaat-at": AdversarialSCAAT(scaat=SCAAT(attack=ATTACK), attack=ATTACK),
    "scaat-at-fast": AdversarialSCAAT(scaat=SCAAT(attack=fgsm(eps=0.1), share=0.25), attack=ATTACK, attacked_share=1),
    "structured": StructuredAdversarialTraining(),
    "trades": TRADES(attack=ATTACK),
    "penalty": GradientPenalty(),
    "penalty-l2": GradientPenalty(weight=0.1, norm="l2"),
    "penalty-scaat": GradientPenalty(method=SCAAT(attack=ATTACK)),
    "penalty-alignment": GradientPenalty(method=GradientAlignment()),
    "alignment": GradientAlignment(detach_source=False),
    "jacobian": JacobianPenalty(projections=2),
    "right-reasons": RightReasons(),
    "energy": EnergyLoss(),
    "free": FreeAdversarialTraining(eps=0.1, step_size=0.05),
    "alternating": Alternating(method=SCAAT(attack=ATTACK), every=2),
    "penalty-share": GradientPenalty(share=0.5, difference=0.01, method=SaliencyGuided(share=0.5)),
    "trades-share": TRADES(attack=ATTACK, share=0.25),
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(
        torch.rand(8, 3, 8, 8, generator=generator),
        torch.randint(0, 5, (8,), generator=generator),
        torch.tensor([9, 3, 5, 0, 11, 2, 7, 1]),
    )


@pytest.fixture
def masked(batch):
    return batch._replace(mask=torch.arange(64).view(8, 8).remainder(3).eq(0).expand(8, 1, 8, 8))


def losses(method, network, batch, state=None):
    state = state if state is not None else method.init(12, 100)
    return method.loss(network, batch, state, generator=DRAWS)


def gradients(loss, network):
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)


def assert_same_step(method, expected, network, batch):
    """The loss and every weight's gradient agree."""
    got = losses(method, network, batch)["loss"]
    torch.testing.assert_close(got, expected)
    for ours, theirs in zip(gradients(got, network), gradients(expected, network), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "method",
    [
        Regular(),
        AdversarialTraining(attack=PGD(eps=0, step_size=0.1, steps=2)),
        AdversarialTraining(attack=ATTACK, clean="probability", clean_share=1.0),
        SaliencyGuided(fraction=0),
        SaliencyGuided(weight=0),
        SaliencyGuided(attack=ATTACK, reading="C", weight=0),
        SCAAT(weight=0),
        SCAAT(q=0, q_min=0),
        SCAAT(attack=PGD(eps=0, step_size=0.1, steps=1)),
    ],
    ids=repr,
)
def test_limits_are_plain_cross_entropy(method, network, batch):
    assert_same_step(method, F.cross_entropy(network(batch.image), batch.label), network, batch)


def test_scaat_with_q_1_is_unmasked_pgd(network, batch):
    clean = network(batch.image).detach()
    changed = ATTACK(lambda x: symmetric_kl(network(x), clean), batch.image, generator=DRAWS.of("attack"))
    logits = network(batch.image)
    expected = F.cross_entropy(logits, batch.label) + 2 * symmetric_kl(network(changed), logits).mean()
    assert_same_step(SCAAT(attack=ATTACK, q=1, q_max=1, weight=2), expected, network, batch)


def test_scaat_against_the_paper_step_by_step(network, batch):
    """Algorithm 1, image by image where it can be."""
    method = SCAAT(attack=ATTACK, weight=0.7, divergence="jensen_shannon", region=2, detach_clean=True)
    state = method.init(12, 100)
    state.q.copy_(torch.linspace(0.1, 0.9, 12))
    masks = []
    for image, label, index in zip(*batch[:3], strict=True):
        x = image[None].clone().requires_grad_()
        network(x)[0, label].backward()
        saliency = F.avg_pool2d(x.grad.abs().mean(1), 2).repeat_interleave(2, 1).repeat_interleave(2, 2)
        count = int((state.q[index].double() + 1e-6) * 16) * 4
        order = saliency.flatten().sort(stable=True).indices[:count]
        masks.append(torch.zeros(64, dtype=torch.bool).index_fill(0, order, True).view(1, 1, 8, 8))
    network.zero_grad()
    clean = network(batch.image).detach()
    delta = (2 * DRAWS.of("attack").of("start").uniform(batch.image.shape) - 1) * 0.1 * torch.cat(masks)
    for _ in range(2):
        x = (batch.image + delta).clamp(0, 1).requires_grad_()
        jensen_shannon(network(x), clean).sum().backward()
        delta = ((x + 0.05 * x.grad.sign() - batch.image) * torch.cat(masks)).clamp(-0.1, 0.1).detach()
    network.zero_grad()
    changed_logits = network((batch.image + delta).clamp(0, 1))
    expected = F.cross_entropy(network(batch.image), batch.label) + 0.7 * jensen_shannon(changed_logits, clean).mean()
    got = losses(method, network, batch, state)
    torch.testing.assert_close(got["loss"], expected)
    for ours, theirs in zip(gradients(got["loss"], network), gradients(expected, network), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_adversarial_training_clean_modes(network, batch):
    x, y = batch.image, batch.label
    objective = lambda x: F.cross_entropy(network(x), y, reduction="none")
    changed = ATTACK(objective, x, generator=DRAWS.of("attack"))
    clean_loss, changed_loss = F.cross_entropy(network(x), y), F.cross_entropy(network(changed), y)
    assert_same_step(AdversarialTraining(attack=ATTACK), changed_loss, network, batch)
    assert_same_step(AdversarialTraining(attack=ATTACK, clean="sum"), clean_loss + changed_loss, network, batch)
    assert changed_loss > clean_loss


STILL = PGD(eps=0, step_size=0.1, steps=2)
FROM_X = PGD(eps=0.1, step_size=0.05, steps=2, random_start=False)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_adversarial_scaat_between_its_two_parts(network, batch, share):
    scaat = SCAAT(attack=ATTACK, weight=0.7, share=share)
    assert_same_step(AdversarialSCAAT(scaat=scaat, attack=STILL), losses(scaat, network, batch)["loss"], network, batch)
    # A random start would be another draw: the divergence's attack has the usual one.
    for attacked in (0.25, 0.5, 1.0):
        alone = AdversarialTraining(attack=FROM_X, clean="share", clean_share=1 - attacked)
        both = AdversarialSCAAT(scaat=SCAAT(attack=ATTACK, weight=0), attack=FROM_X, attacked_share=attacked)
        assert_same_step(both, losses(alone, network, batch)["loss"], network, batch)


def test_adversarial_scaat_is_the_sum_of_both_terms(network, batch):
    x, y = batch.image, batch.label
    scaat = SCAAT(attack=ATTACK, weight=2, share=0.5)
    clean = F.cross_entropy(network(x), y)
    divergence_term = losses(scaat, network, batch)["loss"] - clean
    objective = lambda x: F.cross_entropy(network(x), y, reduction="none")
    changed = ATTACK(objective, x, generator=DRAWS.of("adversarial"))
    method = AdversarialSCAAT(scaat=scaat, attack=ATTACK, attacked_share=1)
    assert_same_step(method, F.cross_entropy(network(changed), y) + divergence_term, network, batch)


def test_adversarial_scaat_adapts_q_as_scaat_does(network, batch):
    scaat = SCAAT(attack=ATTACK, share=0.5, warmup=0)
    alone, both = scaat.init(12, 100).train(), scaat.init(12, 100).train()
    losses(scaat, network, batch, alone)
    losses(AdversarialSCAAT(scaat=scaat, attack=ATTACK), network, batch, both)
    assert torch.equal(alone.q, both.q) and (both.q != 0.5).sum() == 4


def test_adversarial_training_share(network, batch):
    seen = []
    network.register_forward_pre_hook(
        lambda module, given: seen.append(given[0].detach()) if torch.is_grad_enabled() else None
    )
    losses(AdversarialTraining(attack=ATTACK, clean="share", clean_share=0.75), network, batch)
    same = (seen[-1] == batch.image).flatten(1).all(1)
    assert same.tolist() == [False, True, True, True, False, True, True, True]


def test_adversarial_training_probability(network, batch):
    method = AdversarialTraining(attack=ATTACK, clean="probability", clean_share=0.3)
    clean = sum(
        "clean_accuracy" in method.loss(network, batch, nn.Module(), generator=StepDraws(seed=0, step=step))
        for step in range(200)
    )
    assert 35 < clean < 85


def test_saliency_guided_readings(network, batch):
    x, y = batch.image, batch.label
    objective = lambda x: F.cross_entropy(network(x), y, reduction="none")

    def masked(x):
        xs = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(xs).gather(1, y[:, None]).sum(), xs)
        mask = lowest(heatmap(gradient, channels="abs_mean"), 0.3)
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.where(mask, low + DRAWS.of("fill").uniform(x.shape) * (high - low), x)

    method = SaliencyGuided(fraction=0.3, weight=2)
    assert_same_step(
        method, F.cross_entropy(network(x), y) + 2 * kl(network(x), network(masked(x))).mean(), network, batch
    )

    changed = ATTACK(objective, x, generator=DRAWS.of("attack"))
    both = F.cross_entropy(network(x), y) + F.cross_entropy(network(changed), y)
    a = SaliencyGuided(fraction=0.3, weight=2, attack=ATTACK, reading="A")
    assert_same_step(a, both + 2 * kl(network(x), network(masked(changed))).mean(), network, batch)
    b = SaliencyGuided(fraction=0.3, weight=2, attack=ATTACK, reading="B")
    assert_same_step(b, both + 2 * kl(network(changed), network(masked(changed))).mean(), network, batch)
    c = SaliencyGuided(fraction=0.3, weight=2, attack=ATTACK, reading="C")
    attacked = ATTACK(objective, masked(x), generator=DRAWS.of("attack"))
    assert_same_step(c, F.cross_entropy(network(x), y) + 2 * kl(network(x), network(attacked)).mean(), network, batch)


@pytest.mark.parametrize("fill", ["channel_range", "image_range", "unit", "channel_mean", "corner"])
def test_fill(network, batch, fill):
    x = batch.image * torch.tensor([0.2, 0.5, 1.0]).view(1, 3, 1, 1)
    filled = SaliencyGuided(fraction=1.0, fill=fill).replace(network, x, batch.label, generator=DRAWS)
    match fill:
        case "channel_range":
            assert (filled >= x.amin((2, 3), keepdim=True)).all() and (filled <= x.amax((2, 3), keepdim=True)).all()
        case "image_range":
            assert (filled >= x.amin((1, 2, 3), keepdim=True)).all() and filled[:, 0].max() > 0.5
        case "unit":
            assert filled[:, 0].max() > 0.9
        case "channel_mean":
            torch.testing.assert_close(filled, x.mean((2, 3), keepdim=True).expand_as(x))
        case "corner":
            assert torch.equal(filled, x[:, :, :1, :1].expand_as(x))


def test_signed_ranking_takes_the_most_negative(batch):
    weight = torch.linspace(-1, 1, 192).view(1, 192)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 1, bias=False))
    network[1].weight.data = weight
    one = Batch(batch.image, torch.zeros(8, dtype=torch.int64), batch.index)
    filled = SaliencyGuided(ranking="signed", fraction=0.25, fill="corner").replace(network, one.image, one.label)
    channel_mean = weight.view(3, 64).mean(0)
    mask = lowest(channel_mean.view(1, 8, 8).expand(8, 8, 8), 0.25)
    assert torch.equal(filled, torch.where(mask, one.image[:, :, :1, :1], one.image))


@given(
    q=st.floats(0.2, 0.8),
    gamma=st.floats(0, 0.3),
    warmup=st.integers(0, 3),
    outcomes=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8),
)
def test_adaptive_q_against_a_loop(q, gamma, warmup, outcomes):
    state = AdaptiveQ(6, q=q, gamma=gamma, low=0.1, high=0.9, warmup=warmup)
    index = [4, 0, 5, 2]
    expected = [q] * 6
    for number, correct in enumerate(outcomes, start=1):
        state.update(torch.tensor(index), torch.tensor(correct))
        if number > warmup and gamma > 0:
            for i, right in zip(index, correct, strict=True):
                expected[i] = min(0.9, max(0.1, expected[i] + (gamma if right else -gamma)))
    torch.testing.assert_close(state.q, torch.tensor(expected), rtol=0, atol=1e-5)
    assert int(state.updates) == len(outcomes)


def test_q_counted_in_float32_still_selects_whole_regions():
    q = torch.tensor([0.5])
    for _ in range(5):
        q = q - 0.05
    assert lowest(torch.rand(1, 28, 28), q, region=2).sum() == 49 * 4


def test_scaat_updates_only_the_samples_that_carry_the_term_and_only_in_training(network, batch):
    method = SCAAT(attack=ATTACK, share=0.25, warmup=0)
    state = method.init(12, 100)
    losses(method, network, batch, state.eval())
    assert (state.q == 0.5).all()
    losses(method, network, batch, state.train())
    assert (state.q != 0.5).nonzero().flatten().tolist() == sorted([9, 11])


def test_fixed_q_never_moves(network, batch):
    method = SCAAT(attack=ATTACK, adaptive=False, q=0.3, q_min=0.4, warmup=0)
    state = method.init(12, 100)
    losses(method, network, batch, state)
    assert torch.equal(state.q, torch.full((12,), 0.3))


class WithBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.frozen = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(144, 5)
        self.frozen.eval()

    def forward(self, x):
        return self.head(self.drop(self.frozen(self.norm(self.conv(x))).relu().flatten(1)))


@pytest.mark.parametrize("name", METHODS)
def test_statistics_modes_gradients_and_images_are_left_alone(name, masked):
    torch.manual_seed(0)
    network = WithBatchNorm().train()
    network.frozen.eval()
    before = masked.image.clone()
    losses(METHODS[name], network, masked)
    assert network.training and network.norm.training and network.drop.training and not network.frozen.training
    assert int(network.frozen.num_batches_tracked) == 0
    three = ("sgt-a", "sgt-b", "scaat-at", "scaat-at-fast", "penalty-scaat", "penalty-share")
    two = ("at-sum", "trades", "alignment", "penalty-alignment", "alternating", "trades-share")
    forwards = (dict.fromkeys(three, 3) | dict.fromkeys(two, 2)).get(
        name, 2 if name.startswith(("sgt", "scaat")) else 1
    )
    assert int(network.norm.num_batches_tracked) == forwards, "attack and saliency leave the statistics alone"
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(masked.image, before)


@pytest.mark.parametrize("name", METHODS)
def test_log_entries_are_detached_scalars_and_the_loss_falls(name, network, masked):
    objective = Objective(network, METHODS[name], 12, 100)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    first = last = None
    for _ in range(25):
        got = objective(*masked)
        assert all(value.ndim == 0 and not value.requires_grad for key, value in got.items() if key != "loss")
        optimizer.zero_grad()
        got["loss"].backward()
        optimizer.step()
        first, last = first or got["loss"].item(), got["loss"].item()
    assert last < first


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if name != "at-probability"])
def test_a_step_reads_no_value_so_that_no_gpu_is_waited_for(name, masked, network, monkeypatch):
    """Fake tensors have shapes and no values: whatever asks for one, as `item` and `nonzero` do, raises.

    Only `at-probability` reads a draw, of the CPU's generator. What a network's first output is looked at for, once, is
    done before; and scores are sorted as on a GPU.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # takes seconds to import

    monkeypatch.setattr(regions, "sorted_rows", lambda flat: flat.sort(dim=1).values)
    monkeypatch.setattr(randomness, "_seeded", lambda device, *key: None)
    answer(network, masked.image)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, already_checked():
        batch = Batch(*(fake.from_tensor(value) for value in masked))
        method = METHODS[name]
        loss = method.loss(network, batch, method.init(12, 100), generator=DRAWS)["loss"]
    assert loss.shape == ()


def test_objective_draws_depend_on_seed_and_step_alone(batch):
    torch.manual_seed(0)
    network = WithBatchNorm()
    objective = Objective(network, SCAAT(attack=ATTACK), 12, 100, seed=3)
    state = torch.get_rng_state()
    with torch.no_grad():
        objective.eval()
        one, two = objective(*batch)["loss"], objective(*batch)["loss"]
    assert torch.equal(one, two) and objective.step == 0
    assert torch.equal(state, torch.get_rng_state())
    objective.train()
    objective(*batch)
    assert objective.step == 1
    copy = Objective(WithBatchNorm(), SCAAT(attack=ATTACK), 12, 100, seed=3)
    copy.train().load_state_dict(objective.state_dict())
    assert copy.step == 1 and torch.equal(copy(*batch)["loss"], objective(*batch)["loss"])


def test_pixels_outside_the_unit_interval_are_refused(network, batch):
    objective = Objective(network, Regular(), 12, 100)
    with pytest.raises(InputError, match=r"pixels must be in \[0, 1\], got .* to .*; normalise inside the network"):
        objective(batch.image * 2 - 1, batch.label, batch.index)
    with pytest.raises(InputError, match="got values from nan"):
        objective(batch.image * torch.nan, batch.label, batch.index)


@dataclass(frozen=True, kw_only=True)
class Wrong(Method):
    """A method of a user's that gives something else than it promises."""

    state: object = None
    losses: object = None

    def init(self, num_samples, total_steps):
        return self.state

    def loss(self, model, batch, state, *, generator=None):
        return self.losses


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ({"loss": torch.zeros(12, 3)}, r"the 'loss' of Wrong.loss must be a tensor of one number, got shape \(12, 3\)"),
        ({"loss": 0.5}, "the 'loss' of Wrong.loss must be a tensor of one number, got float"),
        (torch.zeros(()), "Wrong.loss must return a dictionary with 'loss', got tensor"),
    ],
)
def test_a_loss_that_is_no_number_is_one_sentence(network, batch, losses, sentence):
    objective = Objective(network, Wrong(state=nn.Module(), losses=losses), 12, 100)
    with pytest.raises(InputError, match=sentence):
        objective(*batch)


def test_a_state_that_is_no_module_is_one_sentence(network):
    with pytest.raises(InputError, match=r"^Wrong.init must return an nn.Module, got None$"):
        Objective(network, Wrong(), 12, 100)


@settings(max_examples=20)
@given(share=st.floats(0.01, 1))
def test_any_share_works(share):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    batch = Batch(torch.rand(7, 3, 2, 2), torch.zeros(7, dtype=torch.int64), torch.arange(7))
    method = SCAAT(attack=ATTACK, share=share, warmup=0, region=1)
    state = method.init(7, 1)
    method.loss(network, batch, state)
    assert (state.q != 0.5).sum() == max(1, round(7 * share))
