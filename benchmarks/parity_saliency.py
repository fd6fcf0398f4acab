"""Saliency methods against Captum's."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from parity_case import Case, Work, add_case
from parity_settings import Setting, captum_gradient
from torch import Tensor

from pellucid import IntegratedGradients, SmoothGrad, VanillaGradient

CASES: list[Case] = []
case = partial(add_case, CASES)


@case("VanillaGradient", reference="Captum `Saliency`")
def _(s: Setting) -> tuple[Work, Work]:
    return lambda: VanillaGradient()(s.model, s.x, s.target), lambda: captum_gradient(s.model, s.x, s.target)


@case("IntegratedGradients", reference="Captum `IntegratedGradients`, 20 steps")
def _(s: Setting) -> tuple[Work, Work]:
    from captum.attr import IntegratedGradients as Theirs

    return (
        lambda: IntegratedGradients(steps=20)(s.model, s.x, s.target),
        lambda: Theirs(s.model).attribute(s.x, target=s.target, n_steps=20, internal_batch_size=len(s.x)).detach(),
    )


class Given:
    """Draws that are Captum's: noise drawn once for every copy of every image."""

    def __init__(self, noise: Tensor, sample: int = 0) -> None:
        self.noise, self.sample = noise, sample

    def of(self, purpose: str) -> "Given":
        return Given(self.noise, int(purpose.removeprefix("smoothgrad")))

    def normal(self, shape: Sequence[int], *, device: Any = "cpu") -> Tensor:
        return self.noise[:, self.sample]

    def uniform(self, shape: Sequence[int], *, device: Any = "cpu") -> Tensor:
        raise NotImplementedError


@case("SmoothGrad", reference="Captum `NoiseTunnel` of `Saliency`, 10 samples")
def _(s: Setting) -> tuple[Work, Work]:
    from captum.attr import NoiseTunnel, Saliency

    samples = 10
    shape = (len(s.x) * samples, *s.x.shape[1:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)

    def reference() -> Tensor:
        torch.manual_seed(7)
        tunnel = NoiseTunnel(Saliency(s.model))
        return tunnel.attribute(s.x, nt_samples=samples, stdevs=0.15, target=s.target, abs=False).detach()

    given = Given(noise.view(len(s.x), samples, *s.x.shape[1:]))
    return lambda: SmoothGrad(samples=samples)(s.model, s.x, s.target, generator=given), reference
