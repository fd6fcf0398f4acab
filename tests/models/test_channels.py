"""Pretrained weights on images of another number of channels, and with another number of classes."""

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.models.channels import adapt_first_convolution, adapted, renew_head


def test_three_channels_stay_as_they_are() -> None:
    weight = torch.rand(5, 3, 2, 2)
    assert adapted(weight, 3) is weight


def test_a_grey_image_gives_what_it_would_as_equal_red_green_and_blue() -> None:
    conv, x = nn.Conv2d(3, 5, 3, padding=1), torch.rand(2, 1, 6, 6)
    expected = conv(x.expand(-1, 3, -1, -1))
    adapt_first_convolution(conv, 1, name="conv")
    assert (conv.in_channels, conv.weight.shape) == (1, (5, 1, 3, 3))
    torch.testing.assert_close(conv(x), expected)


@given(st.integers(1, 16))
def test_equal_channels_give_the_sum_that_three_gave(channels: int) -> None:
    """For a multiple of three exactly; otherwise what each channel counts is the mean of what it counted."""
    weight = torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(channels))
    changed = adapted(weight, channels)
    assert changed.shape == (4, channels, 1, 1)
    if channels == 1 or channels % 3 == 0:
        torch.testing.assert_close(changed.sum(1), weight.sum(1))
    if channels > 1:
        by_hand = torch.stack([weight[:, i % 3] * 3 / channels for i in range(channels)], 1)
        torch.testing.assert_close(changed, by_hand)


def test_half_precision_stays_and_is_summed_in_full() -> None:
    weight = torch.tensor([256.0, 1.0, 1.0]).bfloat16().view(1, 3, 1, 1)
    assert adapted(weight, 1).dtype == torch.bfloat16
    assert adapted(weight, 1).item() == 258  # in bfloat16, 256 + 1 is 256


class Patches(nn.Module):
    """A patch embedding that remembers its number of channels, as Hugging Face's do."""

    def __init__(self) -> None:
        super().__init__()
        self.num_channels = 3
        self.projection = nn.Conv2d(3, 4, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.num_channels
        out: Tensor = self.projection(x)
        return out


@pytest.mark.parametrize("channels", [1, 2, 4, 16])
def test_layers_that_remember_the_channels_are_told(channels: int) -> None:
    patches = Patches()
    adapt_first_convolution(patches, channels, name="patches")
    assert patches(torch.rand(2, channels, 4, 4)).shape == (2, 4, 2, 2)


@pytest.mark.parametrize("net", [nn.Linear(3, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(3, 3, 1, groups=3)])
def test_a_network_of_other_channels_is_refused(net: nn.Module) -> None:
    with pytest.raises(InputError, match="other takes images of 3 channels, the data have 1"):
        adapt_first_convolution(net, 1, name="other")
    adapt_first_convolution(net, 3, name="other")


def test_a_new_head_keeps_everything_else() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 5, bias=False))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert renew_head(net, 5, name="net") == 5
    assert torch.equal(net[3].weight, before["3.weight"])
    assert renew_head(net, 2, name="net") == 5
    assert net[3].weight.shape == (2, 8) and net[3].bias is None
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items() if key != "3.weight")


def test_auxiliary_heads_and_convolutions_are_heads_too() -> None:
    net = nn.ModuleDict({"aux": nn.Linear(4, 10), "hidden": nn.Linear(4, 6), "fc": nn.Linear(6, 10)})
    renew_head(net, 3, name="net")
    assert [layer.out_features for layer in net.values()] == [3, 6, 3]  # type: ignore[union-attr]  # all are linear
    squeezed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 10, 1), nn.ReLU())
    assert renew_head(squeezed, 3, name="net") == 10
    assert squeezed(torch.rand(2, 3, 4, 4)).shape == (2, 3, 2, 2)
    with pytest.raises(InputError, match="Flatten has no linear layer"):
        renew_head(nn.Flatten(), 3, name="net")
