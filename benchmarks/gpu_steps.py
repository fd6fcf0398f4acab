"""A GPU's training step: does it wait for the processor, and what do torch.compile and CUDA graphs save?"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from pellucid import Method, Network, Objective
from pellucid.models import build
from pellucid.runs.compiling import Compile, compile_network
from pellucid.runs.step import train_step

__all__ = ["Stepped", "sync_free", "ways"]

SIDE, CLASSES = 32, 10


@dataclass(frozen=True)
class Stepped:
    """One way to run a method's step.

    Args:
        way: ``off``, ``network`` or ``graphs``, as `pellucid.Experiment.compile` has them.
        milliseconds: the median step after the first ones.
        losses: of the first steps.
        seconds: that these took, compilation among them.
    """

    way: Compile
    milliseconds: float
    losses: list[float]
    seconds: float


def _step(method: Method, how: Compile, device: str, batch: int, precision: Any) -> Callable[[], torch.Tensor]:
    """A training step as `pellucid train` takes it, on images that lie on the device."""
    torch.manual_seed(0)
    moments = [0.5] * 3
    network = Network(name="resnet18", options={"width": 16})
    model = build(network, classes=CLASSES, shape=(3, SIDE, SIDE), mean=moments, std=moments)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    objective = Objective(model, method, num_samples=batch, total_steps=1000).train()
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.01, momentum=0.9)  # whose step is no sign of a gradient
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    wrapped, wrapped_optimizer = fabric.setup(objective, optimizer)
    compile_network(model, how, fabric.device)
    draws = np.random.default_rng(0)
    image = torch.from_numpy(draws.random((batch, 3, SIDE, SIDE), dtype=np.float32)).to(fabric.device)
    label = torch.from_numpy(draws.integers(0, CLASSES, batch)).to(fabric.device)
    data = (image, label, torch.arange(batch, device=fabric.device))
    return lambda: train_step(fabric, wrapped, wrapped_optimizer, schedule, data)["loss"].detach()


def ways(
    method: Method, device: str, *, batch: int = 128, steps: int = 20, precision: str = "32-true"
) -> dict[Compile, Stepped]:
    """The same training by each way that the device has, one after the other.

    Args:
        method: how it is trained.
        device: ``cuda``, or ``cpu``, which has no graphs.
        batch: images.
        steps: that are timed, after five that are not.
        precision: as Lightning Fabric names it.
    """
    wait: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else lambda: None
    asked: tuple[Compile, ...] = ("off", "network", "graphs") if device == "cuda" else ("off", "network")
    found: dict[Compile, Stepped] = {}
    for how in asked:
        torch._dynamo.reset()
        clock = time.perf_counter()
        step = _step(method, how, device, batch, precision)
        losses = [step().item() for _ in range(5)]
        seconds, times = time.perf_counter() - clock, []
        for _ in range(steps):
            wait()
            clock = time.perf_counter()
            step()
            wait()
            times.append(1e3 * (time.perf_counter() - clock))
        found[how] = Stepped(how, statistics.median(times), losses, seconds)
    return found


def sync_free(methods: Mapping[str, Method], *, batch: int = 128) -> dict[str, str]:
    """For each method what in its step waits for the GPU, "" where nothing does; needs a CUDA device.

    Args:
        methods: by name.
        batch: images.
    """
    found = {}
    for name, method in methods.items():
        step = _step(method, "off", "cuda", batch, "32-true")
        for _ in range(3):  # the first step looks at its batch, and the optimizer makes its state
            step()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            step()
            found[name] = ""
        except RuntimeError as error:
            found[name] = str(error).splitlines()[0]
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return found
