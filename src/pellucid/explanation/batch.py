"""Pictures in, trust cards out: one after the other or thousands, whatever some of them are."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.explanation.card import FIGURES, Card, Figure, MapCard
from pellucid.explanation.card_files import Format, check_formats, check_out, file_names, write_card, write_index
from pellucid.explanation.contact_sheet import Entry
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.finding import Finding, examine
from pellucid.explanation.pictures import Picture, find, read, told
from pellucid.explanation.provenance import provenance_of
from pellucid.explanation.reference import Reference
from pellucid.explanation.trust_rules import judge
from pellucid.report.colours import Scale
from pellucid.report.measures import saliency_title, spoken_saliency

__all__ = ["Format", "Summary", "cards", "explain"]

TOP = 5


@dataclass(frozen=True)
class Summary:
    """What came of a batch.

    Attributes:
        made: one entry for each card: ``source``, ``prediction``, ``level``, ``sentence``, ``links`` (names of its
            files), ``predicted``, ``probability``, ``fault``, ``next_step``, ``beats_random``, ``steadiness``.
        skipped: one entry for each image without a card: ``source`` and ``reason``.
    """

    made: list[Entry] = field(default_factory=list)
    skipped: list[Entry] = field(default_factory=list)


def explain(
    subject: ExplainedNetwork,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    examination: Examination,
    reference: Reference | None = None,
    formats: Sequence[Format] = ("png", "html", "json"),
    target: str | int | None = None,
    batch_size: int = 8,
    progress: bool = True,
    scale: Scale = Scale(),
) -> Summary:
    """Write a trust card for each picture; what cannot be read is skipped and said.

    Of ``cat.jpg`` come ``cat-card.png``, ``cat-card.html``, ``cat-card.json`` and ``cat-card.npz``, as asked for; of
    more than one picture also ``summary.json``, ``cards.csv`` and, with ``html``, ``index.html``.

    Args:
        subject: the network, see `pellucid.explanation.explained_network`.
        sources: files, folders, ``-`` for standard input.
        out: the folder to write to.
        examination: what is measured.
        reference: what the percentiles are of.
        formats: of ``png``, ``html``, ``json`` and ``npz``.
        target: number or name of the class or label that is explained; the predicted one by default, of several labels
            the most probable.
        batch_size: images measured at once.
        progress: show a bar on a terminal.
        scale: how the numbers of the maps become colours.

    Returns:
        What was made and what was skipped.

    Raises:
        InputError: nothing to explain, a format or class that is none, numbers that cannot be.
    """
    check_formats(formats)
    out = check_out(out)
    named = set(map(str, sources))
    pictures = [source for source in find(sources) if source in named or not _is_card(source, out)]
    entries: dict[str, Entry] = {source: {} for source in pictures}
    names = dict(zip(pictures, file_names(pictures), strict=True))
    thumbnails: dict[str, str] = {}
    indexed = len(pictures) > 1
    shown = {"unit": "image", "dynamic_ncols": True, "disable": None if progress else True}
    made = cards(subject, pictures, examination, reference=reference, target=target, batch_size=batch_size)
    # One thread draws and writes what was measured while the next batch is.
    with tqdm(total=len(pictures), desc="explaining", **shown) as bar, ThreadPoolExecutor(max_workers=1) as writer:
        waiting: list[tuple[str, Future[tuple[Entry, str]]]] = []
        for source, card in made:
            bar.update()
            if isinstance(card, InputError):
                entries[source] = {"source": told(source), "reason": str(card)}
                continue
            card = replace(card, scale=scale)
            waiting.append((source, writer.submit(write_card, card, out, names[source], formats, indexed=indexed)))
            while len(waiting) > 2 * batch_size:
                done, written = waiting.pop(0)
                entries[done], thumbnails[done] = written.result()
        for done, written in waiting:
            entries[done], thumbnails[done] = written.result()
    summary = Summary(
        [entry for entry in entries.values() if "level" in entry],
        [entry for entry in entries.values() if "level" not in entry],
    )
    if summary.made and indexed:
        pictured = [thumbnails[source] for source in entries if source in thumbnails]
        write_index(summary.made, summary.skipped, pictured, out, formats)
    return summary


def cards(
    subject: ExplainedNetwork,
    sources: Sequence[str | Picture],
    examination: Examination,
    *,
    reference: Reference | None = None,
    target: str | int | None = None,
    batch_size: int = 8,
) -> Iterator[tuple[str, Card | InputError]]:
    """The card of each source, or why there is none; sources come in their order, but unreadable ones first.

    Args:
        subject: the network.
        sources: files, or ``-`` for standard input; folders are not searched. A picture that was read is one, too.
        examination: what is measured.
        reference: what the percentiles are of.
        target: class that is explained.
        batch_size: images measured at once.

    Raises:
        InputError: a class that the network lacks, a batch size below 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    explained = None if target is None else _class(target, subject.classes)
    settings = examination.fitted(subject.shape).settings()
    for start in range(0, len(sources), batch_size):
        batch: list[tuple[str, Picture]] = []
        for source in sources[start : start + batch_size]:
            if isinstance(source, Picture):
                batch.append((source.source, source))
                continue
            try:
                batch.append((source, read(source, subject.shape)))
            except InputError as error:
                yield source, error
        for (source, picture), result in zip(batch, _findings(subject, batch, examination, explained), strict=True):
            if isinstance(result, InputError):
                yield source, result
            else:
                yield source, _card(subject, picture, result, examination, reference, settings)


def _findings(
    subject: ExplainedNetwork, batch: Sequence[tuple[str, Picture]], examination: Examination, target: int | None
) -> list[Finding | InputError]:
    if not batch:
        return []
    x = subject.batch([picture.pixels for _, picture in batch])
    try:
        keys = [picture.key for _, picture in batch]
        return list(examine(subject.model, x, keys, examination, target=target, shown=True, task=subject.task))
    # A network of any origin raises these for whatever it cannot do, too little memory included.
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        if len(batch) > 1:  # the others need not suffer
            return [_findings(subject, [alone], examination, target)[0] for alone in batch]
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return [InputError(f"{batch[0][1].source} cannot be explained: {reason}")]


def _card(
    subject: ExplainedNetwork,
    picture: Picture,
    finding: Finding,
    examination: Examination,
    reference: Reference | None,
    settings: Mapping[str, Any],
) -> Card:
    probability = float(finding.probabilities[finding.target])
    likeliest = finding.probabilities.topk(min(TOP, len(finding.probabilities)))
    columns, maps = examination.columns(), []
    for name, measured in finding.maps.items():
        percentiles = {
            figure: None if reference is None else reference.percentile(figure, name, measured.figures[figure], column)
            for figure, column in columns.items()
        }
        judgement = judge(
            measured.figures,
            {figure: percentiles[figure] for figure in FIGURES},
            counts=examination.counts(name),
            probability=probability,
            agreement=[value for pair, value in finding.agreement.items() if name in pair],
            name=f"the {spoken_saliency(name)} map",
            thresholds=examination.thresholds,
        )
        values = {figure: value if np.isfinite(value) else None for figure, value in measured.figures.items()}
        figures = {figure: Figure(column, values[figure], percentiles[figure]) for figure, column in columns.items()}
        heatmap, attribution = measured.heatmap.float().numpy(), measured.attribution.float().numpy()
        maps.append(MapCard(name, saliency_title(name), judgement, figures, heatmap, attribution, measured.evidence))
    pixels = picture.pixels.numpy()
    image = np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels.mean(axis=0).round().astype(np.uint8)
    return Card(
        source=picture.source,
        stored=picture.stored,
        notes=(*picture.notes, *finding.notes),
        network=subject.name,
        image=np.ascontiguousarray(image),
        top=tuple(
            (int(i), subject.classes[int(i)], float(p))
            for p, i in zip(likeliest.values, likeliest.indices, strict=True)
        ),
        target=(finding.target, subject.classes[finding.target], probability),
        maps=tuple(maps),
        agreement=finding.agreement,
        reference=None if reference is None else reference.source,
        settings=settings,
        in_colour=picture.in_colour,
        provenance=provenance_of(subject, picture, settings),
    )


def _is_card(source: str, out: Path) -> bool:
    """True for a card that an earlier call left in the folder of the pictures."""
    path = Path(source)
    if path.suffix != ".png" or not path.stem.endswith("-card") or path.parent.resolve() != out.resolve():
        return False
    try:
        with Image.open(path) as picture:
            return str(picture.info.get("Software", "")).startswith("pellucid ")
    except (OSError, ValueError):
        return False


def _class(target: str | int, classes: Sequence[str]) -> int:
    text = str(target)
    if text in classes:
        return list(classes).index(text)
    if text.isdigit() and int(text) < len(classes):
        return int(text)
    raise InputError(f"target must be one of the {len(classes)} classes, by number or name, got {text!r}")
