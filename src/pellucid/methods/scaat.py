"""SCAAT: what a map calls irrelevant may be attacked without changing the answer; alone, and with attacked images."""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from pellucid.attacks import PGD
from pellucid.core.checks import at_least, in_unit, not_negative, one_of
from pellucid.core.errors import InputError
from pellucid.core.modes import acts_otherwise, evaluating
from pellucid.core.randomness import Generator, of
from pellucid.core.types import Attribution, Batch, Image, Label, Logits, Mask, PerSample, Task
from pellucid.divergence import DIVERGENCES, Divergence
from pellucid.methods.adaptive_q import AdaptiveQ
from pellucid.methods.map_pass import MapPass, check_map_pass, logits_beside, logits_with_map
from pellucid.methods.method import BOTH, Losses, Method
from pellucid.methods.terms import (
    accuracy,
    classification_loss,
    correct,
    cross_entropy_of,
    log_of,
    part_of,
    random_regions,
    sides,
    spread,
)
from pellucid.saliency import Explain, VanillaGradient, as_saliency, gradient_and_logits, heatmap, lowest

__all__ = ["SCAAT", "AdversarialSCAAT"]


@dataclass(frozen=True, kw_only=True)
class SCAAT(Method):
    r"""Saliency-constrained adaptive adversarial training.

    .. math:: CE(f(x), y) + \lambda \, D(f(x + \delta), f(x)), \quad
        \delta = \arg\max_{|\delta| \le \epsilon} D(f(x + \delta), f(x)),\ \delta = 0 \text{ outside } Lowest(S, q)

    Args:
        attack: search for delta on the divergence; four steps, or one with ``fgsm``. It must start at random, since
            the gradient of D(f(x), f(x)) is 0.
        weight: λ, the weight of the divergence term.
        divergence: D; ``symmetric_kl`` is the paper's equation 4, ``jensen_shannon`` is what its text says.
        q: share of the lowest-saliency features that may change, in [0, 1]: for all samples if ``adaptive`` is off, and
            as the initial value of each if it is on.
        adaptive: adapt q to each sample (algorithm 2).
        gamma: step by which q is adapted.
        q_min: smallest q.
        q_max: largest q.
        warmup: share of the run's steps during which q is not adapted, in [0, 1].
        region: side in pixels of the square regions whose mean saliency is ranked; 2 for 28 or 32 pixels, 8 for 96,
            16 for 224.
        saliency: saliency method that ranks the features; by default the gradient of the true class's logit (with
            several labels per image, of all of them, see `pellucid.methods.terms.sides`). `SmoothGrad` ranks them
            better, at the cost of a forward and a backward pass for each of its samples.
        ranking: ``absolute`` saliency, or ``random``, the control that uses no map: delta may lie on equally many
            regions, at places that are drawn again at every step. This saves the saliency's backward pass, and
            ``saliency`` has no effect.
        q_pass: prediction on x + delta that adapts q. ``train`` uses the pass of the loss, in which BatchNorm uses the
            batch's statistics and dropout is active. ``eval`` uses the network as the attack saw it, for one more
            forward pass in each step. Networks without such layers give the same in both.
        map_pass: forward pass that the ranking map comes from. ``own`` is a pass in eval mode for the map alone.
            ``shared`` is the pass on the clean images that the loss needs anyway, which saves one pass. Networks
            without BatchNorm and dropout learn the same from both; in the others, the map is that of the network in
            training mode. ``shared`` needs the gradient as ``saliency``.
        share: part of each batch for which the divergence term is computed, in (0, 1].
        detach_clean: whether gradients through f(x) inside D are left out.

    Source: Xu et al. 2023, equations 1 to 5, algorithms 1 and 2. ``share``, ``ranking``, ``map_pass`` and ``q_pass``
    are ours; the paper does not say in which mode the network is when q moves.
    """

    tasks = BOTH
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
    ranking: Literal["absolute", "random"] = "absolute"
    q_pass: Literal["train", "eval"] = "train"
    map_pass: MapPass = "own"
    share: float = 1.0
    detach_clean: bool = False

    def __post_init__(self) -> None:
        in_unit(q=self.q, q_min=self.q_min, q_max=self.q_max, warmup=self.warmup, share=self.share)
        not_negative(weight=self.weight, gamma=self.gamma)
        one_of(tuple(DIVERGENCES), divergence=self.divergence)
        one_of(("absolute", "random"), ranking=self.ranking)
        one_of(("train", "eval"), q_pass=self.q_pass)
        if self.adaptive and not self.q_min <= self.q <= self.q_max:
            raise InputError(
                f"q must lie between q_min and q_max, got q={self.q:g}, q_min={self.q_min:g}, q_max={self.q_max:g}"
            )
        if self.share == 0:
            raise InputError("share must be above 0, got 0; without the divergence term use the method Regular")
        at_least(1, " pixel", region=self.region)
        if not self.attack.random_start and self.attack.eps > 0:
            raise InputError(
                "SCAAT's attack needs random_start: true, got false; the gradient of D(f(x), f(x)) is 0 at x itself"
            )
        as_saliency(self.saliency)
        check_map_pass(self.map_pass, ranking=self.ranking, saliency=self.saliency)

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
        part, changed, q, known = self.change(model, batch, state, generator=generator)
        seen = self.attacked_logits(model, changed, state)
        logits, changed_logits = logits_beside(model, known, batch.image, changed)
        clean_loss = classification_loss(logits, batch.label)
        distance = self.distance(changed_logits, logits[part], batch.task)
        if state.training:
            right = correct(changed_logits if seen is None else seen, batch.label[part])
            state.update(batch.index[part], right)
        return log_of(
            loss=clean_loss + self.weight * distance,
            clean_loss=clean_loss,
            divergence=distance,
            clean_accuracy=accuracy(logits, batch.label),
            adversarial=(changed_logits, batch.label[part]),
            q=q.mean(),
        )

    def change(
        self, model: nn.Module, batch: Batch, state: AdaptiveQ, *, generator: Generator = None
    ) -> tuple[Tensor | slice, Image, PerSample, Logits | None]:
        """The part of the batch that carries the divergence term, its images x + delta, and its q.

        Where the map is of the ``shared`` pass also the logits of the whole batch, with their graph.
        """
        height, width = batch.image.shape[2:]
        regions = -(-height // self.region) * -(-width // self.region)
        if regions * (self.q_max if self.adaptive else self.q) < 1 and self.q > 0:
            raise InputError(f"region must leave several regions of {height} × {width} pixels, got {self.region}")
        part = part_of(batch, self.share)
        x, y, index = (value[part] for value in (batch.image, batch.label, batch.index))
        divergence = DIVERGENCES[self.divergence]
        q, known, attribution = state(index), None, None
        if self.map_pass == "shared":
            assert isinstance(self.saliency, VanillaGradient)
            known, attribution = logits_with_map(model, batch.image, part, lambda _: sides(y), saliency=self.saliency)
        differs = acts_otherwise(model)
        with evaluating(model):
            if known is None or attribution is None:
                mask, clean = self._mask(model, x, y, q, generator)
            else:
                mask = self._lowest(attribution, q)
                clean = (model(x) if differs else known[part]).detach()
            changed = self.attack(
                lambda x: divergence(model(x), clean, task=batch.task), x, mask=mask, generator=of(generator, "attack")
            )
        return part, changed, q, known

    def attacked_logits(self, model: nn.Module, changed: Image, state: AdaptiveQ) -> Logits | None:
        """What the network in eval mode gives on x + delta; None where the train-mode pass decides about q, or nothing.

        It comes before the train-mode pass, which moves BatchNorm's running statistics.
        """
        if self.q_pass == "train" or not self.adaptive or not state.training:
            return None
        with evaluating(model):
            # No `no_grad`: autocast would keep the weights' casts of this pass, without their graph.
            logits: Logits = model(changed).detach()
        return logits

    def distance(self, changed: Logits, clean: Logits, task: Task = "multiclass") -> Tensor:
        """Mean of D(f(x + delta), f(x)) over the images, a scalar."""
        clean = clean.detach() if self.detach_clean else clean
        return DIVERGENCES[self.divergence](changed, clean, task=task).mean()

    def _mask(self, model: nn.Module, x: Image, y: Label, q: PerSample, generator: Generator) -> tuple[Mask, Logits]:
        """Where delta may lie, and f(x)."""
        if self.ranking == "random":
            return random_regions(x, q, region=self.region, generator=of(generator, "ranking")), model(x).detach()
        attribution, clean = self._look(model, x, sides(y), of(generator, "saliency"))
        return self._lowest(attribution, q), clean

    def _lowest(self, attribution: Attribution, q: PerSample) -> Mask:
        return lowest(heatmap(attribution, channels="mean_abs"), q, region=self.region)

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
        scaat: the divergence term: its attack, weight, q, share, and whether its ranking is the random control.
        attack: how x becomes x'.
        attacked_share: part A of each batch, in (0, 1].

    Source: ours, of Madry et al. 2018 and Xu et al. 2023.
    """

    tasks = BOTH
    scaat: SCAAT = field(default_factory=SCAAT)
    attack: PGD = PGD(eps=8 / 255, step_size=2 / 255, steps=7)
    attacked_share: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.scaat, SCAAT):
            raise InputError(f"scaat must be a pellucid.SCAAT, got {self.scaat!r}")
        in_unit(attacked_share=self.attacked_share)
        if self.attacked_share == 0:
            raise InputError("attacked_share must be above 0, got 0; without attacked images use the method SCAAT")

    def init(self, num_samples: int, total_steps: int) -> AdaptiveQ:
        """See `Method.init`."""
        return self.scaat.init(num_samples, total_steps)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        assert isinstance(state, AdaptiveQ)
        part, changed, q, known = self.scaat.change(model, batch, state, generator=generator)
        attacked = spread(len(batch.image), self.attacked_share, batch.image.device)
        y = batch.label[attacked]
        with evaluating(model):
            objective = cross_entropy_of(model, y)
            adversarial = self.attack(objective, batch.image[attacked], generator=of(generator, "adversarial"))
        seen = self.scaat.attacked_logits(model, changed, state)
        logits, changed_logits, adversarial_logits = logits_beside(model, known, batch.image, changed, adversarial)
        of_labels = classification_loss(logits.index_copy(0, attacked, adversarial_logits), batch.label)
        distance = self.scaat.distance(changed_logits, logits[part], batch.task)
        if state.training:
            right = correct(changed_logits if seen is None else seen, batch.label[part])
            state.update(batch.index[part], right)
        return log_of(
            loss=of_labels + self.scaat.weight * distance,
            classification_loss=of_labels,
            divergence=distance,
            clean_accuracy=accuracy(logits, batch.label),
            adversarial=(adversarial_logits, y),
            q=q.mean(),
        )
