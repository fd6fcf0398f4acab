"""The map that ranks an image's features, of the forward pass that the loss is made of: one pass fewer."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import image_gradients, input_gradient_of
from pellucid.core.types import Attribution, Image, Label, Logits
from pellucid.methods.terms import changed_images, completed, joint_logits, mixes
from pellucid.saliency import Explain, VanillaGradient
from pellucid.saliency.gradient import target_score

__all__ = ["MapPass", "check_map_pass", "logits_beside", "logits_with_map"]

MapPass = Literal["own", "shared"]
"""Where a ranking map comes from: a forward pass of its ``own`` in eval mode, or the ``shared`` one of the loss."""


def check_map_pass(map_pass: MapPass, *, ranking: str, saliency: Explain) -> None:
    """Refuse a shared pass where nothing can be shared.

    Args:
        map_pass: what was asked for.
        ranking: of the features; ``random`` uses no map.
        saliency: what ranks them.

    Raises:
        InputError: no such word, or a map that the pass of the loss does not give.

    >>> check_map_pass("shared", ranking="random", saliency=VanillaGradient())
    Traceback (most recent call last):
    pellucid.InputError: map_pass shared needs a map, and ranking random makes none; leave map_pass out
    """
    one_of(("own", "shared"), map_pass=map_pass)
    if map_pass == "own":
        return
    if ranking == "random":
        raise InputError("map_pass shared needs a map, and ranking random makes none; leave map_pass out")
    if not isinstance(saliency, VanillaGradient):
        raise InputError(
            f"map_pass shared gives the gradient of a score, VanillaGradient, and no other map; got {saliency!r:.80}"
        )


def logits_with_map(
    model: nn.Module, x: Image, part: Tensor | slice, target: Callable[[Logits], Label], *, saliency: VanillaGradient
) -> tuple[Logits, Attribution]:
    """The logits of a batch in the mode the network is in, and the map of a part of it, from the same forward pass.

    The images outside the part have a pass of their own, without the image's gradient, unless a BatchNorm layer would
    mix the two. With BatchNorm in training mode the map of an image includes what it changes of the others' scores.

    Args:
        model: network, in the mode it is trained in.
        x: (n, c, h, w) images.
        part: positions of the m images whose maps are wanted.
        target: the part's logits to the classes that are explained, (m,), or to (m, k) sides of several labels.
        saliency: whose score is differentiated.

    Returns:
        (n, k) logits with their graph, and the (m, c, h, w) gradient, detached.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(network[1].weight)
    >>> logits, gradient = logits_with_map(
    ...     network, torch.ones(1, 1, 1, 2), slice(None), lambda logits: torch.tensor([1]), saliency=VanillaGradient()
    ... )
    >>> logits.tolist(), gradient.tolist()
    ([[1.0, 1.0]], [[[[0.0, 1.0]]]])
    """
    whole = isinstance(part, slice) or mixes(model)
    with torch.inference_mode(False), torch.enable_grad(), image_gradients():
        seen = x if whole else x[part]
        seen = (seen.clone() if seen.is_inference() or seen is x else seen).detach().requires_grad_()
        logits: Logits = model(seen)
        explained = logits[part] if whole else logits
        score = target_score(explained, target(explained.detach()), score=saliency.score)
        gradient = input_gradient_of(score, seen, create_graph=False)
    if isinstance(part, slice) or whole:
        return logits, gradient[part]
    return completed(model, x, part, logits), gradient


def logits_beside(model: nn.Module, known: Logits | None, clean: Image, *changed: Image) -> list[Logits]:
    """`joint_logits` where those of the clean images may be known already, as `logits_with_map` gives them."""
    if known is None:
        return joint_logits(model, clean, *changed)
    with changed_images(model):
        return [known, *(model(x) for x in changed)]
