"""The choice of a network and the building of it: by name, by another package's name, or by import path."""

import difflib
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from pellucid.config import import_name
from pellucid.core.errors import InputError, raised
from pellucid.core.modes import evaluating
from pellucid.core.types import Image
from pellucid.models.binary import Binary, gives_one_logit
from pellucid.models.lenet import LeNet5, SGTNet
from pellucid.models.resnet import ResNet
from pellucid.models.vgg import VGG
from pellucid.models.weights import load_weights
from pellucid.models.wide_resnet import WideResNet

__all__ = ["NAMES", "Network", "Normalize", "build"]

_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    "sgt-mnist": SGTNet,
    "resnet18": ResNet,
    "resnet18-224": partial(ResNet, stem="large"),
    "vgg16": VGG,
    "vgg16-224": partial(VGG, head="large"),
    "vgg16-bn": partial(VGG, batch_norm=True),
    "vgg16-bn-224": partial(VGG, batch_norm=True, head="large"),
    "wrn28-10": WideResNet,
}

NAMES = tuple(_NETWORKS)
"""Names of the networks that pellucid brings."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network as a person chooses it.

    Args:
        name: one of pellucid's own (lenet5, sgt-mnist, resnet18, vgg16, vgg16-bn, wrn28-10; resnet18-224, vgg16-224 and
            vgg16-bn-224 have torchvision's stem and head), ``timm:NAME``, ``torchvision:NAME``, or
            ``package.module:factory`` (a dot instead of the colon is the same), a callable that returns a module giving
            (n, classes) logits, or for two classes one logit, (n, 1), the second class's. A factory is given
            ``num_classes`` and ``in_channels`` where its signature accepts them.
        weights: file to start from, .safetensors or PyTorch's; a fresh network if left out.
        options: keyword arguments of the network, such as ``width`` of resnet18.
        normalize: subtract the mean and divide by the deviation of the data set as the first layer.
        head: ``new`` leaves the last layer as initialised if the weights' last layer has another number of classes;
            ``strict`` refuses such weights.

    >>> Network(name="resnet18", options={"width": 16})
    Network(name='resnet18', weights=None, options={'width': 16}, normalize=True, head='strict')
    """

    name: str = "lenet5"
    weights: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    normalize: bool = True
    head: Literal["strict", "new"] = "strict"


class Normalize(nn.Module):
    """Each channel's (x − mean) / std, as a layer, so that attacks and maps stay in pixels.

    Mean and deviation are part of the state_dict: a checkpoint carries what its weights were trained with.

    Args:
        mean: one number a channel, in pixel units.
        std: one positive number a channel.

    Raises:
        InputError: lengths that differ, or a deviation that is not positive.

    >>> Normalize([0.5], [0.25])(torch.tensor([[[[1.0, 0.5]]]])).tolist()
    [[[[2.0, 0.0]]]]
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise InputError(f"mean and std need as many numbers as each other, got {len(mean)} and {len(std)}")
        if not all(deviation > 0 for deviation in std):
            raise InputError(f"std must be positive for every channel, got {tuple(std)}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Image) -> Image:
        return (x - self.mean) / self.std


def build(
    network: Network, *, classes: int, shape: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]
) -> nn.Module:
    """The chosen network behind its normalisation: ``Sequential(normalize, network)``, on the CPU, in train mode.

    Initial weights come from torch's global generator, which the caller seeds.

    Args:
        network: the choice.
        classes: number of logits, at least 2; of labels where an image has several. A network of one logit for two
            classes gets the layer `pellucid.models.binary.Binary`, which makes two of it.
        shape: (c, h, w) of the images.
        mean: mean of each channel in [0, 1], used if ``network.normalize``.
        std: standard deviation of each channel, used if ``network.normalize``.

    Returns:
        A module that maps (n, c, h, w) pixels in [0, 1] to (n, classes) logits. State_dict keys are those of
        ``normalize.`` and ``network.``.

    Raises:
        InputError: an unknown name or option, a package that is missing, a network that does not give (n, classes)
            logits on such images, or weights that do not fit.

    >>> model = build(Network(name="lenet5"), classes=10, shape=(1, 28, 28), mean=[0.286], std=[0.353])
    >>> model(torch.zeros(2, 1, 28, 28)).shape, next(iter(model.state_dict()))
    (torch.Size([2, 10]), 'normalize.mean')
    """
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    if network.normalize and len(mean) != shape[0]:
        raise InputError(f"mean and std need one number for each of the {shape[0]} channels, got {len(mean)}")
    source, colon, name = network.name.partition(":")
    if not (colon or "." in source):
        net = _own(network, classes, shape)
    elif source in ("timm", "torchvision"):
        net = _packaged(source, name, network.options, classes, shape)
    else:
        net = _imported(network, classes, shape)
    normalize = Normalize(mean, std) if network.normalize else nn.Identity()
    model = nn.Sequential(OrderedDict(normalize=normalize, network=net))
    if classes == 2 and (colon or "." in source) and gives_one_logit(model, shape):
        model.add_module("binary", Binary())
    if colon or "." in source:
        _check_logits(network.name, model, classes, shape)
    if network.weights is not None:
        load_weights(model, network.weights, head=network.head)
    return model


def _own(network: Network, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    if network.name not in _NETWORKS:
        close = difflib.get_close_matches(network.name, NAMES, n=1)
        raise InputError(
            f"unknown network {network.name!r}{f', did you mean {close[0]}?' if close else ';'} accepted: "
            f"{', '.join(NAMES)}, timm:NAME, torchvision:NAME, package.module:factory"
        )
    factory = _NETWORKS[network.name]
    known = [name for name in inspect.signature(factory).parameters if name not in ("classes", "shape")]
    unknown = [name for name in network.options if name not in known]
    if unknown:
        accepted = f"accepted: {', '.join(known)}" if known else "it has none"
        raise InputError(f"network {network.name!r} has no option {unknown[0]!r}; {accepted}")
    return factory(classes=classes, shape=shape, **network.options)


def _packaged(
    source: str, name: str, options: Mapping[str, Any], classes: int, shape: tuple[int, int, int]
) -> nn.Module:
    """A network of timm or torchvision."""
    if source == "timm":
        make, known = _extra("timm").create_model, {"num_classes": classes, "in_chans": shape[0]}
    else:
        make, known = _extra("torchvision.models").get_model, {"num_classes": classes}
        if shape[0] != 3:
            raise InputError(f"torchvision:{name} takes images of 3 channels, the data have {shape[0]}")
    try:
        net: nn.Module = make(name, **{**known, **options})
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"{source} cannot make network {name!r} with options {dict(options)}: {_first_line(error)}"
        ) from error
    return net


def _extra(module: str) -> Any:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, AttributeError) as error:
        # An ill-matched torchvision raises RuntimeError or AttributeError at import, and breaks timm with it.
        raise InputError(
            f"{package} cannot be imported ({_first_line(error)}): install pellucid[{package}] "
            f"in a version that fits torch {torch.__version__}"
        ) from error


def _imported(network: Network, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    factory = import_name(network.name)
    if not callable(factory) or isinstance(factory, nn.Module):
        raise InputError(
            f"network {network.name!r} must name a callable that returns an nn.Module, got {type(factory).__name__}"
        )
    signature = inspect.signature(factory)
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    offered = {"num_classes": classes, "in_channels": shape[0]}
    keywords = {key: value for key, value in offered.items() if anything or key in signature.parameters}
    keywords |= network.options
    try:
        signature.bind(**keywords)
    except TypeError as error:
        raise InputError(
            f"network {network.name!r} takes {signature} and cannot be called with {keywords}: {error}"
        ) from error
    try:
        net = factory(**keywords)
    except Exception as error:  # a user's factory may raise anything
        raise InputError(f"network {network.name!r} called with {keywords} raised {raised(error)}") from error
    if not isinstance(net, nn.Module):
        raise InputError(f"network {network.name!r} must return an nn.Module, got {type(net).__name__}")
    return net


def _check_logits(name: str, model: nn.Module, classes: int, shape: tuple[int, int, int]) -> None:
    """One forward on two flat images in eval mode: no statistics move and no random number is consumed."""
    expected = (2, classes)
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = model(torch.zeros(2, *shape))
    except Exception as error:  # whatever a user's module raises is about the images we gave it
        raise InputError(
            f"network {name!r} fails on images of shape {(2, *shape)} with {type(error).__name__}: {_first_line(error)}"
        ) from error
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != expected:
        raise InputError(
            f"network {name!r} must give logits of shape {expected} on images of shape {(2, *shape)}, got {got}"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
