"""The trust card of one image as plain data: what the network says, its maps, how far each can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pellucid import __version__
from pellucid.explanation.evidence import Evidence
from pellucid.explanation.next_step import next_step
from pellucid.explanation.trust_metrics import PredictionKept, RandomMaps, Steadiness
from pellucid.explanation.trust_rules import Judgement
from pellucid.metrics.column import Column
from pellucid.metrics.suite import COLUMNS
from pellucid.report.colours import Scale
from pellucid.report.measures import saliency_title
from pellucid.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pellucid.explanation.provenance import Provenance

__all__ = [
    "FIGURES", "FORMAT", "SHOWN", "Card", "Figure", "MapCard", "file_name", "percentile_words", "share", "written",
]  # fmt: skip

FORMAT = 1
"""The version of a card's JSON and NumPy file."""


FIGURES: dict[str, Column] = {
    "faithfulness": Column(
        title="Faithfulness",
        definition="Confidence lost while what the map marks most is destroyed, minus that lost while what it marks "
        "least is (AOPC MoRF − LeRF). A random map has about 0.",
        direction="higher",
    ),
    "beats_random": Column(
        title="Beats random maps",
        definition="Share of random maps on this image, each with its reverse, that have a lower faithfulness.",
        direction="higher",
        scale=100,
        unit="%",
    ),
    **Steadiness.columns,
    **PredictionKept.columns,
    "ris": replace(COLUMNS["ris"], title="Change with the picture (RIS)"),
    "ros": replace(COLUMNS["ros"], title="Change with the answer (ROS)"),
    "gini": replace(COLUMNS["gini"], title="Sparsity (Gini)"),
    "aopc_morf": COLUMNS["aopc_morf"],
    "aopc_lerf": COLUMNS["aopc_lerf"],
    "random_aopc": RandomMaps.columns["random_aopc"],
}
"""The meaning of the card's own figures, in the order in which they are told."""

SHOWN = ("faithfulness", "beats_random", "similarity", "stability_coverage", "ris", "ros", "gini")
"""Figures of the picture and the page, before those of further metrics; the files hold all."""


SETTINGS = {
    "saliency": "Kinds of map",
    "channels": "How channels are combined",
    "fraction": "Share that is covered",
    "steps": "Steps of the covering",
    "repeats": "Draws of the covering noise",
    "region": "Side of the covered squares in pixels",
    "fill": "Covered with",
    "score": "What the covering should lower",
    "noise": "Kind of noise",
    "sigma": "σ of the noise",
    "draws": "Noisy maps",
    "draws_of": "Noisy maps by kind",
    "predictions": "Noisy predictions",
    "random_maps": "Random maps",
    "seed": "Seed",
    "metrics": "Further figures",
}
"""The settings of an examination as people call them."""


@dataclass(frozen=True)
class Figure:
    """One number about a map.

    Attributes:
        column: what it means.
        value: None where it is undefined.
        percentile: share in percent of the reference images whose map is worse; None where there is no reference.
    """

    column: Column
    value: float | None
    percentile: float | None = None


@dataclass(frozen=True, eq=False)
class MapCard:
    """One map with its figures and what the rules say of it.

    Attributes:
        method: name of the saliency method.
        title: as people call it.
        judgement: of the rules.
        figures: by name.
        heatmap: (h, w) float32, non-negative.
        attribution: (c, h, w) float32, signed.
        evidence: covered and noisy pictures and what the network made of them; None where none was kept.
    """

    method: str
    title: str
    judgement: Judgement
    figures: dict[str, Figure]
    heatmap: npt.NDArray[np.float32]
    attribution: npt.NDArray[np.float32]
    evidence: Evidence | None = None

    def drawn(self, scale: Scale) -> npt.NDArray[np.float32]:
        """What is drawn on a scale, (h, w): the heatmap, or on a signed one the mean of the attribution's channels."""
        signed: npt.NDArray[np.float32] = self.attribution.mean(axis=0)
        return signed if scale.signed else self.heatmap

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the map alone."""
        from pellucid.explanation.notebook import map_png

        return map_png(self)

    @property
    def shown(self) -> tuple[Figure, ...]:
        """The figures of the picture and the page: `SHOWN`, then those of further metrics."""
        further = (figure for name, figure in self.figures.items() if name not in FIGURES and figure.column.shown)
        return (*(self.figures[name] for name in SHOWN), *further)


@dataclass(frozen=True, eq=False)
class Card:
    """Everything about one image.

    Attributes:
        source: the file.
        stored: its width and height.
        notes: what was done to it.
        network: name of the network.
        image: (h, w) or (h, w, 3) uint8, what the network saw.
        top: class number, name and probability of the likeliest classes.
        target: class number, name and probability of the class that is explained.
        maps: the first is the one that the card speaks of.
        agreement: rank correlation of two methods' maps.
        reference: what the percentiles are of, in words; None without.
        settings: of the examination, as plain data.
        scale: how the numbers of its maps become colours.
        in_colour: whether the picture has colours that the network does not see.
        provenance: where it comes from; None of a card that was not made of a network and a picture.
    """

    source: str
    stored: tuple[int, int]
    notes: tuple[str, ...]
    network: str
    image: npt.NDArray[np.uint8]
    top: tuple[tuple[int, str, float], ...]
    target: tuple[int, str, float]
    maps: tuple[MapCard, ...]
    agreement: dict[tuple[str, str], float]
    reference: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)
    in_colour: bool = False
    provenance: "Provenance | None" = None

    @property
    def judgement(self) -> Judgement:
        """That of the first map."""
        return self.maps[0].judgement

    @property
    def next_step(self) -> str:
        """What its reader should do next."""
        return next_step(self)

    @property
    def told_settings(self) -> tuple[tuple[str, str], ...]:
        """Title and value of each setting of the examination, for people."""
        told = dict(self.settings)
        told |= {key: list(map(saliency_title, told[key])) for key in ("saliency",) if key in told}
        told |= {
            key: {saliency_title(name): n for name, n in told[key].items()} for key in ("draws_of",) if key in told
        }
        return tuple((SETTINGS.get(key, key.replace("_", " ")), _setting(value)) for key, value in told.items())

    def as_json(self) -> dict[str, Any]:
        """Plain data without the pixels, ready for JSON; undefined numbers are None."""
        return {
            "format": FORMAT,
            "pellucid": __version__,
            "source": self.source,
            "stored": {"width": self.stored[0], "height": self.stored[1]},
            "notes": list(self.notes),
            "network": self.network,
            "prediction": [_class(*likely) for likely in self.top],
            "explained": _class(*self.target),
            "judgement": self.judgement.level,
            "sentence": self.judgement.sentence,
            "fault": self.judgement.fault,
            "next_step": self.next_step,
            "maps": {
                map_.method: {
                    "judgement": map_.judgement.level,
                    "sentence": map_.judgement.sentence,
                    "reasons": list(map_.judgement.reasons),
                    "fault": map_.judgement.fault,
                    "checks": [asdict(check) for check in map_.judgement.checks],
                    "figures": {
                        name: {"value": figure.value, "percentile": figure.percentile}
                        for name, figure in map_.figures.items()
                    },
                    "evidence": _numbers(map_.evidence),
                }
                for map_ in self.maps
            },
            "agreement": [{"maps": list(pair), "rank_correlation": value} for pair, value in self.agreement.items()],
            "reference": self.reference,
            "settings": dict(self.settings),
            "provenance": None if self.provenance is None else self.provenance.as_json(),
        }

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of the card."""
        from pellucid.explanation.notebook import card_html

        return card_html(self)

    def _repr_png_(self) -> bytes:
        """The picture of the card, for what shows pictures but no pages."""
        from pellucid.explanation.drawing import png

        return png(self)

    def plot(self, method: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """Draw a map over the picture with matplotlib, to stand among figures of one's own.

        Args:
            method: name of the map, as in ``maps``; the first by default.
            ax: axes to draw on; new ones by default.

        Returns:
            The axes.

        Raises:
            InputError: no map of that name.
        """
        from pellucid.explanation.notebook import plotted

        return plotted(self, method, ax)

    def _repr_markdown_(self) -> str:
        """What a notebook without pictures shows: the sentence, and the figures of each map."""
        from pellucid.explanation.notebook import card_markdown

        return card_markdown(self)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For `numpy.savez_compressed`: ``image``, and of each map ``heatmap/NAME`` and ``attribution/NAME``."""
        arrays: dict[str, npt.NDArray[Any]] = {"image": self.image}
        for map_ in self.maps:
            arrays[f"heatmap/{map_.method}"] = map_.heatmap
            arrays[f"attribution/{map_.method}"] = map_.attribution
        return arrays


def file_name(card: Card) -> str:
    """The name of the picture's file, without its folders."""
    return Path(card.source).name


def _class(position: int, name: str, probability: float) -> dict[str, Any]:
    return {"class": position, "name": name, "probability": probability}


def _numbers(evidence: Evidence | None) -> dict[str, Any] | None:
    """The evidence without its pictures."""
    if evidence is None:
        return None
    covering = evidence.covering
    return {
        "covered_share": covering.share,
        "probability": covering.clean,
        "most_marked_covered": covering.marked,
        "least_marked_covered": covering.unmarked,
        "random_covered": list(covering.random),
        "noisy_copies": [
            {"probability": copy.probability, "rank_correlation": copy.correlation if math.isfinite(copy.correlation)
             else None}
            for copy in evidence.copies
        ],
    }  # fmt: skip


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{key} {_setting(part)}" for key, part in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(map(_setting, value)) or "–"
    return "–" if value is None else number(value).replace("_", " ")


def written(figure: Figure) -> str:
    """A figure's value for people.

    >>> [written(Figure(FIGURES[name], value)) for name, value in (("ris", 12.728), ("beats_random", 1), ("ros", None))]
    ['12.7', '100 %', '–']
    """
    if figure.value is None or not math.isfinite(figure.value):
        return "–"
    value, unit = figure.value * figure.column.scale, figure.column.unit
    decimals = 0 if unit == "%" else 2 if abs(value) < 10 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f} {unit}".strip().replace("-", "−")


def share(probability: float) -> str:
    """A probability for people.

    >>> share(0.943), share(0.0021), share(0.0)
    ('94 %', '< 1 %', '0 %')
    """
    return "< 1 %" if 0 < probability < 0.005 else f"{100 * probability:.0f} %"


def percentile_words(figure: Figure) -> str:
    """Where a figure stands in the reference.

    >>> percentile_words(Figure(FIGURES["gini"], 0.5, 83.2)), percentile_words(Figure(FIGURES["gini"], 0.5))
    ('better than 83 %', '')
    """
    return "" if figure.percentile is None else f"better than {figure.percentile:.0f} %"
