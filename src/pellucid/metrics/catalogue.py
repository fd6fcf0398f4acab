"""Every number that can be stored or shown, with its title, definition, unit, better direction and source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = [
    "BARE",
    "COLUMNS",
    "DERIVED",
    "FAMILIES",
    "NOISES",
    "Column",
    "Direction",
    "Family",
    "stability_column",
]

Direction = Literal["higher", "lower", "none"]
Family = Literal[
    "prediction",
    "robustness",
    "masking",
    "curvature",
    "sparsity",
    "faithfulness",
    "stability",
    "similarity",
    "sensitivity",
    "sanity",
]

BARE = "vanilla_gradient"
"""The saliency method whose columns carry no suffix."""

FAMILIES: dict[Family, str] = {
    "prediction": "What the network says, and whether that is right.",
    "robustness": "Does the prediction survive an attack?",
    "masking": "Could the attack have been too weak, so that robustness only looks high?",
    "curvature": "How fast does the gradient turn around the image?",
    "sparsity": "Is the map concentrated?",
    "faithfulness": "Does the map point at what the network uses?",
    "stability": "How much does the map change, relative to what was changed?",
    "similarity": "Do the maps of an image and its noisy copies look alike?",
    "sensitivity": "What is the largest change of the map in a small box around the image?",
    "sanity": "Does the map depend on what the network has learned?",
}
"""Families of columns in the order of every table, each with its question; those from sparsity on are of a map."""

NOISES = {"gaussian": "", "uniform": "_uniform", "one-sided": "_one_sided"}
"""The noises of the stability measures, and how each is written at the end of a column's name."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The meaning of one number per image; `dataclasses.asdict` gives what is stored beside the rows.

    Args:
        title: what a table's head says.
        definition: one sentence.
        family: key of `FAMILIES`.
        unit: unit of the number, empty where it has none.
        direction: which way is better; ``none`` where neither is.
        parameters: the settings it was computed with.
        source: where the definition comes from.
        curve: whether an image has a list of numbers rather than one.

    >>> COLUMNS["gini"].title
    'Gini index'
    """

    title: str
    definition: str
    family: Family = "prediction"
    unit: str = ""
    direction: Direction = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    curve: bool = False


SAMEK = "Samek et al. 2017; protocol of Xu et al. 2023 (SCAAT)"
AGARWAL = "Agarwal et al. 2022, norm form of OpenXAI"
ELEMENTWISE = "Agarwal et al. 2022, equations 2, 3 and 5, as in Quantus"
ADEBAYO = "Adebayo et al. 2018"
MASKING = "Athalye, Carlini and Wagner 2018; Carlini et al. 2019"

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
    "robust_curve": Column(
        title="Robustness curve",
        definition="Whether the prediction is the label on the image and after every attack up to each radius.",
        direction="higher",
        source="Madry et al. 2018",
        curve=True,
    ),
    "autoattack_correct": Column(
        title="AutoAttack",
        definition="Whether the prediction is the label on the image and after each of the attacks of AutoAttack.",
        direction="higher",
        source="Croce and Hein 2020",
    ),
}

_MASKING = {
    f"masking_{probe}": Column(
        title=title,
        definition=f"Whether the prediction is the label on the image and after {attack}.",
        direction="none",
        source=MASKING,
    )
    for probe, title, attack in (
        ("one_step", "One-step attack", "an attack of one step of the whole radius"),
        ("many_step", "Many-step attack", "the attack that the other probes are held against"),
        ("long", "Longer attack", "five times as many steps of the attack"),
        ("restarts", "Restarted attack", "the attack from each of several random starts"),
        ("unbounded", "Unbounded attack", "an attack that may change every pixel to any value"),
        ("transfer", "Transferred attack", "the attack computed on another network"),
    )
}

_CURVATURE = {
    "gradient_variation": Column(
        title="Gradient variation",
        definition="Mean change of the input gradient of the explained class's logit per length of a random step.",
        direction="lower",
        source="Bhusal, Alam and Rastogi 2026, by finite differences",
    ),
    "top_hessian_eigenvalue": Column(
        title="Top Hessian eigenvalue",
        definition="Largest eigenvalue in size of the Hessian of the cross-entropy with respect to the pixels.",
        direction="lower",
        source="Bhusal, Alam and Rastogi 2026; power iteration",
    ),
    "hessian_trace": Column(
        title="Hessian trace",
        definition="Trace of the Hessian of the cross-entropy with respect to the pixels, estimated.",
        source="Hutchinson 1990",
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
    "png_kb": Column(
        title="Lossless size",
        definition="Size of the map as a grey PNG at native size, beyond that of a flat image.",
        unit="KiB",
        direction="lower",
        parameters={"codec": "PNG"},
        source="lossless companion of Xu et al. 2023 (SCAAT), table 1",
    ),
    "pixel_entropy": Column(
        title="Pixel entropy",
        definition="Entropy of the map divided by its sum, as a distribution over pixels.",
        unit="bit",
        direction="lower",
        source="Bhatt, Weller and Moura 2020 (complexity)",
    ),
    "hoyer": Column(
        title="Hoyer sparsity",
        definition="Sparsity by the ratio of the map's L1 and L2 norms: 0 when flat, 1 when one pixel holds all.",
        direction="higher",
        source="Hoyer 2004",
    ),
    "effective_complexity": Column(
        title="Effective complexity",
        definition="Number of pixels above a tenth of the map's maximum.",
        unit="pixels",
        direction="lower",
        parameters={"threshold": 0.1},
        source="Nguyen and Martínez 2020",
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
    "aopc_random": Column(
        title="AOPC random",
        definition="Mean loss of the target's probability while regions are replaced in random order: what a map that"
        " knows nothing would have.",
        source=SAMEK,
    ),
    "area_between": Column(
        title="Area between curves",
        definition="AOPC MoRF minus AOPC LeRF.",
        direction="higher",
        source="Schulz et al. 2020; Samek et al. 2017",
    ),
    "morf_curve": Column(
        title="MoRF curve",
        definition="Loss of the target's probability after each step, most relevant regions first; step 0 is 0.",
        direction="higher",
        source=SAMEK,
        curve=True,
    ),
    "lerf_curve": Column(
        title="LeRF curve",
        definition="Loss of the target's probability after each step, least relevant regions first; step 0 is 0.",
        direction="lower",
        source=SAMEK,
        curve=True,
    ),
    "random_curve": Column(
        title="Random curve",
        definition="Loss of the target's probability after each step, regions in random order; step 0 is 0.",
        source=SAMEK,
        curve=True,
    ),
    "road_morf": Column(
        title="ROAD MoRF",
        definition="Share of the removal steps after which the explained class is still predicted, most relevant pixels"
        " removed first by noisy linear imputation.",
        direction="lower",
        source="Rong et al. 2022",
    ),
    "road_lerf": Column(
        title="ROAD LeRF",
        definition="Share of the removal steps after which the explained class is still predicted, least relevant"
        " pixels removed first by noisy linear imputation.",
        direction="higher",
        source="Rong et al. 2022",
    ),
    "road_morf_curve": Column(
        title="ROAD MoRF curve",
        definition="Whether the explained class is still predicted after each share of the most relevant pixels is"
        " removed.",
        direction="lower",
        source="Rong et al. 2022",
        curve=True,
    ),
    "road_lerf_curve": Column(
        title="ROAD LeRF curve",
        definition="Whether the explained class is still predicted after each share of the least relevant pixels is"
        " removed.",
        direction="higher",
        source="Rong et al. 2022",
        curve=True,
    ),
    "insertion": Column(
        title="Insertion",
        definition="Area under the target's probability while the most relevant pixels appear on a blurred image.",
        direction="higher",
        source="Petsiuk, Das and Saenko 2018",
    ),
    "deletion": Column(
        title="Deletion",
        definition="Area under the target's probability while the most relevant pixels are blackened.",
        direction="lower",
        source="Petsiuk, Das and Saenko 2018",
    ),
}


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


def _stability() -> dict[str, Column]:
    found = {}
    of = {"ris": ("input", "the image"), "ros": ("output", "the logits"), "rrs": ("representation", "the features")}
    for noise in NOISES:
        tail = "" if noise == "gaussian" else f", {noise} noise"
        for form in ("norm", "elementwise"):
            for measure, (kind, what) in of.items():
                title = f"Relative {kind} stability" + (", elementwise" if form == "elementwise" else "") + tail
                how = "relative change" if form == "norm" else "norm of the pixel-by-pixel relative change"
                cause = {
                    "norm": f"per relative change of {what}",
                    "elementwise": f"per pixel-by-pixel relative change of {what}"
                    if measure != "ros"
                    else "per change of the logits",
                }[form]
                found[stability_column(measure, form=form, noise=noise)] = Column(
                    title=title,
                    definition=f"Largest {how} of the map {cause}, over noisy images of the same prediction; left"
                    " out of means where there is none or it is infinite.",
                    direction="lower",
                    parameters={"form": form, "noise": noise},
                    source=AGARWAL if form == "norm" else ELEMENTWISE,
                )
        found[stability_column("stability_coverage", noise=noise)] = Column(
            title="Stability coverage" + tail,
            definition="Share of the noisy images that keep the prediction.",
            direction="higher",
            parameters={"noise": noise},
            source="Agarwal et al. 2022",
        )
    return found


_SIMILARITY = {
    "map_ssim": Column(
        title="SSIM of noisy maps",
        definition="Mean structural similarity of the map and that of each noisy image of the same prediction; empty"
        " where there is none.",
        direction="higher",
        source="Bhusal, Alam and Rastogi 2026; Wang et al. 2004",
    ),
    "map_rank_correlation": Column(
        title="Rank correlation of noisy maps",
        definition="Mean Spearman correlation of the map and that of each noisy image of the same prediction; empty"
        " where there is none.",
        direction="higher",
        source="Ghorbani, Abid and Zou 2019",
    ),
}

_SENSITIVITY = {
    "local_lipschitz": Column(
        title="Local Lipschitz estimate",
        definition="Largest change of the map per change of the image within a small box.",
        direction="lower",
        source="Alvarez-Melis and Jaakkola 2018, equation 1",
    ),
    "max_sensitivity": Column(
        title="Max-sensitivity",
        definition="Largest relative change of the map within a small box around the image.",
        direction="lower",
        source="Yeh et al. 2019, as in Captum",
    ),
}

_SANITY = {
    "randomisation": Column(
        title="Randomised layers",
        definition="Rank correlation of the map with that of the network whose layers are made random one after the"
        " other, from the last to the first.",
        source=ADEBAYO,
        curve=True,
    ),
    "randomisation_last": Column(
        title="Fully randomised",
        definition="Rank correlation of the map with that of the network whose every layer is random.",
        direction="lower",
        source=ADEBAYO,
    ),
    "randomisation_edges": Column(
        title="Likeness to edges",
        definition="Rank correlation of the map with the image's edges, which know nothing of the network.",
        source=ADEBAYO,
    ),
    "randomisation_networks": Column(
        title="Two random networks",
        definition="Rank correlation of the maps of two networks whose every layer is random: what image and"
        " architecture alone decide.",
        source="Yona and Greenfeld 2021",
    ),
}


def _of(family: Family, table: Mapping[str, Column]) -> dict[str, Column]:
    return {name: replace(column, family=family) for name, column in table.items()}


COLUMNS: dict[str, Column] = (
    _of("prediction", _PREDICTION)
    | _of("robustness", _ROBUSTNESS)
    | _of("masking", _MASKING)
    | _of("curvature", _CURVATURE)
    | _of("sparsity", _SPARSITY)
    | _of("faithfulness", _FAITHFULNESS)
    | _of("stability", _stability())
    | _of("similarity", _SIMILARITY)
    | _of("sensitivity", _SENSITIVITY)
    | _of("sanity", _SANITY)
)
"""Every number that an evaluation can store per image, in the order of its table."""

DERIVED: dict[str, Column] = {
    "clean_accuracy": Column(
        title="Accuracy", definition="Share of images whose prediction is the label.", direction="higher"
    ),
    "balanced_accuracy": Column(
        title="Balanced accuracy",
        definition="Mean over the classes of the share of a class's images whose prediction is the label.",
        direction="higher",
        source="Brodersen et al. 2010",
    ),
    "auc": Column(
        title="AUC",
        definition="Area under the ROC curve of class 1's probability, of networks with two classes.",
        direction="higher",
        source="Hanley and McNeil 1982",
    ),
    "calibration_error": Column(
        title="Calibration error",
        definition="Mean distance of the predicted class's probability from the accuracy, over 15 bins of equal width.",
        direction="lower",
        parameters={"bins": 15},
        source="Guo et al. 2017, equation 3",
    ),
    "robust_accuracy": Column(
        title="Robust accuracy",
        definition="Share of images predicted as labelled both before and after the attack.",
        family="robustness",
        direction="higher",
        source="Madry et al. 2018",
    ),
    "aopc_rel": Column(
        title="AOPC ratio",
        definition="Mean AOPC MoRF over all images divided by mean AOPC LeRF, the latter at least 1e-6.",
        family="faithfulness",
        direction="higher",
        parameters={"floor": 1e-6},
        source="Xu et al. 2023 (SCAAT)",
    ),
}
"""Numbers that exist for a set of images only; every other shown number is the mean of a column."""
