"""Pictures in, trust cards out: one after the other or thousands, whatever some of them are."""

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from tqdm import tqdm

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.explanation.card import FIGURES, Card, Figure, MapCard, share
from pellucid.explanation.card_page import Entry, card_page, index_page
from pellucid.explanation.drawing import png
from pellucid.explanation.examination import Examination, Finding, examine
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.pictures import STANDARD_INPUT, Picture, find, read, told
from pellucid.explanation.provenance import provenance_of
from pellucid.explanation.reference import Reference
from pellucid.explanation.trust_rules import judge
from pellucid.report.colours import Scale
from pellucid.report.measures import saliency_title

__all__ = ["Format", "Summary", "cards", "explain"]

Format = Literal["png", "html", "json", "npz"]

TOP = 5

LONGEST = 200
"""Bytes of a picture's name that the names of its files keep; most file systems take 255 in all."""


@dataclass(frozen=True)
class Summary:
    """What came of a batch.

    Attributes:
        made: one entry for each card: ``source``, ``prediction``, ``level``, ``sentence``, ``links`` (names of its
            files).
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
    more than one picture also ``summary.json`` and, with ``html``, ``index.html``.

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
    for form in formats:
        if form not in get_args(Format):
            raise InputError(f"format must be of {', '.join(get_args(Format))}, got {form!r}")
    if not formats:
        raise InputError(f"format must name at least one of {', '.join(get_args(Format))}")
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"out must be a folder, got the file {out}")
    pictures = [source for source in find(sources) if not _is_card(source, out)]
    entries: dict[str, Entry] = {source: {} for source in pictures}
    names = _names(pictures)
    shown = {"unit": "image", "dynamic_ncols": True, "disable": None if progress else True}
    made = cards(subject, pictures, examination, reference=reference, target=target, batch_size=batch_size)
    # One thread draws and writes what was measured while the next batch is.
    with tqdm(total=len(pictures), desc="explaining", **shown) as bar, ThreadPoolExecutor(max_workers=1) as writer:
        waiting: list[tuple[str, Future[Entry]]] = []
        for source, card in made:
            bar.update()
            if isinstance(card, InputError):
                entries[source] = {"source": told(source), "reason": str(card)}
                continue
            waiting.append((source, writer.submit(_write, replace(card, scale=scale), out, names[source], formats)))
            while len(waiting) > 2 * batch_size:
                done, entry = waiting.pop(0)
                entries[done] = entry.result()
        entries |= {done: entry.result() for done, entry in waiting}
    summary = Summary(
        [entry for entry in entries.values() if "level" in entry],
        [entry for entry in entries.values() if "level" not in entry],
    )
    if summary.made and len(pictures) > 1:
        _write_summary(summary, out, formats)
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
                yield source, _card(subject, picture, result, examination, reference)


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
    subject: ExplainedNetwork, picture: Picture, finding: Finding, examination: Examination, reference: Reference | None
) -> Card:
    probability = float(finding.probabilities[finding.target])
    likeliest = finding.probabilities.topk(min(TOP, len(finding.probabilities)))
    columns, maps = examination.columns(), []
    for name, measured in finding.maps.items():
        percentiles = {
            figure: None if reference is None else reference.percentile(figure, name, measured.figures[figure], column)
            for figure, column in columns.items()
        }
        title = saliency_title(name)
        spoken = title if title != title.capitalize() else title.lower()
        judgement = judge(
            measured.figures,
            {figure: percentiles[figure] for figure in FIGURES},
            counts=examination.counts(name),
            probability=probability,
            agreement=[value for pair, value in finding.agreement.items() if name in pair],
            name=f"the {spoken} map",
        )
        values = {figure: value if np.isfinite(value) else None for figure, value in measured.figures.items()}
        figures = {figure: Figure(column, values[figure], percentiles[figure]) for figure, column in columns.items()}
        heatmap, attribution = measured.heatmap.float().numpy(), measured.attribution.float().numpy()
        maps.append(MapCard(name, title, judgement, figures, heatmap, attribution, measured.evidence))
    pixels = picture.pixels.numpy()
    image = np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels.mean(axis=0).round().astype(np.uint8)
    settings = examination.fitted(subject.shape).settings()
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
    return path.stem.endswith("-card") and path.parent.resolve() == out.resolve()


def _class(target: str | int, classes: Sequence[str]) -> int:
    text = str(target)
    if text in classes:
        return list(classes).index(text)
    if text.isdigit() and int(text) < len(classes):
        return int(text)
    raise InputError(f"target must be one of the {len(classes)} classes, by number or name, got {text!r}")


def _names(sources: Sequence[str]) -> dict[str, str]:
    """A name for the files of each source; no two are equal, not even where capitals are not told apart."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for source in sources:
        stem = "stdin" if source == STANDARD_INPUT else Path(told(source)).stem
        stem = stem.encode()[:LONGEST].decode(errors="ignore")
        name, number = stem, 2
        while name.lower() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.lower())
        names[source] = f"{name}-card"
    return names


def _write(card: Card, out: Path, name: str, formats: Sequence[Format]) -> Entry:
    links = []
    for form in formats:
        with whole_file(out / f"{name}.{form}") as temporary:
            temporary.write_bytes(_content(card, form))
        links.append(f"{name}.{form}")
    return {
        "source": card.source,
        "prediction": f"{card.top[0][1]}, {share(card.top[0][2])}",
        "level": card.judgement.level,
        "sentence": card.judgement.sentence,
        "links": links,
    }


def _content(card: Card, form: Format) -> bytes:
    match form:
        case "png":
            return png(card)
        case "html":
            return card_page(card).encode()
        case "json":
            return (json.dumps(card.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
        case "npz":
            out = io.BytesIO()
            np.savez_compressed(out, **card.arrays())  # type: ignore[arg-type]
            return out.getvalue()


def _write_summary(summary: Summary, out: Path, formats: Sequence[Format]) -> None:
    content = {"explained": summary.made, "skipped": summary.skipped}
    with whole_file(out / "summary.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if "html" in formats:
        with whole_file(out / "index.html") as temporary:
            temporary.write_text(index_page([*summary.made, *summary.skipped]), encoding="utf-8")
