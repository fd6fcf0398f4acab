"""Maps of a few images at a time, which bounds memory and changes no number."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pellucid.core import randomness
from pellucid.core.errors import NotFinite
from pellucid.core.types import Attribution, Image, Label, Saliency
from pellucid.metrics.inputs import all_finite
from pellucid.saliency import in_chunks

__all__ = ["attribution_of", "rows_of", "usual_chunk"]


def usual_chunk(shape: Sequence[int], device: torch.device | str) -> int:
    """Images in one pass, so that a CPU's cache holds what passes through.

    A ResNet-18 takes 1.6 times as long for each of 128 images of 32 pixels as for each of 32, an EfficientNet twice as
    long for each of 64 of 224 pixels as for each of 16.

    Args:
        shape: channels, height and width.
        device: where the network is.

    >>> usual_chunk((1, 28, 28), "cpu"), usual_chunk((3, 32, 32), "cpu"), usual_chunk((3, 224, 224), "cpu")
    (127, 32, 16)
    """
    if torch.device(device).type != "cpu":
        return 256
    return max(16, min(128, 100_000 // math.prod(shape)))


@dataclass(frozen=True)
class _Rows:
    """Draws for some images of a batch: made for all ``n`` of them, then cut."""

    source: randomness.Generator
    rows: tuple[int, ...]
    n: int

    def of(self, purpose: str) -> "_Rows":
        return replace(self, source=randomness.of(self.source, purpose))

    def uniform(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return randomness.uniform((self.n, *shape[1:]), self.source, device=device)[list(self.rows)]

    def normal(self, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        return randomness.normal((self.n, *shape[1:]), self.source, device=device)[list(self.rows)]


def rows_of(generator: randomness.Generator, rows: Sequence[int], n: int) -> randomness.Generator:
    """The draws of some images of a batch of ``n``: the numbers that these have in draws for the whole batch.

    A source of torch's advances with every draw, so each part of a batch needs a fresh one in the same state.

    >>> whole = randomness.normal((4, 2), torch.Generator().manual_seed(0))
    >>> part = randomness.normal((2, 2), rows_of(torch.Generator().manual_seed(0), [1, 3], 4))
    >>> torch.equal(part, whole[[1, 3]])
    True
    """
    if len(rows) == n:
        return generator
    if isinstance(generator, randomness.SampleDraws):
        return replace(generator, index=tuple(generator.index[row] for row in rows))
    return _Rows(generator, tuple(rows), n)


def attribution_of(
    explain: Saliency,
    model: Callable[[Tensor], Tensor],
    x: Image,
    target: Label,
    repeated: Callable[[], randomness.Generator],
    *,
    chunk: int | None = None,
) -> Attribution:
    """The attribution, explained for at most ``chunk`` images at once with the draws of the whole batch.

    What draws from the global generators, such as a network with random layers, draws the same at every call.
    A saliency of one's own that draws is given another source than torch's where there are several parts, so it
    draws through `pellucid.core.randomness`; and what it draws has a row for each image.

    Args:
        explain: what `pellucid.saliency.as_saliency` returns.
        model: network in eval mode.
        x: (n, c, h, w) images in [0, 1].
        target: (n,) class that is explained.
        repeated: gives the source of the saliency's draws, in the same state at every call.
        chunk: largest number of images that ``explain`` is asked about at once; all by default. A ``chunk`` of its
            own bounds the images, copies included, of each of its passes.

    Returns:
        (n, channels, h, w), detached.

    Raises:
        InputError: a chunk below 1, or values that are not finite.
    """

    def explained(x: Image, target: Label, rows: Tensor) -> Attribution:
        source = rows_of(repeated(), rows.tolist(), n)
        with randomness.pinned(repeated(), "network", device=x.device):
            return explain(model, x, target, create_graph=False, generator=source).detach()

    n = len(x)
    attribution = in_chunks(explained, x, target, torch.arange(n), chunk=chunk)
    if not all_finite(attribution):
        raise NotFinite(f"the attribution must be finite, got {attribution[~torch.isfinite(attribution)][0]:g}")
    return attribution
