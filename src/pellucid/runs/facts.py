"""What a run knows of the images that its network was trained on. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pellucid.core.errors import InputError
from pellucid.core.plain_data import read_json

__all__ = ["DataFacts", "as_facts", "read_facts"]


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What a run knows of the images that its network was trained on.

    Attributes:
        name: what a table calls the dataset.
        classes: names of the classes, in the order of the logits.
        shape: (c, h, w) of every image.
        mean: what the network subtracts from pixels in [0, 1], one number a channel; None where it normalises nothing.
        std: what it divides the rest by.
        images: how many training images there were.
        fingerprint: digest of the training images, as `pellucid.data.Dataset.fingerprint`.
        task: ``multiclass``, each image has one of the classes; ``multilabel``, any number of them.
        contents: digests of all that the splits held when training began, as `pellucid.data.Dataset.contents`, by the
            name of the split; empty for a run made before runs recorded them.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    images: int
    fingerprint: str
    task: str = "multiclass"
    contents: Mapping[str, str] = field(default_factory=dict)

    def check_unchanged(self, now: "DataFacts", run: Path) -> None:
        """Refuse to go on with a training whose images, or those that choose among its epochs, are no longer the same.

        Args:
            now: what is known of the images as they are.
            run: the run directory, for the message.

        Raises:
            InputError: they are others.
        """
        digests = [("training", self.fingerprint, now.fingerprint)]
        for split, kind in {"train": "training", "validation": "validation"}.items():
            if split in self.contents and split in now.contents:
                digests.append((kind, self.contents[split], now.contents[split]))
        for kind, then, there in digests:
            if then != there:
                raise InputError(
                    f"the {kind} images of {run} have changed since it was begun (fingerprint {then} then, {there} "
                    "now); restore them or train into another folder"
                )


def as_facts(values: Mapping[str, Any]) -> DataFacts:
    """The facts that plain values say, as `pellucid.data.Dataset.facts` gives them and data.json holds them."""
    names = {field.name for field in fields(DataFacts)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names
    }
    return DataFacts(**given)


def read_facts(file: Path) -> DataFacts:
    """The facts that training wrote as JSON.

    Raises:
        InputError: the file is damaged, or somebody else's.
    """
    try:
        return as_facts(read_json(file, "restore it, or train again"))
    except InputError:
        raise
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{file} is not what training wrote ({error!r}); restore it, or train again") from None
