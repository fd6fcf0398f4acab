"""What trains, and at which rate: layers counted, frozen, woken, the last one alone."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from pellucid import FineTuning
from pellucid.core.modes import wake
from pellucid.runs.layers import freeze, layers, only_head, parameter_groups, what_trains


def test_waking_honours_parts_beside_others_and_nothing_else():
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), nn.Linear(1, 1))
    network[0].eval()
    wrapped = nn.Sequential(nn.Identity(), network)
    wake(wrapped)
    assert [module.training for module in network.modules()] == [True, False, False, False, True]
    network.eval()
    network[1].train()  # a fresh head on a network that a loader returned
    wake(wrapped)
    assert all(module.training for module in wrapped.modules())


def test_layers_are_counted_from_the_image_to_the_logits():
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))
            self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
            self.norm = nn.LayerNorm(4)
            self.head = nn.Linear(4, 2)

    assert [layer.name for layer in layers(Token())] == ["", "blocks.0", "blocks.1", "head"]
    assert set(layers(Token())[2].parameters) == {"blocks.1.weight", "blocks.1.bias", "norm.weight", "norm.bias"}
    network = Token()
    groups = parameter_groups(nn.ModuleList([network, nn.Linear(1, 1)]), network, lr=1.0, layer_decay=0.125)
    assert [group["lr"] for group in groups] == pytest.approx([0.125, 0.25, 0.5, 1.0, 1.0])
    freeze(network, FineTuning(freeze_share=0.75))
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_a_parametrised_layer_is_one_layer():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), weight_norm(nn.Linear(4, 2)))
    assert [(layer.name, len(layer.parameters)) for layer in layers(network)] == [("0", 2), ("1", 3)]


def test_a_norm_without_weights_rests_with_the_layer_before_it():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, affine=False)
    ).train()
    freeze(network, FineTuning(freeze_share=0.5))
    assert [network[1].training, network[3].training] == [False, True]


def test_only_the_head_gives_everything_back():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2).eval(), nn.Linear(2, 2))
    network[0].weight.requires_grad_(False)
    with only_head(network) as resting:
        assert what_trains(network).startswith(
            "6 of 20 parameters are trained; BatchNorm statistics follow the data in 0 of"
        )
        assert len(resting) == 5
    assert what_trains(network) == (
        "16 of 20 parameters are trained; BatchNorm statistics follow the data in 1 of 2 layers (2 stays as it is)"
    )
