"""The training methods: one sentence with three slots each (how x becomes x', what is compared, what is remembered).

A method is a choice that a person makes: a frozen dataclass. What training changes is the `nn.Module` of `init`.
A method of your own is a subclass of `Method` with one method, `loss`; it is named by its import path.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core.errors import InputError
from pellucid.core.modes import evaluating
from pellucid.core.processes import processes
from pellucid.core.randomness import Generator, of, shared, uniform
from pellucid.core.types import Batch, Image, Label, Logits, Mask, PerSample
from pellucid.divergence import DIVERGENCES, Divergence, kl
from pellucid.methods.adaptive_q import AdaptiveQ
from pellucid.saliency import Explain, VanillaGradient, as_saliency, gradient_and_logits, heatmap, lowest

__all__ = [
    "SCAAT",
    "AdversarialSCAAT",
    "AdversarialTraining",
    "Method",
    "Regular",
    "SaliencyGuided",
]

Losses = dict[str, Tensor]


class Method(ABC):
    """How a network is trained: what is added to plain cross-entropy."""

    def init(self, num_samples: int, total_steps: int) -> nn.Module:
        """Training-time state, empty by default.

        Its buffers are not sent between processes: `loss` changes them alike in all, by `gathered` values.

        Args:
            num_samples: size of the training set; `Batch.index` is below it.
            total_steps: optimizer steps of the whole run.
        """
        return nn.Module()

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """The loss of one batch, to be minimised, with what is worth logging.

        Args:
            model: network, images to (n, k) logits; its modes are as they were when this returns.
            batch: images in [0, 1], labels and positions in the training set.
            state: what `init` made; changed only while ``state.training``.
            generator: source of every random number.

        Returns:
            ``loss``, a scalar with a graph; the other entries are detached scalars for the log.
        """


@dataclass(frozen=True)
class Regular(Method):
    """Cross-entropy on the images as they are, CE(f(x), y)."""

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        logits = model(batch.image)
        return {"loss": F.cross_entropy(logits, batch.label), "clean_accuracy": _accuracy(logits, batch.label)}


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(Method):
    """Cross-entropy on images that were changed to increase it, CE(f(x'), y).

    Args:
        attack: how x becomes x'; `PGD` or `fgsm`.
        clean: what clean images do: ``none``, only x' is trained on (Madry; Bhusal's FMNIST and CIFAR-10);
            ``share``, a part of each batch stays clean; ``probability``, each whole batch stays clean with some
            probability (Bhusal's ImageNette); ``sum``, CE(f(x), y) + CE(f(x'), y) (Guesmi's baseline).
        clean_share: that part or probability, in [0, 1]; 1 is regular training.

    Source: Madry et al. 2018; Bhusal, Alam, Rastogi 2026.
    """

    attack: PGD = PGD(eps=8 / 255, step_size=2 / 255, steps=7)
    clean: Literal["none", "share", "probability", "sum"] = "none"
    clean_share: float = 0.5

    def __post_init__(self) -> None:
        _one_of("clean", self.clean, ("none", "share", "probability", "sum"))
        _in_unit(clean_share=self.clean_share)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        if self.clean in ("share", "probability"):
            draw = uniform((1,), of(shared(generator), "clean"))
            if self.clean_share == 1 or (self.clean == "probability" and draw.item() < self.clean_share):
                return Regular().loss(model, batch, state, generator=generator)
        share = 1 - self.clean_share if self.clean == "share" else 1.0
        changed_part = _spread(len(batch.image), share, batch.image.device)
        x, y = batch.image[changed_part], batch.label[changed_part]
        with evaluating(model):
            changed = self.attack(_cross_entropy(model, y), x, generator=of(generator, "attack"))
        if self.clean == "sum":
            logits, changed_logits = _forward(model, batch.image, changed)
            loss = F.cross_entropy(logits, batch.label) + F.cross_entropy(changed_logits, y)
            return _log(loss=loss, clean_accuracy=_accuracy(logits, batch.label), adversarial=(changed_logits, y))
        if self.clean != "share":
            changed_logits = model(changed)
            return _log(loss=F.cross_entropy(changed_logits, y), adversarial=(changed_logits, y))
        mixed = batch.image.index_copy(0, changed_part, changed)
        logits = model(mixed)
        return _log(loss=F.cross_entropy(logits, batch.label), adversarial=(logits[changed_part], y))


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
        ranking: ``absolute`` gradient, or ``signed`` as the authors' code does, whose lowest are the most negative.
        weight: of the divergence.
        region: side in pixels of the regions that are ranked and replaced as one.
        target: class whose score ranks the features, the ``true`` one or the ``predicted`` one.
        attack: how x becomes x'; none for SGT alone.
        reading: A, B or C; of no effect without an attack.
        saliency: what ranks the features; by default the gradient of the target's logit.

    Source: Ismail, Corrada Bravo, Feizi 2021, algorithm 1; Guesmi, Aswani, Shafique 2024; reading C, Li et al. 2022.
    """

    fraction: float = 0.5
    fill: Literal["channel_range", "image_range", "unit", "channel_mean", "corner"] = "channel_range"
    ranking: Literal["absolute", "signed"] = "absolute"
    weight: float = 1.0
    region: int = 1
    target: Literal["true", "predicted"] = "true"
    attack: PGD | None = None
    reading: Literal["A", "B", "C"] = "A"
    saliency: Explain = VanillaGradient()

    def __post_init__(self) -> None:
        _in_unit(fraction=self.fraction)
        _one_of("fill", self.fill, ("channel_range", "image_range", "unit", "channel_mean", "corner"))
        _one_of("ranking", self.ranking, ("absolute", "signed"))
        _one_of("target", self.target, ("true", "predicted"))
        _one_of("reading", self.reading, ("A", "B", "C"))
        _not_negative(weight=self.weight)
        as_saliency(self.saliency)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        x, y = batch.image, batch.label
        attack, draws = self.attack, of(generator, "attack")
        with evaluating(model):
            if attack is None:
                masked = self.replace(model, x, y, generator=generator)
            elif self.reading == "C":
                masked = self.replace(model, x, y, generator=generator)
                masked = attack(_cross_entropy(model, y), masked, generator=draws)
            else:
                changed = attack(_cross_entropy(model, y), x, generator=draws)
                masked = self.replace(model, changed, y, generator=generator)
        if attack is None or self.reading == "C":
            logits, masked_logits = _forward(model, x, masked)
            clean_loss, divergence = F.cross_entropy(logits, y), kl(logits, masked_logits).mean()
            return _log(
                loss=clean_loss + self.weight * divergence,
                clean_loss=clean_loss,
                divergence=divergence,
                clean_accuracy=_accuracy(logits, y),
            )
        logits, changed_logits, masked_logits = _forward(model, x, changed, masked)
        clean_loss, adversarial_loss = F.cross_entropy(logits, y), F.cross_entropy(changed_logits, y)
        divergence = kl(logits if self.reading == "A" else changed_logits, masked_logits).mean()
        return _log(
            loss=clean_loss + adversarial_loss + self.weight * divergence,
            clean_loss=clean_loss,
            divergence=divergence,
            clean_accuracy=_accuracy(logits, y),
            adversarial=(changed_logits, y),
        )

    def replace(self, model: nn.Module, x: Image, label: Label, *, generator: Generator = None) -> Image:
        """M(x): the lowest-saliency features of ``x`` replaced; the network is in eval mode."""
        target = label
        if self.target == "predicted":
            # No `no_grad` here and below: autocast would keep the weights' casts of this pass, without their graph.
            target = model(x).detach().argmax(1)
        attribution = as_saliency(self.saliency)(model, x, target, generator=of(generator, "saliency"))
        score = heatmap(attribution, channels="abs_mean" if self.ranking == "absolute" else "signed_mean")
        return torch.where(self._mask(score), self._fill(x, of(generator, "fill")), x)

    def _mask(self, score: Tensor) -> Mask:
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


@dataclass(frozen=True, kw_only=True)
class SCAAT(Method):
    r"""Saliency-constrained adaptive adversarial training.

    .. math:: CE(f(x), y) + \lambda \, D(f(x + \delta), f(x)), \quad
        \delta = \arg\max_{|\delta| \le \epsilon} D(f(x + \delta), f(x)),\ \delta = 0 \text{ outside } Lowest(S, q)

    Args:
        attack: search for delta on the divergence; four steps, or one with ``fgsm``. It must start at random, since
            the gradient of D(f(x), f(x)) is 0.
        weight: λ.
        divergence: D; ``symmetric_kl`` is the paper's equation 4 as it stands, ``jensen_shannon`` what its text says.
        q: share of the lowest-saliency features that may change, in [0, 1]: of all samples where ``adaptive`` is
            off, else what they begin with.
        adaptive: adapt q to each sample (algorithm 2).
        gamma: step of the adaptation.
        q_min: least q.
        q_max: greatest q.
        warmup: share of the run's steps during which q stays as it is, in [0, 1].
        region: side in pixels of the square regions whose mean saliency is ranked; 2 for 28 or 32 pixels, 8 for 96,
            16 for 224.
        saliency: what ranks the features; by default the gradient of the true class's logit. `SmoothGrad` selects
            better and costs its samples in forward and backward passes.
        share: part of each batch that carries the divergence term, in (0, 1].
        detach_clean: no gradient through f(x) inside D.

    Source: Xu et al. 2023, equations 1 to 5, algorithms 1 and 2. ``share`` is ours.
    """

    attack: PGD = PGD(eps=8 / 255, step_size=4 / 255, steps=4)
    weight: float = 1.0
    divergence: Divergence = "symmetric_kl"
    q: float = 0.5
    adaptive: bool = True
    gamma: float = 0.05
    q_min: float = 0.1
    q_max: float = 0.95
    warmup: float = 0.1
    region: int = 2
    saliency: Explain = VanillaGradient()
    share: float = 1.0
    detach_clean: bool = False

    def __post_init__(self) -> None:
        _in_unit(q=self.q, q_min=self.q_min, q_max=self.q_max, warmup=self.warmup, share=self.share)
        _not_negative(weight=self.weight, gamma=self.gamma)
        _one_of("divergence", self.divergence, tuple(DIVERGENCES))
        if self.adaptive and not self.q_min <= self.q <= self.q_max:
            raise InputError(
                f"q must lie between q_min and q_max, got q={self.q:g}, q_min={self.q_min:g}, q_max={self.q_max:g}"
            )
        if self.share == 0:
            raise InputError("share must be above 0, got 0; without the divergence term use the method Regular")
        if self.region < 1:
            raise InputError(f"region must be at least 1 pixel, got {self.region}")
        if not self.attack.random_start and self.attack.eps > 0:
            raise InputError(
                "SCAAT's attack needs random_start: true, got false; the gradient of D(f(x), f(x)) is 0 at x itself"
            )
        as_saliency(self.saliency)

    def init(self, num_samples: int, total_steps: int) -> AdaptiveQ:
        """See `Method.init`."""
        return AdaptiveQ(
            num_samples,
            q=self.q,
            gamma=self.gamma if self.adaptive else 0.0,
            low=self.q_min,
            high=self.q_max,
            warmup=round(self.warmup * total_steps),
        )

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        assert isinstance(state, AdaptiveQ)
        part, changed, q = self.change(model, batch, state, generator=generator)
        logits, changed_logits = _forward(model, batch.image, changed)
        clean_loss = F.cross_entropy(logits, batch.label)
        distance = self.distance(changed_logits, logits[part])
        if state.training:
            state.update(batch.index[part], changed_logits.detach().argmax(1) == batch.label[part])
        return _log(
            loss=clean_loss + self.weight * distance,
            clean_loss=clean_loss,
            divergence=distance,
            clean_accuracy=_accuracy(logits, batch.label),
            adversarial=(changed_logits, batch.label[part]),
            q=q.mean(),
        )

    def change(
        self, model: nn.Module, batch: Batch, state: AdaptiveQ, *, generator: Generator = None
    ) -> tuple[Tensor | slice, Image, PerSample]:
        """The part of the batch that carries the divergence term, its images x + delta, and its q."""
        height, width = batch.image.shape[2:]
        regions = -(-height // self.region) * -(-width // self.region)
        if regions * (self.q_max if self.adaptive else self.q) < 1 and self.q > 0:
            raise InputError(f"region must leave several regions of {height} × {width} pixels, got {self.region}")
        part = _spread(len(batch.image), self.share, batch.image.device) if self.share < 1 else slice(None)
        x, y, index = (value[part] for value in batch)
        divergence = DIVERGENCES[self.divergence]
        q = state(index)
        with evaluating(model):
            attribution, clean = self._look(model, x, y, of(generator, "saliency"))
            mask = lowest(heatmap(attribution, channels="mean_abs"), q, region=self.region)
            changed = self.attack(
                lambda x: divergence(model(x), clean), x, mask=mask, generator=of(generator, "attack")
            )
        return part, changed, q

    def distance(self, changed: Logits, clean: Logits) -> Tensor:
        """Mean of D(f(x + delta), f(x)) over the images, a scalar."""
        return DIVERGENCES[self.divergence](changed, clean.detach() if self.detach_clean else clean).mean()

    def _look(self, model: nn.Module, x: Image, y: Label, generator: Generator) -> tuple[Image, Logits]:
        if isinstance(self.saliency, VanillaGradient):  # its forward pass gives f(x) too
            return gradient_and_logits(model, x, y, score=self.saliency.score)
        clean = model(x).detach()
        return as_saliency(self.saliency)(model, x, y, generator=generator), clean


@dataclass(frozen=True, kw_only=True)
class AdversarialSCAAT(Method):
    r"""SCAAT and adversarial training in one loss: a part A of each batch is classified as attacked images.

    .. math:: \frac1n \Big( \sum_{i \notin A} CE(f(x_i), y_i) + \sum_{i \in A} CE(f(x'_i), y_i) \Big)
        + \frac{\lambda}{|B|} \sum_{i \in B} D(f(x_i + \delta_i), f(x_i))

    x' is attacked everywhere to raise the cross-entropy, delta is SCAAT's and lies where saliency is lowest; B is the
    part of the batch that ``scaat.share`` says. With eps 0 of the ``attack`` this is SCAAT, with ``scaat.weight`` 0 it
    is ``AdversarialTraining(clean="share", clean_share=1 - attacked_share)`` but for BatchNorm, which sees x and x'
    in passes of their own.

    Args:
        scaat: the divergence term: its attack, weight, q and share.
        attack: how x becomes x'.
        attacked_share: part A of each batch, in (0, 1].

    Source: ours, of Madry et al. 2018 and Xu et al. 2023.
    """

    scaat: SCAAT = field(default_factory=SCAAT)
    attack: PGD = PGD(eps=8 / 255, step_size=2 / 255, steps=7)
    attacked_share: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.scaat, SCAAT):
            raise InputError(f"scaat must be a pellucid.SCAAT, got {self.scaat!r}")
        _in_unit(attacked_share=self.attacked_share)
        if self.attacked_share == 0:
            raise InputError("attacked_share must be above 0, got 0; without attacked images use the method SCAAT")

    def init(self, num_samples: int, total_steps: int) -> AdaptiveQ:
        """See `Method.init`."""
        return self.scaat.init(num_samples, total_steps)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        assert isinstance(state, AdaptiveQ)
        part, changed, q = self.scaat.change(model, batch, state, generator=generator)
        attacked = _spread(len(batch.image), self.attacked_share, batch.image.device)
        y = batch.label[attacked]
        with evaluating(model):
            objective = _cross_entropy(model, y)
            adversarial = self.attack(objective, batch.image[attacked], generator=of(generator, "adversarial"))
        logits, changed_logits, adversarial_logits = _forward(model, batch.image, changed, adversarial)
        classification_loss = F.cross_entropy(logits.index_copy(0, attacked, adversarial_logits), batch.label)
        distance = self.scaat.distance(changed_logits, logits[part])
        if state.training:
            state.update(batch.index[part], changed_logits.detach().argmax(1) == batch.label[part])
        return _log(
            loss=classification_loss + self.scaat.weight * distance,
            classification_loss=classification_loss,
            divergence=distance,
            clean_accuracy=_accuracy(logits, batch.label),
            adversarial=(adversarial_logits, y),
            q=q.mean(),
        )


def _cross_entropy(model: nn.Module, label: Label) -> Any:
    return lambda x: F.cross_entropy(model(x), label, reduction="none")


def _forward(model: nn.Module, *images: Image) -> list[Logits]:
    """Logits of each; one joint forward pass where no layer mixes the images of a batch, else one each."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return [model(x) for x in images]
    return list(model(torch.cat(images)).split([len(x) for x in images]))


def _spread(n: int, share: float, device: torch.device) -> Tensor:
    """Positions of ``share`` of a batch, spread evenly, so that every process of a distributed run gets its part.

    >>> _spread(8, 0.25, torch.device("cpu")).tolist()
    [0, 4]
    """
    if processes() > 1 and abs(share * n - round(share * n)) > 1e-6:
        raise InputError(
            f"a share of {share:g} of the {n} images that each process has is no whole number; "
            "change batch_size, so that the number of processes changes nothing"
        )
    count = min(n, max(1, round(share * n)))
    return torch.arange(count, device=device) * n // count


def _accuracy(logits: Logits, label: Label) -> Tensor:
    return (logits.detach().argmax(1) == label).float().mean()


def _log(*, loss: Tensor, adversarial: tuple[Logits, Label] | None = None, **values: Tensor) -> Losses:
    losses = {"loss": loss} | {name: value.detach() for name, value in values.items()}
    if adversarial is not None:
        losses["adversarial_accuracy"] = _accuracy(*adversarial)
    return losses


def _one_of(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise InputError(f"{name} must be one of {', '.join(accepted)}, got {value!r}")


def _in_unit(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} must be in [0, 1], got {value:g}")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise InputError(f"{name} must not be negative, got {value:g}")
