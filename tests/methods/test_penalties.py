"""Penalties of the gradient against references that `torch.func` differentiates, image by image."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, jacrev

from pellucid import (
    SCAAT,
    AdversarialTraining,
    Batch,
    EnergyLoss,
    GradientAlignment,
    GradientPenalty,
    InputError,
    JacobianPenalty,
    Objective,
    Regular,
    RightReasons,
    SaliencyGuided,
    fgsm,
)
from pellucid.core.randomness import StepDraws
from pellucid.methods.penalty import Penalty

DRAWS = StepDraws(seed=0, step=0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(6, 3, 8, 8, generator=generator), torch.randint(0, 5, (6,), generator=generator)
    return Batch(x, y, torch.tensor([9, 3, 5, 0, 11, 2]))


def losses(method, network, batch, draws=DRAWS):
    return method.loss(network, batch, method.init(12, 100), generator=draws)


def assert_same_step(method, reference, network, batch, draws=DRAWS):
    """The loss and every weight's gradient are those of ``reference``, a function of weights, one image and label."""
    weights = {name: value.detach() for name, value in network.named_parameters()}
    rows = list(zip(*batch[:3], strict=True))
    mean = lambda weights: torch.stack([reference(weights, *row) for row in rows]).mean()
    expected, slopes = mean(weights), grad(mean)(weights)
    got = losses(method, network, batch, draws)["loss"]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
    for name, value in network.named_parameters():
        (slope,) = torch.autograd.grad(got, value, retain_graph=True)
        torch.testing.assert_close(slope, slopes[name], rtol=1e-3, atol=1e-5)


@pytest.fixture
def cross_entropy(network):
    def of(weights, image, label):
        return F.cross_entropy(functional_call(network, weights, image[None]), label[None])

    return of


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_gradient_penalty_against_torch_func(network, batch, cross_entropy, norm):
    def reference(weights, image, label, index):
        slope = grad(cross_entropy, argnums=1)(weights, image, label)
        size = torch.linalg.vector_norm(slope.flatten(), 1 if norm == "l1" else 2) ** (1 if norm == "l1" else 2)
        return cross_entropy(weights, image, label) + 0.3 * size

    assert_same_step(GradientPenalty(weight=0.3, norm=norm), reference, network, batch)


def test_gradient_penalty_is_the_first_order_loss_of_an_attacked_image(network, batch):
    eps = 1e-3
    attacked = AdversarialTraining(attack=fgsm(eps=eps, random_start=False))
    inside = batch._replace(image=0.1 + 0.8 * batch.image)
    expected = losses(attacked, network.double(), inside._replace(image=inside.image.double()))["loss"]
    got = losses(GradientPenalty(weight=eps), network, inside._replace(image=inside.image.double()))["loss"]
    clean = losses(Regular(), network, inside._replace(image=inside.image.double()))["loss"]
    assert abs(got - expected) < 0.01 * (expected - clean)


@pytest.mark.parametrize("detach", [True, False])
def test_alignment_against_torch_func(network, batch, detach):
    noise = dict(
        zip(batch.index.tolist(), (2 * DRAWS.of("alignment").uniform(batch.image.shape) - 1) * 0.2, strict=True)
    )

    held = {name: value.detach().clone() for name, value in network.named_parameters()}

    def reference(weights, image, label, index):
        logit = lambda weights, image: functional_call(network, weights, image[None])[0, label]
        here = grad(logit, argnums=1)(held if detach else weights, image)
        there = grad(logit, argnums=1)(weights, image + noise[index.item()])
        cosine = (here * there).sum() / (here.norm() * there.norm())
        clean = F.cross_entropy(functional_call(network, weights, image[None]), label[None])
        return clean + 0.7 * ((here - there) ** 2).sum() + 3 * (1 - cosine) / 2

    method = GradientAlignment(weight=0.7, cosine_weight=3, eps=0.2, detach_source=detach)
    assert_same_step(method, reference, network, batch)


def test_alignment_with_the_image_itself_is_0_and_of_a_flat_map_finite(network, batch):
    got = losses(GradientAlignment(eps=0), network, batch)
    assert got["map_distance"] == 0 and abs(got["map_cosine_distance"]) < 1e-6
    for value in network.parameters():
        nn.init.zeros_(value)
    got = losses(GradientAlignment(detach_source=False), network, batch)
    got["loss"].backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


def test_jacobian_of_all_unit_vectors_is_exact(network, batch, cross_entropy):
    def reference(weights, image, label, index):
        jacobian = jacrev(lambda image: functional_call(network, weights, image[None])[0])(image)
        return cross_entropy(weights, image, label) + 0.8 / 2 * (jacobian**2).sum()

    assert_same_step(JacobianPenalty(weight=0.8, projections=None), reference, network, batch)


def test_jacobian_is_right_in_expectation(network, batch):
    exact = losses(JacobianPenalty(projections=None), network, batch)["jacobian_norm"]
    draws = [StepDraws(seed=0, step=step) for step in range(100)]
    drawn = torch.stack(
        [losses(JacobianPenalty(projections=2), network, batch, each)["jacobian_norm"] for each in draws]
    )
    assert drawn.std() > 0
    assert abs(drawn.mean() - exact) < 4 * drawn.std() / 10


def test_jacobian_of_one_logit_needs_no_draw():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    batch = Batch(torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    got = losses(JacobianPenalty(projections=1), network, batch)["jacobian_norm"]
    torch.testing.assert_close(got, (network[1].weight ** 2).sum())


@pytest.fixture
def masked(batch):
    """The last mask is not known, the one before covers the whole image."""
    mask = torch.zeros(6, 1, 8, 8, dtype=torch.bool)
    for i in range(4):
        mask[i, :, i : i + 3, 2:6] = True
    mask[4] = True
    return batch._replace(mask=mask)


def test_right_reasons_against_torch_func(network, masked, cross_entropy):
    masks = dict(zip(masked.index.tolist(), masked.mask, strict=True))

    def reference(weights, image, label, index):
        mask = masks[index.item()].float()
        slope = grad(lambda image: functional_call(network, weights, image[None]).log_softmax(1).sum())(image)
        wrong = (((1 - mask) * slope) ** 2).sum() if mask.any() else 0
        return cross_entropy(weights, image, label) + 0.2 * wrong

    assert_same_step(RightReasons(weight=0.2), reference, network, masked)


def test_energy_against_torch_func(network, masked, cross_entropy):
    masks = dict(zip(masked.index.tolist(), masked.mask, strict=True))

    def reference(weights, image, label, index):
        mask = masks[index.item()].float()
        slope = grad(lambda image: functional_call(network, weights, image[None])[0, label])(image).abs()
        outside = 1 - (mask * slope).sum() / slope.sum() if mask.any() else 0
        return cross_entropy(weights, image, label) + 3 * outside

    assert_same_step(EnergyLoss(weight=3), reference, network, masked)


def test_a_network_that_looks_only_where_it_should_has_no_mask_penalty(masked):
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(192, 5)

        def forward(self, x):
            return self.head((x * masked.mask).flatten(1))

    class Outside(Inside):
        def forward(self, x):
            return self.head((x * ~masked.mask).flatten(1))

    partial = 4 / 6  # of the images: one mask is not known, and one covers everything
    for method, name in ((RightReasons(), "wrong_reasons"), (EnergyLoss(), "energy_outside")):
        assert losses(method, Inside(), masked)[name] == 0
        assert losses(method, Outside(), masked)[name] > 0
    torch.testing.assert_close(losses(EnergyLoss(), Outside(), masked)["energy_outside"], torch.tensor(partial))


def test_a_map_of_zeros_has_no_energy_and_a_finite_slope(network, masked):
    for value in network.parameters():
        nn.init.zeros_(value)
    got = losses(EnergyLoss(), network, masked)
    got["loss"].backward()
    assert got["energy_outside"] == 0
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


@pytest.mark.parametrize("method", [RightReasons(), EnergyLoss()], ids=repr)
def test_masks_that_are_missing_or_of_another_shape_are_one_sentence(network, batch, method):
    name = type(method).__name__
    with pytest.raises(InputError, match=f"^{name} needs masks of what decides the class, and these images have none;"):
        losses(method, network, batch)
    for mask in (torch.ones(6, 8, 8, dtype=torch.bool), torch.ones(6, 1, 8, 8)):
        with pytest.raises(InputError, match=rf"^{name} needs masks of type bool and shape \(6, 1, 8, 8\), got"):
            losses(method, network, batch._replace(mask=mask))


OFF = {
    "penalty": lambda method: GradientPenalty(weight=0, method=method),
    "alignment": lambda method: GradientAlignment(weight=0, cosine_weight=0, method=method),
    "jacobian": lambda method: JacobianPenalty(weight=0, method=method),
    "right-reasons": lambda method: RightReasons(weight=0, method=method),
    "energy": lambda method: EnergyLoss(weight=0, method=method),
    "nested": lambda method: GradientPenalty(weight=0, method=JacobianPenalty(weight=0, method=method)),
}
WRAPPED = {"regular": Regular(), "scaat": SCAAT(), "sgt": SaliencyGuided(), "at": AdversarialTraining()}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("penalty", OFF)
def test_weight_0_is_the_wrapped_method_bit_for_bit_and_at_no_cost(network, batch, penalty, wrapped):
    runs = []
    for method in (WRAPPED[wrapped], OFF[penalty](WRAPPED[wrapped])):
        passes = []
        hook = network.register_forward_pre_hook(lambda *_, passes=passes: passes.append(1))
        got = losses(method, network, batch)
        hook.remove()
        runs.append((got, torch.autograd.grad(got["loss"], list(network.parameters())), len(passes)))
    (alone, slopes, passes), (wrapped_losses, wrapped_slopes, wrapped_passes) = runs
    assert alone.keys() == wrapped_losses.keys() and passes == wrapped_passes
    assert all(torch.equal(alone[name], wrapped_losses[name]) for name in alone)
    assert all(map(torch.equal, slopes, wrapped_slopes))


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_penalty_is_added_to_any_method(network, batch, wrapped):
    method = WRAPPED[wrapped]
    term = losses(GradientPenalty(weight=0.5), network, batch)["loss"] - losses(Regular(), network, batch)["loss"]
    got = losses(GradientPenalty(weight=0.5, method=method), network, batch)
    torch.testing.assert_close(got["loss"], losses(method, network, batch)["loss"] + term)


def test_nested_penalties_add_up_and_share_one_pass(network, batch):
    parts = [GradientPenalty(weight=0.5), JacobianPenalty(weight=0.3), GradientAlignment(weight=2)]
    clean = losses(Regular(), network, batch)["loss"]
    expected = clean + sum(losses(part, network, batch)["loss"] - clean for part in parts)
    nested = GradientPenalty(weight=0.5, method=JacobianPenalty(weight=0.3, method=GradientAlignment(weight=2)))
    passes = []
    network.register_forward_pre_hook(lambda *_: passes.append(1))
    got = losses(nested, network, batch)
    torch.testing.assert_close(got["loss"], expected)
    assert len(passes) == 2, "one of the images, one of their neighbours"
    assert got.keys() == {
        "loss", "clean_loss", "clean_accuracy", "gradient_norm", "jacobian_norm", "map_distance", "map_cosine_distance"
    }  # fmt: skip


def test_the_wrapped_state_passes_through(network, batch):
    objective = Objective(network, GradientPenalty(method=SCAAT(warmup=0)), 12, 100).train()
    objective(*batch[:3])["loss"].backward()
    moved = objective.state.per_sample()["q"] != 0.5
    assert moved.nonzero().flatten().tolist() == sorted(batch.index.tolist())


def test_channels_last_and_no_grad_change_nothing(network, batch):
    expected = losses(GradientPenalty(), network, batch)["loss"]
    last = batch._replace(image=batch.image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(losses(GradientPenalty(), network, last)["loss"], expected)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            torch.testing.assert_close(losses(GradientPenalty(), network, batch)["loss"], expected)


def test_two_processes_draw_what_one_does(network, batch):
    method = GradientAlignment(eps=0.3, method=JacobianPenalty())
    whole = losses(method, network, batch)["loss"]
    halves = []
    for rank in range(2):
        part = Batch(*(value[3 * rank : 3 * rank + 3] for value in batch[:3]))
        halves.append(losses(method, network, part, StepDraws(seed=0, step=0, rank=rank, world=2))["loss"])
    torch.testing.assert_close(torch.stack(halves).mean(), whole)


def test_a_penalty_of_ones_own(network, batch):
    class LogitSize(Penalty):
        method = Regular()
        is_off = False

        def terms(self, model, x, logits, batch, *, generator=None):
            return {"size": (0.1, logits.square().mean())}

    got = losses(LogitSize(), network, batch)
    logits = network(batch.image)
    torch.testing.assert_close(got["loss"], F.cross_entropy(logits, batch.label) + 0.1 * (logits**2).mean())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GradientPenalty(weight=-1), "weight must not be negative, got -1"),
        (lambda: GradientPenalty(weight=float("nan")), "weight must not be negative, got nan"),
        (lambda: GradientPenalty(norm="linf"), "norm must be l1 or l2, got 'linf'"),
        (lambda: GradientPenalty(method="scaat"), r"method must be a pellucid.Method such as Regular\(\), got 'scaat'"),
        (lambda: GradientAlignment(cosine_weight=-1), "cosine_weight must not be negative, got -1"),
        (lambda: GradientAlignment(eps=4), r"eps must be in \[0, 1\], got 4"),
        (lambda: GradientAlignment(method=SCAAT), "method must be a pellucid.Method"),
        (lambda: RightReasons(weight=-1), "weight must not be negative, got -1"),
        (lambda: EnergyLoss(weight=-1), "weight must not be negative, got -1"),
        (lambda: JacobianPenalty(weight=-1), "weight must not be negative, got -1"),
        (lambda: JacobianPenalty(projections=0), "projections must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_settings(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
