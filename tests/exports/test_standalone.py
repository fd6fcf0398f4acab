"""The module that is copied beside weights does what pellucid does, and needs none of it."""

import ast
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pellucid import Activation, Smoothing
from pellucid.edits.activation import swap_activations
from pellucid.edits.smoothing import smooth
from pellucid.exports import standalone


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten(), nn.Linear(64, 3)
    )


def written(folder: Path, model: nn.Module, activation: Activation | None, block: dict | None) -> Path:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    changes = {"activation": activation and asdict(activation), "smoothing": block}
    (folder / "preprocessing.json").write_text(
        json.dumps({"mean": [0.5, 0.4], "std": [0.2, 0.3], "output": None, "changes": changes})
    )
    return folder


PLACES = {"1": "1", "2": "2", "2.0": "2.layer.0"}


@pytest.mark.parametrize("filter", ["gaussian", "mean", "median", "non-local", "none"])
def test_a_smoothed_network_is_put_together_again(tmp_path: Path, filter) -> None:
    x = torch.rand(3, 2, 8, 8)
    choice = Smoothing(layers=("1", "2", "2.0"), filter=filter, kernel_size=3)
    smoothed = smooth(network(), choice, example=x).eval()
    layers = {name: asdict(smoothed.get_submodule(place).smoothing.grid) for name, place in PLACES.items()}
    for grid in layers.values():
        del grid["channels"]
    block = {"layers": layers, "filter": filter, "kernel_size": 3}
    loaded = standalone.load(network(), written(tmp_path, smoothed, None, block))
    normal = (x - torch.tensor([0.5, 0.4]).view(-1, 1, 1)) / torch.tensor([0.2, 0.3]).view(-1, 1, 1)
    torch.testing.assert_close(loaded(x), smoothed(normal), rtol=0, atol=1e-6)


class Tokens(nn.Module):
    """Patches, of which a class token and then rows of numbers are made, and channels that come last."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 6, 2, 2)
        self.norm = nn.LayerNorm(6)
        self.mlp = nn.Sequential(nn.Linear(6, 6), nn.GELU())
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        places = self.norm(self.patches(x).permute(0, 2, 3, 1)).flatten(1, 2)
        tokens = self.mlp(torch.cat([places.mean(1, keepdim=True), places], 1))
        return self.head(tokens[:, 0] + tokens.mean(1))


def test_tokens_and_channels_that_come_last_are_smoothed_again(tmp_path: Path) -> None:
    x = torch.rand(3, 2, 8, 8)
    smoothed = smooth(Tokens(), Smoothing(layers=("norm", "mlp")), example=x).eval()
    layers = {name: asdict(smoothed.get_submodule(name).smoothing.grid) for name in ("norm", "mlp")}
    assert [grid["layout"] for grid in layers.values()] == ["channels last", "tokens"]
    for grid in layers.values():
        del grid["channels"]
    block = {"layers": layers, "filter": "gaussian", "kernel_size": 3}
    loaded = standalone.load(Tokens(), written(tmp_path, smoothed, None, block))
    normal = (x - torch.tensor([0.5, 0.4]).view(-1, 1, 1)) / torch.tensor([0.2, 0.3]).view(-1, 1, 1)
    torch.testing.assert_close(loaded(x), smoothed(normal), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["softplus", "silu", "gelu", "smooth_relu"])
def test_a_swapped_activation_is_put_in_again(tmp_path: Path, name) -> None:
    activation = Activation(name=name, beta=3.0)
    swapped = swap_activations(network(), activation).eval()
    loaded = standalone.load(network(), written(tmp_path, swapped, activation, None))
    x = torch.rand(3, 2, 8, 8)
    normal = (x - torch.tensor([0.5, 0.4]).view(-1, 1, 1)) / torch.tensor([0.2, 0.3]).view(-1, 1, 1)
    torch.testing.assert_close(loaded(x), swapped(normal), rtol=0, atol=1e-6)


def test_a_shared_relu_and_a_relu_with_a_ceiling_are_swapped_as_well(tmp_path: Path) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act1, self.second = nn.Conv2d(2, 3, 3), nn.ReLU6(), nn.Conv2d(3, 3, 3)
            self.act2 = self.act1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act2(self.second(self.act1(5 * self.first(x)))).flatten(1)

    activation = Activation(beta=2.0)
    network = Shared().eval()
    swapped = swap_activations(network, activation)
    loaded = standalone.load(Shared(), written(tmp_path, swapped, activation, None))
    x = 10 * torch.rand(3, 2, 8, 8)
    normal = (x - torch.tensor([0.5, 0.4]).view(-1, 1, 1)) / torch.tensor([0.2, 0.3]).view(-1, 1, 1)
    torch.testing.assert_close(loaded(x), swapped(normal), rtol=0, atol=1e-5)
    assert (loaded(x) - network(normal)).abs().max() > 1e-3


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, network(), None, None)
    with pytest.raises(RuntimeError, match="size mismatch"):
        standalone.load(nn.Sequential(nn.Conv2d(2, 9, 3)), folder)


@pytest.mark.parametrize("key", ["scores", "1"])
def test_logits_among_other_things_are_taken_out(tmp_path: Path, key: str) -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network()

        def forward(self, x, *, twice):
            logits = self.body(x) * (2 if twice else 1)
            return (x, logits) if key == "1" else {"features": x, "scores": logits}

    model = Several().eval()
    folder = written(tmp_path, model, None, None)
    said = json.loads((folder / "preprocessing.json").read_text())
    said |= {"mean": None, "output": {"key": key, "keywords": {"twice": True}}}
    (folder / "preprocessing.json").write_text(json.dumps(said))
    x = torch.rand(3, 2, 8, 8)
    torch.testing.assert_close(standalone.load(Several(), folder)(x), 2 * model.body(x))


def test_it_imports_nothing_of_pellucid() -> None:
    nodes = ast.walk(ast.parse(Path(standalone.__file__).read_text()))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    nodes = ast.walk(ast.parse(Path(standalone.__file__).read_text()))
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {
        "collections",
        "json",
        "pathlib",
        "pickle",
        "safetensors",
        "torch",
        "typing",
    }
