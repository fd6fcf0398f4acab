"""Any PyTorch classifier as pellucid looks at one: pixels in [0, 1] in, logits out, and given back as it was."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError, raised
from pellucid.core.modes import evaluating
from pellucid.core.notes import tell
from pellucid.core.randomness import fork
from pellucid.core.types import Image
from pellucid.models import Binary, Logits, Normalize, bare, preprocessing_of
from pellucid.models.outputs import find_key, logits_of

__all__ = ["Fresh", "lent", "on_pixels", "probed", "tell_raw_pixels"]

OWN_LAYER = "its first layer"
"""What `preprocessing_of` says of a network whose first layer is pellucid's normalisation."""

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from 1, for networks that compute in 16 bits."""


class Fresh(nn.Module):
    """A copy of the images, for a network that writes into what it is given.

    >>> x = torch.ones(1)
    >>> Fresh()(x).zero_(), x
    (tensor([0.]), tensor([1.]))
    """

    def forward(self, x: Image) -> Image:
        return x.clone()


def on_pixels(
    network: nn.Module,
    *,
    channels: int,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
) -> nn.Module:
    """The network behind its normalisation, as `pellucid.models.build` returns one; where there is none, that is told.

    A network that pellucid built normalises by itself. Of any other, mean and deviation are those that are given, or
    those that its weights say (`pellucid.models.preprocessing_of`), or none.

    Args:
        network: from images (n, c, h, w) to logits (n, classes); it is not copied, and not changed.
        channels: of its images.
        mean: what is subtracted from pixels in [0, 1], for each channel or for all; what the weights say by default.
        std: what the rest is divided by, likewise.

    Returns:
        A module whose weights have the names ``network.*`` and ``normalize.*``.

    Raises:
        InputError: numbers of other channels, one of mean and deviation alone.

    >>> on_pixels(nn.Flatten(), channels=1, mean=0.5, std=0.25)(torch.ones(1, 1, 1, 2))
    tensor([[2., 2.]])
    """
    if (mean is None) != (std is None):
        raise InputError(f"mean and std are given together, got mean {mean} and std {std}")
    if mean is not None and std is not None:
        return _behind(Normalize(_of_channels("mean", mean, channels), _of_channels("std", std, channels)), network)
    if isinstance(getattr(network, "normalize", None), Normalize | nn.Identity) and hasattr(network, "network"):
        return network
    known = preprocessing_of(network)
    if known is not None and known.source != OWN_LAYER:
        known = known.for_channels(channels)
        return _behind(Normalize(known.mean, known.std), network)
    if known is None:
        tell_raw_pixels(type(network).__name__)
    return _behind(nn.Identity(), network)


def tell_raw_pixels(network: str) -> None:
    """Say that a network gets pixels as they are.

    Args:
        network: what it is called.
    """
    tell(
        f"nothing normalises the pixels of {network}, as its weights do not say how they were trained; give mean and "
        "std if they were trained with some, or mean 0 and std 1 if not"
    )


def _behind(layer: nn.Module, network: nn.Module) -> nn.Module:
    """Both as one module, in eval mode but for the network, whose modes are its owner's."""
    model = nn.Sequential(OrderedDict(normalize=layer, network=network))
    for module in (model, layer):
        module.training = False
    return model


def _of_channels(name: str, numbers: Sequence[float] | float, channels: int) -> tuple[float, ...]:
    values = (numbers,) if isinstance(numbers, int | float) else tuple(map(float, numbers))
    if len(values) not in (1, channels):
        raise InputError(f"{name} needs one number, or one for each of the {channels} channels, got {len(values)}")
    return values * channels if len(values) == 1 else values


def probed(model: nn.Module, x: Image, *, classes: int | None = None) -> tuple[nn.Module, Tensor]:
    """Look at a network's answer to a first batch, before anything is measured; what its user should know is told.

    Args:
        model: from images to logits, in eval mode.
        x: (n, c, h, w) images in [0, 1], at least one; they stay as they are.
        classes: how many logits it must give; any number from 2 on by default.

    Returns:
        The model, behind a copy of its images where it writes into them, and with the logits taken out of what it gives
        where that is more; and its logits (n, classes).

    Raises:
        InputError: it fails, or its answer is not (n, classes) finite numbers.

    >>> class Pair(nn.Module):
    ...     def forward(self, x):
    ...         return {"features": x, "logits": x.flatten(1)}
    >>> model, logits = probed(Pair(), torch.rand(2, 1, 1, 3))
    >>> model(torch.rand(5, 1, 1, 3)).shape
    torch.Size([5, 3])
    """
    kind, given = type(bare(model)).__name__, x.clone()
    try:
        with fork("probe", device=x.device), torch.no_grad():
            output = model(given)
    except Exception as error:  # a user's network may raise anything
        raise InputError(f"the network {kind} fails on images of shape {tuple(x.shape)}: {raised(error)}") from error
    layer, network = _parts(model)
    if not torch.equal(given, x):
        layer = Fresh()
    if not isinstance(output, Tensor):
        key = None if classes is None else find_key(output, (len(x), classes))
        output, network = logits_of(output, key), Logits(network, key)
        network.training = False
    if classes in (None, 2) and tuple(output.shape) in ((len(x), 1), (len(x),)):
        output, network = Binary()(output), nn.Sequential(network, Binary())
        network.training = network[1].training = False
    if output.ndim != 2 or len(output) != len(x) or output.shape[1] < 2 or classes not in (None, output.shape[1]):
        wanted = "classes, at least 2" if classes is None else str(classes)
        raise InputError(
            f"the network {kind} must give logits (n, {wanted}) on images of shape {tuple(x.shape)}, got "
            f"{tuple(output.shape)}{_named_classes(output, classes)}"
        )
    if not torch.isfinite(output).all():
        raise InputError(f"the network's logits must be finite, got {output[~torch.isfinite(output)][0]:g}")
    if _are_probabilities(output):
        tell(
            f"the network {kind} ends in a softmax: its outputs are probabilities, of which pellucid takes the softmax "
            "again, so that scores are flat and maps are of the probability instead of the logit; take the softmax off"
        )
    if (layer, network) == _parts(model):
        return model, output
    return network if layer is None else _behind(layer, network), output


def _parts(model: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """The normalisation and the network of what `pellucid.models.build` returns; any other has none."""
    if [name for name, _ in model.named_children()] == ["normalize", "network"]:
        return model.get_submodule("normalize"), model.get_submodule("network")
    return None, model


def _named_classes(logits: Tensor, classes: int | None) -> str:
    if classes is None or logits.ndim != 2:
        return ""
    return f"; classes names those of the network in their order, and images may lack some of its {logits.shape[1]}"


def _are_probabilities(logits: Tensor) -> bool:
    return bool((logits >= 0).all() and ((logits.sum(1) - 1).abs() < SUM_TOLERANCE).all())


@contextmanager
def lent(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The network in eval mode on a device; the caller's keeps its modes and stays where it is.

    Args:
        network: of the caller. It is copied only where it is on another device.
        device: where it is looked at.

    >>> network = nn.Dropout()
    >>> with lent(network, torch.device("cpu")) as model:
    ...     model.training
    False
    >>> network.training
    True
    """
    places = {tensor.device for tensor in (*network.parameters(), *network.buffers())}
    if places <= {device}:
        with evaluating(network):
            yield network
        return
    try:
        moved = copy.deepcopy(network).to(device)
    except Exception as error:  # hooks and handles of a user's network may refuse to be copied
        raise InputError(
            f"the network {type(network).__name__} cannot be copied to {device} ({raised(error)}); move it there, or "
            "ask for the accelerator that it is on"
        ) from error
    with evaluating(moved):
        yield moved
