"""Which layer of a network a class activation map is taken from, and what is seen there."""

import difflib
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.feature_maps import Grid, SeenLayer, first_tensor, layer_named, observe
from pellucid.core.input_gradient import twice_differentiable
from pellucid.core.modes import evaluating
from pellucid.core.outputs import answer
from pellucid.core.types import Image, Label
from pellucid.saliency.gradient import Score, target_score

__all__ = ["activation_and_gradient", "default_layer", "feature_layer", "fits"]


def fits(layer: SeenLayer) -> bool:
    """Whether a class activation map can be taken from a layer: it gives a feature map of more than one row and column.

    Args:
        layer: as `pellucid.core.feature_maps.observe` returns it.
    """
    return layer.learned and layer.grid is not None and min(layer.grid.height, layer.grid.width) > 1


def default_layer(layers: Sequence[SeenLayer], logits: Tensor) -> SeenLayer | None:
    """The last layer whose feature map the prediction still depends on, place by place.

    In a convolutional network it is the one before the global pooling. In a transformer that classifies by a class
    token, the patches of the last block no longer matter; what enters its attention does, so that it is the
    normalisation before it. Queries, keys, values and other linear maps inside a block are passed over, and so are
    dropout, which in eval mode does nothing, and layers beside the way to the logits. Where several layers return the
    same tensor, the outermost has the name.

    Args:
        layers: as `pellucid.core.feature_maps.observe` returns them, with gradients.
        logits: what the network returned.

    Returns:
        The layer; None where no layer gives a feature map.
    """
    candidates: list[SeenLayer] = []
    for layer in reversed(layers):
        known = any(layer.output is other.output for other in candidates)
        if not known and fits(layer) and _is_block(layer) and layer.output is not None and layer.output.requires_grad:
            candidates.append(layer)
    score = logits.max(1).values.sum()
    for layer in candidates:
        assert layer.output is not None  # as it is a candidate
        assert layer.grid is not None
        (gradient,) = torch.autograd.grad(score, layer.output, retain_graph=True, allow_unused=True)
        if gradient is not None and _reaches(layer.grid, gradient):
            return layer
    return None


def feature_layer(model: Any, x: Image, name: str | None = None) -> SeenLayer:
    """The layer of a name, or `default_layer`, as one image shows it.

    Args:
        model: network.
        x: (n, c, h, w) images, of which the first is looked at.
        name: of the layer, with or without the ``network.`` that `pellucid.models.build` puts before it.

    Raises:
        InputError: no such layer, one without a feature map, a network in which there is none, or no module at all.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"a class activation map needs a torch.nn.Module, got {type(model).__name__}")
    with torch.inference_mode(False), torch.enable_grad():
        layers, output = observe(model, x[:1].detach().clone().requires_grad_().clone())
        if name is None:
            logits = answer(lambda _: output, x)
            found = default_layer(layers, logits)
            if found is None:
                raise InputError(
                    f"{_titled(model)} has no layer that gives a feature map of more than one row and column, which a "
                    "class activation map needs; a gradient needs none"
                )
            return found
        layer = layer_named(layers, name)
        close = "" if layer is not None else _close(name, layers)
    if layer is None:
        raise InputError(f"no layer {name!r} to take a class activation map from{close}")
    if not fits(layer):
        raise InputError(
            f"layer {name!r} gives {layer.shape}, no feature map of more than one row and column, which a class "
            "activation map needs; `pellucid layers` lists the layers that give one"
        )
    return layer


def activation_and_gradient(
    model: nn.Module, x: Image, target: Label, *, layer: SeenLayer, score: Score, create_graph: bool
) -> tuple[Tensor, Tensor]:
    """A layer's feature maps, and the gradient of the target's score with respect to them.

    Where the layer is used several times, both are of its last use.

    Args:
        model: network in eval mode.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) classes.
        layer: as `feature_layer` returns it.
        score: ``logit`` or ``probability`` of the target.
        create_graph: keep the graph of both.

    Returns:
        Two tensors (n, channels, height, width), detached unless ``create_graph``.

    Raises:
        InputError: the score does not depend on the layer.
    """
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: object, out: object) -> object:
        tensor = first_tensor(out)
        if tensor is None:
            return None
        kept = tensor if create_graph and tensor.requires_grad else tensor.detach().requires_grad_()
        seen.append(kept)
        passed = kept.clone()  # as what follows may write over its input
        return passed if out is tensor else type(out)([passed, *out[1:]])  # type: ignore[call-arg,index]

    handle = layer.module.register_forward_hook(hook)
    grid = layer.grid
    assert grid is not None  # as `feature_layer` says
    try:
        twice = twice_differentiable() if create_graph else nullcontext()
        with torch.inference_mode(False), torch.enable_grad(), twice, evaluating(model):
            given, target = (value.clone() if value.is_inference() else value for value in (x, target))
            value = target_score(answer(model, given), target, score=score).sum()
            (gradient,) = torch.autograd.grad(value, seen[-1], create_graph=create_graph, allow_unused=True)
    finally:
        handle.remove()
    if gradient is None or (grid.layout == "tokens" and not _reaches(grid, gradient)):
        raise InputError(
            f"the class does not depend on the single places of what layer {layer.name!r} gives; name an earlier "
            "layer, or none to have the last suitable one found"
        )
    activation = seen[-1]
    if not create_graph:
        activation, gradient = activation.detach(), gradient.detach()
    return grid.to_map(activation), grid.to_map(gradient)


def _is_block(layer: SeenLayer) -> bool:
    """Whether an output is one between operations, not inside of one, where channels come last."""
    grid, module = layer.grid, layer.module
    if isinstance(module, nn.Identity | nn.modules.dropout._DropoutNd):
        return False
    first = grid is not None and grid.layout == "channels first"
    return first or next(module.children(), None) is not None or "norm" in type(module).__name__.lower()


def _reaches(grid: Grid, gradient: Tensor) -> bool:
    """Whether a gradient is there at places; where channels come first it is there, if only dead units make it 0."""
    return grid.layout == "channels first" or bool(grid.to_map(gradient).any())


def _close(name: str, layers: Sequence[SeenLayer]) -> str:
    names = list(dict.fromkeys(layer.name.removeprefix("network.") for layer in layers if fits(layer)))
    close = difflib.get_close_matches(name.removeprefix("network."), names, n=3, cutoff=0.5)
    guess = f", did you mean {' or '.join(close)}?" if close else ";"
    return f"{guess} `pellucid layers` lists the layers that give one"


def _titled(model: nn.Module) -> str:
    """The class of the network, without the normalisation that `pellucid.models.build` puts in front."""
    return type(getattr(model, "network", model)).__name__
