"""Which layers of a network train, at which rate, and one line that says so."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import nn

from pellucid.core.errors import InputError
from pellucid.core.modes import DROPOUTS, NORMS
from pellucid.runs.fine_tuning import FineTuning

__all__ = ["Layer", "freeze", "layers", "only_head", "parameter_groups", "what_trains"]

NAMED = 3
"""Layers that a sentence names at most."""


class Layer(NamedTuple):
    """A layer as freezing and rates count them.

    Attributes:
        name: of the module that holds its weights; empty for those of the network itself, such as a class token.
        parameters: its weights by their names.
    """

    name: str
    parameters: dict[str, nn.Parameter]


def layers(model: nn.Module) -> list[Layer]:
    """The layers of a network from the image to the logits, in the order in which its modules stand.

    A layer is a module with weights of its own. One whose weights are vectors alone, as the scale and shift of a
    normalisation, belongs to the layer before it.

    Args:
        model: what `pellucid.models.build` returns, whose ``network.`` stands in no name, or any module.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    >>> [(layer.name, len(layer.parameters)) for layer in layers(network)]
    [('0', 4), ('3', 2)]
    """
    found: list[Layer] = []
    for name, parameter in _network(model).named_parameters():
        owner = name.rpartition(".")[0].partition(".parametrizations.")[0]
        if not found or found[-1].name != owner:
            found.append(Layer(owner, {}))
        found[-1].parameters[name] = parameter
    joined: list[Layer] = []
    for layer in found:
        if joined and all(parameter.dim() < 2 for parameter in layer.parameters.values()):
            joined[-1].parameters.update(layer.parameters)
        else:
            joined.append(layer)
    return joined


def freeze(model: nn.Module, tuning: FineTuning) -> None:
    """Let the weights and statistics that ``tuning`` names stay as they are.

    Frozen weights require no gradient; parts that are frozen as a whole are put in eval mode, and so are BatchNorm
    layers where ``tuning.batchnorm`` is ``frozen``. Call it after the network is in training mode, and no ``train()``
    after it. The network may also be that of a training loop of your own.

    Args:
        model: what `pellucid.models.build` returns, or any module; changed in place.
        tuning: the choices.

    Raises:
        InputError: a name that no layer has, or nothing is left that trains.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    >>> freeze(network, FineTuning(freeze=("0",), batchnorm="frozen"))
    >>> what_trains(network)
    '18 of 58 parameters are trained; BatchNorm statistics follow the data in 0 of 1 layers (1 stays as it is)'
    """
    network = _network(model)
    every = dict(network.named_parameters())
    counted = layers(model)
    names = {name for layer in counted[: int(tuning.freeze_share * len(counted))] for name in layer.parameters}
    for pattern in tuning.freeze:
        names |= _matching(network, pattern.removeprefix("network.") if network is not model else pattern)
    for name in names:
        every[name].requires_grad_(False)
    for name, module in network.named_modules():
        inside = {key for key in every if not name or key.startswith(f"{name}.")}
        if inside and inside <= names:
            for inner in module.modules():
                inner.training = False
    before: set[str] = set()
    for name, module in network.named_modules():
        own = {f"{name}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)}
        if isinstance(module, NORMS) and not own and before and before <= names:
            module.training = False  # without weights, it belongs to the layer before it
        before = own or before
    if tuning.batchnorm == "frozen":
        for module in _norms(network).values():
            module.training = False
            for parameter in () if tuning.affine else module.parameters():
                parameter.requires_grad_(False)
    if tuning.head_epochs and not any(parameter.requires_grad for parameter in counted[-1].parameters.values()):
        raise InputError(
            f"head_epochs trains the last layer, {counted[-1].name!r}, which is frozen; leave one of them out"
        )
    if not any(parameter.requires_grad for parameter in every.values()):
        raise InputError(f"nothing is left to train: all {len(counted)} layers of the network are frozen")


def parameter_groups(module: nn.Module, model: nn.Module, *, lr: float, layer_decay: float | None) -> Any:
    r"""What an optimizer is made of: all weights, or a group for each layer with its learning rate.

    .. math:: \eta_l = \eta \, d^{(n - l) / (n - 1)}, \qquad l = 1, \dots, n

    Args:
        module: whose weights train, such as a `pellucid.Objective`.
        model: the network in it, whose layers are counted.
        lr: η, the rate of the last layer, and of weights that are not the network's.
        layer_decay: d, the share of it that the first layer has; None for one rate.

    >>> network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    >>> [round(group["lr"], 6) for group in parameter_groups(network, network, lr=0.1, layer_decay=0.01)]
    [0.001, 0.01, 0.1]
    """
    if layer_decay is None:
        return module.parameters()
    counted = layers(model)
    between = max(len(counted) - 1, 1)
    rates = [lr * layer_decay ** ((len(counted) - 1 - depth) / between) for depth in range(len(counted))]
    groups = [
        {"params": list(layer.parameters.values()), "lr": rate} for layer, rate in zip(counted, rates, strict=True)
    ]
    grouped = {id(parameter) for layer in counted for parameter in layer.parameters.values()}
    others = [parameter for parameter in module.parameters() if id(parameter) not in grouped]
    return groups + ([{"params": others, "lr": lr}] if others else [])


@contextmanager
def only_head(model: nn.Module, *, spare: bool = True) -> Iterator[list[nn.Parameter]]:
    """Inside the block the last layer alone trains; BatchNorm keeps its statistics.

    Args:
        model: what `pellucid.models.build` returns, or any module.
        spare: let the other weights require no gradient, which saves the time that theirs take; without it the caller
            drops them, as under DDP, which counts on the gradients that it saw at first.

    Yields:
        The weights that do not train inside.
    """
    head = {id(parameter) for parameter in layers(model)[-1].parameters.values()}
    resting = [parameter for parameter in model.parameters() if id(parameter) not in head and parameter.requires_grad]
    norms = [module for module in _norms(model).values() if module.training]
    for module in norms:
        module.training = False
    for parameter in resting if spare else ():
        parameter.requires_grad_(False)
    try:
        yield resting
    finally:
        for module in norms:
            module.training = True
        for parameter in resting:
            parameter.requires_grad_(True)


def what_trains(model: nn.Module) -> str:
    """A sentence: how many parameters train, and which BatchNorm layers follow the data.

    >>> what_trains(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout().eval()))
    '10 of 10 parameters are trained; BatchNorm statistics follow the data in 1 of 1 layers; dropout is off in 1 of 1 \
layers'
    """
    network = _network(model)
    every = list(network.parameters())
    trained = sum(parameter.numel() for parameter in every if parameter.requires_grad)
    said = [f"{trained:,} of {sum(parameter.numel() for parameter in every):,} parameters are trained"]
    norms = _norms(network)
    resting = [name for name, module in norms.items() if not module.training]
    if norms:
        which = ""
        if resting:
            some = len(resting) < len(norms)
            more = f" and {len(resting) - NAMED} more" if len(resting) > NAMED else ""
            listed = f"{', '.join(resting[:NAMED])}{more}" if some else str(len(resting))
            which = f" ({listed} {'stays as it is' if len(resting) == 1 else 'stay as they are'})"
        said.append(
            f"BatchNorm statistics follow the data in {len(norms) - len(resting)} of {len(norms)} layers{which}"
        )
    dropouts = [module for module in network.modules() if isinstance(module, DROPOUTS)]
    off = sum(not module.training for module in dropouts)
    if off:
        said.append(f"dropout is off in {off} of {len(dropouts)} layers")
    return "; ".join(said)


def _network(model: nn.Module) -> nn.Module:
    built = [name for name, _ in model.named_children()][:2] == ["normalize", "network"]
    return model.get_submodule("network") if built else model


def _norms(model: nn.Module) -> dict[str, Any]:
    """The layers with running statistics, by name."""
    norms: dict[str, Any] = {name: module for name, module in model.named_modules() if isinstance(module, NORMS)}
    return {name: module for name, module in norms.items() if module.running_mean is not None}


def _matching(network: nn.Module, pattern: str) -> set[str]:
    """Names of the weights in the layers, or of those, that a pattern names."""
    names = list(dict(network.named_parameters()))
    places = dict.fromkeys(
        ".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)
    )
    chosen = [place for place in places if _fits(place, pattern)]
    if not chosen:
        close = difflib.get_close_matches(pattern, places, n=3, cutoff=0.5)
        guess = f", did you mean {' or '.join(close)}?" if close else ";"
        top = list(dict.fromkeys(name.partition(".")[0] for name in names))
        more = ", …" if len(top) > 12 else ""
        raise InputError(
            f"no layer {pattern!r} to freeze{guess} top layers with weights are {', '.join(top[:12])}{more}"
        )
    return {name for name in names for place in chosen if name == place or name.startswith(f"{place}.")}


def _fits(place: str, pattern: str) -> bool:
    parts, wanted = place.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
