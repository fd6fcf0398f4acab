"""Networks, images and other packages for `metrics_parity.py`: what both sides of a comparison are given."""

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid import Network, VanillaGradient, heatmap
from pellucid.core.randomness import SampleDraws, fork
from pellucid.models import build

GREY, COLOUR, SMOOTH = "LeNet-5", "ResNet-18", "tanh network"


@dataclass(frozen=True, eq=False)
class Setting:
    """A trained network in float64 and images that it has not seen."""

    name: str
    model: nn.Module
    x: Tensor
    label: Tensor
    layer: str
    draws: SampleDraws

    @property
    def target(self) -> Tensor:
        with torch.no_grad():
            return self.model(self.x).argmax(1)

    def noisy(self, draws: int, sigma: float, kind: str = "gaussian") -> list[np.ndarray]:
        """The noisy images of the stability measures."""
        x, sources = self.x.numpy(), [self.draws.of(f"stability/{i}") for i in range(draws)]
        if kind == "gaussian":
            return [np.clip(x + sigma * one.normal(x.shape).double().numpy(), 0, 1) for one in sources]
        shares = [one.uniform(x.shape).double().numpy() for one in sources]
        if kind == "one-sided":
            return [x + 0.02 + (0.2 - 0.02) * one for one in shares]
        return [np.clip(x + math.sqrt(3) * sigma * (2 * one - 1), 0, 1) for one in shares]

    def boxed(self, draws: int, radius: float) -> list[np.ndarray]:
        """The noisy images of the sensitivity measures."""
        noise = [self.draws.of(f"stability/{i}").uniform(self.x.shape).double().numpy() for i in range(draws)]
        return [np.clip(self.x.numpy() + radius * (2 * one - 1), 0, 1) for one in noise]


def shapes(images: int, *, channels: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Discs, squares and bars of random grey or colour and place on noise, and which of the three each is."""
    random = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    x, label = random.uniform(0, 0.35, (images, channels, size, size)), np.arange(images) % 3
    for one, kind in zip(x, label, strict=True):
        a, b = random.uniform(0.3, 0.7, 2) * size
        inside = [
            np.hypot(across - a, down - b) < size / 5,
            np.maximum(abs(across - a), abs(down - b)) < size / 6,
            abs(across - a) < size / 10,
        ][kind]
        one[:, inside] = random.uniform(0.3, 1, (channels, 1))
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(label)


def trained(model: nn.Module, *, channels: int, size: int, steps: int, batch: int) -> None:
    optimizer = torch.optim.Adam(model.train().parameters(), lr=2e-3)
    x, label = shapes(steps * batch, channels=channels, size=size, seed=1)
    for part in range(0, len(x), batch):
        optimizer.zero_grad()
        F.cross_entropy(model(x[part : part + batch]), label[part : part + batch]).backward()
        optimizer.step()
    model.double().eval()


def settings(names: Sequence[str] = (GREY, COLOUR, SMOOTH), *, seed: int = 0) -> dict[str, Setting]:
    """The networks, trained from other weights for another seed, on images that are the same for every seed."""
    with fork(seed):
        grey = build(Network(name="lenet5", normalize=False), classes=3, shape=(1, 28, 28), mean=(0.5,), std=(0.5,))
        colour = build(
            Network(name="resnet18", options={"width": 8}), classes=3, shape=(3, 32, 32), mean=(0.5,) * 3,
            std=(0.5,) * 3,
        )  # fmt: skip
        smooth = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Conv2d(6, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(384, 3)
        )
    made = {
        GREY: (grey, 60, 60, 48, "network.conv2"),
        COLOUR: (colour, 20, 48, 6, "network.layer3.0.conv1"),
        SMOOTH: (smooth, 60, 60, 8, "0"),
    }
    found = {}
    for name in names:
        model, steps, batch, images, layer = made[name]
        channels, size = {GREY: (1, 28), COLOUR: (3, 32), SMOOTH: (1, 12)}[name]
        trained(model, channels=channels, size=size, steps=steps, batch=batch)
        x, label = shapes(images, channels=channels, size=size, seed=2)
        found[name] = Setting(name, model, x.double(), label, layer, SampleDraws(0, tuple(range(images))))
    return found


# The other packages, called as they want to be called.


@contextmanager
def their_way() -> Iterator[None]:
    """Quantus makes tensors of torch's default type and prints its advice, and packages warn."""
    with warnings.catch_warnings(), torch.random.fork_rng(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def captum_gradient(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    from captum.attr import Saliency

    return Saliency(model).attribute(x.clone().requires_grad_(), target=target, abs=False).detach()


def explain(model: nn.Module, inputs: Any, targets: Any, **keywords: Any) -> np.ndarray:
    """Captum's gradient as Quantus asks for it."""
    return captum_gradient(model, torch.as_tensor(inputs), torch.as_tensor(targets)).numpy()


def quantus(
    name: str, s: Setting, attribution: Any = None, *, x: Tensor | None = None, softmax: bool = False, **options: Any
) -> Any:
    """A metric of Quantus on all images of a setting in one batch, attributions as they are unless it is told."""
    import quantus as package

    given = {"abs": False, "normalise": False, "disable_warnings": True} | options
    function = given.pop("explain_func", explain)
    with their_way():
        metric = getattr(package, name)(**given)
    target, images = s.target.numpy(), (s.x if x is None else x).numpy()
    with their_way():
        return metric(
            model=s.model, x_batch=images.copy(), y_batch=target,
            a_batch=function(s.model, images, target) if attribution is None else np.array(attribution),
            explain_func=function, softmax=softmax, channel_first=True, device="cpu", batch_size=len(s.x),
        )  # fmt: skip


def in_turn(images: Sequence[np.ndarray]) -> Callable[..., np.ndarray]:
    """A perturbation for Quantus that gives these images one after another."""
    left = iter(images)

    def perturb(arr: np.ndarray, indices: np.ndarray, **options: Any) -> np.ndarray:
        return next(left).reshape(arr.shape).copy()

    return perturb


def logits_of(s: Setting, x: np.ndarray | Tensor) -> np.ndarray:
    with torch.no_grad():
        return s.model(torch.as_tensor(x)).numpy()


def map_of(s: Setting) -> Tensor:
    return heatmap(VanillaGradient()(s.model, s.x, s.target))


def length(value: np.ndarray) -> np.ndarray:
    return np.sqrt((value.reshape(len(value), -1) ** 2).sum(1))
