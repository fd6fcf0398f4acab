"""What a reader must know before believing a run's numbers: attacks too weak to count, maps that ignore the network."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pellucid.metrics.suite import COLUMNS, column_name, split
from pellucid.metrics.survival import Survival, survives
from pellucid.report.measures import saliency_title
from pellucid.runs.evaluated import Run
from pellucid.runs.masking import attack_caveats

__all__ = ["caveats", "merged", "survivals"]


def caveats(run: Run) -> list[str]:
    """Sentences for a table's footnote; none where nothing was checked or nothing is wrong.

    From the checks that every evaluation makes beside robust accuracy, the masking probes, where they were measured,
    and AutoAttack of the same radius: signs that an attack is too weak, so that robust accuracy only looks high. From
    the randomised networks: saliency methods whose maps stay the same without what was learned. And ratios that do not
    exist, since what they divide by may be 0.

    Args:
        run: an evaluated run.

    Returns:
        A sentence for each sign.
    """
    return [*attack_caveats(run), *_sanity(run), *_undivided(run)]


def survivals(run: Run) -> dict[str, Survival]:
    """For each saliency method whose sanity was checked, whether its maps survive when all layers are random."""
    survived = {}
    for method in run.saliency_methods:
        name = column_name("randomisation", method)
        if name not in run.rows.column_names:
            continue
        curves, layers = run.curves(name), run.columns[name]["parameters"]["layers"]
        baselines = {
            words: run.values(column_name(column, method))
            for column, words in (
                ("randomisation_edges", "with the image's edges"),
                ("randomisation_networks", "between two random networks"),
            )
            if column_name(column, method) in run.rows.column_names
        }
        survived[method] = survives(dict(zip(layers, curves.T, strict=True)), baselines=baselines)
    return survived


def _sanity(run: Run) -> list[str]:
    return [
        f"{saliency_title(method)} maps survive when every layer of the network is random (rank correlation above "
        f"{survival.threshold:g}): most of what they show is the images, not what the network has learned."
        for method, survival in survivals(run).items()
        if survival.verdict == "survives"
    ]


def _undivided(run: Run) -> list[str]:
    """Ratios that do not exist, by what they are divided by."""
    titles: dict[str, dict[str, None]] = {}
    methods: dict[str, dict[str, None]] = {}
    for measure in run.measures.values():
        if measure.divides(run) or np.isnan(measure.sample(run)[1]).all():
            continue
        name = split(measure.stored[1])[0]
        divisor = COLUMNS[name].title if name in COLUMNS else name
        titles.setdefault(divisor, {})[measure.title] = None
        if measure.saliency is not None:
            methods.setdefault(divisor, {})[saliency_title(measure.saliency)] = None
    return [
        f"{' and '.join(ratios)} is not shown{_of(methods.get(divisor, ()))}: it is divided by {divisor}, which may be "
        "0 (its interval reaches 0)."
        for divisor, ratios in titles.items()
    ]


def _of(methods: Collection[str]) -> str:
    return f" for the maps of {', '.join(methods)}" if methods else ""


def merged(said: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Each sentence once, with the runs it was said of.

    >>> merged({"a": ["Weak."], "b": ["Weak.", "Alike."]})
    {'Weak.': ['a', 'b'], 'Alike.': ['b']}
    """
    runs_of: dict[str, list[str]] = {}
    for name, sentences in said.items():
        for sentence in sentences:
            runs_of.setdefault(sentence, []).append(name)
    return runs_of
