"""What a metric may look at: some images, the network, and of one saliency method what several metrics need."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.core.outputs import answer, check_logits
from pellucid.core.randomness import Generator, SampleDraws
from pellucid.core.types import Attribution, Heatmap, Image, Label, PerSample, Saliency
from pellucid.metrics.chunks import attribution_of
from pellucid.metrics.families.stability import Noise, RelativeStability
from pellucid.metrics.perturbation import NoisyCopies, Observation
from pellucid.saliency import Channels, VanillaGradient, heatmap

__all__ = ["Case"]

_NEEDED = {
    "model": "a torch.nn.Module from images to logits",
    "x": "images (n, c, h, w) in [0, 1]",
    "label": "the true class of each image",
    "index": "the position of each image in its dataset",
    "saliency": "whatever pellucid.as_saliency accepts",
}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Case:
    """Some images under one network, and the maps of one saliency method; made once, shared by all metrics.

    An evaluation makes one for at most ``chunk`` images, so that what is kept of the noisy copies is bounded. What no
    metric looks at may be left out; looking at what was not given is refused in one sentence. Of a network with several
    labels per image a case looks at one label, as `pellucid.models.OneLabel` shows it: two classes, 1 where it applies.

    Args:
        model: network in eval mode, images (n, c, h, w) in [0, 1] to logits (n, classes).
        x: (n, c, h, w) images in [0, 1].
        label: (n,) true class.
        explained: (n,) class that is explained; the predicted one by default.
        index: (n,) position of each image in its split, of which its draws are made.
        seed: of every draw.
        saliency: gives the signed attribution, as `pellucid.saliency.as_saliency` returns it.
        name: of the saliency method, which its own draws depend on.
        channels: how an attribution becomes a heatmap.
        chunk: images in one forward pass.
        mask: (n, h, w) bool, True where what decides the class is; nowhere True for an image of which that is not
            known; None where it is known of none.
        changed: (n, c, h, w) in [0, 1], the same images with one thing exchanged, by the name of that thing: ``cause``,
            ``rest``, ``decoy``, ``without NAME``.
        parts: (n, h, w) bool, where each named part is, and the ``decoy``.
        transfer: another network of the same classes, on which a transferred attack is computed.
        generator: source of every draw; of ``seed`` and ``index`` by default.
        given: (n, h, w) the heatmap, where it was made already.
        maps: (n, channels, h, w) signed attributions, where they were made already.
        asker: what is told to need something that was not given.

    >>> case = Case(given=torch.tensor([[[3.0, 1.0]]]))
    >>> case.heatmap.sum()
    tensor(4.)
    >>> case.label
    Traceback (most recent call last):
    pellucid.InputError: this metric needs label, the true class of each image, which was not given
    """

    model: Any = None
    x: Any = None
    label: Any = None
    index: Any = None
    explained: Label | None = None
    seed: int = 0
    saliency: Saliency = field(default_factory=VanillaGradient)
    name: str = "vanilla_gradient"
    channels: Channels = "mean_abs"
    chunk: int = 128
    mask: Tensor | None = None
    changed: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    transfer: nn.Module | None = None
    generator: Generator = None
    given: Heatmap | None = None
    maps: Attribution | None = None
    asker: str = "this metric"

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if value is None and name in _NEEDED:
            raise InputError(f"{self.asker} needs {name}, {_NEEDED[name]}, which was not given")
        return value

    def has(self, name: str) -> bool:
        """Whether the argument of that name was given."""
        return vars(self)[name] is not None

    def __len__(self) -> int:
        """Number of images."""
        return next((len(vars(self)[name]) for name in ("x", "given", "label", "index") if self.has(name)), 0)

    @cached_property
    def draws(self) -> Generator:
        """Source of random numbers: each image has its own, whoever its batch mates are."""
        return SampleDraws(self.seed, tuple(self.index.tolist())) if self.generator is None else self.generator

    def pinned(self, purpose: str) -> AbstractContextManager[None]:
        """Inside the block what draws from the global generators draws the same for the same seed and images.

        Args:
            purpose: what is drawn for.
        """
        index = tuple(self.index.tolist()) if self.has("index") else ()
        device = self.x.device if self.has("x") else "cpu"
        return randomness.pinned(SampleDraws(self.seed, index), purpose, device=device)

    @cached_property
    def _logits(self) -> Tensor:
        with self.pinned("logits"), torch.no_grad():
            return torch.cat([self._answer(part) for part in torch.split(self.x, self.chunk)])

    @cached_property
    def _predicted(self) -> tuple[PerSample, Label]:
        highest = self.probability.max(1)
        return highest.values, highest.indices

    @cached_property
    def probability(self) -> Tensor:
        """(n, classes) softmax probability of every class."""
        return self._logits.softmax(1)

    @cached_property
    def log_probability(self) -> Tensor:
        """(n, classes) its natural logarithm, finite where the probability itself is too small to be told from 0."""
        return self._logits.log_softmax(1)

    def _answer(self, x: Image) -> Tensor:
        logits = answer(self.model, x)
        check_logits(logits)
        return logits

    @property
    def score(self) -> PerSample:
        """(n,) softmax probability of the predicted class."""
        return self._predicted[0]

    @property
    def prediction(self) -> Label:
        """(n,) predicted class."""
        return self._predicted[1]

    @property
    def target(self) -> Label:
        """(n,) class that is explained."""
        return self.prediction if self.explained is None else self.explained

    @property
    def cause(self) -> Tensor:
        """(n, h, w) bool, the ``mask``, for what cannot do without."""
        if self.mask is None:
            raise InputError(
                f"{self.asker} needs mask, which marks what decides the class of each image, and none was given"
            )
        return self.mask

    def exchanged(self, thing: str) -> Image:
        """(n, c, h, w) the images with that thing exchanged, or, of ``without NAME``, removed."""
        return self._named("changed", thing, "the images with that thing exchanged")

    def part(self, name: str) -> Tensor:
        """(n, h, w) bool, True where the part of that name is."""
        return self._named("parts", name, "where that part is in each image")

    @property
    def removable(self) -> tuple[str, ...]:
        """Names of the parts without which the images are given too."""
        return tuple(name for name in self.parts if f"without {name}" in self.changed)

    def _named(self, kind: str, name: str, what: str) -> Tensor:
        given: Mapping[str, Tensor] = getattr(self, kind)
        if name not in given:
            raise InputError(f"{self.asker} needs {kind}[{name!r}], {what}, which was not given")
        return given[name]

    @cached_property
    def _follows(self) -> dict[str, Tensor]:
        return {}

    def follows(self, thing: str) -> Tensor:
        """(n,) bool, whether the prediction changes when that thing is exchanged; looked at once."""
        if thing not in self._follows:
            from pellucid.metrics.interventions import prediction_changes

            changes = prediction_changes(self.model, self.x, self.exchanged(thing), chunk=self.chunk)
            self._follows[thing] = changes
        return self._follows[thing]

    @cached_property
    def attribution(self) -> Attribution:
        """(n, channels, h, w), signed."""
        if self.maps is not None:
            return self.maps
        repeated = randomness.repeatable(randomness.of(self.draws, self.name), self.x.device)
        return attribution_of(self.saliency, self.model, self.x, self.target, repeated, chunk=self.chunk)

    @cached_property
    def signed_heatmap(self) -> Heatmap:
        """(n, h, w) the map as ``channels`` makes it of the attribution; signed only with ``signed_mean``."""
        if self.given is not None:
            return self.given
        if self.maps is None and not (self.has("saliency") and (self.has("model") or self.has("x"))):
            raise InputError(f"{self.asker} needs heatmap, or model, x and saliency to make it, which were not given")
        return heatmap(self.attribution, channels=self.channels)

    @cached_property
    def heatmap(self) -> Heatmap:
        """(n, h, w), non-negative."""
        return self.signed_heatmap.abs() if self.channels == "signed_mean" else self.signed_heatmap

    @cached_property
    def _copies(self) -> NoisyCopies:
        return NoisyCopies(self.model, self.x, self.target, self.saliency, chunk=self.chunk, generator=self.draws)

    def noisy(
        self,
        *,
        noise: Noise = RelativeStability.noise,
        sigma: float = RelativeStability.sigma,
        between: tuple[float, float] = RelativeStability.between,
        draws: int = RelativeStability.draws,
        layer: str | None = None,
        predict: bool = True,
    ) -> Iterator[Observation]:
        """The clean images, then noisy copies of them, each with its logits and its map; kept for the next metric.

        Args:
            noise: as `pellucid.metrics.perturbation.noisy_image` takes it, like ``sigma`` and ``between``.
            sigma: standard deviation of the noise in pixel units.
            between: lowest and highest value of one-sided noise.
            draws: number of noisy copies.
            layer: layer whose output is looked at too.
            predict: whether the logits of the noisy copies are needed.

        Yields:
            image, attribution, logits, hidden of each version.
        """
        return self._copies.observe(
            noise=noise, sigma=sigma, between=between, draws=draws, layer=layer, predict=predict
        )
