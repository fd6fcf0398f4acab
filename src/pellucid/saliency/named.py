"""Saliency methods by name, and one saliency function of anything that explains."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.config import ImportPath, import_name
from pellucid.core.errors import InputError, raised
from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Image, Label, Saliency
from pellucid.saliency.cam import GradCAM, GradCAMPlusPlus, LayerCAM
from pellucid.saliency.gradient import VanillaGradient
from pellucid.saliency.integrated_gradients import IntegratedGradients
from pellucid.saliency.method import SaliencyMethod
from pellucid.saliency.rollout import AttentionRollout
from pellucid.saliency.smoothgrad import SmoothGrad

__all__ = ["NAMED", "Explain", "as_saliency", "by_name", "saliency_name"]


Explain = SaliencyMethod | Callable[..., Any] | ImportPath
"""Whatever `as_saliency` accepts."""

NAMED: dict[str, SaliencyMethod] = {
    "vanilla_gradient": VanillaGradient(),
    "smoothgrad": SmoothGrad(),
    "integrated_gradients": IntegratedGradients(),
    "gradcam": GradCAM(),
    "gradcam_plus_plus": GradCAMPlusPlus(),
    "layercam": LayerCAM(),
    "rollout": AttentionRollout(),
}


def as_saliency(explain: Any) -> Saliency:
    """Make one saliency function of anything that explains.

    Args:
        explain: one of ours, or its name (``vanilla_gradient``, ``smoothgrad``, ``integrated_gradients``, ``gradcam``,
            ``gradcam_plus_plus``, ``layercam``, ``rollout``); an import path; a Captum object
            (``Saliency(network)``) or Captum class (``Saliency``, built on the network it is asked about); or any
            callable ``f(model, x, target)`` with or without the keywords ``create_graph`` and ``generator``.

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
