"""Controls: trainings that use no map, which a method that uses one has to beat.

A part of what saliency-guided methods gain on perturbation curves is tolerance of the noise that the curves are made
with. Noise and Gaussian augmentation give that tolerance without looking at a map. `SaliencyGuided` and `SCAAT` with
``ranking="random"`` take the method's own step with a mask that no map chose. Two further controls, networks that are
merely less accurate, need no method: `Regular` with a higher ``Optimizer.weight_decay``, or with fewer
``Experiment.epochs``, which is early stopping.
"""

from dataclasses import dataclass

import torch
from torch import nn

from pellucid.core.checks import in_unit, not_negative, whole
from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator, normal, of, uniform
from pellucid.core.types import Batch, Image
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import accuracy, changed_logits, classification_loss, log_of, random_regions

__all__ = ["GaussianAugmentation", "NoiseAugmentation"]


@dataclass(frozen=True, kw_only=True)
class NoiseAugmentation(Method):
    """Cross-entropy on images of which a random part is noise, CE(f(N(x)), y); no map says which part.

    For every image a share is drawn from U(0, ``share``); that share of its square regions, at random places, is
    replaced by noise, uniform in [0, 1] for each pixel and channel. It is what perturbation curves do to an image, in
    random order.

    Args:
        share: greatest share of an image that is replaced, in [0, 1]; 0 is regular training.
        region: side of the square regions in pixels.

    >>> half_noise = NoiseAugmentation().augment(torch.ones(1, 1, 28, 28))
    >>> bool((half_noise == 1).any()), bool(half_noise.min() >= 0)
    (True, True)

    Source: ours, a control.
    """

    tasks = BOTH
    share: float = 0.5
    region: int = 2

    def __post_init__(self) -> None:
        in_unit(share=self.share)
        whole(1, region=self.region)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        return _loss(model, self.augment(batch.image, generator=generator), batch)

    def augment(self, x: Image, *, generator: Generator = None) -> Image:
        """N(x): ``x`` with its random regions replaced."""
        share = self.share * uniform((len(x),), of(generator, "share"), device=x.device)
        mask = random_regions(x, share, region=self.region, generator=of(generator, "regions"))
        return torch.where(mask, uniform(x.shape, of(generator, "noise"), device=x.device).to(x.dtype), x)


@dataclass(frozen=True, kw_only=True)
class GaussianAugmentation(Method):
    """Cross-entropy on images with normal noise, CE(f(clip(x + z)), y) with z from N(0, ``sigma``²).

    The noise is drawn for each pixel and channel; the sum is clipped to [0, 1].

    Args:
        sigma: deviation of the noise in pixel units, pixels being in [0, 1]; 0 is regular training.

    >>> bool(GaussianAugmentation().augment(torch.ones(1, 1, 28, 28)).max() <= 1)
    True

    Source: Bishop 1995.
    """

    tasks = BOTH
    sigma: float = 0.1

    def __post_init__(self) -> None:
        not_negative(sigma=self.sigma)
        if self.sigma == float("inf"):
            raise InputError("sigma must be a finite number, got inf")

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        return _loss(model, self.augment(batch.image, generator=generator), batch)

    def augment(self, x: Image, *, generator: Generator = None) -> Image:
        """``x`` with noise, clipped to [0, 1]."""
        noise = normal(x.shape, of(generator, "noise"), device=x.device).to(x.dtype)
        return (x + self.sigma * noise).clamp(0, 1)


def _loss(model: nn.Module, augmented: Image, batch: Batch) -> Losses:
    logits = changed_logits(model, augmented, batch.image)
    return log_of(loss=classification_loss(logits, batch.label), noisy_accuracy=accuracy(logits, batch.label))
