"""A sentence that numbers can confirm or refute, and what became of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pellucid.core.errors import InputError
from pellucid.papers import measured
from pellucid.papers.background import with_background
from pellucid.papers.measured import FloatArray
from pellucid.report.table import interval_data
from pellucid.runs.evaluated import Run
from pellucid.statistics import Interval, mean_interval
from pellucid.statistics.seeds import hierarchical_interval, hierarchical_ratio, hierarchical_statistic

__all__ = ["Claim", "checked"]

Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Claim:
    """A sentence that numbers can confirm or refute: how one run's number lies to another's.

    Args:
        text: the sentence.
        metric: name, as in `pellucid compare`, or ``time``.
        run: the run it speaks of.
        baseline: the run it is held against; none where the run's own number is.
        kind: ``difference``, run minus baseline; ``factor``, run by baseline; ``typical``, the geometric mean over
            images of run by baseline, for numbers whose mean a few images decide; ``value`` without a baseline;
            ``correlation``, of the metric ``q`` or ``q_within_class`` without a baseline: how it goes with the
            background of training pictures, of all or of those of one class.
        whose: ``paper``, a sentence of the paper; ``ours``, a bound or a control of ours.
        eps: of robust accuracy, the radius of ``robust_grid`` that it is at; that of the table's column by default.
        from_clean: of accuracies while pixels are masked, take what is lost from the clean accuracy of the same images.
        low: the least difference or factor that the claim allows; none where it has no lower bound.
        high: the greatest.
    """

    text: str
    metric: str
    run: str
    baseline: str = ""
    _: KW_ONLY
    kind: Literal["difference", "factor", "typical", "value", "correlation"] = "difference"
    whose: Literal["paper", "ours"] = "ours"
    eps: float | None = None
    from_clean: bool = False
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.from_clean and (self.kind != "difference" or not self.metric.startswith("road_")):
            raise InputError(
                f"from_clean is of differences of road_morf or road_lerf, got {self.kind} of {self.metric}"
            )

    def verdict(self, interval: Interval) -> str:
        """``confirmed`` where all of an interval is allowed, ``refuted`` where none of it is, or ``cannot be told``."""
        verdicts = set()
        for bound, sign in ((self.low, 1), (self.high, -1)):
            if bound is not None:
                low, high = sorted((sign * (interval.low - bound), sign * (interval.high - bound)))
                verdicts.add("confirmed" if low >= 0 else "refuted" if high < 0 else "cannot be told")
        # Two networks that no image tells apart, such as two that withstand no attack, show nothing either way.
        if not interval.n or interval.low == interval.high in (self.low, self.high):
            return "cannot be told"
        return next(word for word in ("refuted", "cannot be told", "confirmed") if word in verdicts)


def checked(claim: Claim, runs: Runs, n: int, times: Mapping[str, Interval] | None = None) -> dict[str, Any]:
    """A claim with the number found and the verdict, ready for JSON.

    A verdict on robust accuracy must hold under all attacks of that radius that were made.

    Args:
        claim: what is checked.
        runs: by name, a run for each seed.
        n: measured images.
        times: of a training step, by name.
    """
    interval = times[claim.run] if times and claim.metric == "time" else _interval(claim, runs, n)
    verdict, doubted = claim.verdict(interval), False
    if verdict != "cannot be told" and _is_of_attack(claim, runs):
        names = [name for name in (claim.run, claim.baseline) if name]
        attacked = {name: [_under_every_attack(run) for run in runs[name]] for name in names}
        doubted = verdict != claim.verdict(_interval(replace(claim, eps=None), attacked, n))
    told = ("text", "metric", "run", "baseline", "kind", "whose", "eps", "from_clean")
    return {name: getattr(claim, name) for name in told} | {
        "allowed": [claim.low, claim.high],
        "found": interval_data(interval),
        "verdict": "cannot be told" if doubted else verdict,
        "attack_too_weak": doubted,
    }


def _interval(claim: Claim, runs: Runs, n: int) -> Interval:
    """The number that a claim is about."""
    if claim.kind == "correlation":
        return with_background(runs[claim.run], within_class=claim.metric == "q_within_class")
    if claim.kind == "value":
        return measured.interval(runs[claim.run], claim.metric, n)
    if claim.kind == "typical":
        return _typical(runs[claim.run], runs[claim.baseline], claim.metric)
    both = [runs[claim.run], runs[claim.baseline]]
    if claim.from_clean:
        run, baseline = ([measured.mean(_change_by_masking(claim.metric, seed)) for seed in seeds] for seeds in both)
    elif claim.eps is not None:
        run, baseline = ([measured.mean(_correct_at(claim.eps, seed)) for seed in seeds] for seeds in both)
    else:
        (run, baseline), n = measured.statistics(both, claim.metric, n)
    if claim.kind == "difference":
        found = hierarchical_statistic([run, baseline], n, function=lambda means: means[0] - means[1])
        return found if claim.from_clean else measured.not_certain(found, claim.metric)
    return hierarchical_ratio(run, baseline, n)


def _typical(runs: Sequence[Run], baselines: Sequence[Run], metric: str) -> Interval:
    """Geometric mean of the factors between two trainings of a seed, over the images that all networks have."""
    values = [(run.values(metric), baseline.values(metric)) for run, baseline in zip(runs, baselines, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array([np.log(numerator) - np.log(divisor) for numerator, divisor in values])
    logs[~np.isfinite(logs)] = np.nan
    mean_log = hierarchical_interval(logs) if len(logs) > 1 else mean_interval(logs[0])
    return Interval(math.exp(mean_log.mean), math.exp(mean_log.low), math.exp(mean_log.high), mean_log.n)


def _change_by_masking(metric: str, run: Run) -> FloatArray:
    """Accuracy of each measured image while its pixels are masked, less that of the whole image, (n,)."""
    return np.asarray(run.values(metric) - run.right, dtype=np.float64)


def _correct_at(eps: float, run: Run) -> FloatArray:
    """Whether each image withstands the attack of one radius of the robust curve, (n,)."""
    radii = run.columns["robust_curve"]["parameters"]["eps"]
    return run.curves("robust_curve")[:, int(np.argmin(np.abs(np.array(radii) - eps)))]


def _is_of_attack(claim: Claim, runs: Runs) -> bool:
    """Whether a claim is of robust accuracy at the radius at which further attacks were made."""
    if claim.metric != "robust_accuracy":
        return False
    radius = measured.robust_eps(runs[claim.run][0])
    return radius is not None and (claim.eps is None or math.isclose(claim.eps, radius))


def _under_every_attack(run: Run) -> Run:
    """The run with only those images robustly right that withstood every attack of that radius that was measured."""
    attacks = [name for name in run.rows.column_names if name.startswith("masking_") and name != "masking_unbounded"]
    if "autoattack_correct" in run.columns:
        same_radius = run.columns["autoattack_correct"]["parameters"]["eps"] == measured.robust_eps(run)
        attacks += ["autoattack_correct"] * same_radius
    right = np.fmin.reduce([run.values(name) for name in ("robust_correct", *attacks)])  # of those that are known
    place = run.rows.column_names.index("robust_correct")
    return replace(run, rows=run.rows.set_column(place, "robust_correct", pa.array(right)))
