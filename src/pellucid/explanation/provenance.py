"""Where a card comes from: what someone needs to make it again, and to see that nothing was exchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pellucid import __version__
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.pictures import Picture

__all__ = ["Provenance", "provenance_of"]

TITLES = {
    "date": "Made on",
    "pellucid": "pellucid version",
    "network": "Network",
    "weights_file": "File of the weights",
    "weights_sha256": "SHA-256 of that file",
    "weights_digest": "Digest of the weights themselves",
    "image_sha256": "SHA-256 of the picture",
    "preprocessing": "Preprocessing",
    "class_file": "File of the class names",
    "seed": "Seed",
}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a card comes from. Files are named without their folders, as cards are handed on.

    Args:
        date: when it was made, in UTC, such as ``2026-11-26 14:05:00 UTC``.
        pellucid: version that made it.
        network: name of the network.
        weights_file: that the weights were read from; empty where the network was an object or a factory's.
        weights_sha256: of that file; empty without one.
        weights_digest: BLAKE2b of the tensors' names and values, which another format of the same weights shares.
        image_sha256: of the picture's file, or of its pixels where it was none.
        preprocessing: how the picture became what the network saw, in words.
        class_file: that the class names were read from; empty without one.
        seed: of every draw.
    """

    date: str
    pellucid: str
    network: str
    weights_file: str
    weights_sha256: str
    weights_digest: str
    image_sha256: str
    preprocessing: str
    class_file: str
    seed: int

    def as_json(self) -> dict[str, Any]:
        """Plain data, by name."""
        return asdict(self)

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Title and value of everything that is known, for people."""
        values = asdict(self)
        return tuple((title, str(values[name])) for name, title in TITLES.items() if values[name] != "")


def provenance_of(subject: ExplainedNetwork, picture: Picture, settings: Mapping[str, Any]) -> Provenance:
    """The provenance of a card that is made now.

    Args:
        subject: the network.
        picture: that is explained.
        settings: of the examination, with its ``seed``.
    """
    return Provenance(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        pellucid=__version__,
        network=subject.name,
        weights_file="" if subject.file is None else subject.file.name,
        weights_sha256=subject.file_digest,
        weights_digest=subject.weights,
        image_sha256=picture.digest,
        preprocessing=subject.preprocessing,
        class_file="" if subject.class_file is None else subject.class_file.name,
        seed=int(settings["seed"]),
    )
