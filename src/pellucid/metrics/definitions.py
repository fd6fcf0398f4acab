"""What every stored and shown number means, in words. Imports no torch, so that report and table can read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = ["BARE", "DERIVED", "Column", "column_name", "columns"]

Direction = Literal["higher", "lower", "none"]

BARE = "vanilla_gradient"
"""The saliency method whose columns carry no suffix."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The meaning of one number per image; `dataclasses.asdict` gives what is stored beside the rows.

    Args:
        title: what a table's head says.
        definition: one sentence.
        unit: unit of the number, empty where it has none.
        direction: which way is better; ``none`` where neither is.
        parameters: the settings it was computed with.
        source: where the definition comes from.

    >>> columns()["gini"].title
    'Gini index'
    """

    title: str
    definition: str
    unit: str = ""
    direction: Direction = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


SAMEK = "Samek et al. 2017; protocol of Xu et al. 2023 (SCAAT)"
AGARWAL = "Agarwal et al. 2022, norm form of OpenXAI"

_PREDICTION = {
    "index": Column(title="Index", definition="Position of the image in its split."),
    "label": Column(title="Label", definition="True class."),
    "prediction": Column(title="Prediction", definition="Class with the largest logit."),
    "score": Column(title="Score", definition="Softmax probability of the predicted class."),
}

_ROBUSTNESS = {
    "robust_correct": Column(
        title="Robustly correct",
        definition="Whether the prediction is the label on the image and after the attack on its cross-entropy.",
        direction="higher",
        source="Madry et al. 2018",
    ),
}

_SPARSITY = {
    "gini": Column(
        title="Gini index",
        definition="Concentration of the map: 0 when all pixels weigh the same, near 1 when few hold everything.",
        direction="higher",
        source="Hurley and Rickard 2009",
    ),
    "entropy": Column(
        title="Grey-level entropy",
        definition="Entropy of the 256 grey levels of the map scaled to its own maximum.",
        unit="bit",
        direction="lower",
        parameters={"bins": 256},
        source="Xu et al. 2023 (SCAAT), table 1",
    ),
    "size_kb": Column(
        title="Compressed size",
        definition="Size of the map as a grey JPEG at native size, beyond that of a flat image.",
        unit="KiB",
        direction="lower",
        parameters={"codec": "JPEG", "quality": 75},
        source="Xu et al. 2023 (SCAAT), table 1",
    ),
}

_FAITHFULNESS = {
    "aopc_morf": Column(
        title="AOPC MoRF",
        definition="Mean loss of the target's probability while the most relevant regions are replaced first.",
        direction="higher",
        source=SAMEK,
    ),
    "aopc_lerf": Column(
        title="AOPC LeRF",
        definition="Mean loss of the target's probability while the least relevant regions are replaced first.",
        direction="lower",
        source=SAMEK,
    ),
    "morf_curve": Column(
        title="MoRF curve",
        definition="Loss of the target's probability after each step, most relevant regions first; step 0 is 0.",
        direction="higher",
        source=SAMEK,
    ),
    "lerf_curve": Column(
        title="LeRF curve",
        definition="Loss of the target's probability after each step, least relevant regions first; step 0 is 0.",
        direction="lower",
        source=SAMEK,
    ),
}

_STABILITY = {
    "ris": Column(
        title="Relative input stability",
        definition="Largest relative change of the map per relative change of the image, over noisy images of the same"
        " prediction; empty where there is none.",
        direction="lower",
        source=AGARWAL,
    ),
    "ros": Column(
        title="Relative output stability",
        definition="Largest relative change of the map per relative change of the logits, over noisy images of the same"
        " prediction; empty where there is none.",
        direction="lower",
        source=AGARWAL,
    ),
    "stability_coverage": Column(
        title="Stability coverage",
        definition="Share of the noisy images that keep the prediction.",
        direction="higher",
        source=AGARWAL,
    ),
}

DERIVED: dict[str, Column] = {
    "clean_accuracy": Column(
        title="Accuracy", definition="Share of images whose prediction is the label.", direction="higher"
    ),
    "robust_accuracy": Column(
        title="Robust accuracy",
        definition="Share of images predicted as labelled both before and after the attack.",
        direction="higher",
        source="Madry et al. 2018",
    ),
    "aopc_rel": Column(
        title="AOPC ratio",
        definition="Mean AOPC MoRF over all images divided by mean AOPC LeRF, the latter at least 1e-6.",
        direction="higher",
        parameters={"floor": 1e-6},
        source="Xu et al. 2023 (SCAAT)",
    ),
}
"""Numbers that exist for a set of images only; every other shown number is the mean of a column."""


def column_name(measure: str, saliency: str = BARE) -> str:
    """Name of a measure's column for one saliency method: bare for the vanilla gradient, else with a suffix.

    Args:
        measure: such as ``gini``.
        saliency: name of the saliency method.

    Returns:
        The column's name.

    >>> column_name("gini"), column_name("gini", "smoothgrad")
    ('gini', 'gini/smoothgrad')
    """
    return measure if saliency == BARE else f"{measure}/{saliency}"


def columns(
    *,
    saliency: Sequence[str] = (BARE,),
    stability: Sequence[str] = (BARE,),
    perturbation: Mapping[str, Any] | None = None,
    noise: Mapping[str, Any] | None = None,
    attack: Mapping[str, Any] | None = None,
) -> dict[str, Column]:
    """Every column of one evaluation, in the order of its table, with the settings it was computed with.

    Args:
        saliency: names of the saliency methods that are measured.
        stability: names of those whose stability is measured too.
        perturbation: settings of the perturbation curves, such as ``{"fraction": 0.2, "steps": 20}``.
        noise: settings of the stability draws, such as ``{"sigma": 0.05, "draws": 10}``.
        attack: settings of the attack, such as ``{"eps": 0.1, "steps": 20}``.

    Returns:
        Column by name.

    >>> both = columns(saliency=("vanilla_gradient", "smoothgrad"), attack={"eps": 0.1})
    >>> both["gini/smoothgrad"].title, both["robust_correct"].parameters, "ris/smoothgrad" in both
    ('Gini index (smoothgrad)', {'eps': 0.1}, False)
    """
    table = dict(_PREDICTION) | _with(_ROBUSTNESS, attack)
    for name in saliency:
        measured = _SPARSITY | _with(_FAITHFULNESS, perturbation)
        if name in stability:
            measured |= _with(_STABILITY, noise)
        for measure, column in measured.items():
            title = column.title if name == BARE else f"{column.title} ({name.replace('_', ' ')})"
            table[column_name(measure, name)] = replace(column, title=title)
    return table


def _with(table: Mapping[str, Column], parameters: Mapping[str, Any] | None) -> dict[str, Column]:
    return {name: replace(column, parameters=dict(parameters or {})) for name, column in table.items()}
