"""A network as one graph of operations that needs none of its code: ``torch.export``, with its map inside if asked.

The gradient behind a map is written out as ordinary operations (`pellucid.exports.gradients`), so that a runtime
without automatic differentiation, such as ONNX Runtime, computes the map in the same pass as the logits.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from packaging.version import Version
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.export import Dim, ExportedProgram
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.nn.attention import SDPBackend, sdpa_kernel

from pellucid.core.errors import InputError, raised
from pellucid.core.types import Heatmap, Image, Logits
from pellucid.exports.gradients import decompositions
from pellucid.saliency import Explain, VanillaGradient, as_saliency, heatmap, saliency_name

__all__ = ["logits_and_map", "older_torch", "quiet", "traced"]

TRIED = "2.13"
"""The oldest PyTorch with which every graph of the tests was written."""


def logits_and_map(model: nn.Module, x: Image, saliency: Explain) -> tuple[Logits, Heatmap]:
    """The logits and the heatmap of the class that has the largest one.

    Args:
        model: network in eval mode.
        x: (n, c, h, w) pixels in [0, 1].
        saliency: whose attribution is drawn, as `pellucid.saliency.as_saliency` takes it.

    Returns:
        (n, classes) logits and the (n, h, w) heatmap, the mean over channels of the attribution's absolute values.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(network[1].weight)
    >>> logits, drawn = logits_and_map(network, torch.tensor([[[[0.2, 0.9]]]]), "vanilla_gradient")
    >>> drawn.tolist()
    [[[0.0, 1.0]]]
    """
    explain = as_saliency(saliency)
    if explain == VanillaGradient():  # whose forward pass gives the logits too
        with torch.enable_grad():
            pixels = x.detach().requires_grad_()
            logits = model(pixels)
            largest = logits.gather(1, logits.argmax(1)[:, None])
            (attribution,) = torch.autograd.grad(largest.sum(), pixels)
    else:
        logits = model(x)
        attribution = explain(model, x, logits.argmax(1), create_graph=True, generator=None)
    return logits.detach(), heatmap(attribution).detach()


def traced(model: nn.Module, example: Image, *, saliency: Explain | None = None) -> ExportedProgram:
    """A network as a graph that takes any number of images.

    Args:
        model: network in eval mode, (n, c, h, w) pixels in [0, 1] to (n, classes) logits.
        example: images as it takes them, at least 2; their number alone may differ later.
        saliency: kind of map that the graph gives beside the logits; none by default.

    Raises:
        InputError: the network, or the map, does something that a graph cannot hold, or the map draws random numbers.

    >>> program = traced(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval(), torch.zeros(2, 1, 2, 2))
    >>> program.module()(torch.zeros(5, 1, 2, 2)).shape
    torch.Size([5, 3])
    """
    what = "the network" if saliency is None else f"the network with its {saliency_name(saliency)} map"
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            module = model if saliency is None else _with_map(model, example, saliency)
            return torch.export.export(module, (example,), dynamic_shapes=({0: Dim("batch", min=1)},))
    except InputError:
        raise
    except Exception as error:  # whatever the code of a user's network meets in the tracer
        raise InputError(
            f"{what} cannot be written as a graph, so neither onnx nor torch_export can hold it; torch.export says "
            f"{raised(error)[:300]}{older_torch()}"
        ) from error


def older_torch() -> str:
    """What to say after a failure where PyTorch is older than any with which graphs were written; otherwise nothing."""
    if Version(torch.__version__) >= Version(TRIED):
        return ""
    return f"; PyTorch {TRIED} or newer writes graphs that older ones cannot, and this is {torch.__version__}"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that torch's exporters give about their own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Traced(nn.Module):
    """Operations that were recorded with a network's weights as arguments, and the weights."""

    def __init__(self, mapped: nn.Module, operations: torch.fx.GraphModule) -> None:
        super().__init__()
        self.mapped = mapped
        self.operations = operations

    def forward(self, x: Image) -> tuple[Logits, Heatmap]:
        result: tuple[Logits, Heatmap] = self.operations(_tensors(self.mapped), x)
        return result


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


class _Mapped(nn.Module):
    """A network that gives its map beside the logits."""

    def __init__(self, model: nn.Module, saliency: Explain) -> None:
        super().__init__()
        self.model = model
        self.saliency = saliency

    def forward(self, x: Image) -> tuple[Logits, Heatmap]:
        return logits_and_map(self.model, x, self.saliency)


def _with_map(model: nn.Module, example: Image, saliency: Explain) -> nn.Module:
    """The operations of logits and map, recorded once with the number of images left open."""
    mapped = _Mapped(model, saliency).eval()

    def run(tensors: Mapping[str, Tensor], x: Image) -> tuple[Logits, Heatmap]:
        result: tuple[Logits, Heatmap] = functional_call(mapped, dict(tensors), (x,))
        return result

    _refuse_drawing(model, example, saliency)
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    sizes = [DimDynamic.DYNAMIC, *[DimDynamic.STATIC] * (example.ndim - 1)]
    images = mode.from_tensor(example, symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes))
    tensors = {name: mode.from_tensor(value, static_shapes=True) for name, value in _tensors(mapped).items()}
    # Attention's fused kernels have a backward pass of their own, which only torch knows.
    with mode, sdpa_kernel(SDPBackend.MATH):
        operations = make_fx(run, decomposition_table=decompositions())(tensors, images)
    operations.graph.eliminate_dead_code()
    operations.recompile()
    return _Traced(mapped, operations)


def _refuse_drawing(model: nn.Module, example: Image, saliency: Explain) -> None:
    """Refuse a map that draws random numbers: the graph would hold the same ones for every image."""
    before = torch.get_rng_state()
    logits_and_map(model, example, saliency)
    if not torch.equal(before, torch.get_rng_state()):
        raise InputError(
            f"{saliency_name(saliency)} maps draw random numbers, which a graph would fix; vanilla_gradient draws none"
        )
