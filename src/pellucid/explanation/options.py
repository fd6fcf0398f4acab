"""What the words and options of ``pellucid explain`` stand for."""

import json
from dataclasses import replace
from typing import Any

import torch

from pellucid.core.errors import InputError
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork, class_names, of_network, of_run
from pellucid.explanation.reference import Reference, of_folder, of_rows

__all__ = ["subject_and_words", "with_reference"]


def subject_and_words(parsed: Any) -> tuple[ExplainedNetwork, list[str], Examination]:
    """The network, on the device that is asked for; the images; what is measured of them.

    Args:
        parsed: the options of `pellucid explain`.

    Raises:
        InputError: no image, options that belong to the other kind of network, no such device, numbers that cannot be.
    """
    device = _device(parsed.accelerator)
    words = list(parsed.words)
    saliency = [name.strip() for name in parsed.saliency.strip("[]").split(",") if name.strip()]
    if parsed.network is None:
        for name in ("weights", "mean", "std"):
            if getattr(parsed, name):
                raise InputError(f"--{name} goes with --network, which is missing; a run brings its own")
        if len(words) < 2:
            raise InputError(
                f"give a run directory and then images, got {words[0]!r} alone; for any other network give --network"
            )
        subject = of_run(words[0])
        words = words[1:]
    else:
        subject = of_network(
            parsed.network,
            weights=parsed.weights,
            options=_options(parsed.options),
            size=parsed.size,
            channels=parsed.channels,
            classes=int(parsed.classes) if parsed.classes.isdigit() else class_names(parsed.classes),
            mean=_numbers("mean", parsed.mean),
            std=_numbers("std", parsed.std),
        )
    subject.model.to(device)
    return subject, words, replace(_examination(subject, saliency, full=parsed.full), seed=parsed.seed)


def _device(accelerator: str) -> torch.device:
    """Without Fabric, whose import takes longer than that of torch."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if accelerator == "auto":
        return found or torch.device("cpu")
    if accelerator not in ("cpu", "cuda", "mps"):
        raise InputError(f"accelerator must be auto, cpu, cuda or mps, got {accelerator!r}")
    if accelerator != "cpu" and (found is None or found.type != accelerator):
        raise InputError(f"accelerator {accelerator!r} is not there; this machine has {found or 'a cpu alone'}")
    return torch.device(accelerator)


def _examination(subject: ExplainedNetwork, saliency: list[str], *, full: bool) -> Examination:
    if subject.evaluation is not None:
        return Examination.like(subject.evaluation, saliency, full=full)
    if full:
        return Examination(saliency=tuple(saliency)) if saliency else Examination()
    return Examination.quick(saliency)


def with_reference(parsed: Any, subject: ExplainedNetwork, examination: Examination) -> Reference | None:
    """What percentiles are of: the folder that is named, else the run's own rows, else nothing.

    Args:
        parsed: the options of `pellucid explain`.
        subject: the network.
        examination: what is measured.

    Raises:
        InputError: as `of_folder` and `of_rows`.
    """
    if parsed.reference is not None:
        return of_folder(
            subject, parsed.reference, examination, images=parsed.reference_images, batch_size=parsed.batch_size
        )
    return of_rows(subject.run) if subject.run is not None and subject.evaluation is not None else None


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise InputError(f"options must be a JSON object such as '{{\"width\": 16}}', got {text!r}")
    return options


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.strip("[]").split(",") if part.strip())
    except ValueError:
        raise InputError(f"{name} must be numbers with commas between, one a channel, got {text!r}") from None
