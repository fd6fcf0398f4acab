"""What a call of another library gives, as the `pellucid.Case` that a metric looks at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator, SampleDraws
from pellucid.core.types import Attribution, Heatmap, Image, Label
from pellucid.metrics import Case, Metric
from pellucid.metrics.measure import measured
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import select

__all__ = ["Given", "as_metric", "image_draws"]

_NEEDED = {
    "model": "a torch.nn.Module from images to logits",
    "x": "images (n, c, h, w) in [0, 1]",
    "label": "the true class of each image",
    "index": "the position of each image in its dataset",
    "saliency": "whatever pellucid.as_saliency accepts",
}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Given(Case):
    """A case whose call may leave out what the metric does not look at; looking at it is one sentence.

    Args:
        asker: name of the metric, for that sentence.
        maps: (n, channels, h, w) signed attributions, where they were made already.

    >>> Given(asker="Peak").label
    Traceback (most recent call last):
    pellucid.InputError: Peak needs label, the true class of each image, which was not given
    """

    asker: str
    model: Any = None
    x: Any = None
    label: Any = None
    index: Any = None
    saliency: Any = None
    maps: Attribution | None = None

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if value is None and name in _NEEDED:
            raise InputError(f"{self.asker} needs {name}, {_NEEDED[name]}, which was not given")
        return value

    def _has(self, name: str) -> bool:
        return vars(self)[name] is not None

    def __len__(self) -> int:
        return next((len(vars(self)[name]) for name in ("x", "given", "label", "index") if self._has(name)), 0)

    @cached_property
    def draws(self) -> Generator:
        return image_draws(self.x, self.seed, vars(self)["index"])

    @cached_property
    def attribution(self) -> Attribution:
        return super().attribution if self.maps is None else self.maps

    @cached_property
    def signed_heatmap(self) -> Heatmap:
        if not any(self._has(name) for name in ("given", "maps", "saliency")):
            raise InputError(f"{self.asker} needs heatmap, or model, x and saliency to make it, which were not given")
        return super().signed_heatmap

    def measured(self, metric: Metric) -> dict[str, Tensor]:
        """The metric's numbers, its settings fitted to the images where these are given."""
        return measured(metric.fitted(Images(tuple(self.x.shape[1:]))) if self._has("x") else metric, self)


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
