"""Saliency-guided training: what a map calls irrelevant may be replaced without changing the answer."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core.checks import in_unit, not_negative, one_of, some_share
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating
from pellucid.core.randomness import Generator, of, uniform
from pellucid.core.types import Attribution, Batch, Image, Label, Logits, Mask
from pellucid.divergence import kl
from pellucid.methods.map_pass import MapPass, check_map_pass, logits_beside, logits_with_map
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import (
    accuracy,
    classification_loss,
    cross_entropy_of,
    joint_logits,
    log_of,
    part_of,
    predicted,
    random_regions,
    sides,
)
from pellucid.saliency import Explain, VanillaGradient, as_saliency, heatmap, lowest

__all__ = ["SaliencyGuided"]


@dataclass(frozen=True, kw_only=True)
class SaliencyGuided(Method):
    r"""Saliency-guided training: CE(f(x), y) + weight · KL(f(x) ‖ f(M(x))), M replacing the lowest-saliency features.

    With an ``attack`` it is SGT + AT in one of three published readings, where x' is the attacked image:

    - A: CE(f(x), y) + CE(f(x'), y) + weight · KL(f(x) ‖ f(M(x')))
    - B: CE(f(x), y) + CE(f(x'), y) + weight · KL(f(x') ‖ f(M(x')))
    - C: CE(f(x), y) + weight · KL(f(x) ‖ f(PGD(M(x)))): replace first, then attack

    Gradients flow through both arguments of the divergence; the choice of features is not differentiated.

    Args:
        fraction: share of pixels that are replaced, in [0, 1].
        fill: ``channel_range``, uniform between the least and the greatest value of each channel of the image;
            ``image_range``, the same over the whole image; ``unit``, uniform in [0, 1]; ``channel_mean``; ``corner``,
            the image's top left pixel.
        ranking: ``absolute`` gradient, or ``signed`` as the authors' code does, whose lowest are the most negative;
            ``random`` is the control that uses no map: as many features, at random places. It makes no saliency pass,
            and ``target`` and ``saliency`` have no effect.
        weight: of the divergence.
        share: part of each batch whose features are replaced and that carries the divergence, in (0, 1]; with readings
            A and B of an ``attack`` the whole batch is attacked all the same.
        region: side in pixels of the regions that are ranked and replaced as one.
        target: class whose score ranks the features, the ``true`` one or the ``predicted`` one; of several labels an
            image all of them, see `pellucid.methods.terms.sides`.
        attack: how x becomes x'; none for SGT alone.
        reading: A, B or C; has no effect without an attack.
        saliency: what ranks the features; by default the gradient of the target's logit.
        map_pass: where that map comes from: ``own``, a forward pass of its own in eval mode, or ``shared``, the pass on
            the clean images that the loss is made of, which costs a pass less. Networks without BatchNorm and dropout
            learn the same from both. It is for the gradient as ``saliency``, and for no attack or reading C.

    Source: Ismail, Corrada Bravo, Feizi 2021, algorithm 1; Guesmi, Aswani, Shafique 2024; reading C, Li et al. 2022.
    ``share`` and ``map_pass`` are ours.
    """

    tasks = BOTH
    fraction: float = 0.5
    fill: Literal["channel_range", "image_range", "unit", "channel_mean", "corner"] = "channel_range"
    ranking: Literal["absolute", "signed", "random"] = "absolute"
    weight: float = 1.0
    share: float = 1.0
    region: int = 1
    target: Literal["true", "predicted"] = "true"
    attack: PGD | None = None
    reading: Literal["A", "B", "C"] = "A"
    saliency: Explain = VanillaGradient()
    map_pass: MapPass = "own"

    def __post_init__(self) -> None:
        in_unit(fraction=self.fraction)
        one_of(("channel_range", "image_range", "unit", "channel_mean", "corner"), fill=self.fill)
        one_of(("absolute", "signed", "random"), ranking=self.ranking)
        one_of(("true", "predicted"), target=self.target)
        one_of(("A", "B", "C"), reading=self.reading)
        not_negative(weight=self.weight)
        some_share(share=self.share)
        as_saliency(self.saliency)
        check_map_pass(self.map_pass, ranking=self.ranking, saliency=self.saliency)
        if self.map_pass == "shared" and self.attack is not None and self.reading != "C":
            raise InputError(
                f"map_pass shared gives the map of clean images, and reading {self.reading} of an attack ranks "
                "attacked ones; leave map_pass out"
            )

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        x, y = batch.image, batch.label
        attack, draws, part = self.attack, of(generator, "attack"), part_of(batch, self.share)
        known, attribution = self._shared_map(model, x, y, part)
        with evaluating(model):
            if attack is None:
                masked = self.replace(model, x[part], y[part], attribution, generator=generator)
            elif self.reading == "C":
                masked = self.replace(model, x[part], y[part], attribution, generator=generator)
                masked = attack(cross_entropy_of(model, y[part]), masked, generator=draws)
            else:
                changed = attack(cross_entropy_of(model, y), x, generator=draws)
                masked = self.replace(model, changed[part], y[part], generator=generator)
        if attack is None or self.reading == "C":
            logits, masked_logits = logits_beside(model, known, x, masked)
            clean_loss = classification_loss(logits, y)
            divergence = kl(logits[part], masked_logits, task=batch.task).mean()
            return log_of(
                loss=clean_loss + self.weight * divergence,
                clean_loss=clean_loss,
                divergence=divergence,
                clean_accuracy=accuracy(logits, y),
            )
        logits, changed_logits, masked_logits = joint_logits(model, x, changed, masked)
        clean_loss, adversarial_loss = classification_loss(logits, y), classification_loss(changed_logits, y)
        compared = logits if self.reading == "A" else changed_logits
        divergence = kl(compared[part], masked_logits, task=batch.task).mean()
        return log_of(
            loss=clean_loss + adversarial_loss + self.weight * divergence,
            clean_loss=clean_loss,
            divergence=divergence,
            clean_accuracy=accuracy(logits, y),
            adversarial=(changed_logits, y),
        )

    def replace(
        self,
        model: nn.Module,
        x: Image,
        label: Label,
        attribution: Attribution | None = None,
        *,
        generator: Generator = None,
    ) -> Image:
        """M(x): the lowest-saliency features of ``x`` replaced; the network is in eval mode, where it is asked."""
        mask = self._mask(model, x, label, attribution, generator)
        return torch.where(mask, self._fill(x, of(generator, "fill")), x)

    def _shared_map(
        self, model: nn.Module, x: Image, label: Label, part: Tensor | slice
    ) -> tuple[Logits | None, Attribution | None]:
        """The logits of clean images and the map of a part of them; nothing where the map has a pass of its own."""
        if self.map_pass == "own":
            return None, None
        assert isinstance(self.saliency, VanillaGradient)

        def target(logits: Logits) -> Tensor:
            return sides(label[part]) if self.target == "true" else predicted(logits, label[part])

        return logits_with_map(model, x, part, target, saliency=self.saliency)

    def _mask(
        self, model: nn.Module, x: Image, label: Label, attribution: Attribution | None, generator: Generator
    ) -> Mask:
        if self.ranking == "random":
            return random_regions(x, self.fraction, region=self.region, generator=of(generator, "ranking"))
        if attribution is None:
            target = sides(label)
            if self.target == "predicted":
                # No `no_grad` here and below: autocast would keep the weights' casts of this pass, without their graph.
                target = predicted(model(x).detach(), label)
            attribution = as_saliency(self.saliency)(model, x, target, generator=of(generator, "saliency"))
        score = heatmap(attribution, channels="abs_mean" if self.ranking == "absolute" else "signed_mean")
        return lowest(score, self.fraction, region=self.region)

    def _fill(self, x: Image, generator: Generator) -> Image:
        match self.fill:
            case "channel_mean":
                return x.mean((2, 3), keepdim=True)
            case "corner":
                return x[:, :, :1, :1]
        noise = uniform(x.shape, generator, device=x.device).to(x.dtype)
        if self.fill == "unit":
            return noise
        axes = (2, 3) if self.fill == "channel_range" else (1, 2, 3)
        low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
        return low + noise * (high - low)
