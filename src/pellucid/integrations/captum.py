"""pellucid's maps as Captum attributions: whatever takes a Captum object takes these.

The other way needs no adapter: `pellucid.as_saliency` accepts Captum's objects and classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.randomness import SampleDraws
from pellucid.integrations import missing
from pellucid.saliency import Explain, as_saliency

try:
    from captum.attr import Attribution as CaptumAttribution
    from captum.log import log_usage
except ImportError as error:
    raise missing("captum", error) from error

__all__ = ["SaliencyAttribution"]


class SaliencyAttribution(CaptumAttribution):  # type: ignore[misc]  # Captum has no types
    """A saliency method of pellucid as ``Attribution``, for Captum's tunnels, metrics and pictures.

    Args:
        model: network in eval mode, images to (n, k) logits.
        saliency: whatever `pellucid.as_saliency` accepts.
        seed: of what is drawn, if anything is; every image and call meets the same numbers.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).eval()
    >>> _ = nn.init.eye_(network[1].weight)
    >>> SaliencyAttribution(network).attribute(torch.rand(1, 1, 1, 2), target=1).tolist()
    [[[[0.0, 1.0]]]]
    """

    def __init__(self, model: nn.Module, saliency: Explain = "vanilla_gradient", *, seed: int = 0) -> None:
        super().__init__(model)
        self.saliency, self.seed = as_saliency(saliency), seed

    @log_usage()  # type: ignore[untyped-decorator]  # NoiseTunnel calls what this decorator of Captum's wraps
    def attribute(
        self, inputs: Any, target: int | Sequence[int] | Tensor | None = None, additional_forward_args: Any = None
    ) -> Any:
        """Attribute the target's score to the pixels.

        Args:
            inputs: (n, c, h, w) images, or a tuple of one such tensor.
            target: the class to explain, one for all images or one each.
            additional_forward_args: must be None.

        Returns:
            (n, c, h, w) signed attribution, detached; a tuple for a tuple.

        Raises:
            InputError: no target, several inputs, or arguments for the network's forward.
        """
        if isinstance(inputs, tuple):
            if len(inputs) != 1:
                raise InputError(f"inputs must be one tensor of images, got a tuple of {len(inputs)}")
            return (self.attribute(inputs[0], target, additional_forward_args),)
        if additional_forward_args is not None:
            raise InputError("additional_forward_args must be None; bind them in the network's forward")
        classes = torch.as_tensor(-1 if target is None else target, device=inputs.device)
        if target is None or classes.numel() not in (1, len(inputs)) or classes.is_floating_point():
            raise InputError(f"target must be a class, or one for each of {len(inputs)} images, got {target!r}")
        draws = SampleDraws(self.seed, (0,) * len(inputs))
        return self.saliency(
            self.forward_func, inputs, classes.reshape(-1).expand(len(inputs)), create_graph=False, generator=draws
        ).detach()
