"""The sections of figures of a report; what each shows is told in ``sections.yaml``."""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml

from pellucid.metrics.survival import Survival
from pellucid.report import figures, training
from pellucid.report.drawing import Styles
from pellucid.report.gallery import extremes, snapshots, strips
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["sections"]

COMPARED = ("robust_accuracy", "mass", "gini", "faithfulness_normalised_mean", "ris")
"""The measures that are drawn against accuracy, beside those of one's own that have a contest."""


def sections(
    runs: Sequence[Run],
    summaries: Mapping[str, Mapping[str, Interval]],
    style: Styles,
    baseline: Run,
    measures: Sequence[Measure],
    survived: Mapping[str, Mapping[str, Survival]],
) -> list[dict[str, Any]]:
    """The sections that have something to show, in their order on the page.

    Args:
        runs: runs that may be compared.
        summaries: `pellucid.report.table.summarise` of each, by name.
        style: of each.
        baseline: one of them.
        measures: that any of them has.
        survived: for each run's name what `pellucid.report.caveats.survivals` says.

    Returns:
        Of each section ``id``, ``title``, ``text``, ``panels``, ``notes``, ``strips`` and ``extremes``.
    """
    methods = list(dict.fromkeys(method for run in runs for method in run.saliency_methods))
    further = list(dict.fromkeys(name for run in runs for name in run.per_sample if name != "q"))

    def of_maps(draw: Callable[[Sequence[Run], Styles, str], list[Any]]) -> list[Any]:
        return [panel for method in methods for panel in draw(runs, style, method)]

    trade_offs = [
        measure
        for measure in measures
        if measure.own_name in COMPARED or (measure.is_foreign and measure.column.contest)
    ]
    content: dict[str, dict[str, Any]] = {
        "curves": {"panels": of_maps(figures.perturbation)},
        "distributions": {"panels": of_maps(figures.distributions)},
        "stability": {"panels": of_maps(figures.stability)},
        "randomised": {
            "panels": of_maps(figures.randomisation),
            "notes": [
                {"method": method, "name": name, "verdict": survival.verdict, "text": survival.sentence()}
                for name, of_run in survived.items()
                for method, survival in of_run.items()
            ],
            "strips": [strip for method in methods for strip in strips(runs, method)],
        },
        "robustness": {"panels": figures.robustness(runs, style)},
        "curvature": {"panels": figures.curvature(runs, style)},
        "trade-offs": {"panels": figures.trade_offs(runs, summaries, style, trade_offs)},
        "q": {"panels": training.sample_panels(runs, style), "extremes": extremes(runs)},
        "sample-numbers": {
            "panels": [panel for name in further for panel in training.sample_panels(runs, style, name)],
            "extremes": [row for name in further for row in extremes(runs, name)],
        },
        "snapshots": {"panels": [], "strips": snapshots(runs)},
        "training": {"panels": training.training(runs, style, baseline)},
    }
    words = yaml.safe_load(files("pellucid.report").joinpath("sections.yaml").read_text(encoding="utf-8"))
    return [
        {"id": name, "short": words[name]["short"], "title": words[name]["title"]}
        | {"text": words[name]["text"].format(points=f"{figures.POINTS:,}")}
        | {"notes": [], "strips": [], "extremes": []}
        | shown
        for name, shown in content.items()
        if shown["panels"] or shown.get("strips")
    ]
