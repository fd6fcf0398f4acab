"""Any PyTorch classifier as pellucid looks at one: pixels in [0, 1] in, logits out, and given back as it was."""

import copy
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError, raised
from pellucid.core.modes import evaluating
from pellucid.core.types import Image
from pellucid.models.network import Normalize

__all__ = ["Fresh", "lent", "notes_of", "on_pixels", "probed"]

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
    network: nn.Module, *, channels: int, mean: Sequence[float] | float | None, std: Sequence[float] | float | None
) -> tuple[nn.Module, str | None]:
    """The network behind its normalisation, as `pellucid.models.build` returns one, and what its user should know.

    A network that pellucid built normalises by itself. Of any other, mean and deviation are those that are given, or
    those that its weights say (timm's ``pretrained_cfg``, torchvision's ``weights``), or none.

    Args:
        network: from images (n, c, h, w) to logits (n, classes); it is not copied, and not changed.
        channels: of its images.
        mean: what is subtracted from pixels in [0, 1], for each channel or for all; what the weights say by default.
        std: what the rest is divided by, likewise.

    Returns:
        A module whose weights have the names ``network.*`` and ``normalize.*``, and a sentence where nothing
        normalises because nothing is known, otherwise None.

    Raises:
        InputError: numbers of other channels, one of mean and deviation alone.

    >>> model, note = on_pixels(nn.Flatten(), channels=1, mean=0.5, std=0.25)
    >>> model(torch.ones(1, 1, 1, 2)), note
    (tensor([[2., 2.]]), None)
    """
    if (mean is None) != (std is None):
        raise InputError(f"mean and std are given together, got mean {mean} and std {std}")
    if mean is not None and std is not None:
        layer: nn.Module = Normalize(_of_channels("mean", mean, channels), _of_channels("std", std, channels))
        return _behind(layer, network), None
    if isinstance(getattr(network, "normalize", None), Normalize | nn.Identity) and hasattr(network, "network"):
        return network, None
    known = _known_preprocessing(network)
    if known is not None:
        return _behind(Normalize(*known), network), None
    kind = type(network).__name__
    return _behind(nn.Identity(), network), (
        f"nothing normalises the pixels of {kind}, as its weights do not say how they were trained; give mean and std "
        "if they were trained with some, or mean 0 and std 1 if not"
    )


def _behind(layer: nn.Module, network: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(normalize=layer, network=network))


def _of_channels(name: str, numbers: Sequence[float] | float, channels: int) -> tuple[float, ...]:
    values = (numbers,) if isinstance(numbers, int | float) else tuple(map(float, numbers))
    if len(values) not in (1, channels):
        raise InputError(f"{name} needs one number, or one for each of the {channels} channels, got {len(values)}")
    return values * channels if len(values) == 1 else values


def _known_preprocessing(network: nn.Module) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and deviation that the weights were trained with, where the network says them."""
    return None


def probed(model: nn.Module, x: Image, *, classes: int | None = None) -> tuple[nn.Module, Tensor, tuple[str, ...]]:
    """Look at a network's answer to a first batch, before anything is measured.

    Args:
        model: from images to logits, in eval mode.
        x: (n, c, h, w) images in [0, 1], at least one; they stay as they are.
        classes: how many logits it must give; any number from 2 on by default.

    Returns:
        The model, behind a copy of its images where it writes into them; its logits (n, classes); and sentences that
        its user should know, such as that it ends in a softmax.

    Raises:
        InputError: it fails, or its answer is not (n, classes) finite numbers.

    >>> model, _, notes = probed(nn.Sequential(nn.Flatten(), nn.Softmax(1)), torch.rand(2, 1, 1, 3))
    >>> notes
    ('the network ends in a softmax: ... take the softmax off',)
    """
    kind = type(getattr(model, "network", model)).__name__
    given = x.clone()
    try:
        with torch.no_grad():
            logits = model(given)
    except Exception as error:  # a user's network may raise anything
        raise InputError(f"the network {kind} fails on images of shape {tuple(x.shape)}: {raised(error)}") from error
    if not isinstance(logits, Tensor):
        raise InputError(
            f"the network {kind} must give logits (n, classes), got {type(logits).__name__}; wrap it in a module that "
            "takes them out of it"
        )
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2 or classes not in (None, logits.shape[1]):
        wanted = "classes, at least 2" if classes is None else str(classes)
        raise InputError(
            f"the network {kind} must give logits (n, {wanted}) on images of shape {tuple(x.shape)}, got "
            f"{tuple(logits.shape)}{_named_classes(logits, classes)}"
        )
    if not torch.isfinite(logits).all():
        raise InputError(f"the network's logits must be finite, got {logits[~torch.isfinite(logits)][0]:g}")
    notes = [_SOFTMAX] if _are_probabilities(logits) else []
    if not torch.equal(given, x):
        inner = model.network if isinstance(getattr(model, "normalize", None), nn.Identity) else model
        model = _behind(Fresh(), inner)  # type: ignore[arg-type]  # a child of a module is a module
    return model, logits, tuple(notes)


_SOFTMAX = (
    "the network ends in a softmax: its outputs are probabilities, of which pellucid takes the softmax again, so that "
    "scores are flat and maps are of the probability instead of the logit; take the softmax off"
)


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


def notes_of(notes: Sequence[str | None]) -> None:
    """Say sentences that a user should know on standard error, each once."""
    for note in dict.fromkeys(filter(None, notes)):
        print(f"pellucid: {note}", file=sys.stderr)
