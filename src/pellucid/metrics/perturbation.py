"""Noisy copies of images, and what the network and the saliency make of each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.checks import one_of
from pellucid.core.errors import InputError, NotFinite
from pellucid.core.outputs import answer
from pellucid.core.types import Attribution, Image, Label, Logits
from pellucid.metrics.chunks import attribution_of
from pellucid.metrics.families.stability import Noise, RelativeStability
from pellucid.metrics.inputs import all_finite, check_batch, check_classes, check_model
from pellucid.saliency import as_saliency, in_chunks

__all__ = ["PENULTIMATE", "Noise", "NoisyCopies", "Observation", "noisy_image"]

PENULTIMATE = "penultimate"
"""The layer whose *input* is looked at: the last that was registered of those with parameters of their own."""


class Observation(NamedTuple):
    """One version of the images and what came of it; ``logits`` and ``hidden`` only where asked for."""

    image: Image
    attribution: Attribution
    logits: Logits
    hidden: Tensor


def noisy_image(
    x: Image,
    generator: randomness.Generator = None,
    *,
    noise: Noise = RelativeStability.noise,
    sigma: float = RelativeStability.sigma,
    between: tuple[float, float] = RelativeStability.between,
) -> Image:
    r"""A noisy copy of each image: what the stability measures compare it with.

    ``gaussian`` clip(x + sigma · normal), ``uniform`` clip(x + U(-sqrt(3) sigma, sqrt(3) sigma)), whose standard
    deviation is sigma too, both clipped to [0, 1]; ``one-sided`` x + U(between), a brightening that is not clipped:
    Quantus's default and so the seed paper's noise.

    Args:
        x: (n, c, h, w) images in [0, 1].
        generator: source of the noise.
        noise: ``gaussian``, ``uniform`` or ``one-sided``.
        sigma: standard deviation in pixel units, above 0; of no meaning to ``one-sided``.
        between: lowest and highest value of ``one-sided``, 0 <= lowest < highest; of no meaning to the others.

    Returns:
        (n, c, h, w), detached, in the dtype and on the device of ``x``.

    Raises:
        InputError: an unknown noise, numbers out of range.

    >>> x = torch.full((1, 1, 2, 2), 0.9)
    >>> noisy = noisy_image(x, torch.Generator().manual_seed(0), noise="one-sided")
    >>> bool(((noisy - x > 0.0199) & (noisy - x < 0.2001)).all())
    True

    Source: Bhusal, Alam and Rastogi 2026 (arXiv 2603.07302), whose code leaves Quantus's ``uniform_noise`` as it is.
    """
    _check_noise(noise=noise, sigma=sigma, between=between)
    low, high = between
    clean = x.detach()
    if noise == "gaussian":
        return (clean + sigma * randomness.normal(x.shape, generator, device=x.device).to(x.dtype)).clamp(0, 1)
    drawn = randomness.uniform(x.shape, generator, device=x.device).to(x.dtype)
    if noise == "uniform":
        return (clean + 3**0.5 * sigma * (2 * drawn - 1)).clamp(0, 1)
    return clean + low + (high - low) * drawn


class NoisyCopies:
    """Noisy copies of images with what network and saliency make of them; what was made is kept for who asks next.

    Draw i is from ``randomness.of(generator, f"stability/{i}")`` whoever asks, so measures see the same images. A
    saliency that itself draws gets the same numbers every time: only the image differs.

    Args:
        model: network in eval mode, or any function, from images (n, c, h, w) to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained.
        saliency: whatever `pellucid.saliency.as_saliency` accepts.
        chunk: largest number of images that network or saliency is given at once; all by default.
        generator: source of the noise.
        keep: keep the maps and logits of every draw; without it each draw is forgotten when the next one is made.

    Raises:
        InputError: wrong shapes, pixels outside [0, 1], a network in training mode.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Image,
        target: Label,
        saliency: Any,
        *,
        chunk: int | None = None,
        generator: randomness.Generator = None,
        keep: bool = True,
    ) -> None:
        check_model(model)
        check_batch(x, target)
        self.model, self.x, self.target, self.chunk, self.generator = model, x, target, chunk, generator
        self.explain = as_saliency(saliency)
        self.keep = keep
        self._repeated: Callable[[], randomness.Generator] | None = None
        self._versions: dict[Any, _Version] = {}

    def observe(
        self,
        *,
        noise: Noise,
        sigma: float,
        between: tuple[float, float],
        draws: int,
        layer: str | None = None,
        predict: bool = True,
    ) -> Iterator[Observation]:
        """The clean images first, then ``draws`` noisy copies of them, one at a time.

        Args:
            noise: see `noisy_image`, as ``sigma`` and ``between``.
            sigma: standard deviation of the noise.
            between: range of the one-sided noise.
            draws: number of noisy copies, at least 1.
            layer: name of the layer whose output is ``hidden``, or ``penultimate`` for what the last layer reads;
                without one, ``hidden`` is empty.
            predict: predict the noisy copies too; without it, their ``logits`` and ``hidden`` are empty.

        Yields:
            The clean observation, then the noisy ones; everything detached.

        Raises:
            InputError: a class or layer the network lacks, non-finite logits or attributions, numbers out of range.
        """
        _check_noise(noise=noise, sigma=sigma, between=between)
        if not 0 < draws < float("inf"):
            raise InputError(f"draws must be above 0, got {draws}")
        if self._repeated is None:
            self._repeated = randomness.repeatable(randomness.of(self.generator, "stability/saliency"), self.x.device)
        yield self._observed("clean", lambda: self.x, layer=layer, predict=True)
        for draw in range(draws):

            def image(draw: int = draw) -> Image:
                source = randomness.of(self.generator, f"stability/{draw}")
                return noisy_image(self.x, source, noise=noise, sigma=sigma, between=between)

            yield self._observed((noise, sigma, between, draw), image, layer=layer, predict=predict)

    @property
    def versions(self) -> "list[_Version]":
        """What is kept of every version of the images."""
        return list(self._versions.values())

    def _observed(self, key: Any, image: Callable[[], Image], *, layer: str | None, predict: bool) -> Observation:
        version = self._versions.get(key) or _Version(image().detach())
        if self.keep:
            self._versions[key] = version
        if predict and (version.logits is None or (layer is not None and layer not in version.hidden)):
            assert self._repeated is not None
            # A network that itself draws answers each version with the same numbers, so that only the image differs.
            with randomness.pinned(self._repeated(), "network", device=self.x.device):
                version.logits, hidden = _predicted(self.model, version.image, self.target, layer, chunk=self.chunk)
            version.hidden[layer] = hidden
        if version.attribution is None:
            assert self._repeated is not None
            version.attribution = attribution_of(
                self.explain, self.model, version.image, self.target, self._repeated, chunk=self.chunk
            )
        nothing = self.x.new_empty(0)
        logits = version.logits if predict and version.logits is not None else nothing
        hidden = version.hidden.get(layer, nothing) if predict and layer is not None else nothing
        return Observation(version.image, version.attribution, logits, hidden)


@dataclass
class _Version:
    """One version of the images, with what has been made of it so far."""

    image: Image
    attribution: Attribution | None = None
    logits: Logits | None = None
    hidden: dict[str | None, Tensor] = field(default_factory=dict)


def _check_noise(*, noise: str, sigma: float, between: tuple[float, float]) -> None:
    one_of(get_args(Noise), noise=noise)
    if not 0 < sigma < float("inf"):
        raise InputError(f"sigma must be above 0, got {sigma}")
    low, high = between
    if not 0 <= low < high < float("inf"):
        raise InputError(f"between must be 0 <= lowest < highest, got {between}")


def _predicted(
    model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, layer: str | None, *, chunk: int | None
) -> tuple[Logits, Tensor]:
    """The logits, and what ``layer`` stands for: of its last run where the forward pass uses it more than once."""
    hidden: list[Tensor] = []

    def predicted(x: Tensor, target: Tensor) -> Logits:
        seen: list[Any] = []
        with _kept(model, layer, seen), torch.no_grad():
            logits = answer(model, x)
        check_classes(target, logits)
        hidden.append(_checked(seen, layer, len(x)) if layer is not None else x.new_empty(0))
        return logits

    return in_chunks(predicted, x, target, chunk=chunk), torch.cat(hidden)


def _checked(seen: list[Any], layer: str, n: int) -> Tensor:
    if not seen:
        raise InputError(f"layer {layer!r} has no output: the network's forward pass does not run it")
    hidden = seen[-1]
    if not isinstance(hidden, Tensor) or hidden.ndim == 0 or len(hidden) != n:
        got = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
        what = "read" if layer == PENULTIMATE else "return"
        raise InputError(f"layer {layer!r} must {what} a tensor with one row for each of {n} images, got {got}")
    if not all_finite(hidden):
        raise NotFinite(f"the output of layer {layer!r} must be finite, got {hidden[~torch.isfinite(hidden)][0]:g}")
    return hidden


@contextmanager
def _kept(model: Callable[[Tensor], Tensor], layer: str | None, seen: list[Any]) -> Iterator[None]:
    """``seen`` holds the layer's last output, or the last input of the layer that ``penultimate`` comes before."""
    if layer is None:
        yield
        return
    layers = dict(model.named_modules()) if isinstance(model, nn.Module) else {}

    def keep(value: Any) -> None:
        # A copy, as an in-place layer that follows (ReLU after batch norm) would write into it.
        seen[:] = [value.detach().clone() if isinstance(value, Tensor) else value]

    if layer in layers:
        handle = layers[layer].register_forward_hook(lambda module, arguments, output: keep(output))
    elif layer == PENULTIMATE:
        with_parameters = [m for m in layers.values() if next(m.parameters(recurse=False), None) is not None]
        if not with_parameters:
            raise InputError("layer 'penultimate' is what the last layer with parameters reads, got a network of none")
        handle = with_parameters[-1].register_forward_pre_hook(
            lambda module, arguments, named: keep([*arguments, *named.values(), None][0]), with_kwargs=True
        )
    else:
        known = ", ".join(name for name in layers if name) or "none, as the network is no torch.nn.Module"
        raise InputError(f"layer must be penultimate or one of the network's ({known}), got {layer!r}")
    try:
        yield
    finally:
        handle.remove()
