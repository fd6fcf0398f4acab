"""How outputs of layers are read: every layout, grids of any form, and what is no map."""

from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from pellucid.core.feature_maps import Grid, Layout, layer_named, observe


@given(
    layout=st.sampled_from(["channels first", "channels last", "tokens"]),
    c=st.integers(1, 3),
    h=st.integers(1, 4),
    w=st.integers(1, 4),
    prefix=st.integers(0, 3),
)
def test_a_map_that_is_taken_out_and_put_back_is_the_output(layout: Any, c: int, h: int, w: int, prefix: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "channels first": (2, c, h, w),
        "channels last": (2, h, w, c),
        "tokens": (2, prefix + h * w, c),
    }
    grid, out = Grid(layout, c, h, w, prefix if layout == "tokens" else 0), torch.randn(shapes[layout])
    taken = grid.to_map(out)
    assert taken.shape == (2, c, h, w)
    assert torch.equal(grid.replaced(out, taken), out)
    changed = grid.replaced(out, taken + 1)
    assert torch.equal(grid.to_map(changed), taken + 1)
    if layout == "tokens":
        assert torch.equal(changed[:, :prefix], out[:, :prefix])


class Gives(nn.Module):
    """Whatever is asked for, behind a convolution with the given patch size."""

    def __init__(self, shape: tuple[int, ...], patch: int = 0) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 5, max(1, patch), stride=max(1, patch))
        self.shape, self.convolves, self.layer = shape, patch > 0, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.convolves:
            self.patch(x)
        out: Tensor = self.layer(torch.zeros(len(x), *self.shape))
        return out


def read(shape: tuple[int, ...], *, size: tuple[int, int] = (32, 32), patch: int = 0) -> Grid | None:
    layers, _ = observe(Gives(shape, patch), torch.zeros(2, 3, *size))
    return layers[-1].grid


@pytest.mark.parametrize(
    ("shape", "size", "patch", "layout", "form"),
    [
        ((7, 8, 8), (32, 32), 0, "channels first", (7, 8, 8, 0)),
        ((8, 8, 7), (32, 32), 0, "channels last", (7, 8, 8, 0)),
        ((8, 8, 8), (32, 32), 0, "channels first", (8, 8, 8, 0)),  # nothing tells
        ((4, 6, 3), (40, 60), 0, "channels last", (3, 4, 6, 0)),
        ((65, 12), (32, 32), 4, "tokens", (12, 8, 8, 1)),
        ((64, 12), (32, 32), 4, "tokens", (12, 8, 8, 0)),
        ((69, 12), (32, 32), 4, "tokens", (12, 8, 8, 5)),
        ((16, 12), (32, 32), 4, "tokens", (12, 4, 4, 0)),  # patches merged two by two
        ((25, 12), (32, 48), 8, "tokens", (12, 4, 6, 1)),
        ((65, 12), (32, 32), 0, "tokens", (12, 8, 8, 1)),  # cut out without a convolution
        ((197, 12), (224, 224), 0, "tokens", (12, 14, 14, 1)),
        ((25, 12), (32, 48), 0, "tokens", (12, 4, 6, 1)),
    ],
)
def test_layouts(shape: Any, size: Any, patch: int, layout: Layout, form: tuple[int, int, int, int]) -> None:
    assert read(shape, size=size, patch=patch) == Grid(layout, *form)


@pytest.mark.parametrize(
    ("shape", "patch"),
    [((12,), 0), ((2, 3, 4, 5, 6), 0), ((50, 12), 4), ((12, 64), 4), ((3, 7, 40), 0), ((1, 12), 4)],
)
def test_what_does_not_lie_on_the_image(shape: tuple[int, ...], patch: int) -> None:
    assert read(shape, patch=patch) is None


def test_attention_is_no_map() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.tokens, self.softmax = nn.Conv2d(3, 5, 8, stride=8), nn.Identity(), nn.Softmax(-1)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.tokens(self.patch(x).flatten(2).transpose(1, 2))
            weight: Tensor = self.softmax((tokens @ tokens.transpose(1, 2))[:, None].expand(-1, 3, -1, -1))
            return weight

    layers, _ = observe(Attends(), torch.zeros(2, 3, 32, 32))
    assert [(layer.name, layer.shape, layer.grid is not None) for layer in layers] == [
        ("patch", (2, 5, 4, 4), True),
        ("tokens", (2, 16, 5), True),
        ("softmax", (2, 3, 16, 16), False),
    ]


def test_layers_that_know_where_channels_are_decide() -> None:
    # 6 × 6 places with 6 channels: the numbers alone do not tell.
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 6))
    layers, _ = observe(network, torch.rand(1, 3, 6, 6))
    assert [layer.grid and layer.grid.layout for layer in layers] == [
        *("channels first", "channels first"),
        *("channels last", "channels last", "channels last"),
    ]


def test_the_image_itself_is_not_learned_and_names_may_lack_their_prefix() -> None:
    from collections import OrderedDict

    inner = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 1))
    network = nn.Sequential(OrderedDict(normalize=nn.Identity(), network=inner)).train()
    layers, _ = observe(network, torch.rand(1, 3, 4, 4))
    assert [(layer.name, layer.learned) for layer in layers] == [
        ("normalize", False),
        ("network.0", False),
        ("network.1", True),
        ("network", True),
    ]
    found = layer_named(layers, "1")
    assert found is not None and found.name == "network.1"
    assert layer_named(layers, "2") is None
    assert all(module.training and not module._forward_hooks for module in network.modules())
