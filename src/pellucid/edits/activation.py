"""Activation swap: a smooth function in the place of every ReLU, so that a network has second derivatives."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating
from pellucid.core.types import Image
from pellucid.edits.fast_path import without_fast_path

__all__ = ["Activation", "SmoothActivation", "gelu", "silu", "smooth_relu", "softplus", "swap_activations"]

Name = Literal["softplus", "silu", "gelu", "smooth_relu"]


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A smooth activation that replaces a network's ReLUs.

    A ReLU network is piecewise linear: its input gradient jumps from one piece to the next, and a penalty on that
    gradient has nothing to follow within a piece. Each of the four is a smooth function that becomes ReLU as ``beta``
    grows; a small ``beta`` smooths more, and moves the network further from what its weights were made for.

    Args:
        name: ``softplus``, log(1 + exp(βx)) / β, is positive and rises everywhere. ``silu``, x σ(βx), and ``gelu``, x
            Φ(βx), are slightly negative for some inputs below 0. ``smooth_relu``, x Φ(βx) + φ(βx) / β, is ReLU
            convolved with a Gaussian of deviation 1/β.
        beta: sharpness β, above 0: the ReLU's corner is rounded over about 1/β of the layer's input. 1 gives the common
            softplus, SiLU and GELU.

    Maximum pooling keeps its corners. It commutes with the two that rise everywhere as it does with ReLU; with the
    other two a network that pools first, as `pellucid.models.LeNet5` does, is another one than that which pools last.

    Raises:
        InputError: a value outside those.

    >>> Activation()
    Activation(name='softplus', beta=8.0)

    Source: Dombrowski et al. 2019 (softplus with β); Mehrpanah et al. 2025 (``smooth_relu``).
    """

    name: Name = "softplus"
    beta: float = 8.0

    def __post_init__(self) -> None:
        one_of(get_args(Name), **{"name of the activation": self.name})
        if not isinstance(self.beta, int | float) or not 0 < self.beta < float("inf"):
            raise InputError(f"beta of the activation must be a positive number, got {self.beta!r}")


def softplus(x: Tensor, beta: float) -> Tensor:
    r""":math:`\log(1 + e^{\beta x}) / \beta`, elementwise; at most log 2 / β above ReLU.

    >>> round(softplus(torch.tensor(0.0), 1.0).item(), 4)
    0.6931
    """
    return F.softplus(x, beta=beta)


def silu(x: Tensor, beta: float) -> Tensor:
    r""":math:`x \, \sigma(\beta x)` with the logistic function σ, elementwise.

    >>> round(silu(torch.tensor(1.0), 1.0).item(), 4)
    0.7311

    Source: Ramachandran, Zoph & Le 2017, where it is called Swish.
    """
    return F.silu(beta * x) / beta


def gelu(x: Tensor, beta: float) -> Tensor:
    r""":math:`x \, \Phi(\beta x)` with the normal distribution function Φ, elementwise.

    >>> round(gelu(torch.tensor(1.0), 1.0).item(), 4)
    0.8413

    Source: Hendrycks & Gimpel 2016.
    """
    return F.gelu(beta * x) / beta


def smooth_relu(x: Tensor, beta: float) -> Tensor:
    r""":math:`E[\max(0, x + z)] = x \, \Phi(\beta x) + \varphi(\beta x) / \beta`, z normal with deviation 1/β.

    φ is the normal density. The slope is Φ(βx), so that the function rises everywhere, as softplus does.

    >>> round(smooth_relu(torch.tensor(0.0), 1.0).item(), 4)
    0.3989

    Source: Mehrpanah et al. 2025.
    """
    scaled = beta * x
    return (F.gelu(scaled) + torch.exp(-0.5 * scaled * scaled) / sqrt(2 * pi)) / beta


FUNCTIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "softplus": softplus, "silu": silu, "gelu": gelu, "smooth_relu": smooth_relu,
}  # fmt: skip


class SmoothActivation(nn.Module):
    """A smooth function in a ReLU's place; it has no weights, so that a ReLU network's state_dict still fits.

    Args:
        activation: which function, and how sharp.
        ceiling: value that a ReLU6 does not pass; the function f is then f(x) - f(x - ceiling), as ReLU6 is
            ReLU(x) - ReLU(x - 6). None for a ReLU, which has none.

    >>> SmoothActivation(Activation(beta=3))
    SmoothActivation(softplus, beta=3)
    """

    def __init__(self, activation: Activation, ceiling: float | None = None) -> None:
        super().__init__()
        self.activation, self.ceiling = activation, ceiling

    def forward(self, x: Tensor) -> Tensor:
        function, beta = FUNCTIONS[self.activation.name], self.activation.beta
        if self.ceiling is None:
            return function(x, beta)
        return function(x, beta) - function(x - self.ceiling, beta)

    def extra_repr(self) -> str:
        ceiling = "" if self.ceiling is None else f", ceiling={self.ceiling:g}"
        return f"{self.activation.name}, beta={self.activation.beta:g}{ceiling}"


def swap_activations(model: nn.Module, activation: Activation, *, example: Image | None = None) -> nn.Module:
    """A copy of ``model`` in which a smooth function stands in the place of every ``nn.ReLU`` and ``nn.ReLU6``.

    One ReLU that is used in several places stays one module there; one that overwrites its input is replaced by a
    function that does not. Weights and names stay, so that a state_dict of either network fits the other. Other
    activations, such as ``nn.LeakyReLU`` or ``nn.GELU``, are left alone.

    Args:
        model: any module; it stays as it is.
        activation: the function.
        example: (n, c, h, w) images as the model takes them. With them one forward pass in eval mode makes sure that no
            ReLU is left that the code of the model calls as a function.

    Returns:
        The copy, each submodule in the mode it had.

    Raises:
        InputError: the model has neither layer, or one forward pass on ``example`` calls ReLU as a function.

    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> swap_activations(network, Activation(name="silu", beta=2))[1]
    SmoothActivation(silu, beta=2)
    """
    model = copy.deepcopy(model)
    swapped: dict[nn.Module, SmoothActivation] = {}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if not isinstance(module, nn.ReLU | nn.ReLU6):
            continue
        ceiling = 6.0 if isinstance(module, nn.ReLU6) else None
        smooth = swapped.setdefault(module, SmoothActivation(activation, ceiling).train(module.training))
        if not name:
            return smooth
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, smooth)
    if not swapped:
        raise InputError(
            f"{activation.name} takes the place of nn.ReLU and nn.ReLU6 layers, and {_titled(model)} has none: its "
            f"layers are {', '.join(_layers(model))}; a ReLU that forward() calls as a function cannot be swapped, "
            "make it a layer"
        )
    without_fast_path(model, SmoothActivation)
    if example is not None:
        _refuse_functional(model, example)
    return model


RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6)
"""ReLU as a function, in all its spellings."""


class _CountRelu(TorchFunctionMode):
    count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func in RELUS
        return func(*args, **(kwargs or {}))


def _refuse_functional(model: nn.Module, example: Image) -> None:
    device = next(model.parameters(), example).device
    with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]), _CountRelu() as relus:
        model(example.to(device))
    if relus.count:
        raise InputError(
            f"{_titled(model)} has nn.ReLU layers and calls ReLU as a function in {relus.count} further places, which "
            "cannot be swapped; make them layers"
        )


def _titled(model: nn.Module) -> str:
    """The class of the network, without the normalisation that `pellucid.models.build` puts in front."""
    return type(getattr(model, "network", model)).__name__


def _layers(model: nn.Module) -> list[str]:
    """The kinds of layers of a model, each once."""
    kinds = (type(module).__name__ for module in model.modules() if not any(module.children()))
    return list(dict.fromkeys(kind for kind in kinds if kind not in ("Normalize", "Identity")))
