"""What one's own training loop hands over wrongly: one sentence with the way out, on the first batch."""

from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import nn

from pellucid import (
    SCAAT,
    TRADES,
    AdversarialTraining,
    Case,
    GradientPenalty,
    InputError,
    Method,
    Objective,
    Regular,
    SaliencyGuided,
)
from pellucid.core.notes import tell
from pellucid.methods import first_batch
from pellucid.metrics import RobustAccuracy
from pellucid.models import Binary

N = 6
X = torch.rand(N, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABEL, INDEX = torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(N)
METHODS = [Regular(), SCAAT(), SaliencyGuided()]


class Net(nn.Module):
    """A network of ``outputs`` numbers, handed back as ``form`` makes them."""

    def __init__(self, outputs: int = 3, form: Any = None) -> None:
        super().__init__()
        self.layer = nn.Linear(16, outputs)
        self.form = form
        self.passes = 0

    def forward(self, x: torch.Tensor) -> Any:
        self.passes += 1
        logits = self.layer(x.flatten(1))
        return logits if self.form is None else self.form(logits)


def refused(model: nn.Module, *given: Any, method: Method = METHODS[0], **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        Objective(model, method, 10, 5, **more)(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (LABEL[:, None], "int64 of shape (6,), got torch.int64 of shape (6, 1); give label[:, 0]"),
        (LABEL[:, None].float(), "got torch.float32 of shape (6, 1); give label[:, 0].long()"),
        (LABEL.float(), "got torch.float32 of shape (6,); give label.long() if every number is whole"),
        (LABEL.int(), "got torch.int32 of shape (6,); give label.long()"),
        (LABEL > 0, "got torch.bool of shape (6,); give label.long()"),
        (F.one_hot(LABEL), "these look one-hot: give label.argmax(1), or"),
        (F.one_hot(LABEL).float(), "these look one-hot: give label.argmax(1), or"),
        (torch.ones(N, 3), 'where an image may have several labels, give Objective(..., task="multilabel")'),
        (LABEL[:4], "labels must be 6 class numbers, int64 of shape (6,), got torch.int64 of shape (4,)"),
        (LABEL[None, :, None], "got torch.int64 of shape (1, 6, 1)"),
        ([0, 1, 2, 0, 1, 2], "got a list of 6 values; give torch.as_tensor(label)"),
        (LABEL - 1, "labels must be class numbers from 0, got -1; leave images without a class out of the batch"),
        (LABEL + 1, "labels must be in [0, 2] as the network gives 3 logits, got 3; give the network 4 or more"),
    ],
)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_labels(label: Any, sentence: str, method: Method) -> None:
    assert sentence in refused(Net(), X, label, INDEX, method=method)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (LABEL, "must be floats of shape (6, k), 1 where a label applies, 0 where it does not, -1 or NaN where"),
        (F.one_hot(LABEL), "got torch.int64 of shape (6, 3); give label.float()"),
        (torch.full((N, 3), 0.5), "got 0.5"),
        (torch.full((N, 3), torch.inf), "got inf"),
        (torch.ones(4, 3), "got torch.float32 of shape (4, 3)"),
        (torch.ones(N, 4), "one for each of the 4 labels, got shape (6, 3)"),
        (None, "got None"),
    ],
)
def test_several_labels(label: Any, sentence: str) -> None:
    assert sentence in refused(Net(), X, label, INDEX, task="multilabel")


def test_several_labels_that_are_right_pass_as_bytes_of_any_float() -> None:
    label = torch.tensor([[1, 0, -1], [0, torch.nan, 1]]).repeat(3, 1)
    for kind in (torch.float32, torch.float64, torch.float16):
        Objective(Net(), Regular(), 10, 5, task="multilabel")(X, label.to(kind), INDEX)["loss"].backward()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (lambda z: OrderedDict(aux=z, out=z), 'pellucid.models.Logits(network, "out")'),
        (lambda z: {"features": z[:, :, None], "scores": z}, 'pellucid.models.Logits(network, "scores")'),
        (lambda z: (z, z), "got a tuple of 2 values; wrap it as pellucid.models.Logits(network, 0)"),
        (lambda z: [z[:, :, None], z], "got a list of 2 values; wrap it as pellucid.models.Logits(network, 1)"),
        (lambda z: SimpleNamespace(scores=z), "got a SimpleNamespace; wrap it as pellucid.models.Logits(netwo"),
        (lambda z: None, "got None; wrap it as pellucid.models.Logits(network, KEY)"),
        (
            lambda z: z[:, :1],
            "got one number for each image, shape (6, 1); torch.nn.Sequential(network, pellucid.models.Bin",
        ),
        (lambda z: z[:, 0], "got one number for each image, shape (6,)"),
        (lambda z: z[:, :, None, None], "got shape (6, 3, 1, 1); the mean over height and width is one"),
        (lambda z: z[:, None], "got shape (6, 1, 3)"),
    ],
)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_outputs(form: Any, sentence: str, method: Method) -> None:
    assert sentence in refused(Net(form=form), X, LABEL, INDEX, method=method)


@pytest.mark.parametrize(
    "form",
    [
        lambda z: {"logits": z, "loss": 0},
        lambda z: (z, None),
        lambda z: SimpleNamespace(logits=z, hidden=z),
        lambda z: OrderedDict(out=z),
    ],
)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_logits_that_leave_no_doubt_are_taken_in_every_step(form: Any, method: Method) -> None:
    torch.manual_seed(0)
    network = Net()
    plain, wrapped = Objective(network, method, 10, 5), Objective(Net(form=form), method, 10, 5)
    wrapped.model.load_state_dict(network.state_dict())
    for _ in range(2):
        assert wrapped(X, LABEL, INDEX)["loss"].item() == plain(X, LABEL, INDEX)["loss"].item()
    assert not wrapped.model._forward_hooks and not wrapped.model._forward_pre_hooks


class Writing(Net):
    """It normalises its images in place."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.sub_(0.5).div_(0.25))


@pytest.mark.parametrize(
    "method", [*METHODS, GradientPenalty(), AdversarialTraining(), TRADES()], ids=lambda m: type(m).__name__
)
def test_a_network_that_writes_into_its_images_is_given_copies(method: Method) -> None:
    network = Writing()
    objective, x = Objective(network, method, 10, 5), X.clone()
    for _ in range(2):
        objective(x, LABEL, INDEX)["loss"].backward()
        assert torch.equal(x, X)
    assert not network._forward_pre_hooks


def test_probabilities_in_the_place_of_logits_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell.cache_clear()
    for _ in range(2):
        Objective(Net(form=lambda z: z.softmax(1)), Regular(), 10, 5)(X, LABEL, INDEX)
    assert capsys.readouterr().err.count("the network Net ends in a softmax: its outputs are probabilities") == 1


def test_every_batch_is_held_to_the_range_of_pixels() -> None:
    objective = Objective(Net(), SCAAT(), 10, 5)
    objective(X, LABEL, INDEX)
    with pytest.raises(InputError, match=r"pixels must be in \[0, 1\], got values from .* to 1.* normalise inside"):
        objective(X + 0.5, LABEL, INDEX)


def test_the_way_out_works() -> None:
    one = nn.Sequential(Net(1), Binary())
    Objective(one, SCAAT(), 10, 5)(X, LABEL.clamp(max=1), INDEX)["loss"].backward()


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (None, "got None; pellucid.integrations.lightning.Indexed(dataset) adds them to the items of a dataset"),
        (INDEX + 5, "each in [0, 9], got 5 to 10; give Objective the size of the training set, here num_samples=10"),
        (INDEX - 1, "each in [0, 9], got -1 to 4"),
        (INDEX.float(), "got torch.float32 of shape (6,); index.long() are"),
        (INDEX[:3], "got torch.int64 of shape (3,)"),
    ],
)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_positions(index: Any, sentence: str, method: Method) -> None:
    message = refused(Net(), X, LABEL, index, method=method)
    assert message.startswith("index must be the positions of the 6 images in the training set, int64 of shape (6,)")
    assert sentence in message


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ((X * 255).byte(), "got torch.uint8 of shape (6, 1, 4, 4); of bytes image.float() / 255 are"),
        (X[:, 0], "images must be floating point (n, c, h, w) in [0, 1], got torch.float32 of shape (6, 4, 4)"),
        (X * 255, "; normalise inside the network"),
        ("cat.png", "got a str"),
    ],
)
def test_images(image: Any, sentence: str) -> None:
    assert sentence in refused(Net(), image, LABEL, INDEX)


def test_labels_and_outputs_are_looked_at_in_the_first_batch_alone_and_no_pass_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Net()
    objective = Objective(network, Regular(), 10, 5)
    objective(X, LABEL, INDEX)
    assert network.passes == 1 and not network._forward_hooks

    def never(*given: Any) -> None:
        raise AssertionError("looked at again")

    for name in ("check_labels", "check_index", "check_outputs", "outputs_checked"):
        monkeypatch.setattr(first_batch, name, never)
        monkeypatch.setattr(f"pellucid.methods.objective.{name}", never, raising=False)
    objective(X, LABEL, INDEX)
    assert network.passes == 2


def test_a_refused_batch_leaves_no_trace_and_the_next_is_looked_at_too() -> None:
    network = Net()
    objective = Objective(network, Regular(), 10, 5)
    for _ in range(2):
        with pytest.raises(InputError, match="labels must be in"):
            objective(X, LABEL + 1, INDEX)
        assert objective.step == 0 and not network._forward_hooks
    objective(X, LABEL, INDEX)
    assert objective.step == 1


def test_a_method_of_ones_own_may_use_a_network_that_gives_more_than_logits() -> None:
    @dataclass(frozen=True)
    class Auxiliary(Method):
        def loss(self, model, batch, state, *, generator=None):
            logits, auxiliary = model(batch.image)
            return {"loss": F.cross_entropy(logits, batch.label) + 0.4 * F.cross_entropy(auxiliary, batch.label)}

    Objective(Net(form=lambda z: (z, z)), Auxiliary(), 10, 5)(X, LABEL, INDEX)["loss"].backward()


def test_a_task_that_is_none() -> None:
    with pytest.raises(InputError, match=r"task must be multiclass or multilabel, got 'regression'"):
        Objective(Net(), Regular(), 10, 5, task="regression")  # type: ignore[arg-type]


KINDS = st.sampled_from([torch.int64, torch.int32, torch.float32, torch.bool, torch.uint8])
SHAPES = st.sampled_from([(N,), (N, 1), (1, N), (N, 3), (4,), (), (0,), (N, 0)])


@given(SHAPES, KINDS, st.integers(0, 3), SHAPES, KINDS, st.sampled_from(["multiclass", "multilabel"]))
def test_whatever_is_given_is_trained_on_or_refused_in_one_sentence(shape, kind, fill, where, of_index, task) -> None:
    label, index = torch.full(shape, fill).to(kind), torch.zeros(where, dtype=of_index)
    said, loss = "", torch.zeros(())
    try:
        loss = Objective(Net(), SCAAT(), 10, 5, task=task)(X, label, index)["loss"]
    except InputError as error:
        said = str(error)
    assert "\n" not in said and loss.isfinite()


@pytest.mark.parametrize(
    ("form", "label", "sentence"),
    [
        (lambda z: (z, z), LABEL, "got a tuple of 2 values; wrap it as pellucid.models.Logits(network, 0)"),
        (
            lambda z: z[:, :1],
            LABEL * 0,
            "got one number for each image, shape (6, 1); torch.nn.Sequential(network, pell",
        ),
        (None, F.one_hot(LABEL).float(), "take one at a time, with the network pellucid.models.OneLabel(mo"),
    ],
)
def test_metrics_say_the_same_of_networks_and_labels(form: Any, label: Any, sentence: str) -> None:
    case = Case(model=Net(form=form).eval(), x=X, label=label, index=INDEX)
    with pytest.raises(InputError) as caught:
        RobustAccuracy(eps=0.1, steps=1)(case)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    if form is not None:
        with pytest.raises(InputError, match=r"the network must return logits \(n, classes\), got"):
            _ = case.prediction
