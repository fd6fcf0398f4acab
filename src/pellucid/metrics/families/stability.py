"""How much does the map change, relative to what was changed?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from pellucid.core.checks import at_least, one_of, some_of
from pellucid.metrics.column import Column
from pellucid.metrics.metric import About, Case, Metric, Numbers

__all__ = ["METRICS", "NOISES", "Form", "Noise", "RelativeStability", "stability_column"]

Noise = Literal["gaussian", "uniform", "one-sided"]
Form = Literal["norm", "elementwise"]
Measure = Literal["ris", "ros", "rrs"]
FORMS: tuple[Form, ...] = get_args(Form)
MEASURES: tuple[Measure, ...] = get_args(Measure)

NOISES = {"gaussian": "", "uniform": "_uniform", "one-sided": "_one_sided"}
"""The noises, and how each is written at the end of a column's name."""


def stability_column(measure: str, *, form: str = "norm", noise: str = "gaussian") -> str:
    """Name of a stability measure's column: bare for the norm form under Gaussian noise.

    Args:
        measure: ``ris``, ``ros``, ``rrs`` or ``stability_coverage``, which has no form.
        form: ``norm`` or ``elementwise``.
        noise: ``gaussian``, ``uniform`` or ``one-sided``.

    >>> stability_column("ris"), stability_column("ros", form="elementwise", noise="one-sided")
    ('ris', 'ros_elementwise_one_sided')
    """
    return measure + ("_elementwise" if form == "elementwise" else "") + NOISES[noise]


_WORDS: dict[str, dict[str, Any]] = {
    "ris": {
        "plain": "How strongly the map changes when the picture is changed a little and the prediction stays.",
        "contest": "Whose maps stay steadiest when the picture hardly changes?",
    },
    "ros": {
        "plain": "The same change of the map, compared with the change of the network's output instead.",
    },
}
_CHANGED = {"ris": ("input", "the image"), "ros": ("output", "the logits"), "rrs": ("representation", "the features")}


def _column(measure: Measure, form: Form, noise: Noise) -> Column:
    kind, what = _CHANGED[measure]
    usual = form == "norm" and noise == "gaussian" and measure in _WORDS
    long_title = f"Relative {kind} stability" + (", elementwise" if form == "elementwise" else "")
    how = "relative change" if form == "norm" else "norm of the pixel-by-pixel relative change"
    cause = f"relative change of {what}" if form == "norm" else f"pixel-by-pixel relative change of {what}"
    cause = "change of the logits" if form == "elementwise" and measure == "ros" else cause
    return Column(
        title=measure.upper() if usual else long_title + ("" if noise == "gaussian" else f", {noise} noise"),
        definition=f"Largest {how} of the map per {cause}, over noisy images of the same prediction; left out of means"
        " where there is none or it is infinite.",
        direction="lower",
        parameters={"form": form, "noise": noise},
        source="Agarwal et al. 2022, norm form of OpenXAI"
        if form == "norm"
        else "Agarwal et al. 2022, equations 2, 3 and 5, as in Quantus",
        main=usual,
        **(_WORDS[measure] if usual else {}),
    )


def coverage_column(noise: Noise) -> Column:
    """The share of noisy images that the stability measures could count."""
    usual = noise == "gaussian"
    return Column(
        title="Coverage" if usual else f"Stability coverage, {noise} noise",
        plain="How many of the changed pictures kept their prediction: RIS and ROS are about these alone."
        if usual
        else "",
        definition="Share of the noisy images that keep the prediction.",
        direction="higher",
        parameters={"noise": noise},
        source="Agarwal et al. 2022",
        scale=100,
        unit="%",
        main=usual,
    )


def told_noise(metric: Any) -> dict[str, Any]:
    """The noise of a metric that has noise, sigma, between and draws, as the meaning of a column tells it."""
    one_sided = metric.noise == "one-sided"
    width = {"between": metric.between} if one_sided else {"sigma": metric.sigma}
    return {"noise": metric.noise, **width, "draws": metric.draws}


@dataclass(frozen=True, kw_only=True)
class RelativeStability(Metric):
    """`pellucid.metrics.relative_stability`: RIS, ROS and RRS over noisy copies of the image.

    Args:
        measures: ``ris``, ``ros``, and ``rrs``, which looks at a layer.
        forms: ``norm`` or ``elementwise`` or both.
        noise: ``gaussian`` and ``uniform``, clipped to [0, 1], or ``one-sided``, not clipped.
        sigma: standard deviation of gaussian and uniform noise in pixel units, above 0.
        between: lowest and highest value of one-sided noise.
        draws: noisy copies of an image.
        layer: layer whose output is the representation of RRS; ``penultimate`` is the input of the last layer.
        eps_min: floor of the denominators of the norm form, and stand-in for 0 in the elementwise form.
    """

    about: ClassVar[About] = "noisy maps"
    signed: ClassVar[bool] = True
    follows = {name: name for name in ("sigma", "draws", "layer")}
    measures: tuple[Measure, ...] = ("ris", "ros")
    forms: tuple[Form, ...] = ("norm",)
    noise: Noise = "gaussian"
    sigma: float = 0.05
    between: tuple[float, float] = (0.02, 0.2)
    draws: int = 10
    layer: str = "penultimate"
    eps_min: float = 1e-6

    def __post_init__(self) -> None:
        one_of(tuple(NOISES), noise=self.noise)
        some_of(MEASURES, measures=self.measures)
        some_of(FORMS, forms=self.forms)
        at_least(1, draws=self.draws)

    @property
    def columns(self) -> Mapping[str, Column]:  # type: ignore[override]  # they depend on measures, forms and noise
        numbers = {
            stability_column(measure, form=form, noise=self.noise): _column(measure, form, self.noise)
            for form in FORMS
            for measure in MEASURES
            if measure in self.measures and form in self.forms
        }
        return numbers | {self._coverage: coverage_column(self.noise)}

    @property
    def _coverage(self) -> str:
        return stability_column("stability_coverage", noise=self.noise)

    def only(self, wanted: Collection[str]) -> Metric:
        def has(measure: Measure, form: Form) -> bool:
            return stability_column(measure, form=form, noise=self.noise) in wanted

        measures = tuple(measure for measure in MEASURES if any(has(measure, form) for form in FORMS))
        forms = tuple(form for form in FORMS if any(has(measure, form) for measure in MEASURES))
        return replace(self, measures=measures or ("ris",), forms=forms or ("norm",))

    def __call__(self, case: Case) -> Numbers:
        from pellucid.metrics.stability import stability_of

        seen = case.noisy(
            noise=self.noise, sigma=self.sigma, between=self.between, draws=self.draws,
            layer=self.layer if "rrs" in self.measures else None,
        )  # fmt: skip
        values = stability_of(seen, form="both" if len(self.forms) == 2 else self.forms[0], eps_min=self.eps_min)
        ending = NOISES[self.noise]
        named = {name + ending: value for name, value in values.items() if name != "coverage"}
        return {name: value for name, value in named.items() if name in self.columns} | {
            self._coverage: values["coverage"]
        }

    def settings(self, column: str, model: Any = None, seed: int = 0) -> Mapping[str, Any]:
        told = told_noise(self) | ({} if column == self._coverage else {"eps_min": self.eps_min})
        return told | ({"layer": self.layer} if column.startswith("rrs") else {})


METRICS: tuple[Metric, ...] = tuple(
    RelativeStability(noise=noise, measures=MEASURES, forms=FORMS) for noise in get_args(Noise)
)
"""With all their columns, in the order of every table."""
