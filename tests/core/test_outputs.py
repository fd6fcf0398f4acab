"""Networks that give more than logits, write into their images or are left in training mode, from Python."""

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid import PGD, GradCAM, InputError, IntegratedGradients, SmoothGrad, VanillaGradient
from pellucid.core.notes import tell
from pellucid.core.outputs import answer, only_logits
from pellucid.metrics import (
    gradient_variation,
    hessian_trace,
    randomisation_similarity,
    relative_stability,
    robust_correct,
)
from pellucid.saliency import as_saliency, gradient_and_logits

X = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABEL = torch.arange(4)
Pair = namedtuple("Pair", ["logits", "hidden"])


class Network(nn.Module):
    """A convolution with BatchNorm and dropout whose logits are handed back as ``form`` makes them."""

    def __init__(self, form: Callable[[Tensor], Any] = lambda z: z, *, writes: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.drop = nn.Dropout()
        self.form, self.writes = form, writes

    def forward(self, x: Tensor) -> Any:
        x = x.sub_(0.25).mul_(2) if self.writes else (x - 0.25) * 2
        return self.form(self.head(self.drop(self.norm(self.conv(x)).relu().mean((2, 3)))))


FORMS: dict[str, Callable[[Tensor], Any]] = {
    "dict": lambda z: {"logits": z, "features": z[:, :2]},
    "ordered dict of one": lambda z: OrderedDict(out=z),
    "tuple of one tensor": lambda z: (z, None),
    "list": lambda z: [z],
    "named tuple": lambda z: Pair(z, z[:, :2]),
    "object": lambda z: SimpleNamespace(logits=z, hidden_states=None),
}


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(3)


CALLS: dict[str, Callable[[nn.Module], Any]] = {
    "vanilla": lambda m: VanillaGradient()(m, X, LABEL),
    "probability": lambda m: VanillaGradient(score="probability", chunk=2)(m, X, LABEL),
    "smoothgrad": lambda m: SmoothGrad(samples=2)(m, X, LABEL, generator=draws()),
    "integrated": lambda m: IntegratedGradients(steps=3)(m, X, LABEL),
    "gradcam": lambda m: GradCAM()(m, X, LABEL),
    "gradient and logits": lambda m: torch.cat(
        [v.flatten(1) for v in gradient_and_logits(m, X, LABEL, score="logit")], 1
    ),
    "one's own": lambda m: as_saliency(lambda model, x, target: x * answer(model, x).sum())(m, X, LABEL),
}
MEASURES: dict[str, Callable[[nn.Module], Any]] = {
    "robust": lambda m: robust_correct(m, X, LABEL, PGD(eps=0.1, step_size=0.1, steps=1), generator=draws()),
    "variation": lambda m: gradient_variation(m, X, LABEL, draws=1, generator=draws()),
    "trace": lambda m: hessian_trace(m, X, LABEL, draws=1, generator=draws()),
    "sanity": lambda m: next(iter(randomisation_similarity(m, X, LABEL, VanillaGradient()).values())),
    "stability": lambda m: relative_stability(m, X, LABEL, VanillaGradient(), draws=1, generator=draws())["ris"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", CALLS | MEASURES)
def test_logits_that_leave_no_doubt_are_taken(form: str, call: str) -> None:
    explain = (CALLS | MEASURES)[call]
    torch.testing.assert_close(explain(Network(FORMS[form]).eval()), explain(Network().eval()), equal_nan=True)


@pytest.mark.parametrize("call", CALLS | MEASURES)
@pytest.mark.parametrize("form", [lambda z: (z, z), lambda z: {"a": z, "b": z}, lambda z: None, lambda z: "logits"])
def test_an_output_that_leaves_doubt_is_refused_in_one_sentence(form: Any, call: str) -> None:
    with pytest.raises(
        InputError, match=r"the network must return logits \(n, classes\), got .*Logits\(network, "
    ) as caught:
        (CALLS | MEASURES)[call](Network(form).eval())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS | MEASURES)
def test_a_network_that_writes_into_its_images_is_given_copies(call: str) -> None:
    before, explain = X.clone(), (CALLS | MEASURES)[call]
    found = explain(Network(writes=True).eval())
    assert torch.equal(X, before)
    torch.testing.assert_close(found, explain(Network().eval()), equal_nan=True)


@pytest.mark.parametrize("call", CALLS)
def test_maps_are_made_in_eval_mode_and_the_callers_modes_kept(call: str) -> None:
    network = Network().train()
    network.norm.eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    first, second = CALLS[call](network), CALLS[call](network)
    assert torch.equal(first, second)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(first, CALLS[call](Network().eval()))


@pytest.mark.parametrize("call", MEASURES)
def test_measures_of_a_network_in_training_mode_are_refused(call: str) -> None:
    network = Network().train()
    with pytest.raises(InputError, match="must be in eval mode, got .* in training mode; call model.eval()"):
        MEASURES[call](network)
    assert network.training and network.norm.num_batches_tracked == 0


def test_modes_are_restored_where_the_network_fails() -> None:
    network = Network(lambda z: 1 / 0).train()
    with pytest.raises(ZeroDivisionError):
        VanillaGradient()(network, X, LABEL)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("call", ["vanilla", "smoothgrad", "robust", "variation", "sanity"])
def test_probabilities_in_the_place_of_logits_are_told_once(call: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell.cache_clear()
    (CALLS | MEASURES)[call](Network(lambda z: z.softmax(1)).eval())
    assert capsys.readouterr().err.count("ends in a softmax: its outputs are probabilities") == 1


def test_logits_are_not_called_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    tell.cache_clear()
    for form in (lambda z: z.softmax(1) - 0.1, lambda z: z.sigmoid(), lambda z: z.log_softmax(1)):
        VanillaGradient()(Network(form).eval(), X, LABEL)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("objective", "got"),
    [
        (lambda z: (z.sum((1, 2, 3)), None), "a tuple of 2 values"),
        (lambda z: z.flatten(1), r"torch.float32 of shape \(4, 192\)"),
        (lambda z: z.sum((0, 2, 3)), r"torch.float32 of shape \(3,\)"),
        (lambda z: None, "None"),
    ],
)
def test_an_attacks_objective_gives_one_number_an_image(objective: Any, got: str) -> None:
    with pytest.raises(InputError, match=rf"the objective must give one number for each of 4 images.* got {got}"):
        PGD(eps=0.1, step_size=0.1, steps=1)(objective, X)


def test_only_logits() -> None:
    assert only_logits((None, X, None)) is X and only_logits((X, X)) is None and only_logits({}) is None
