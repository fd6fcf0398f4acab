"""Surfaces: calm ones for backgrounds, patterns for objects."""

from functools import cache

import numpy as np

from pellucid.core.randomness import StepDraws
from pellucid.data.truth.drawing import Array, resized
from pellucid.data.truth.made import Chance
from pellucid.data.truth.outlines import turn

__all__ = ["EXTENT", "KINDS", "grounds", "patterns"]

EXTENT = 192
"""Side of a surface in pixels, of which windows are cut."""

GROUNDS = 64
EACH = 24

KINDS = ("stripes", "checks", "dots")
"""Kinds of patterns, in the order in which `patterns` has them."""


@cache
def grounds() -> Array:
    """Clouds with a little grain: int16 (n, side, side), from -128 to 127 around 0."""
    chance = Chance(StepDraws(seed=0, step=0, purpose="truth/grounds"))
    coarse, middle = chance.below("coarse", 256, GROUNDS, 8, 8), chance.below("middle", 256, GROUNDS, 32, 32)
    clouds = [resized(values.astype(np.uint8), EXTENT).astype(np.int32) for values in (coarse, middle)]
    grain = chance.below("grain", 256, GROUNDS, EXTENT, EXTENT)
    return ((5 * clouds[0] + 2 * clouds[1] + grain) // 8 - 128).astype(np.int16)


@cache
def patterns() -> Array:
    """Stripes, checks and dots: int16 (kind, n, side, side), -128 or 127 but for the edges of dots and stripes."""
    chance = Chance(StepDraws(seed=0, step=0, purpose="truth/patterns"))
    turns = chance.below("turn", 48, EACH)
    periods = 4 + chance.below("period", 4, EACH)
    place = np.arange(EXTENT) + 0.5
    drawn: list[list[Array]] = [[] for _ in KINDS]
    for step, period in zip(turns.tolist(), periods.tolist(), strict=True):
        cosine, sine = turn(step, 48)
        along = (cosine * place + sine * place[:, None] + 4 * EXTENT) / period
        across = (cosine * place[:, None] - sine * place + 4 * EXTENT) / period
        along, across = along - np.floor(along), across - np.floor(across)
        drawn[0].append(along < 0.5)
        drawn[1].append((along < 0.5) != (across < 0.5))
        drawn[2].append((along - 0.5) * (along - 0.5) + (across - 0.5) * (across - 0.5) < 0.16)
    return np.where(np.array(drawn), np.int16(127), np.int16(-128))
