"""What a call of another library gives, as the `pellucid.Case` that a metric looks at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator, SampleDraws
from pellucid.core.types import Image, Label
from pellucid.metrics import Case, Metric
from pellucid.metrics.measure import measured
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import select

__all__ = ["Given", "as_metric", "image_draws"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Given(Case):
    """A case whose draws are those of `image_draws`."""

    @cached_property
    def draws(self) -> Generator:
        return image_draws(self.x, self.seed, vars(self)["index"])

    def measured(self, metric: Metric) -> dict[str, Tensor]:
        """The metric's numbers, its settings fitted to the images where these are given."""
        return measured(metric.fitted(Images(tuple(self.x.shape[1:]))) if self.has("x") else metric, self)


def as_metric(metric: Any) -> Metric:
    """The metric itself, or the one of a name or an import path, with its columns checked.

    Raises:
        InputError: it is no metric or several, or its columns are none.

    >>> as_metric("gini")
    Gini()
    """
    chosen = select([metric])
    if len(chosen) != 1:
        kinds = ", ".join(type(single).__name__ for single in chosen) or "none"
        raise InputError(f"one metric is wrapped at a time, got {metric!r}, which stands for {kinds}")
    return chosen[0]


def image_draws(x: Image, seed: int, index: Label | Sequence[int] | None = None) -> SampleDraws:
    """Draws of each image, by its position in the dataset where that is known, otherwise by its pixels.

    So the same image meets the same noise in every batch, process and call. By position the numbers are those of
    `pellucid.evaluate` with the same seed; by pixels they are others, and two equal images share theirs.

    Args:
        x: (n, c, h, w) images.
        seed: of every draw.
        index: (n,) positions, or None.

    Raises:
        InputError: not one position per image.

    >>> import torch
    >>> x = torch.rand(3, 1, 2, 2)
    >>> whole, part = image_draws(x, 0), image_draws(x[1:2], 0)
    >>> torch.equal(whole.normal((3, 4))[1:2], part.normal((1, 4)))
    True
    """
    if index is None:
        return SampleDraws(seed, tuple(_number(image) for image in x.detach().float().cpu()))
    positions = index.tolist() if isinstance(index, Tensor) else list(index)
    if not isinstance(positions, list) or len(positions) != len(x):
        raise InputError(f"index must be {len(x)} positions, one per image, got {positions!r}")
    return SampleDraws(seed, tuple(int(position) for position in positions))


def _number(image: Tensor) -> int:
    content = image.contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") >> 1
