"""Does a map depend on what the network has learned: randomised networks, and maps that never look at it.

A saliency method whose maps stay the same when the weights are random explains the image, not the network.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.outputs import answer
from pellucid.core.types import Attribution, Image, Label, PerSample
from pellucid.metrics.chunks import attribution_of
from pellucid.metrics.inputs import check_batch, check_classes, check_model
from pellucid.metrics.similarity import rank_correlation, rank_correlation_with
from pellucid.saliency import Channels, as_saliency, heatmap, in_chunks, saliency_name

__all__ = [
    "Randomisation",
    "baseline_similarity",
    "edge_map",
    "explainer",
    "random_map",
    "randomisation_similarity",
    "randomise",
    "randomised_layers",
    "reset_parameters",
]

Randomisation = Literal["cascading", "independent"]


def reset_parameters(layer: nn.Module) -> None:
    """Give a layer fresh parameters: by its own ``reset_parameters``, as torch's layers have it, or drawn anew.

    A normalisation layer returns to the identity and its running statistics to 0 and 1. What a module without
    ``reset_parameters`` holds itself, such as the class token and the positions of a vision transformer, is drawn from
    a normal distribution of mean 0 with the root mean square of its own values.
    """
    reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    if callable(reset):
        reset()
        return
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            if not parameter.is_floating_point():  # positions and the like, which nothing has learned
                continue
            size = parameter.square().mean().sqrt()
            parameter.normal_().mul_(size)


def randomised_layers(model: nn.Module) -> list[str]:
    """Names of the submodules with parameters of their own, from the last to the first.

    >>> randomised_layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(8, 2)))
    ['2', '0']
    """
    names = [name for name, layer in model.named_modules() if next(layer.parameters(recurse=False), None) is not None]
    return names[::-1]


def randomise(
    model: nn.Module,
    *,
    order: Randomisation = "cascading",
    seed: int = 0,
    reset: Callable[[nn.Module], None] = reset_parameters,
) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network with random weights in more and more layers, from the last to the first, or in one each.

    A layer is a submodule with parameters of its own; last is what was registered last, which is the output layer
    where a network names its layers in the order of its forward pass. A layer's fresh weights depend on ``seed`` and
    its name alone, so every batch of images meets the same random networks; the global generators are not touched.

    Args:
        model: network; it is not changed.
        order: ``cascading`` keeps the later layers random, ``independent`` randomises one layer of each copy.
        seed: of the fresh weights.
        reset: gives one layer its fresh weights in place, from torch's global generators.

    Returns:
        Iterator of (name of the layer, copy of the network randomised there), in the mode (train or eval) and on the
        device of ``model``. One copy is made at a time.

    Raises:
        InputError: no layer has parameters, or another order.

    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    >>> [(name, torch.equal(new[0].weight, network[0].weight)) for name, new in randomise(network)]
    [('2', True), ('0', False)]

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", sections 3.1 and 3.2.
    """
    networks = _randomised(model, order=order, seed=seed, reset=reset)
    # The next copy is made from this one, so the caller gets another.
    return ((name, copy.deepcopy(network) if order == "cascading" else network) for name, network in networks)


def _randomised(
    model: nn.Module, *, order: Randomisation, seed: int, reset: Callable[[nn.Module], None]
) -> Iterator[tuple[str, nn.Module]]:
    """`randomise` for one who looks at each network before the next: ``cascading`` goes on in one copy."""
    one_of(get_args(Randomisation), order=order)
    names = randomised_layers(model)
    if not names:
        raise InputError(f"{type(model).__name__} has no layer with parameters to randomise")

    def networks() -> Iterator[tuple[str, nn.Module]]:
        current = copy.deepcopy(model)
        for number, name in enumerate(names):
            if order == "independent" and number:
                current = copy.deepcopy(model)
            layer = current.get_submodule(name)
            device = next(layer.parameters(recurse=False)).device
            with randomness.fork(seed, "randomise", name, device=device):
                reset(layer)
            yield name, current

    return networks()


def randomisation_similarity(
    model: nn.Module,
    x: Image,
    target: Label,
    saliency: Any,
    *,
    order: Randomisation = "cascading",
    channels: Channels = "mean_abs",
    seed: int = 0,
    reset: Callable[[nn.Module], None] = reset_parameters,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> dict[str, PerSample]:
    """Rank correlation of each image's map before and after the network's layers are randomised.

    Spearman's correlation over pixels, equal values sharing their mean rank. A map that depends on the weights falls
    to about 0; one that stays near 1 does not pass. A flat map ranks nothing: it has 1 with another flat map and 0
    with any other. A saliency that itself draws gets the same numbers for every network.

    Args:
        model: network in eval mode; it is not changed.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained, of every network.
        saliency: what gives the signed attribution, anything that `pellucid.saliency.as_saliency` accepts; Captum's
            as a class, for an object explains only the network it was built on.
        order: ``cascading`` or ``independent``, as in `randomise`.
        channels: how an attribution becomes one value per pixel, as in `pellucid.saliency.heatmap`; ``signed_mean``
            ranks signed values.
        seed: of the fresh weights.
        reset: as in `randomise`.
        chunk: largest number of images in one forward or backward pass; all by default. The numbers do not depend on
            it but for rounding.
        generator: source of the saliency's own draws.

    Returns:
        For each layer's name, in the order of `randomise`, (n,) in [-1, 1] in the dtype of ``x``.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a class the network lacks, a network in training mode, with
            non-finite logits or attributions, a Captum object, or as in `randomise`.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    >>> randomisation_similarity(network, torch.rand(2, 1, 4, 4), torch.tensor([0, 1]), edge_map)
    {'1': tensor([1., 1.])}

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", figures 3 and 4.
    """
    explained = explainer([model], x, target, saliency, chunk=chunk, generator=generator)
    with_before = rank_correlation_with(heatmap(explained(model), channels=channels))
    return {
        name: with_before(heatmap(explained(network), channels=channels)).to(x.dtype)
        for name, network in _randomised(model, order=order, seed=seed, reset=reset)
    }


def baseline_similarity(
    model: nn.Module,
    x: Image,
    target: Label,
    saliency: Any,
    *,
    channels: Channels = "mean_abs",
    seed: int = 0,
    reset: Callable[[nn.Module], None] = reset_parameters,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> dict[str, PerSample]:
    """What to read `randomisation_similarity` beside: similarities in which nothing that was learned plays a part.

    Arguments and errors are those of `randomisation_similarity`; ``seed`` is of the first random network, the other's
    is one larger, and ``generator`` draws the random map too.

    Returns:
        Rank correlations, (n,) each, in [-1, 1]: ``edge_map`` of the network's map with `edge_map`, ``random_map`` with
        `random_map`, ``random_networks`` between the maps of two fully random networks, the share that image and
        architecture alone decide.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    >>> likeness = baseline_similarity(network, torch.rand(2, 1, 4, 4), torch.tensor([0, 1]), edge_map)
    >>> likeness["edge_map"], likeness["random_networks"]
    (tensor([1., 1.]), tensor([1., 1.]))

    Source: the edge detector of Adebayo et al. 2018, figure 1; Yona and Greenfeld 2021 for what images alone explain.
    """
    explained = explainer([model], x, target, saliency, chunk=chunk, generator=generator)
    noise = randomness.of(generator, "sanity/random_map")
    trained, edges, drawn, *random = (
        heatmap(attribution, channels=channels)
        for attribution in (
            explained(model),
            edge_map(model, x, target),
            random_map(model, x, target, generator=noise),
            *(explained(_random_network(model, seed=fresh, reset=reset)) for fresh in (seed, seed + 1)),
        )
    )
    similarity = {
        "edge_map": rank_correlation(trained, edges),
        "random_map": rank_correlation(trained, drawn),
        "random_networks": rank_correlation(*random),
    }
    return {name: value.to(x.dtype) for name, value in similarity.items()}


def _random_network(model: nn.Module, *, seed: int, reset: Callable[[nn.Module], None]) -> nn.Module:
    network = model
    for _, copied in _randomised(model, order="cascading", seed=seed, reset=reset):
        network = copied
    return network


def explainer(
    models: Sequence[nn.Module],
    x: Image,
    target: Label,
    saliency: Any,
    *,
    chunk: int | None = None,
    generator: randomness.Generator = None,
) -> Callable[[nn.Module], Attribution]:
    """What gives the attribution of the same images for any network, with the same draws for each.

    The ``models``, networks in eval mode and at least one, are checked before anything is explained; all other
    arguments and errors are those of `randomisation_similarity`.

    Returns:
        Function from a network to its detached attribution, (n, channels, h, w).
    """
    check_batch(x, target)
    for model in models:
        check_model(model)
        with torch.no_grad():
            check_classes(target, in_chunks(partial(answer, model), x, chunk=chunk))
    if hasattr(saliency, "attribute") and not inspect.isclass(saliency):
        raise InputError(f"{saliency_name(saliency)} explains only the network it was built on; give its class")
    explain = as_saliency(saliency)
    repeated = randomness.repeatable(randomness.of(generator, "sanity/saliency"), x.device)
    return lambda network: attribution_of(explain, network, x, target, repeated, chunk=chunk)


def random_map(
    model: Any, x: Image, target: Label, *, create_graph: bool = False, generator: randomness.Generator = None
) -> Attribution:
    """Standard normal noise as an attribution: what a map is worth that knows neither network nor image.

    Args:
        model: not looked at.
        x: (n, c, h, w), of which shape, dtype and device are taken.
        target: not looked at.
        create_graph: must be False, for noise has no gradient.
        generator: source of the noise.

    Returns:
        (n, c, h, w).

    Raises:
        InputError: ``create_graph`` is asked for.

    >>> random_map(None, torch.zeros(2, 1, 3, 3), torch.tensor([0, 1])).shape
    torch.Size([2, 1, 3, 3])
    """
    if create_graph:
        raise InputError("random_map does not depend on the image, so it cannot be differentiated; got create_graph")
    return randomness.normal(x.shape, randomness.of(generator, "random_map"), device=x.device).to(x.dtype)


def edge_map(
    model: Any, x: Image, target: Label, *, create_graph: bool = False, generator: randomness.Generator = None
) -> Attribution:
    r"""The image's edges as an attribution: :math:`\sqrt{s_h^2 + s_v^2}` of the Sobel filters, channel by channel.

    It looks like a saliency map and knows nothing of the network. The filters are divided by 8, so that a ramp of
    slope s per pixel has the value s; the border repeats.

    Args:
        model: not looked at.
        x: (n, c, h, w) images.
        target: not looked at.
        create_graph: keep the graph to ``x``.
        generator: not used.

    Returns:
        (n, c, h, w), non-negative; 0 on a flat image.

    >>> ramp = torch.tensor([[[[0.0, 0.25, 0.5]]]])
    >>> edge_map(None, ramp, torch.tensor([0]))
    tensor([[[[0.1250, 0.2500, 0.1250]]]])

    Source: the edge detector of Adebayo et al. 2018, figure 1.
    """
    x = x if create_graph else x.detach()
    n, c, h, w = x.shape
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], dtype=x.dtype, device=x.device) / 8
    padded = F.pad(x.reshape(n * c, 1, h, w), (1, 1, 1, 1), mode="replicate")
    slope = F.conv2d(padded, torch.stack([across, across.T])[:, None])
    magnitude: Tensor = slope.norm(dim=1)  # whose gradient at 0 is 0, where a square root's is NaN
    return magnitude.reshape(n, c, h, w)
