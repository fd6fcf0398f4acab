"""Where another package is wrong, or decides otherwise: both numbers, for `metrics_parity.py`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from parity_attacks import captum_right
from parity_settings import COLOUR, GREY, Setting, in_turn, map_of, quantus, their_way
from torch import nn

from pellucid import PGD, VanillaGradient, metrics
from pellucid.core.randomness import SampleDraws, fork
from pellucid.metrics.perturbation import NoisyCopies, noisy_image

DIFFERENCES: list[Callable[[dict[str, Setting]], dict[str, Any]]] = []


def differs(work: Callable[[dict[str, Setting]], dict[str, Any]]) -> Callable[[dict[str, Setting]], dict[str, Any]]:
    DIFFERENCES.append(work)
    return work


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[GREY]
    small = map_of(s) / map_of(s).amax() * 1e-6
    return {
        "measure": "gini",
        "peer": "Quantus `Sparseness`",
        "what": "mean Gini index of maps scaled to a maximum of 1e-6, whose scale should not matter: Quantus adds 1e-7",
        "pellucid": float(metrics.gini(small).mean()),
        "theirs": float(np.mean(quantus("Sparseness", s, small[:, None].numpy()))),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[GREY]
    value = map_of(s)
    value = torch.cat([value[:-1], 1000 * value[-1:]])
    return {
        "measure": "effective_complexity",
        "peer": "Quantus `EffectiveComplexity`",
        "what": "largest change of an image's count when a map 1000 times as large joins the batch: Quantus divides by"
        " the batch's maximum",
        "pellucid": float((metrics.effective_complexity(value)[:-1] - metrics.effective_complexity(value[:-1])).abs()
                          .max()),
        "theirs": float(np.abs(
            np.array(quantus("EffectiveComplexity", s, value[:, None].numpy(), eps=0.1, normalise=True))
            - np.array(quantus("EffectiveComplexity", s, map_of(s)[:, None].numpy(), eps=0.1, normalise=True))
        )[:-1].max()),
    }  # fmt: skip


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    import quantus as package

    s = all_settings[GREY]
    mine = map_of(s)
    theirs = mine[:, None].numpy().copy()
    with their_way():
        metric = package.Complexity(abs=False, normalise=False, disable_warnings=True)
    metric(model=s.model, x_batch=s.x.numpy(), y_batch=s.target.numpy(), a_batch=theirs, channel_first=True)
    before = mine.clone()
    metrics.pixel_entropy(mine)
    return {
        "measure": "pixel_entropy",
        "peer": "Quantus `Complexity`",
        "what": "largest change of the caller's own array, relative to its maximum: Quantus divides in place",
        "pellucid": float((mine - before).abs().max()),
        "theirs": float(np.abs(theirs[:, 0] - before.numpy()).max() / before.max()),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[GREY]
    sigma, draws = 0.3, 10
    found = metrics.relative_stability(
        s.model, s.x, s.target, VanillaGradient(), form="elementwise", sigma=sigma, draws=draws, generator=s.draws
    )
    theirs = quantus("RelativeInputStability", s, nr_samples=draws, perturb_func=in_turn(s.noisy(draws, sigma)))
    return {
        "measure": "relative_stability",
        "peer": "Quantus `RelativeInputStability`",
        "what": f"share of images without a number (NaN) under noise of σ {sigma}, of which"
        f" {float(found['coverage'].mean()):.0%} keep the prediction: in Quantus one changed prediction of {draws} is"
        " enough, and nothing says how many kept it",
        "pellucid": float(found["ris_elementwise"].isnan().double().mean()),
        "theirs": float(np.isnan(theirs).mean()),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[GREY]
    x, draws = torch.full_like(s.x, 0.5), SampleDraws(0, tuple(range(len(s.x))))
    seen: list[np.ndarray] = []

    def record(model: nn.Module, inputs: Any, targets: Any, **keywords: Any) -> np.ndarray:
        seen.append(np.array(inputs))
        return np.linspace(0, 1, inputs.size).reshape(inputs.shape)

    grey_only = Setting(s.name, s.model, x, s.label, s.layer, draws)
    quantus("RelativeInputStability", grey_only, nr_samples=5, explain_func=record)
    return {
        "measure": "relative_stability",
        "peer": "Quantus `RelativeInputStability`",
        "what": "mean of the default noise: Quantus's is uniform in [0.02, 0.2], a brightening, though its docstring"
        " says Gaussian (`noise=\"one-sided\"` here)",
        "pellucid": float((noisy_image(x, draws) - x).mean()),
        "theirs": float(np.mean([one - 0.5 for one in seen[1:]])),
    }  # fmt: skip


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[GREY]
    one = Setting(s.name, s.model, s.x[:1], s.label[:1], s.layer, SampleDraws(0, (0,)))
    clean, noisy = np.ones((1, 1, 28, 28)), np.ones((1, 1, 28, 28))
    clean[0, 0, 0, 0], noisy[0, 0, 0, 0] = 1e-9, 1e-4

    def two_maps() -> Callable[..., Any]:
        return lambda model, inputs, target: torch.from_numpy(clean if torch.equal(inputs, one.x) else noisy)

    found = metrics.relative_stability(
        s.model, one.x, one.target, two_maps(), draws=1, sigma=0.01, generator=one.draws
    )["ris"]
    theirs = quantus(
        "RelativeInputStability", one, clean, nr_samples=1, perturb_func=in_turn(one.noisy(1, 0.01)),
        explain_func=lambda model, inputs, targets, **keywords: noisy.copy(),
    )  # fmt: skip
    return {
        "measure": "relative_stability",
        "peer": "Quantus `RelativeInputStability`",
        "what": "RIS of a map of ones of which one pixel goes from 1e-9 to 1e-4: the elementwise form (paper, Quantus)"
        " divides by it; the norm form, OpenXAI's, is the default here and the elementwise one goes by its name",
        "pellucid": float(found),
        "theirs": float(theirs[0]),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    with fork(3):
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 26 * 26, 3)
        )
    s = all_settings[GREY]
    model = model.double().eval()
    from quantus.helpers.model.pytorch_model import PyTorchModel

    theirs = PyTorchModel(model, channel_first=True, softmax=False, device="cpu")
    with their_way():
        hidden = theirs.get_hidden_representations(s.x.numpy(), layer_names=["1"])
    copies = NoisyCopies(model, s.x, s.label, VanillaGradient(), generator=s.draws)
    seen = copies.observe(noise="gaussian", sigma=0.1, between=(0, 1), draws=1, layer="1")
    return {
        "measure": "relative_stability",
        "peer": "Quantus `RelativeRepresentationStability`",
        "what": "smallest output of a batch norm layer that an in-place ReLU follows: on the CPU Quantus keeps what the"
        " ReLU overwrote",
        "pellucid": float(next(seen).hidden.min()),
        "theirs": float(hidden.min()),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s, attack = all_settings[GREY], PGD(eps=0.2, step_size=0.2, steps=1, random_start=False)
    return {
        "measure": "robust_correct",
        "peer": "Captum `robust.PGD`",
        "what": "share of images still right after one step of 0.2: Captum takes no step along gradients below"
        " 1e-6 unless told so",
        "pellucid": float(metrics.robust_correct(s.model, s.x, s.label, attack).double().mean()),
        "theirs": float(captum_right(s, eps=0.2, step_size=0.2, steps=1, least=1e-6).mean()),
    }


@differs
def _(all_settings: dict[str, Setting]) -> dict[str, Any]:
    s = all_settings[COLOUR]
    value = map_of(s)
    try:
        theirs = str(np.mean(quantus("ROAD", s, value[:, None].numpy(), percentages=[50])))
    except Exception as error:  # whatever it is, it is the finding
        theirs = type(error).__name__
    return {
        "measure": "road",
        "peer": "Quantus `ROAD`",
        "what": "accuracy after half of the pixels of a colour image are imputed: Quantus mixes pixels and channels",
        "pellucid": float(metrics.road(s.model, s.x, s.target, value, shares=(0.5,), generator=s.draws)["morf"].mean()),
        "theirs": theirs,
    }
