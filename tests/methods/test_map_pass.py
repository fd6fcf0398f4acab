"""A ranking map of the pass that the loss is made of: the same step, from fewer passes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pellucid import PGD, SCAAT, Batch, InputError, SaliencyGuided, SmoothGrad
from pellucid.core.input_gradient import image_gradients, input_gradient_of
from pellucid.core.randomness import StepDraws
from pellucid.methods import AdversarialSCAAT
from pellucid.methods.map_pass import logits_with_map
from pellucid.saliency import VanillaGradient

DRAWS = StepDraws(seed=0, step=0)
ATTACK = PGD(eps=0.1, step_size=0.05, steps=2)
SHARED = {
    "sgt": SaliencyGuided(map_pass="shared"),
    "sgt-share": SaliencyGuided(map_pass="shared", share=0.5, ranking="signed"),
    "sgt-predicted": SaliencyGuided(map_pass="shared", target="predicted", region=2, fill="corner"),
    "sgt-c": SaliencyGuided(map_pass="shared", attack=ATTACK, reading="C"),
    "scaat": SCAAT(map_pass="shared", attack=ATTACK),
    "scaat-share": SCAAT(map_pass="shared", attack=ATTACK, share=0.5),
    "scaat-probability": SCAAT(map_pass="shared", attack=ATTACK, saliency=VanillaGradient(score="probability")),
    "scaat-at": AdversarialSCAAT(scaat=SCAAT(map_pass="shared", attack=ATTACK), attack=ATTACK),
}


def make_network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Softplus(), nn.Flatten(), nn.Linear(144, 5))


def own(method):
    """The same method with a forward pass for its map alone."""
    if isinstance(method, AdversarialSCAAT):
        return replace(method, scaat=own(method.scaat))
    return replace(method, map_pass="own")


@pytest.fixture(params=["classes", "labels"])
def batch(request):
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 5, (8,), generator=generator)
    if request.param == "labels":
        label = torch.randint(0, 2, (8, 5), generator=generator).float()
    return Batch(torch.rand(8, 3, 8, 8, generator=generator), label, torch.arange(8))


def step(method, network, batch):
    """The losses, the gradients of the weights, the state, and how many images each forward pass saw."""
    seen, state = [], method.init(8, 1)
    hook = network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    losses = method.loss(network, batch, state, generator=DRAWS)
    hook.remove()
    return losses, torch.autograd.grad(losses["loss"], list(network.parameters())), state.state_dict(), seen


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_pass_is_the_same_step_from_fewer_images_passed(name, batch):
    network = make_network()
    shared, apart = step(SHARED[name], network, batch), step(own(SHARED[name]), network, batch)
    for ours, theirs in zip(shared[:3], apart[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
    part = len(batch.image) // 2 if "share" in name else len(batch.image)
    assert sum(apart[3]) - sum(shared[3]) == part * (2 if "predicted" in name else 1)


@pytest.mark.parametrize("method", [SaliencyGuided(map_pass="shared", share=0.5), SCAAT(map_pass="shared")], ids=repr)
def test_with_batchnorm_the_map_is_of_the_batch_as_the_loss_sees_it(method, batch):
    network, plain = make_network(nn.BatchNorm2d(4)), make_network(nn.BatchNorm2d(4))
    losses, _, _, seen = step(method, network, batch)
    assert seen[0] == len(batch.image) and losses["loss"].isfinite()
    torch.testing.assert_close(losses["clean_accuracy"], step(own(method), plain, batch)[0]["clean_accuracy"])


class Depth(nn.Module):
    """Stochastic depth: it has no weights, and is of no class that PyTorch has."""

    def forward(self, x):
        return x * (torch.rand(len(x), 1, 1, 1) > 0.5) * 2 if self.training else x


@pytest.mark.parametrize("layers", [(), (nn.BatchNorm2d(4),), (nn.Dropout(),), (Depth(),)], ids=repr)
def test_the_attack_compares_the_network_with_itself(layers, batch):
    """At x + 0, the divergence that the attack climbs is 0, whatever the network does in training mode."""
    began = []

    class Watched(PGD):
        def __call__(self, objective, x, **options):
            began.append(objective(x).abs().max().item())
            return super().__call__(objective, x, **options)

    network = make_network(*layers).train()
    method = SCAAT(map_pass="shared", attack=Watched(eps=0.1, step_size=0.05, steps=1))
    method.loss(network, batch, method.init(8, 1), generator=DRAWS)
    assert began == [pytest.approx(0, abs=1e-6)]


def test_the_map_of_a_part_is_its_rows_with_and_without_batchnorm():
    x, part = torch.rand(6, 3, 8, 8), torch.tensor([0, 3])
    for network in (make_network(), make_network(nn.BatchNorm2d(4))):
        leaf = x.clone().requires_grad_()
        expected = network(leaf)
        (slope,) = torch.autograd.grad(expected[part, 2].sum(), leaf)
        logits, gradient = logits_with_map(
            network, x, part, lambda logits: torch.full((2,), 2), saliency=VanillaGradient()
        )
        torch.testing.assert_close((logits, gradient), (expected, slope[part]))
        assert not gradient.requires_grad and logits.requires_grad


def test_a_gradient_of_images_alone_leaves_the_graph_of_the_weights_as_it_was():
    """On a CPU the convolution's own gradient is left out of that pass, and is all there in the next one."""
    network, x = make_network(), torch.rand(2, 3, 8, 8)
    with image_gradients():
        seen = x.clone().requires_grad_()
        value = network(seen).square().sum(1)
        slope = input_gradient_of(value, seen)
    plain = x.clone().requires_grad_()
    again = network(plain).square().sum(1)
    (expected,) = torch.autograd.grad(again.sum(), plain, create_graph=True)
    torch.testing.assert_close(slope, expected)
    weights = list(network.parameters())
    for total, other in (
        (value.sum() + slope.square().sum(), again.sum() + expected.square().sum()),
        (slope.abs().sum(), expected.abs().sum()),
    ):
        ours = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        theirs = torch.autograd.grad(other, weights, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: SaliencyGuided(map_pass="step"), "map_pass"),
        (lambda: SaliencyGuided(map_pass="shared", ranking="random"), "ranking random makes none"),
        (lambda: SCAAT(map_pass="shared", ranking="random"), "ranking random makes none"),
        (lambda: SCAAT(map_pass="shared", saliency=SmoothGrad(samples=2)), "no other map; got SmoothGrad"),
        (lambda: SaliencyGuided(map_pass="shared", attack=ATTACK), "reading A of an attack ranks attacked ones"),
    ],
)
def test_what_has_no_pass_to_share_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        wrong()
