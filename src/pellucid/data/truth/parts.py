"""``truth:parts``: the parts of a robot together decide its class; each can be taken away."""

from dataclasses import dataclass

import numpy as np

from pellucid.data.truth.drawing import Array, blend
from pellucid.data.truth.figure import ANGLES, PARTS, body, forms
from pellucid.data.truth.made import Chance, Made
from pellucid.data.truth.placing import Boxes, anywhere
from pellucid.data.truth.scenery import away, clouds, lay_marks

__all__ = ["CODES", "Parts"]

CODES = tuple(tuple((first + step * part) % 5 for part in range(len(PARTS))) for step in (1, 2) for first in range(5))
"""The form of each part by class. Two classes share one part at most, and every form belongs to two classes.

Source: a Reed-Solomon code over the field of five elements.
"""

ON_BODY = ("eyes", "emblem")
"""Parts whose colour stands out from the body's; that of others does from the ground's."""

MOST = 4
"""Blobs, lines and strokes behind a robot at most; two at least."""


@dataclass(frozen=True)
class Parts:
    """A robot whose class is decided by its antenna, eyes, arms, emblem and feet together; colour.

    Each part has five forms, a class is one form of each, and two classes share one part at most, so that any two
    parts tell the class. Colours, size, place, angle and ground are drawn without looking at the class, and the body is
    the same in all. The mask is where the parts are, and one pixel around; so are the masks of the named parts.
    Changed: ``cause`` (the parts of another class), ``rest`` (the same parts on another ground and a body of
    another colour), ``without antenna`` and so on (that part is not drawn).

    Args:
        size: side of the image in pixels, from 48 to 128.

    Source: after R. Hesse, S. Schaub-Meyer, S. Roth, *FunnyBirds*, 2023, whose birds are rendered in three dimensions.
    """

    size: int = 64

    classes = tuple(f"robot {number}" for number in range(len(CODES)))

    @property
    def name(self) -> str:
        return f"parts 2 {self.size}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.size, self.size)

    def block(self, n: int, chance: Chance, *, details: bool) -> Made:
        label = chance.labels(n, len(CODES))
        # 42 to 56 pixels at a canvas of 64.
        box = anywhere(chance, self.size, (self.size * (42 + chance.below("side", 15, n)) + 32) // 64)
        angle = chance.below("angle", ANGLES, n).tolist()
        ground = chance.below("ground", 256, n, 3)
        trunk = away(chance, "body", ground)
        colours = [away(chance, name, trunk if name in ON_BODY else ground) for name in PARTS]
        colour = np.stack(colours, 1).astype(np.uint16)[..., None, None]

        def bodies(chance: Chance, ground: Array, trunk: Array) -> Array:
            """Ground, what lies on it, and the bodies."""
            images = clouds(chance, ground, self.size)
            sides = (self.size * (10 + chance.below("sides", 9, n, MOST)) + 32) // 64
            top, left = (chance.below(edge, self.size - sides + 1, n, MOST) for edge in ("top", "left"))
            lay_marks(images, chance, Boxes(top, left, sides), ground, least=2)
            hue = trunk.astype(np.uint16)[..., None, None]
            for i, (top_i, left_i, side) in enumerate(zip(*(values.tolist() for values in box), strict=True)):
                blend(images[i, :, top_i : top_i + side, left_i : left_i + side], hue[i], body(side)[angle[i]])
            return images

        bare = bodies(chance.of("scenery"), ground, trunk)

        def complete(labels: Array, bare: Array, without: str = "") -> Array:
            images = bare.copy()
            for i, (label, top, left, side) in enumerate(zip(*_lists(labels, *box), strict=True)):
                for part, form in enumerate(CODES[label]):
                    if PARTS[part] != without:
                        cover, row, column = forms(side)[part][form][angle[i]].opacity
                        row, column = top + row, left + column
                        window = images[i, :, row : row + cover.shape[0], column : column + cover.shape[1]]
                        blend(window, colour[i, part], cover)
            return images

        images = complete(label, bare)
        mask = self._mask(label, box, angle, PARTS)
        parts, exchanged = {}, {}
        if details:
            exchanged["cause"] = complete(chance.others("another class", label, len(CODES)), bare)
            # Colours at most 32 away, so that the parts still stand out from both.
            moved = [(c + 224 + chance.below(f"another {k}", 65, n, 3)) % 256 for k, c in enumerate((ground, trunk))]
            other = bodies(chance.of("another scenery"), *moved)
            exchanged["rest"] = complete(label, other)
            exchanged |= {f"without {name}": complete(label, bare, name) for name in PARTS}
            parts = {name: self._mask(label, box, angle, (name,)) for name in PARTS}
        return Made(images, label, mask, parts, exchanged)

    def _mask(self, labels: Array, box: Boxes, angle: list[int], names: tuple[str, ...]) -> Array:
        """Where the parts of these names are: bool (n, h, w)."""
        mask = np.zeros((len(labels), self.size, self.size), dtype=bool)
        chosen = [PARTS.index(name) for name in names]
        for i, (label, top, left, side) in enumerate(zip(*_lists(labels, *box), strict=True)):
            for part in chosen:
                near, row, column = forms(side)[part][CODES[label][part]][angle[i]].mask
                row, column = top + row, left + column
                mask[i, row : row + near.shape[0], column : column + near.shape[1]] |= near
        return mask


def _lists(*values: Array) -> list[list[int]]:
    return [value.tolist() for value in values]
