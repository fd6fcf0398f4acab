"""Which weights are saved: the average of the steps, and the best epoch."""

import torch
from torch import nn

from pellucid import FineTuning
from pellucid.runs.selection import Selection, moving_average


def test_a_network_that_does_not_move_is_its_own_average():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = moving_average(network, 0.9)
    for _ in range(3):
        average.update_parameters(network)
    assert all(map(torch.equal, average.module.state_dict().values(), network.state_dict().values()))


def test_what_is_best_depends_on_the_score():
    scores = [(0.9, 0.6, 0.5), (0.8, 0.7, 0.4), (0.7, 0.5, 0.3), (0.9, 0.6, 0.4)]
    names = ("validation_accuracy", "validation_balanced_accuracy", "validation_loss")
    best = {}
    for score in ("accuracy", "balanced_accuracy", "loss"):
        selection = Selection(FineTuning(keep="best", score=score))
        for epoch, values in enumerate(scores):
            selection.see(epoch, dict(zip(names, values, strict=True)), nn.Linear(1, 1))
        best[score] = selection.epoch
    assert best == {"accuracy": 3, "balanced_accuracy": 1, "loss": 2}
