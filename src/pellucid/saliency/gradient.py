"""The gradient of a class's score with respect to the image, the root of every map here that looks at pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import input_gradient
from pellucid.core.modes import evaluating
from pellucid.core.outputs import answer
from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Image, Label, Logits, PerSample
from pellucid.saliency.chunks import in_chunks
from pellucid.saliency.method import SaliencyMethod

__all__ = ["Score", "VanillaGradient", "gradient_and_logits", "gradient_of", "target_score", "weighted_gradient"]

Score = Literal["logit", "probability"]


def target_score(logits: Logits, target: Label, *, score: Score) -> PerSample:
    """The explained number: the target's logit or its softmax probability, (n,).

    With (n, k) targets, of a network with several labels per image, it is the sum of the logits, or of their sigmoids,
    each times its target; see `pellucid.methods.terms.sides`.

    Raises:
        InputError: logits that are not (n, k).
    """
    if logits.ndim != 2 or logits.shape[:1] != target.shape[:1]:  # len() would fix the batch of a graph that is traced
        raise InputError(f"the network must return logits ({len(target)}, classes), got shape {tuple(logits.shape)}")
    if target.ndim == 2:
        return ((logits if score == "logit" else logits.sigmoid()) * target).sum(1)
    target = target.clone() if target.is_inference() else target  # autograd refuses to save an inference tensor
    return (logits if score == "logit" else logits.softmax(1)).gather(1, target[:, None])[:, 0]


def gradient_and_logits(model: nn.Module, x: Image, target: Label, *, score: Score) -> tuple[Attribution, Logits]:
    """The vanilla gradient and the logits of the same forward pass, both detached."""
    seen: list[Logits] = []

    def objective(x: Image) -> PerSample:
        seen.append(answer(model, x))
        return target_score(seen[0], target, score=score)

    with evaluating(model):
        gradient, _ = input_gradient(objective, x)
    return gradient, seen[0].detach()


def gradient_of(
    model: nn.Module, x: Image, target: Label, *, score: Score, chunk: int | None, create_graph: bool
) -> Attribution:
    """The gradient of the target's score, of at most ``chunk`` images in one forward pass; (n, c, h, w)."""

    def gradient(x: Image, target: Label) -> Attribution:
        return input_gradient(
            lambda x: target_score(answer(model, x), target, score=score), x, create_graph=create_graph
        )[0]  # fmt: skip

    with evaluating(model):
        return in_chunks(gradient, x, target, chunk=chunk)


@dataclass(frozen=True, kw_only=True)
class VanillaGradient(SaliencyMethod):
    r"""The gradient of the target's score, :math:`\nabla_x f_t(x)`.

    Args:
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(network[1].weight)
    >>> VanillaGradient()(network, torch.rand(1, 1, 1, 2), torch.tensor([1])).tolist()
    [[[[0.0, 1.0]]]]

    Source: Simonyan, Vedaldi, Zisserman 2014.
    """

    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        at_least(1, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; nothing is drawn."""
        return gradient_of(model, x, target, score=self.score, chunk=self.chunk, create_graph=create_graph)


def weighted_gradient(
    model: nn.Module,
    points: Iterator[tuple[Image, float]],
    target: Label,
    *,
    score: Score,
    chunk: int | None,
    create_graph: bool,
) -> Attribution:
    """Sum of weight times gradient over the points, never more than ``chunk`` images in one forward pass."""
    together = max(1, (chunk or len(target)) // len(target))
    total: Tensor | None = None
    while group := list(_take(points, together)):
        x = torch.cat([point for point, _ in group])
        targets = torch.cat([target] * len(group))
        gradient = gradient_of(model, x, targets, score=score, chunk=chunk, create_graph=create_graph)
        for (_, weight), part in zip(group, torch.split(gradient, len(target)), strict=True):
            total = weight * part if total is None else total + weight * part
    assert total is not None
    return total


def _take(points: Iterator[tuple[Image, float]], count: int) -> Iterator[tuple[Image, float]]:
    for _, point in zip(range(count), points, strict=False):
        yield point
