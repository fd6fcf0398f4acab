import pytest
import torch
from torch import nn

from pellucid.core.modes import acts_otherwise, untracked

NORMS = {
    "batch": lambda: nn.BatchNorm2d(2),
    "batch-average": lambda: nn.BatchNorm2d(2, momentum=None),
    "instance": lambda: nn.InstanceNorm2d(2, track_running_stats=True),
    "instance-affine": lambda: nn.InstanceNorm2d(2, affine=True, track_running_stats=True, momentum=0.3),
}


@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
def test_running_statistics_stay_and_the_layer_gives_the_same(make):
    x, norm, other = torch.rand(4, 2, 5, 5) + 5, make(), make()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with untracked(norm):
        inside = norm(x)
    assert torch.equal(inside, other(x))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    assert norm.momentum == make().momentum and norm.track_running_stats
    norm(x)
    assert torch.equal(norm.running_mean, other.running_mean) and norm.running_mean[0] > 0


class Depth(nn.Module):
    def forward(self, x):
        return x * (torch.rand(()) > 0.5) if self.training else x


class Block(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("layers", "otherwise"),
    [
        ([nn.Dropout(0.1)], True),
        ([nn.BatchNorm2d(1)], True),
        ([Depth()], True),
        ([nn.MultiheadAttention(2, 1, dropout=0.1)], True),
        ([nn.MultiheadAttention(2, 1)], False),
        ([nn.Conv2d(1, 1, 1), nn.ReLU(), nn.LayerNorm(3)], False),
    ],
)
def test_a_layer_that_may_act_otherwise_in_training_mode_is_found(layers, otherwise):
    network = Block(*layers)
    assert acts_otherwise(network) == otherwise
    assert not acts_otherwise(network.eval())
