"""Trust cards of whatever Python holds: any network, any pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pellucid.core.checks import whole
from pellucid.core.errors import InputError
from pellucid.core.types import Task
from pellucid.explanation.batch import cards
from pellucid.explanation.card import Card
from pellucid.explanation.card_files import Format, check_formats, check_out, file_names, write_card, write_index
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork, of_module, of_run
from pellucid.explanation.pictures import Picture, find, held, read
from pellucid.explanation.reference import Reference, of_folder, of_rows
from pellucid.explanation.trust_rules import Thresholds
from pellucid.runs.any_network import lent, probed
from pellucid.runs.directory import RunDirectory
from pellucid.saliency import Explain

__all__ = ["Cards", "examination_of", "explain"]

PROBED = 2
"""Pictures of the first look at a network."""


class Cards(tuple[Card, ...]):
    """Trust cards, one a picture, which a notebook shows as pictures.

    Args:
        made: the cards, in the order of the pictures.
        skipped: why a file that lay in a folder has no card, by its name.
    """

    skipped: Mapping[str, str]

    def __new__(cls, made: Iterable[Card] = (), skipped: Mapping[str, str] | None = None) -> "Cards":
        cards = super().__new__(cls, made)
        cards.skipped = dict(skipped or {})
        return cards

    def _repr_html_(self) -> str:
        from pellucid.explanation.notebook import cards_html

        return cards_html(self)

    def save(self, out: str | Path, *, formats: Sequence[Format] = ("png", "html", "json")) -> Path:
        """Write the cards as files, with an index where there are several, as ``pellucid explain`` does.

        Args:
            out: the folder to write to.
            formats: of ``png``, ``html``, ``json`` and ``npz``.

        Returns:
            The folder.

        Raises:
            InputError: no card, a format that is none, or a file in the folder's place.
        """
        check_formats(formats)
        folder = check_out(out)
        if not self:
            raise InputError("there is no card to save")
        indexed = len(self) + len(self.skipped) > 1
        named = zip(self, file_names([card.source for card in self]), strict=True)
        written = [write_card(card, folder, name, formats, indexed=indexed) for card, name in named]
        if indexed:
            skipped = [{"source": source, "reason": reason} for source, reason in self.skipped.items()]
            write_index([entry for entry, _ in written], skipped, [seen for _, seen in written], folder, formats)
        return folder

    def _repr_markdown_(self) -> str:
        return "\n\n".join(card._repr_markdown_() for card in self)


def explain(
    network: str | Path | nn.Module | ExplainedNetwork,
    images: Any,
    *,
    classes: Sequence[str] | int | None = None,
    size: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    task: Task | None = None,
    target: str | int | None = None,
    saliency: Sequence[Explain] = (),
    full: bool = False,
    examination: Examination | None = None,
    thresholds: Thresholds | None = None,
    reference: Reference | str | Path | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 8,
) -> Cards:
    """Make a trust card for each picture: what the network says, its maps, and how far each can be relied on.

    The network is looked at in eval mode; its modes, its weights and the images stay as they are. In a notebook, cards
    show themselves.

    Args:
        network: a run directory, any module from images (n, c, h, w) to logits, or what `pellucid.explanation` made of
            one.
        images: a file, a folder, a picture of Pillow's, an array or tensor (h, w), (h, w, c), (c, h, w) or (n, c, h, w)
            of fractions in [0, 1] or whole numbers of 8 or 16 bits; or several of these in a list.
        classes: of a module, the names of its classes in the order of the logits, or how many there are.
        size: of a module, the side in pixels of the square images that it takes; by default that of its weights' own
            preprocessing, or that of the tensors or arrays that are given.
        mean: of a module, what it wants subtracted from pixels in [0, 1], for each channel or for all; by default what
            its weights say, or nothing.
        std: of a module, what it wants the rest divided by, likewise.
        task: of a module, ``multilabel`` where its sigmoids say of each label whether it applies; ``multiclass`` by
            default.
        target: number or name of the class that is explained; the predicted one, or the most probable label, by
            default.
        saliency: methods, as in `pellucid.Evaluation`; by default those that the run was evaluated with, or three.
        full: tighter figures from more noise and more random maps, which take longer.
        examination: what is measured, in place of ``saliency`` and ``full``.
        thresholds: of the card's rules, such as ``Thresholds.calibrated()``; the package's by default.
        reference: what percentiles are of: a folder of pictures, an evaluated run directory, or what was made of one.
            By default an evaluated run's own images.
        device: where it is done; where the network is by default.
        batch_size: pictures measured at once.

    Returns:
        The cards, in the order of the pictures; ``skipped`` says which files of a folder could not be read.

    Raises:
        InputError: no picture, or one that was named and cannot be read; a network that fails on the pictures or gives
            no logits; settings that cannot be.
    """
    if size is not None:
        whole(1, size=size)
    given = images if isinstance(images, list | tuple) else [images]
    of_module_alone = {"classes": classes, "size": size, "mean": mean, "std": std, "task": task}
    if isinstance(network, str | Path):
        subject = of_run(network)
    elif isinstance(network, ExplainedNetwork):
        subject = network
    else:
        subject = of_module(
            network,
            _size(given) if size is None else size,
            classes=classes,
            mean=mean,
            std=std,
            task=task or "multiclass",
        )
        of_module_alone = {}
    if extra := [name for name, value in of_module_alone.items() if value is not None]:
        raise InputError(f"{extra[0]} is for a network that is a module; a run brings its own")
    pictures, skipped = _pictures(given, subject.shape)
    home = next((parameter.device for parameter in subject.model.parameters()), torch.device("cpu"))
    with lent(subject.model, home if device is None else torch.device(device)) as model:
        subject = subject.with_model(model)
        x = subject.batch([picture.pixels for picture in pictures[:PROBED]])
        model, logits = probed(model, x, classes=len(subject.classes) or None)
        subject = subject.with_model(model, logits.shape[1])
        chosen = examination or examination_of(subject, saliency, full=full)
        chosen = chosen if thresholds is None else replace(chosen, thresholds=thresholds)
        compared = _reference(reference, subject, chosen, batch_size)
        made = []
        for _, card in cards(subject, pictures, chosen, reference=compared, target=target, batch_size=batch_size):
            if isinstance(card, InputError):
                raise card
            made.append(card)
    return Cards(made, skipped)


def examination_of(subject: ExplainedNetwork, saliency: Sequence[Explain] = (), *, full: bool = False) -> Examination:
    """What is measured unless more is said: as the run was evaluated, so that its rows are a reference.

    Args:
        subject: the network.
        saliency: methods; the usual ones by default.
        full: tighter figures.
    """
    if subject.evaluation is not None:
        return Examination.like(subject.evaluation, saliency, full=full)
    if full:
        return Examination(saliency=tuple(saliency)) if saliency else Examination()
    return Examination.quick(saliency)


def _size(given: Sequence[Any]) -> tuple[int, int, int] | None:
    """Channels, height and width of the tensors or arrays that are given, where these are the network's own."""
    first = given[0] if given else None
    if not isinstance(first, Tensor | np.ndarray) or first.ndim < 2:
        return None
    shape = tuple(first.shape)[-3:]
    if len(shape) == 2:
        return (1, *shape)
    return (shape[2], *shape[:2]) if isinstance(first, np.ndarray) and shape[2] in (1, 3, 4) else shape


def _pictures(given: Sequence[Any], shape: tuple[int, int, int]) -> tuple[list[Picture], dict[str, str]]:
    """The pictures, and why files that lay in a folder could not be read."""
    pictures: list[Picture] = []
    skipped: dict[str, str] = {}
    for position, image in enumerate(given):
        if isinstance(image, str | os.PathLike):
            for source in find([os.fspath(image)]):
                try:
                    pictures.append(read(source, shape))
                except InputError as error:
                    if not os.path.isdir(image):
                        raise
                    skipped[source] = str(error)
            continue
        if not isinstance(image, Tensor | np.ndarray | Image.Image):
            raise InputError(
                f"images must be files, folders, pictures of Pillow's, arrays or tensors, got {type(image).__name__}"
            )
        if isinstance(image, Image.Image) or image.ndim < 4:
            pictures.append(held(image, shape, f"image {position}"))
        else:
            pictures += [held(one, shape, f"image {number}") for number, one in enumerate(image, len(pictures))]
    if not pictures:
        first = next(iter(skipped.values()), "give a file, a folder, a tensor or a list of them")
        raise InputError(f"there is no picture to explain: {first}")
    return pictures, skipped


def _reference(
    reference: Reference | str | Path | None, subject: ExplainedNetwork, examination: Examination, batch_size: int
) -> Reference | None:
    if isinstance(reference, Reference):
        return reference
    if reference is not None:
        if RunDirectory(reference).is_evaluated:
            return of_rows(reference)
        return of_folder(subject, reference, examination, batch_size=batch_size, progress=False)
    return of_rows(subject.run) if subject.run is not None and subject.evaluation is not None else None
