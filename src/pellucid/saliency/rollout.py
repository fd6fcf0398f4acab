"""Attention rollout: how attention passes from each patch to the class token, over all blocks of a transformer."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.feature_maps import Grid, first_tensor, observe
from pellucid.core.input_gradient import twice_differentiable
from pellucid.core.modes import evaluating
from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Image, Label
from pellucid.saliency.chunks import in_chunks
from pellucid.saliency.method import SaliencyMethod

__all__ = ["AttentionRollout", "attention_layers", "attentions", "rollout"]

Attention = Float[Tensor, "n t t"]


def rollout(attention: Sequence[Attention]) -> Attention:
    r"""How much of each token comes from each token of the input: :math:`\prod_l (\tfrac12 W_l + \tfrac12 I)`.

    Half of each block's weight is the identity, for the way around its attention; later blocks stand to the left.

    Args:
        attention: for each block in order (n, t, t), the mean over its heads; row i says what token i looks at.

    Returns:
        (n, t, t); each row adds up to 1.

    >>> rollout([torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])]).tolist()
    [[[0.5, 0.5], [0.0, 1.0]]]

    Source: Abnar & Zuidema 2020, section 3, equation 1 and the paragraph before it.
    """
    total = torch.eye(attention[0].shape[1], dtype=attention[0].dtype, device=attention[0].device)[None]
    for weight in attention:
        total = (0.5 * weight + 0.5 * torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)) @ total
    return total


@dataclass(frozen=True, kw_only=True)
class AttentionRollout(SaliencyMethod):
    """The class token's row of `rollout`, laid on the image; the mean over patches where there is no class token.

    It explains no class in particular: the map is the same whatever class is asked about, and it looks at attention
    alone, not at what is done with what is attended to. It has one channel.

    Args:
        chunk: largest number of images in one forward pass; as many as the batch holds by default.

    Raises:
        InputError: when called on a network whose attention cannot be observed: it is observed in
            ``nn.MultiheadAttention``, in modules with ``qkv`` and ``num_heads`` as timm has them, and in modules with
            ``query``, ``key``, ``value`` and ``num_attention_heads`` as Hugging Face has them, where every token looks
            at every other.

    Source: Abnar & Zuidema 2020, "Quantifying attention flow in transformers".
    """

    chunk: int | None = None

    def __post_init__(self) -> None:
        at_least(1, chunk=self.chunk)

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; the result is (n, 1, h, w), non-negative, and nothing is drawn."""
        grid: list[Grid] = []

        def explained(x: Image) -> Attribution:
            seen = attentions(model, x, create_graph=create_graph)
            if not grid:
                grid.append(_grid(model, x, tokens=seen[0].shape[1]))
            prefix, height, width = grid[0].prefix, grid[0].height, grid[0].width
            rolled = rollout(seen)
            places = rolled[:, 0, prefix:] if prefix else rolled.mean(1)
            places = places.reshape(len(x), 1, height, width)
            return F.interpolate(places, size=x.shape[-2:], mode="bilinear", align_corners=False)

        return in_chunks(explained, x, chunk=self.chunk)


def attention_layers(model: nn.Module) -> list[str]:
    """Names of the modules whose attention is looked for: `nn.MultiheadAttention`, and those of timm and Hugging Face.

    >>> attention_layers(nn.TransformerEncoderLayer(8, 2))
    ['self_attn']
    """
    return [name for name, module in model.named_modules() if _kind(module)]


def attentions(model: Any, x: Image, *, create_graph: bool = False) -> list[Attention]:
    """The attention of each block in the order of the forward pass, mean over its heads.

    Args:
        model: network in eval mode.
        x: (n, c, h, w) images in [0, 1].
        create_graph: keep the graph.

    Returns:
        For each block (n, t, t), rows that add up to 1.

    Raises:
        InputError: as `AttentionRollout` says.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"attention rollout needs a torch.nn.Module, got {type(model).__name__}")
    found: list[Attention] = []
    named = {module: name for name, module in model.named_modules() if _kind(module)}
    twice = twice_differentiable() if create_graph else nullcontext()
    with (
        torch.inference_mode(False),
        torch.set_grad_enabled(create_graph),
        twice,
        evaluating(model),
        _watched(named, found),
    ):
        model(x.clone())
    if not found:
        first = next(iter(named.values()), None)
        what = f"does not call the attention of {first!r}" if named else "has no attention that can be observed"
        raise InputError(
            f"{type(getattr(model, 'network', model)).__name__} {what}; attention rollout needs "
            "nn.MultiheadAttention, or modules with qkv and num_heads as timm's vision transformers have them"
        )
    shapes = {tuple(weight.shape) for weight in found}
    if len(shapes) > 1 or found[0].shape != (len(x), found[0].shape[1], found[0].shape[1]):
        told = " and ".join(map(str, sorted(shapes)))
        raise InputError(
            f"attention rollout needs blocks in which every token of an image looks at every other, got attention of "
            f"shape {told} for {len(x)} images; attention within windows or between two sets of tokens does not fit"
        )
    return found


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.MultiheadAttention):
        return "torch"
    if isinstance(getattr(module, "qkv", None), nn.Linear) and isinstance(getattr(module, "num_heads", None), int):
        return "timm"
    parts = [getattr(module, name, None) for name in ("query", "key", "value")]
    heads = getattr(module, "num_attention_heads", None)
    return "huggingface" if all(isinstance(part, nn.Linear) for part in parts) and isinstance(heads, int) else ""


@contextmanager
def _watched(named: dict[nn.Module, str], found: list[Attention]) -> Iterator[None]:
    """Hooks that add the attention of each module to ``found`` whenever it is called."""
    handles: list[Any] = []
    for module, name in named.items():
        match _kind(module):
            case "torch":
                handles.append(module.register_forward_pre_hook(_ask_for_weights, with_kwargs=True))
                handles.append(
                    module.register_forward_hook(lambda _module, _args, out: found.append(_mean_of_heads(out[1])))
                )
            case "timm":
                handles += _watch_linear(module, name, ["qkv"], found)
            case "huggingface":
                handles += _watch_linear(module, name, ["query", "key", "value"], found)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


_FORWARD = inspect.signature(nn.MultiheadAttention.forward)


def _ask_for_weights(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    bound = _FORWARD.bind(module, *args, **kwargs)
    bound.arguments["need_weights"] = True
    return bound.args[1:], bound.kwargs


def _mean_of_heads(weight: Tensor) -> Attention:
    return weight.mean(1) if weight.ndim == 4 else weight


def _watch_linear(module: nn.Module, name: str, parts: list[str], found: list[Attention]) -> list[Any]:
    """Hooks on the linear layers of queries, keys and values, and on the attention that uses them."""
    seen: dict[str, Tensor] = {}

    def keep(part: str) -> Any:
        return getattr(module, part).register_forward_hook(lambda _m, _a, out: seen.__setitem__(part, out))

    def done(module: nn.Module, args: object, out: object) -> None:
        if len(seen) == len(parts):
            found.append(_recomputed(module, name, [seen.pop(part) for part in parts], first_tensor(out)))

    return [*map(keep, parts), module.register_forward_hook(done)]


def _recomputed(module: Any, name: str, parts: list[Tensor], out: Tensor | None) -> Attention:
    """Softmax of queries times keys, held against what the module returned, which is to be made of just that."""
    is_timm = len(parts) == 1
    heads = module.num_heads if is_timm else module.num_attention_heads
    query, key, value = (_by_head(part, heads) for part in (parts[0].chunk(3, dim=-1) if is_timm else parts))
    query, key = _layer(module, "q_norm")(query), _layer(module, "k_norm")(key)
    scale = getattr(module, "scale", None)
    scale = scale if isinstance(scale, float | Tensor) else query.shape[-1] ** -0.5
    weight: Tensor = ((query * scale) @ key.transpose(-2, -1)).softmax(-1)
    with torch.no_grad():
        context = (weight @ value).transpose(1, 2).flatten(2)
        if is_timm:
            context = _layer(module, "proj")(_layer(module, "norm")(context))
        if out is None or out.shape != context.shape or not _alike(context, out):
            raise InputError(
                f"the attention of {name!r} is more than softmax(QKᵀ) of its queries and keys, such as one with a "
                "position bias or within windows, so that attention rollout cannot observe it"
            )
    return weight.mean(1)


def _by_head(part: Tensor, heads: int) -> Float[Tensor, "n heads t c"]:
    return part.reshape(*part.shape[:2], heads, -1).transpose(1, 2)


def _layer(module: nn.Module, name: str) -> nn.Module:
    layer = getattr(module, name, None)
    return layer if isinstance(layer, nn.Module) else nn.Identity()


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two results of the same products are equal up to the rounding of their precision."""
    rounding = 1e-3 if one.dtype in (torch.float32, torch.float64) else 2e-2
    return torch.allclose(one, other, rtol=rounding, atol=rounding * float(one.abs().max()))


def _grid(model: nn.Module, x: Image, *, tokens: int) -> Grid:
    with torch.no_grad():
        layers, _ = observe(model, x[:1])
    for layer in layers:
        grid = layer.grid
        if grid is not None and grid.layout == "tokens" and grid.prefix + grid.height * grid.width == tokens:
            return grid
    raise InputError(f"attention rollout needs tokens that lie on a grid over the image, got {tokens} tokens")
