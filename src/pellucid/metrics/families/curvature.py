"""How fast does the gradient turn around the image?"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "GradientVariation", "HessianTrace", "TopHessianEigenvalue"]


class Curvature(Metric):
    """One number of the network around an image: the metric's settings are the arguments of its formula.

    Attributes:
        formula: name of the function in `pellucid.metrics.curvature`, from network, images and classes to (n,); it is
            the name of the column too.
    """

    about: ClassVar[About] = "network"
    formula: ClassVar[str]

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics import curvature

        formula, classes = getattr(curvature, self.formula), case.target if self.explains else case.label
        settings = self.settings(self.formula)
        return {self.formula: formula(case.model, case.x, classes, **settings, chunk=case.chunk, generator=case.draws)}


@dataclass(frozen=True, kw_only=True)
class GradientVariation(Curvature):
    """`pellucid.metrics.gradient_variation`.

    Args:
        radius: length of the random step, above 0.
        draws: directions that are averaged.
    """

    formula = "gradient_variation"
    explains: ClassVar[bool] = True
    radius: float = 0.1
    draws: int = 10
    columns = {
        "gradient_variation": Column(
            title="Gradient variation", direction="lower",
            source="Bhusal, Alam and Rastogi 2026, by finite differences",
            definition="Mean change of the input gradient of the explained class's logit per length of a random step.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TopHessianEigenvalue(Curvature):
    """`pellucid.metrics.top_hessian_eigenvalue`.

    Args:
        iterations: steps of the power iteration.
        method: ``exact`` second derivatives, or the ``difference`` of gradients.
    """

    formula = "top_hessian_eigenvalue"
    iterations: int = 20
    method: Literal["exact", "difference"] = "exact"
    columns = {
        "top_hessian_eigenvalue": Column(
            title="Top Hessian eigenvalue", direction="lower", source="Bhusal, Alam and Rastogi 2026; power iteration",
            definition="Largest eigenvalue in size of the Hessian of the cross-entropy with respect to the pixels.",
        )
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HessianTrace(Curvature):
    """`pellucid.metrics.hessian_trace`.

    Args:
        draws: random directions of the estimate.
        method: ``exact`` second derivatives, or the ``difference`` of gradients.
    """

    formula = "hessian_trace"
    draws: int = 20
    method: Literal["exact", "difference"] = "exact"
    columns = {
        "hessian_trace": Column(
            title="Hessian trace", source="Hutchinson 1990",
            definition="Trace of the Hessian of the cross-entropy with respect to the pixels, estimated.",
        )
    }  # fmt: skip


METRICS: tuple[Metric, ...] = (GradientVariation(), TopHessianEigenvalue(), HessianTrace())
"""With all their columns, in the order of every table."""
