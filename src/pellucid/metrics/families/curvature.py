"""How fast does the gradient turn around the image?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Metric

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.metrics.case import Case

__all__ = ["QUESTION", "GradientVariation", "HessianTrace", "TopHessianEigenvalue"]

QUESTION = "How fast does the gradient turn around the image?"


@dataclass(frozen=True, kw_only=True)
class GradientVariation(Metric):
    """`pellucid.metrics.gradient_variation`.

    Args:
        radius: length of the random step, above 0.
        draws: directions that are averaged.
    """

    about: ClassVar[About] = "network"
    explains: ClassVar[bool] = True
    radius: float = 0.1
    draws: int = 10
    columns = {
        "gradient_variation": Column(
            title="Gradient variation",
            definition="Mean change of the input gradient of the explained class's logit per length of a random step.",
            direction="lower",
            source="Bhusal, Alam and Rastogi 2026, by finite differences",
        )
    }

    def __call__(self, case: "Case") -> "Mapping[str, Tensor]":
        from pellucid.metrics.curvature import gradient_variation

        value = gradient_variation(
            case.model, case.x, case.target, radius=self.radius, draws=self.draws, chunk=case.chunk,
            generator=case.draws,
        )  # fmt: skip
        return {"gradient_variation": value}


@dataclass(frozen=True, kw_only=True)
class TopHessianEigenvalue(Metric):
    """`pellucid.metrics.top_hessian_eigenvalue`.

    Args:
        iterations: steps of the power iteration.
        method: ``exact`` second derivatives, or the ``difference`` of gradients.
    """

    about: ClassVar[About] = "network"
    iterations: int = 20
    method: Literal["exact", "difference"] = "exact"
    columns = {
        "top_hessian_eigenvalue": Column(
            title="Top Hessian eigenvalue",
            definition="Largest eigenvalue in size of the Hessian of the cross-entropy with respect to the pixels.",
            direction="lower",
            source="Bhusal, Alam and Rastogi 2026; power iteration",
        )
    }

    def __call__(self, case: "Case") -> "Mapping[str, Tensor]":
        from pellucid.metrics.curvature import top_hessian_eigenvalue

        value = top_hessian_eigenvalue(
            case.model, case.x, case.label, iterations=self.iterations, method=self.method, chunk=case.chunk,
            generator=case.draws,
        )  # fmt: skip
        return {"top_hessian_eigenvalue": value}


@dataclass(frozen=True, kw_only=True)
class HessianTrace(Metric):
    """`pellucid.metrics.hessian_trace`.

    Args:
        draws: random directions of the estimate.
        method: ``exact`` second derivatives, or the ``difference`` of gradients.
    """

    about: ClassVar[About] = "network"
    draws: int = 20
    method: Literal["exact", "difference"] = "exact"
    columns = {
        "hessian_trace": Column(
            title="Hessian trace",
            definition="Trace of the Hessian of the cross-entropy with respect to the pixels, estimated.",
            source="Hutchinson 1990",
        )
    }

    def __call__(self, case: "Case") -> "Mapping[str, Tensor]":
        from pellucid.metrics.curvature import hessian_trace

        value = hessian_trace(
            case.model, case.x, case.label, draws=self.draws, method=self.method, chunk=case.chunk,
            generator=case.draws,
        )  # fmt: skip
        return {"hessian_trace": value}
