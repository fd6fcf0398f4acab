"""Networks as people have them, evaluated end to end: what can be handled is, what cannot is told, nothing is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pellucid import Evaluation, InputError
from pellucid.core.notes import tell
from pellucid.report.caveats import caveats
from pellucid.runs.evaluated import read_run
from pellucid.runs.evaluation import evaluate

N = 20
X = torch.randint(0, 256, (N, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).float() / 255
EVALUATION = Evaluation(metrics=("robust_accuracy", "gini"), saliency=("vanilla_gradient",), robust_eps=0.05, gallery=2)


class Pictures(Dataset[Any]):
    """What a torch Dataset gives of an image, as ``form`` makes it."""

    classes = ("dark", "light", "other")

    def __init__(self, form: Callable[[Tensor, int], Any] = lambda image, label: (image, label)) -> None:
        self.form = form

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return self.form(X[index], index % 3)


class Network(nn.Module):
    def __init__(self, form: Callable[[Tensor, Tensor], Any] = lambda z, x: z, *, writes: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)
        self.form, self.writes = form, writes

    def forward(self, x: Tensor) -> Any:
        seen = x.sub_(0.5) if self.writes else x - 0.5
        return self.form(self.head(self.norm(self.conv(seen)).tanh().flatten(1)), x)


def measured(network: nn.Module, out: Path, data: Any = None, evaluation: Evaluation = EVALUATION) -> pa.Table:
    run = evaluate(network, data or Pictures(), evaluation, out=out, mean=0, std=1, progress=False, accelerator="cpu")
    return pq.read_table(run / "rows.parquet")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return measured(Network().eval(), tmp_path_factory.mktemp("plain") / "run")


LIKE = {
    "a tuple": lambda: Network(lambda z, x: (z, None)).eval(),
    "an object": lambda: Network(lambda z, x: {"logits": z, "features": z}).eval(),
    "in training mode": lambda: Network().train(),
    "writing into its images": lambda: Network(writes=True).eval(),
}


@pytest.mark.parametrize("kind", LIKE)
def test_it_is_measured_like_the_plain_network(kind: str, plain: pa.Table, tmp_path: Path) -> None:
    network = LIKE[kind]()
    modes = [module.training for module in network.modules()]
    table = measured(network, tmp_path / "run")
    assert table.equals(plain), [name for name in plain.column_names if not table[name].equals(plain[name])]
    assert [module.training for module in network.modules()] == modes and network.norm.num_batches_tracked == 0


DATA = {
    "a dictionary": lambda image, label: {"image": image, "label": label, "path": "a.png"},
    "a dictionary of tensors": lambda image, label: {"image": image, "label": torch.tensor(label)},
    "a list": lambda image, label: [image, label],
}


@pytest.mark.parametrize("kind", DATA)
def test_pictures_of_every_form(kind: str, plain: pa.Table, tmp_path: Path) -> None:
    assert measured(Network().eval(), tmp_path / "run", Pictures(DATA[kind])).equals(plain)


def test_an_honest_network_has_no_caveat(plain: pa.Table) -> None:
    assert set(plain["robust_gradient"].to_pylist()) == {1.0}
    assert plain["robust_margin"].equals(plain["robust_correct"])


MASKED = {
    "logits far apart": lambda z, x: 1e6 * z,
    "probabilities": lambda z, x: (1e6 * z).softmax(1),
    "logits cut off from the image": lambda z, x: z.detach() + 0 * x.sum(),
}


@pytest.mark.parametrize("kind", MASKED)
def test_masked_gradients_are_told_by_evaluate_and_in_every_table(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell.cache_clear()
    measured(Network(MASKED[kind]).eval(), tmp_path / "run")
    said = capsys.readouterr().err
    assert said.count("pellucid: run: The attack had no gradient to follow on ") == 1
    assert ("ends in a softmax" in said) == (kind == "probabilities")
    assert caveats(read_run(tmp_path / "run"))[0].startswith("The attack had no gradient to follow on ")


def test_a_gradient_that_is_no_number_loses_the_measures_of_maps_alone(
    plain: pa.Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell.cache_clear()
    brightest = float(X.amax())  # of one image the root's slope is infinite, times 0
    network = Network(lambda z, x: z + 0 * (x.amax((1, 2, 3)) - brightest).abs().sqrt()[:, None])
    evaluation = Evaluation(metrics=("gini", "hessian_trace"), saliency=("vanilla_gradient",), gallery=N)
    with pytest.raises(InputError, match=r"Gini was left out: .*must be finite, got nan; all other measures are in"):
        measured(network.eval(), tmp_path / "run", evaluation=evaluation)
    table = pq.read_table(tmp_path / "run" / "rows.parquet")
    assert table["prediction"].equals(plain["prediction"]) and "gini" not in table.column_names
    assert (
        "vanilla_gradient maps of some images are shown empty: the attribution must be finite"
        in capsys.readouterr().err
    )
