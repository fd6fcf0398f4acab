"""The model card of a run: what it was trained on and how, what was measured with which certainty, and what was not."""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pellucid import __version__
from pellucid.config import read_yaml
from pellucid.exports.exported_network import ExportedNetwork
from pellucid.exports.usage import plain, use
from pellucid.report.caveats import caveats
from pellucid.report.measures import saliency_title, written
from pellucid.report.words import training_words
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import told_commit
from pellucid.runs.evaluated import Run
from pellucid.runs.measures import Measure
from pellucid.statistics import Interval

__all__ = ["Card", "card_of", "rendered"]

HUB_NAMES = {
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "mnist": "ylecun/mnist",
    "cifar10": "uoft-cs/cifar10",
}
"""What the Hub calls datasets that pellucid knows."""

LISTED = 20
"""Classes that a card names at most."""


@dataclass(frozen=True, eq=False)
class Card:
    """What a model card is made of.

    Attributes:
        exported: the network.
        run: its measured run; None where nothing was measured.
        config: experiment.yaml as plain data.
        environment: what environment.json holds.
        license: identifier of the licence that its author gives it; None where none was said.
    """

    exported: ExportedNetwork
    run: Run | None
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    license: str | None = None

    @property
    def main(self) -> list[tuple[Measure, Interval]]:
        """The few main numbers that exist, with their intervals over the test images."""
        if self.run is None:
            return []
        measured = [(measure, measure.interval(self.run)) for measure in self.run.measures.values() if measure.is_main]
        return [(measure, interval) for measure, interval in measured if interval.n]

    @property
    def dataset(self) -> str:
        """What tables call the dataset."""
        facts = RunDirectory(self.exported.run).facts
        told = facts.name if facts is not None else self.run.info["dataset"] if self.run is not None else None
        return str(told or self.exported.experiment.dataset.name)


def card_of(exported: ExportedNetwork, run: Run | None, *, license: str | None = None) -> Card:
    """The card of an exported network.

    Args:
        exported: the network.
        run: its measured run; None where nothing was measured.
        license: identifier of a licence, such as ``apache-2.0``.
    """
    directory = RunDirectory(exported.run)
    environment = (
        json.loads(directory.environment.read_text(encoding="utf-8")) if directory.environment.exists() else {}
    )
    return Card(exported, run, read_yaml(directory.experiment), environment, license)


def rendered(card: Card, *, picture: str | None = None, map_title: str = "", library: str | None = None) -> str:
    """The card as Markdown behind YAML, as the Hugging Face Hub reads it.

    Args:
        card: what it says.
        picture: file of the maps beside it; none where none were kept.
        map_title: whose maps the picture shows.
        library: the library that makes the network of the folder by itself, ``timm`` or ``transformers``.
    """
    head = yaml.safe_dump(_front_matter(card, library), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        f"# {plain(card.exported.name)}",
        _summary(card),
        f"## Use\n\n{use(card.exported, library)}",
        f"## Data\n\n{_data(card)}",
        f"## Training\n\n{_training(card)}",
        f"## Numbers\n\n{_numbers(card)}",
        f"## Limits\n\n{_bullets(_limits(card))}",
    ]
    if picture is not None:
        shown = (
            f"Test images and the {map_title} maps of the class that the network predicts; each map is drawn from 0 to "
        )
        sections.append(f"## Maps\n\n{shown}its own 99th percentile.\n\n![Test images and their maps]({picture})")
    sections.append(f"## Made with\n\n{_made_with(card)}")
    return f"---\n{head}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(card: Card, library: str | None) -> dict[str, Any]:
    matter: dict[str, Any] = {}
    if card.license is not None:
        matter["license"] = card.license
    matter |= {
        "library_name": library or "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "saliency", "interpretability", "pellucid"],
    }
    data = card.exported.experiment.dataset
    hub = HUB_NAMES.get(data.name)
    if hub is not None:
        matter["datasets"] = [hub]
    if card.main:
        dataset = {"type": hub or "own", "name": plain(card.dataset), "split": str(card.run.info["split"])}  # type: ignore[union-attr]
        metrics = [
            {"type": _metric_type(measure), "name": _metric_name(measure), "value": round(interval.mean, 6)}
            for measure, interval in card.main
        ]
        task = {"type": "image-classification"}
        results = [{"task": task, "dataset": dataset, "metrics": metrics}]
        matter["model-index"] = [{"name": card.exported.name, "results": results}]
    return matter


def _metric_type(measure: Measure) -> str:
    return "accuracy" if measure.name == "clean_accuracy" else measure.name


def _metric_name(measure: Measure) -> str:
    return measure.title + (f", {saliency_title(measure.saliency)}" if measure.saliency else "")


def _summary(card: Card) -> str:
    exported = card.exported
    channels, height, width = exported.shape
    weights = _weights_of(exported)
    return (
        f"An image classifier of {len(exported.classes)} classes for images of {height} × {width} pixels "
        f"({'grey' if channels == 1 else f'{channels} channels'}): `{exported.experiment.network.name}` with "
        f"{weights:,} weights, trained by {training_words(card.config)}"
        + (", and measured for how far its saliency maps can be trusted." if card.run is not None else ".")
    )


def _weights_of(exported: ExportedNetwork) -> int:
    return sum(parameter.numel() for parameter in exported.network.parameters())


def _data(card: Card) -> str:
    facts, exported = RunDirectory(card.exported.run).facts, card.exported
    more = f" and {len(exported.classes) - LISTED} more" if len(exported.classes) > LISTED else ""
    lines = [f"Name: {plain(card.dataset)}"]
    if facts is not None and facts.images:
        lines.append(f"Training images: {facts.images:,}, with the fingerprint `{facts.fingerprint}`")
    if card.run is not None:
        lines.append(f"Measured on: {card.run.rows.num_rows:,} images of the {card.run.info['split']} split")
    lines.append(f"Classes, in the order of the logits: {plain(', '.join(exported.classes[:LISTED]) + more)}")
    if exported.experiment.dataset.labels == "shuffled":
        lines.append("The labels of the training images were shuffled on purpose: the network is a control.")
    return _bullets(lines)


def _training(card: Card) -> str:
    experiment = card.exported.experiment
    if not experiment.epochs:
        return "None: the network is as it was given."
    doc = " ".join((inspect.getdoc(type(experiment.method)) or "").split())
    source = re.search(r"Source: (.+?)(?:(?<!al)\. |\.?$)", doc)
    lines = [f"Method: {training_words(card.config)}"]
    if settings := card.config["method"].get("init_args"):
        lines.append(f"Its settings: {_settings(settings)}")
    if source is not None:
        lines.append(f"Source of the method: {source[1].replace('``', '`')}")
    optimizer, schedule = experiment.optimizer, experiment.schedule
    lines.append(
        f"{experiment.epochs} epoch{'s' * (experiment.epochs != 1)} in batches of {experiment.batch_size}, "
        f"{optimizer.name} with a learning rate of {optimizer.lr:g} ({schedule.name}), precision "
        f"{experiment.precision}, seed {experiment.seed}"
    )
    if fine_tuning := card.config.get("fine_tuning"):
        lines.append(f"Fine-tuning: {_settings(fine_tuning)}")
    if experiment.network.weights is not None or experiment.network.options.get("pretrained"):
        lines.append("Training began from weights that were there before.")
    return _bullets(lines)


def _settings(settings: Mapping[str, Any]) -> str:
    """Nested plain data in one line."""
    line = yaml.safe_dump(dict(settings), default_flow_style=True, width=10_000).strip()
    return f"`{line.removeprefix('{').removesuffix('}')}`" if "`" not in line else plain(line)


def _numbers(card: Card) -> str:
    if card.run is None:
        return "None: the network was never measured. `pellucid evaluate` measures it."
    head = ("Question", "Number", "Map", "Value", "95 % interval", "Better", "Images")
    rows = [f"| {' | '.join(head)} |", "| --- | --- | --- | ---: | --- | --- | ---: |"]
    meanings: dict[str, str] = {}
    maps: dict[str, str] = {}
    for measure, interval in card.main:
        mean, low, high = written(interval, measure)
        value = f"{mean} {measure.unit}".rstrip()
        drawn = saliency_title(measure.saliency) if measure.saliency else ""
        better = {1: "higher", -1: "lower", 0: "neither"}[measure.sign]
        cells = [measure.column.question, measure.title, drawn, value, f"{low} to {high}", better, f"{interval.n:,}"]
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
        settings = {key: value for key, value in measure.column.parameters.items() if key != "saliency"}
        told = f" Settings: {_settings(settings)}." if settings else ""
        origin = f" Source: {plain(measure.column.source)}." if measure.column.source else ""
        meanings.setdefault(measure.own_name, f"**{plain(measure.title)}**: {plain(measure.definition)}{told}{origin}")
        if "saliency" in measure.column.parameters:
            maps[drawn] = f"**{drawn}**: `{measure.column.parameters['saliency']}`"
    note = (
        "The intervals are over test images. They say how this one trained network would do on other "
        "images of the same kind, and nothing of another training with another seed."
    )
    return "\n".join(rows) + f"\n\n{note}\n\n{_bullets([*meanings.values(), *maps.values()])}"


def _limits(card: Card) -> list[str]:
    said = []
    run = card.run
    if run is None:
        said.append("Nothing was measured: neither how often the network is right nor whether its maps can be trusted.")
    else:
        said += caveats(run)
        measured = {measure.own_name for measure in run.measures.values()}
        columns = set(run.rows.column_names)
        if "randomisation" not in columns:
            said.append(
                "Whether the maps depend on what the network has learned was not checked; `pellucid evaluate --metrics "
                "sanity` checks it."
            )
        if not {"robust_accuracy", "autoattack_correct"} & measured:
            said.append("Robustness against changed pixels was not measured.")
        elif "masking_many_step" not in columns:
            said.append(
                "Robust accuracy is that against one attack, of which it was not checked whether it is too weak; "
                "`pellucid evaluate --metrics masking` checks it."
            )
        if not any(name.startswith("mass") for name in measured):
            said.append(
                "What decides the class was not marked in the test images: it is unknown whether the maps lie on it."
            )
    said.append(
        "A map shows to which pixels the score of the predicted class is sensitive. It does not show that the network "
        "is right, nor why it decided, and a person has to judge it beside the image."
    )
    said.append(
        f"The numbers and maps are of images like {plain(card.dataset)}; images from elsewhere were not looked at."
    )
    if card.license is None:
        said.append("No licence was stated; its author has to, before it is published.")
    return said


def _made_with(card: Card) -> str:
    facts = card.environment
    lines = [f"pellucid {facts.get('pellucid', __version__)}"]
    if facts:
        versions = ", ".join(f"{name} {version}" for name, version in facts.get("packages", {}).items() if version)
        lines[0] += f", commit {told_commit(facts)}" if "commit" in facts else ""
        lines.append(f"Python {facts.get('python')}, {versions}")
        lines.append(f"Trained on {facts.get('device')}, begun {facts.get('started')}")
    lines.append(f"Seed {card.exported.experiment.seed}; exported by pellucid {__version__}")
    return _bullets(lines)


def _bullets(lines: Sequence[str] | Mapping[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|")
