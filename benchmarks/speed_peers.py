"""The same work by pellucid and by another library, in turn: attacks, class activation maps, the area under a curve.

What Quantus and Captum take for a measure or a map is with the measures.
"""

import contextlib
import importlib.util
import io
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from metric_cost import NETWORKS, setting
from speed import Row, interleaved, row_of

from pellucid import PGD
from pellucid.metrics.scores import auc
from pellucid.saliency import GradCAM

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only peers"
EPS, STEP, STEPS = 8 / 255, 2 / 255, 10
IMAGES = 10_000

TRIED: tuple[str, ...] = ()
"""What did not help."""


def rows(rounds: int = 7) -> list[Row]:
    """A row for each piece of work: pellucid's time over the other library's.

    Raises:
        AssertionError: the two did not do the same.
    """
    torch.set_num_threads(1)
    cases: dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]] = {}
    for network in NETWORKS:
        cases |= attacks(network)
    cases |= class_activation("ResNet-18 at quarter width, 3×32×32") | areas()
    found = []
    for what, (peer, ours, theirs) in cases.items():
        times = interleaved({"ours": ours, "theirs": theirs}, rounds=rounds)
        ratios = [a / b for a, b in zip(times["ours"], times["theirs"], strict=True)]
        found.append(row_of(ratios, what=f"{what}, over {peer}'s", target=1.0, unit="×", command=COMMAND))
    return found


def attacks(network: str) -> dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """PGD of ten steps from a random start."""
    import torchattacks
    from torch.nn.functional import cross_entropy

    s = setting(network, torch.device("cpu"))
    attack = PGD(eps=EPS, step_size=STEP, steps=STEPS)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = torchattacks.PGD(s.model, eps=EPS, alpha=STEP, steps=STEPS, random_start=True)

    def ours() -> torch.Tensor:
        return attack(lambda x: cross_entropy(s.model(x), s.target, reduction="none"), s.x)

    for found in (ours(), theirs(s.x, s.target)):
        assert (found - s.x).abs().max() <= EPS + 1e-6
    return {f"PGD of {STEPS} steps, {network}": ("torchattacks", ours, lambda: theirs(s.x, s.target))}


def class_activation(network: str) -> dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Grad-CAM of the last layer with places."""
    without_torchvision()
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    s = setting(network, torch.device("cpu"))
    layer = s.model.get_submodule("network.layer4")
    targets = [ClassifierOutputTarget(int(label)) for label in s.target]
    theirs = pytorch_grad_cam.GradCAM(model=s.model, target_layers=[layer])
    ours = GradCAM(layer="network.layer4")
    mine = ours(s.model, s.x, s.target)[:, 0]
    mine = (mine - mine.amin((1, 2), True)) / (mine.amax((1, 2), True) - mine.amin((1, 2), True) + 1e-7)
    other = torch.from_numpy(theirs(input_tensor=s.x, targets=targets))
    assert torch.stack([mine, other]).flatten(1).corrcoef()[0, 1] > 0.9, "the same map but for its interpolation"
    return {
        f"Grad-CAM, {network}": (
            "pytorch-grad-cam",
            lambda: ours(s.model, s.x, s.target),
            lambda: theirs(input_tensor=s.x, targets=targets),
        )
    }


def without_torchvision() -> None:
    """Lets pytorch-grad-cam be imported, which asks for transforms that Grad-CAM does not use."""
    if importlib.util.find_spec("torchvision") is None:
        wanted = {"transforms": ("Compose", "Normalize", "ToTensor"), "transforms.functional": ("resize",)}
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        for module, names in wanted.items():
            made = sys.modules[f"torchvision.{module}"] = types.ModuleType(f"torchvision.{module}")
            for name in names:
                setattr(made, name, None)


def areas() -> dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Area under the ROC curve of many scores."""
    from torchmetrics.functional.classification import binary_auroc

    random = np.random.default_rng(0)
    positive = random.random(IMAGES) < 0.3
    score = random.normal(size=IMAGES) + positive
    given, label = torch.from_numpy(score), torch.from_numpy(positive).long()
    assert abs(auc(score, positive) - float(binary_auroc(given.sigmoid(), label))) < 1e-6
    probability = given.sigmoid()
    return {
        f"AUC of {IMAGES:,} images": (
            "torchmetrics", lambda: auc(score, positive), lambda: binary_auroc(probability, label),
        )
    }  # fmt: skip
