"""Where a network looks: vanilla gradient, SmoothGrad, integrated gradients, and what is made of them."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.config import import_name
from pellucid.core.checks import among, at_least, in_unit, not_negative
from pellucid.core.errors import InputError, raised
from pellucid.core.input_gradient import input_gradient
from pellucid.core.randomness import Generator, normal, of
from pellucid.core.types import Attribution, Heatmap, Image, Label, Logits, Mask, PerSample, Saliency

__all__ = [
    "Channels",
    "Explain",
    "IntegratedGradients",
    "SaliencyMethod",
    "Score",
    "SmoothGrad",
    "VanillaGradient",
    "as_saliency",
    "by_name",
    "heatmap",
    "in_chunks",
    "lowest",
    "saliency_name",
    "sorted_rows",
]

Score = Literal["logit", "probability"]
Channels = Literal["mean_abs", "abs_mean", "abs_sum", "signed_mean"]


def target_score(logits: Logits, target: Label, *, score: Score) -> PerSample:
    """The explained number: the target's logit or its softmax probability, (n,).

    With (n, k) targets, of a network with several labels an image, it is the sum of the logits, or of their sigmoids,
    each times its target; see `pellucid.methods.terms.sides`.
    """
    if target.ndim == 2:
        return ((logits if score == "logit" else logits.sigmoid()) * target).sum(1)
    target = target.clone() if target.is_inference() else target  # autograd refuses to save an inference tensor
    return (logits if score == "logit" else logits.softmax(1)).gather(1, target[:, None])[:, 0]


def gradient_and_logits(model: nn.Module, x: Image, target: Label, *, score: Score) -> tuple[Attribution, Logits]:
    """The vanilla gradient and the logits of the same forward pass, both detached."""
    seen: list[Logits] = []

    def objective(x: Image) -> PerSample:
        seen.append(model(x))
        return target_score(seen[0], target, score=score)

    gradient, _ = input_gradient(objective, x)
    return gradient, seen[0].detach()


def in_chunks(function: Callable[..., Tensor], *tensors: Tensor, chunk: int | None = None) -> Tensor:
    """``function`` of at most ``chunk`` rows at a time, its results one below the other.

    Args:
        function: of as many tensors of m rows each, to a tensor of m rows; no row depends on another.
        tensors: n rows each.
        chunk: largest m; n by default.

    Returns:
        n rows: what ``function(*tensors)`` is, up to rounding.

    Raises:
        InputError: a chunk below 1.

    >>> in_chunks(lambda x, y: x + y, torch.arange(3), torch.ones(3, dtype=torch.long), chunk=2)
    tensor([1, 2, 3])
    """
    at_least(1, chunk=chunk)
    if chunk is None or chunk >= len(tensors[0]):
        return function(*tensors)
    return torch.cat([function(*part) for part in zip(*(torch.split(t, chunk) for t in tensors), strict=True)])


def _gradient(
    model: nn.Module, x: Image, target: Label, *, score: Score, chunk: int | None, create_graph: bool
) -> Attribution:
    def gradient(x: Image, target: Label) -> Attribution:
        return input_gradient(
            lambda x: target_score(model(x), target, score=score), x, create_graph=create_graph
        )[0]  # fmt: skip

    return in_chunks(gradient, x, target, chunk=chunk)


class SaliencyMethod(ABC):
    """A choice of how a prediction is attributed to pixels; one of your own is a subclass or any callable."""

    @abstractmethod
    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """Attribute the target's score to the pixels.

        Args:
            model: network in eval mode, images to (n, k) logits.
            x: (n, c, h, w) images in [0, 1].
            target: (n,) classes to explain.
            create_graph: make the result differentiable.
            generator: source of what is drawn, if anything is.

        Returns:
            (n, c, h, w) signed attribution, detached unless ``create_graph``.
        """


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
        return _gradient(model, x, target, score=self.score, chunk=self.chunk, create_graph=create_graph)


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(SaliencyMethod):
    r"""The gradient averaged over noisy copies, :math:`\frac1S \sum_s \nabla f_t(x + \sigma z_s)`, :math:`z_s` normal.

    Args:
        sigma: standard deviation of the noise in pixel units; 0 gives the vanilla gradient. The noisy copies are not
            clipped.
        samples: number of noisy copies, at least 1.
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    Source: Smilkov et al. 2017.
    """

    sigma: float = 0.15
    samples: int = 25
    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        not_negative(sigma=self.sigma)
        at_least(1, samples=self.samples, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; the noise comes from ``generator``."""

        def noisy(sample: int) -> tuple[Image, float]:
            noise = normal(x.shape, of(generator, f"smoothgrad{sample}"), device=x.device).to(x.dtype)
            return x + self.sigma * noise, 1 / self.samples

        points = (noisy(sample) for sample in range(self.samples))
        return _weighted_gradient(model, points, target, score=self.score, chunk=self.chunk, create_graph=create_graph)


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(SaliencyMethod):
    r"""The gradient along the way from a baseline, :math:`(x-b) \int_0^1 \nabla f_t(b + a(x-b))\,da`.

    The integral is taken by Gauss-Legendre quadrature, as Captum does. The values of an image add up to
    :math:`f_t(x) - f_t(b)` where the quadrature is exact.

    Args:
        steps: points of the quadrature, at least 1.
        baseline: grey level of the baseline image, in [0, 1].
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    Source: Sundararajan, Taly, Yan 2017, equation 1.
    """

    steps: int = 50
    baseline: float = 0.0
    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        in_unit(words="a grey level ", baseline=self.baseline)
        at_least(1, steps=self.steps, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; nothing is drawn."""
        position, weight = np.polynomial.legendre.leggauss(self.steps)
        way = x - self.baseline
        points = ((self.baseline + float(a + 1) / 2 * way, float(w) / 2) for a, w in zip(position, weight, strict=True))
        return way * _weighted_gradient(
            model, points, target, score=self.score, chunk=self.chunk, create_graph=create_graph
        )


def _weighted_gradient(
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
        gradient = _gradient(model, x, targets, score=score, chunk=chunk, create_graph=create_graph)
        for (_, weight), part in zip(group, torch.split(gradient, len(target)), strict=True):
            total = weight * part if total is None else total + weight * part
    assert total is not None
    return total


def _take(points: Iterator[tuple[Image, float]], count: int) -> Iterator[tuple[Image, float]]:
    for _, point in zip(range(count), points, strict=False):
        yield point


def heatmap(attribution: Attribution, *, channels: Channels = "mean_abs") -> Heatmap:
    r"""One value per pixel.

    Args:
        attribution: (n, c, h, w), signed.
        channels: ``mean_abs`` :math:`\frac1c \sum_c |a_c|` (SCAAT), ``abs_mean`` :math:`|\frac1c \sum_c a_c|` (SGT),
            ``abs_sum`` :math:`|\sum_c a_c|` (Bhusal), ``signed_mean`` :math:`\frac1c \sum_c a_c` (SGT's code).

    Returns:
        (n, h, w), non-negative but for ``signed_mean``.

    >>> heatmap(torch.tensor([[[[1.0]], [[-3.0]]]])).item()
    2.0
    """
    match channels:
        case "mean_abs":
            return attribution.abs().mean(1)
        case "abs_mean":
            return attribution.mean(1).abs()
        case "abs_sum":
            return attribution.sum(1).abs()
        case "signed_mean":
            return attribution.mean(1)
    raise InputError(f"channels must be {among(get_args(Channels))}, got {channels!r}")


def lowest(score: Heatmap, q: float | Tensor, *, region: int = 1) -> Mask:
    r"""Lowest(S, q): True on the ``floor(q R)`` of an image's R regions that have the lowest mean score.

    Equal scores are taken from the top left on, row by row, so that exactly that many regions are chosen: a strict
    ``score < quantile`` would choose none of a flat map, and whole ties of a region-averaged one.

    Args:
        score: (n, h, w), may be signed.
        q: share in [0, 1], one number or (n,).
        region: side of the square regions in pixels; those at the right and lower edge may be smaller.

    Returns:
        (n, 1, h, w), True on the lowest regions.

    >>> lowest(torch.tensor([[[0.3, 0.1], [0.2, 0.4]]]), 0.5).int().tolist()
    [[[[0, 1], [1, 0]]]]

    Source: Xu et al. 2023, equation 3 and figure 1.
    """
    n, h, w = score.shape
    at_least(1, " pixel", region=region)
    precision = torch.float32 if score.device.type == "mps" else torch.float64
    share = torch.as_tensor(q, dtype=precision, device=score.device)
    if region > 1:
        score = F.avg_pool2d(score[:, None], region, ceil_mode=True, count_include_pad=False)[:, 0]
    flat = score.detach().reshape(n, -1)
    # 1e-6 is more than the rounding of a float32 q that was counted up in steps.
    count = ((share + 1e-6) * flat.shape[1]).floor().long().clamp(0, flat.shape[1]).expand(n)[:, None]
    threshold = sorted_rows(flat).gather(1, (count - 1).clamp(min=0))
    below, tied = flat < threshold, flat == threshold
    chosen = below | (tied & (tied.cumsum(1) <= count - below.sum(1, keepdim=True)))
    mask = chosen.reshape(n, 1, *score.shape[1:])
    if region > 1:
        mask = mask.repeat_interleave(region, 2).repeat_interleave(region, 3)[..., :h, :w]
    return mask


def sorted_rows(flat: Tensor) -> Tensor:
    """Each row in rising order. NumPy's vectorised sort takes a tenth of the time of torch's on a CPU.

    >>> sorted_rows(torch.tensor([[2.0, 1.0]]))
    tensor([[1., 2.]])
    """
    if flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64) and not flat.requires_grad:
        return torch.from_numpy(np.sort(flat.numpy(), axis=1))
    return flat.sort(dim=1).values


Explain = SaliencyMethod | Callable[..., Any] | str
"""Whatever `as_saliency` accepts."""

NAMED: dict[str, SaliencyMethod] = {
    "vanilla_gradient": VanillaGradient(),
    "smoothgrad": SmoothGrad(),
    "integrated_gradients": IntegratedGradients(),
}


def as_saliency(explain: Any) -> Saliency:
    """Make one saliency function of anything that explains.

    Args:
        explain: one of ours, or its name (``vanilla_gradient``, ``smoothgrad``, ``integrated_gradients``); an import
            path; a Captum object (``Saliency(network)``) or Captum class (``Saliency``, built on the
            network it is asked about); or any callable ``f(model, x, target)`` with or without the keywords
            ``create_graph`` and ``generator``.

    Returns:
        A callable ``(model, x, target, *, create_graph=False, generator=None)``.

    Raises:
        InputError: it is none of these; or, when called, gradients through it are asked for and it has none.

    >>> explain = as_saliency(lambda model, x, target: x)
    >>> explain(None, torch.ones(1, 1, 1, 1), torch.tensor([0])).item()
    1.0
    """
    if isinstance(explain, str):
        explain = _named(explain)
    if inspect.isclass(explain) and issubclass(explain, SaliencyMethod):
        explain = explain()
    if isinstance(explain, SaliencyMethod):
        return explain
    if hasattr(explain, "attribute"):
        return _captum(explain)
    if not callable(explain):
        raise InputError(
            f"a saliency function is a callable (model, x, target) or has .attribute as in Captum, got {explain!r}"
        )
    accepted = inspect.signature(explain).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values())

    def call(
        model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        given = {"create_graph": create_graph, "generator": generator}
        keywords = {key: value for key, value in given.items() if takes_any or key in accepted}
        if create_graph and "create_graph" not in keywords:
            raise InputError(f"{saliency_name(explain)} takes no create_graph, so its maps cannot be differentiated")
        # A metric of another library may call this where gradients are switched off.
        with torch.inference_mode(False), torch.enable_grad():
            given_x, given_target = (value.clone() if value.is_inference() else value for value in (x, target))
            try:
                attribution = explain(model, given_x, given_target, **keywords)
            except Exception as error:  # a user's function may raise anything
                raise InputError(f"saliency {saliency_name(explain)} raised {raised(error)}") from error
        return _checked(attribution, x, explain)

    call.__name__ = saliency_name(explain)
    return call


def _named(name: str) -> Any:
    if name in NAMED:
        return NAMED[name]
    if "." not in name and ":" not in name:
        raise InputError(f"saliency must be {', '.join(NAMED)} or an import path as package.module.name, got {name!r}")
    return import_name(name)


def _captum(explain: Any) -> Saliency:
    def call(
        model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        if create_graph:
            raise InputError(f"{saliency_name(explain)} is Captum's, whose maps are detached; use pellucid's own")
        kind: Any = explain
        try:
            attributor = kind(model) if inspect.isclass(explain) else explain
            inspect.signature(attributor.attribute).bind(x, target=target)
        except TypeError as error:
            raise InputError(
                f"{saliency_name(explain)} needs more than network, images and targets ({error}); wrap it in a "
                "function (model, x, target) and give its import path"
            ) from None
        keywords: dict[str, Any] = {}
        if "abs" in inspect.signature(attributor.attribute).parameters:
            keywords["abs"] = False  # attributions are signed here; heatmap() takes the absolute value
        with torch.inference_mode(False), torch.enable_grad():
            attribution = attributor.attribute(x.clone().requires_grad_(), target=target.clone(), **keywords)
        return _checked(attribution.detach(), x, explain)

    call.__name__ = saliency_name(explain)
    return call


def _checked(attribution: Any, x: Image, explain: Callable[..., Any]) -> Attribution:
    if not isinstance(attribution, Tensor) or attribution.shape[-2:] != x.shape[-2:] or len(attribution) != len(x):
        got = tuple(attribution.shape) if isinstance(attribution, Tensor) else type(attribution).__name__
        raise InputError(f"{saliency_name(explain)} must return a tensor like the images {tuple(x.shape)}, got {got}")
    return attribution.reshape(len(x), -1, *x.shape[-2:])


def by_name(methods: Iterable[Any]) -> dict[str, Any]:
    """Saliency methods by `saliency_name`, in their order.

    Raises:
        InputError: none, or two of one name.

    >>> list(by_name(["smoothgrad", VanillaGradient()]))
    ['smoothgrad', 'vanilla_gradient']
    """
    named: dict[str, Any] = {}
    for method in methods:
        name = saliency_name(method)
        if name in named:
            raise InputError(f"saliency must name each kind of map once, got {name} more than once")
        named[name] = method
    if not named:
        raise InputError("saliency must name at least one method, got none")
    return named


def saliency_name(explain: Any) -> str:
    """The name that a saliency function has in columns and files.

    >>> saliency_name(SmoothGrad(samples=4)), saliency_name(VanillaGradient())
    ('smoothgrad', 'vanilla_gradient')
    """
    if isinstance(explain, str):
        return saliency_name(_named(explain))
    for name, method in NAMED.items():
        if type(explain) is type(method) or explain is type(method):
            return name
    name = getattr(explain, "__name__", None) or type(explain).__name__
    return "".join(letter if letter.isalnum() else "_" for letter in name).strip("_").lower() or "custom"
