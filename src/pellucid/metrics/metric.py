"""What a metric is: a choice that names its columns and turns a `Case` into numbers. Imports no torch."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pellucid.metrics.column import Column

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.metrics.case import Case

    Numbers = Mapping[str, Tensor]
else:  # names for annotations alone, since naming a metric must not import torch
    Case = Numbers = Any

__all__ = ["About", "Case", "Images", "Metric", "Numbers"]

About = Literal["network", "map", "noisy maps"]


class Images:
    """What is known of the images before any is measured.

    Args:
        shape: channels, height and width.
        dataset: name of the dataset, which decides the usual radius of an attack.
        known: what is known of what decides their class, in the words of `Metric.needs`; None where nobody has looked.
    """

    def __init__(self, shape: tuple[int, int, int], dataset: str = "", known: Collection[str] | None = None) -> None:
        self.shape, self.dataset, self.known = shape, dataset, known

    @property
    def side(self) -> int:
        """Pixels of the shorter side."""
        return min(self.shape[1:])

    def lacks(self, needs: Collection[str]) -> list[str]:
        """Which of these needs they do not meet; none where nobody has looked.

        >>> Images((1, 28, 28), known={"mask"}).lacks(("mask", "changed cause")), Images((1, 28, 28)).lacks(("mask",))
        (['changed cause'], [])
        """
        return [] if self.known is None else [need for need in needs if need not in self.known]


class Metric(ABC):
    """One or several numbers per image; one of your own is a frozen dataclass whose fields are its settings.

    Attributes:
        columns: the meaning of each number by its name, which is the name of its column; no slash in it.
        aggregates: numbers of a set of images that are made of these columns and have a name of their own.
        about: what it looks at: the ``network`` alone, once for all maps; the ``map``, once for each saliency
            method; or ``noisy maps``, once for each method that `pellucid.Evaluation` names in ``stability``.
        explains: whether its numbers depend on the class that is explained; those about maps do.
        signed: whether it reads attributions before their channels are reduced to a map.
        follows: setting of `pellucid.Evaluation` to the field of this metric that it overrides.
        needs: by column, what must be known of what decides the class of the images: ``mask``, where that is;
            ``changed NAME``, the images with a thing exchanged; ``part NAME``, where a part is; ``parts``, where three
            or more are and the images without each. Where that is not known, the column is left out of ``default``,
            ``all`` and families, and refused when asked for by its name.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Peak(Metric):
    ...     scale: float = 1.0
    ...     columns = {"peak": Column(title="Peak", question="How bright is the brightest pixel?")}
    ...
    ...     def __call__(self, case):
    ...         return {"peak": self.scale * case.heatmap.flatten(1).amax(1)}
    >>> import torch
    >>> from pellucid.metrics import Case
    >>> Peak(scale=2.0)(Case(given=torch.tensor([[[0.5, 0.25]]])))
    {'peak': tensor([1.])}
    """

    columns: Mapping[str, Column]
    aggregates: Mapping[str, Column] = {}
    about: ClassVar[About] = "map"
    explains: ClassVar[bool] = False
    signed: ClassVar[bool] = False
    follows: ClassVar[Mapping[str, str]] = {}
    needs: Mapping[str, tuple[str, ...]] = {}

    @abstractmethod
    def __call__(self, case: Case) -> Numbers:
        """Measure some images.

        Args:
            case: what may be looked at: network, images, labels, and of one saliency method its map, the noisy
                copies of the images and their maps; what several metrics need is made once.

        Returns:
            By column: (n,) or, of a curve, (n, k); NaN where a number is undefined.
        """

    def only(self, wanted: Collection[str]) -> "Metric":
        """This metric, without what none of the wanted columns needs; by default as it is."""
        return self

    def fitted(self, images: Images) -> "Metric":
        """This metric with the settings filled in that depend on the images; by default as it is."""
        return self

    def overridden(self, given: Mapping[str, Any]) -> "Metric":
        """This metric with an evaluation's settings in place of its own, where it `follows` them.

        Args:
            given: value by name of the evaluation's setting; None leaves the metric's own.
        """
        changes = {field: given[name] for name, field in self.follows.items() if given.get(name) is not None}
        return replace(self, **changes) if changes and is_dataclass(self) else self

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        """What a column was computed with, for its meaning: by default all fields.

        Args:
            column: one of `columns`.
            model: the network that was measured.
            seed: of every draw.
        """
        choices: Any = self
        return {field.name: getattr(self, field.name) for field in fields(choices)} if is_dataclass(choices) else {}
