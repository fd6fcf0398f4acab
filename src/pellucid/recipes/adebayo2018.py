"""The data randomisation test of Adebayo et al. 2018: do maps tell a network that has learnt from one that has not.

Two networks are trained alike, one of them on labels in a random order. It fits its training images by heart, so
there is nothing in an image that a map of it could rightly point at. A saliency method that shows the same for both
networks shows the image.

Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.3.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.types import Attribution, Heatmap, Image, Label, PerSample
from pellucid.data import Data, load
from pellucid.metrics.sanity import edge_map, explainer, random_map
from pellucid.metrics.similarity import rank_correlation, ssim
from pellucid.models import Network
from pellucid.runs.settings import Experiment, read_experiment
from pellucid.runs.training import load_network
from pellucid.saliency import heatmap

__all__ = ["experiments", "label_similarity", "training_accuracy"]


def experiments(*, seed: int = 0) -> dict[str, Experiment]:
    """The two runs by name: LeNet-5 on 2000 Fashion-MNIST images, with true and with shuffled labels.

    So few images that a small network fits any labels of them: after 100 epochs both have fit their training labels
    (see `training_accuracy`), and on test images the one is right four times in five, the other by chance. The paper
    has all 60 000 images and a larger network, trained until it fits more than 95 % of the shuffled labels.

    Args:
        seed: of weights and order.

    >>> [(name, experiment.dataset.labels) for name, experiment in experiments().items()]
    [('true-labels', 'true'), ('shuffled-labels', 'shuffled')]
    """
    data = Data(name="fashion-mnist", limit=2000)
    true = Experiment(dataset=data, network=Network(name="lenet5"), epochs=100, batch_size=64, seed=seed)
    return {"true-labels": true, "shuffled-labels": replace(true, dataset=replace(data, labels="shuffled"))}


def training_accuracy(run: str | Path) -> float:
    """Share of the training images for which a finished run gives the label it was trained with, in [0, 1].

    A run on shuffled labels takes part in the test only where this is near 1.

    Args:
        run: the directory.

    Raises:
        InputError: no finished run, or its images are not on this machine.
    """
    train = load(read_experiment(run).dataset, "train")
    model = load_network(run, train)
    right = 0
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(train)), 256):
            right += int((model(train.take(rows).float() / 255).argmax(1) == train.labels[rows]).sum())
    return right / len(train)


def label_similarity(
    true: nn.Module,
    shuffled: nn.Module,
    x: Image,
    target: Label,
    saliency: Any,
    *,
    window: int = 7,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> dict[str, dict[str, PerSample]]:
    """How alike the maps of the two networks are on the same images, beside maps that look at no network.

    Each compares the map of the network trained on true labels with another. ``absolute`` maps are means of
    absolute values over channels, ``signed`` ones means over channels. For SSIM each map is divided by its own largest
    magnitude. A saliency that itself draws gets the same numbers for both networks.

    Args:
        true: network trained on true labels, in eval mode.
        shuffled: network trained on shuffled labels, in eval mode.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained, of both networks.
        saliency: whatever `pellucid.saliency.as_saliency` accepts, but for a Captum object: give its class.
        window: side of SSIM's squares in pixels.
        chunk: largest number of images in one forward or backward pass; all by default.
        generator: source of the saliency's own draws and of the random map.

    Returns:
        For ``shuffled`` (the map of the other network), ``edge_map`` and ``random_map``:
        ``rank_correlation_absolute``, ``rank_correlation_signed``, ``ssim_absolute`` and ``ssim_signed``, (n,) each in
        [-1, 1]. A method passes where ``shuffled`` is far from 1; where that is no higher than ``edge_map``, what the
        two maps share is no more than what edges would give.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class that a network lacks, a network in training mode, with
            non-finite logits or attributions, a Captum object, a window that does not fit.

    >>> networks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval() for _ in range(2)]
    >>> found = label_similarity(*networks, torch.rand(1, 1, 8, 8), torch.tensor([0]), edge_map)
    >>> found["shuffled"]["rank_correlation_absolute"]
    tensor([1.])

    Source: Adebayo et al. 2018, figures 5 and 6 and section 3.3.
    """
    explained = explainer([true, shuffled], x, target, saliency, chunk=chunk, generator=generator)
    own = explained(true)
    others = {
        "shuffled": explained(shuffled),
        "edge_map": edge_map(true, x, target),
        "random_map": random_map(true, x, target, generator=randomness.of(generator, "sanity/random_map")),
    }
    return {name: _similarity(own, other, window=window) for name, other in others.items()}


def _similarity(one: Attribution, other: Attribution, *, window: int) -> dict[str, PerSample]:
    found: dict[str, Tensor] = {}
    for name, channels, data_range in (("absolute", "mean_abs", 1.0), ("signed", "signed_mean", 2.0)):
        maps = [_scaled(heatmap(value, channels=channels)) for value in (one, other)]  # type: ignore[arg-type]
        found[f"rank_correlation_{name}"] = rank_correlation(*maps)
        found[f"ssim_{name}"] = ssim(*maps, window=window, data_range=data_range)
    return found


def _scaled(value: Heatmap) -> Heatmap:
    peak = value.abs().amax(dim=(1, 2), keepdim=True)
    return value / torch.where(peak == 0, 1, peak)
