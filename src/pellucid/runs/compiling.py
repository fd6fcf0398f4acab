"""The network compiled by torch.compile while it is trained, and recorded in CUDA graphs where that is asked for."""

from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.methods.gradient_penalty import GradientPenalty
from pellucid.methods.method import Method
from pellucid.methods.penalty import Penalty

__all__ = ["Compile", "check_compile", "compile_network", "told_of_compiling"]

Compile = Literal["off", "network", "graphs"]
"""What torch.compile is asked for while a network is trained."""


def check_compile(how: Compile, method: Method) -> None:
    """Refuse to compile the network of a method whose loss holds a gradient that is differentiated again.

    Args:
        how: what was asked for.
        method: how the network is trained; the methods that it is made of are looked at, too.

    Raises:
        InputError: no such word, or a method that cannot be compiled.

    >>> check_compile("network", GradientPenalty())
    Traceback (most recent call last):
    pellucid.InputError: compile network cannot differentiate a network twice, as GradientPenalty needs; leave compile
    out, or give GradientPenalty a difference above 0
    """
    one_of(get_args(Compile), compile=how)
    if how == "off":
        return
    if isinstance(method, Penalty) and not method.is_off and getattr(method, "difference", 0.0) == 0:
        name = type(method).__name__
        way_out = f", or give {name} a difference above 0" if isinstance(method, GradientPenalty) else ""
        raise InputError(
            f"compile {how} cannot differentiate a network twice, as {name} needs; leave compile out{way_out}"
        )
    parts: list[Any] = [getattr(method, field.name) for field in fields(method)] if is_dataclass(method) else []
    for part in parts:
        if isinstance(part, Method):
            check_compile(how, part)


def compile_network(model: nn.Module, how: Compile, device: torch.device) -> None:
    """Let calls of the network, without its normalisation, go through torch.compile from now on.

    Weights keep their names, the network's copies are not compiled, and dropout draws the same numbers as before. It is
    the network that is compiled and not the whole step: what a method draws and remembers changes from step to step,
    and a recorded graph would repeat it.

    Args:
        model: ``Sequential(normalize, network)`` as `pellucid.models.build` makes it, or any network.
        how: ``network``, kernels for it; ``graphs``, these recorded in CUDA graphs, which saves starting them one by
            one; ``off``, nothing.
        device: that it is trained on.

    Raises:
        InputError: graphs on anything but a CUDA device.
    """
    if how == "off":
        return
    if how == "graphs" and device.type != "cuda":
        raise InputError(f"compile graphs is for CUDA devices, and this training is on {device.type}; take network")
    network = getattr(model, "network", model)
    call = network._call_impl

    def whole(*given: Any, **named: Any) -> Any:
        return call(*given, **named)

    # A loss may differentiate a forward pass more than once, which buffers that a backward pass reuses would not allow.
    import torch._functorch.config

    torch._functorch.config.donated_buffer = False
    options: dict[str, Any] = {"fallback_random": True}
    if how == "network":
        compiled = torch.compile(whole, options=options)
    else:
        recorded = torch.compile(whole, options=options | {"triton.cudagraphs": True})

        def compiled(*given: Any, **named: Any) -> Any:
            logits = recorded(*given, **named)
            # A graph writes the next logits into the same memory.
            return logits.clone() if isinstance(logits, Tensor) else logits

    # As `nn.Module.compile` does, which leaves networks alone whose class is PyTorch's own, such as nn.Sequential.
    network._compiled_call_impl = compiled


def told_of_compiling(error: Exception) -> InputError | None:
    """A failure of torch.compile as a sentence; None for any other error.

    Args:
        error: what a step raised.

    >>> told_of_compiling(RuntimeError("torch.compile with aot_autograd does not currently support double backward"))
    InputError('compile cannot differentiate a network twice, as this method needs; leave compile out')
    >>> told_of_compiling(RuntimeError("out of memory")) is None
    True
    """
    if "aot_autograd" in str(error) and "double backward" in str(error):
        return InputError("compile cannot differentiate a network twice, as this method needs; leave compile out")
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        reason = " ".join(str(error).split())[:200]
        return InputError(f"torch.compile cannot compile this network here ({reason}); leave compile out")
    return None
