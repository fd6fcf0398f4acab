"""Who sees which condition when: Williams squares, rotated images, orders that are functions of the seed alone."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from pellucid.core.errors import InputError

__all__ = ["Showing", "shuffled", "trials", "williams"]

Item = TypeVar("Item")


class Showing(NamedTuple):
    """One stimulus in a participant's sequence; ``block`` from 0, the others are positions in the study's lists."""

    block: int
    condition: int
    image: int


def shuffled(items: Iterable[Item], *key: int | str) -> list[Item]:
    """``items`` in a random order that is a function of ``key``: sorted by SHA-256 of the key and each position.

    No generator is involved, so that the order is the same in every version of every library, and in every language.

    >>> shuffled("abcde", 1, "images")
    ['c', 'a', 'd', 'b', 'e']
    """
    whole = list(items)
    places = sorted(range(len(whole)), key=lambda place: hashlib.sha256(repr((*key, place)).encode()).digest())
    return [whole[place] for place in places]


def williams(conditions: int) -> list[list[int]]:
    r"""Rows of a Williams design: a Latin square in which every condition follows every other equally often.

    The first row is :math:`0, 1, k-1, 2, k-2, \dots`, each further row adds one modulo k. For an odd k the mirrored
    rows are added, so that there are 2k. Row r begins with condition r mod k.

    Args:
        conditions: k, at least 2.

    Returns:
        k rows for an even k, 2k for an odd one.

    Raises:
        InputError: fewer than two conditions.

    >>> williams(4)
    [[0, 1, 3, 2], [1, 2, 0, 3], [2, 3, 1, 0], [3, 0, 2, 1]]

    Source: Williams 1949, Experimental designs balanced for the estimation of residual effects of treatments.
    """
    if conditions < 2:
        raise InputError(f"a Williams square needs at least 2 conditions, got {conditions}")
    first = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(conditions)]
    halves = [first] if conditions % 2 == 0 else [first, first[::-1]]
    return [
        [(number + shift - half[0]) % conditions for number in half] for half in halves for shift in range(conditions)
    ]


def trials(*, slot: int, conditions: int, images: int, seed: int, crossing: str = "rotated") -> list[Showing]:
    """The stimuli of one slot of the allocation, in order.

    A block holds every condition once, in the order of a row of the Williams square; the next block takes the next
    row. ``rotated``: image i has condition (i + slot) mod k, so that slots 0 to n show each image under any two
    conditions equally often, up to one. ``full``: k passes over all images, each image once a pass, each pass rotated
    further, so that at the end it has been seen under every condition.

    Args:
        slot: number of the participant's place, from 0.
        conditions: k, at least 2.
        images: number of images; a multiple of k for ``rotated``.
        seed: of every order.
        crossing: ``rotated`` or ``full``.

    Returns:
        ``images`` showings for ``rotated``, ``images`` times k for ``full``.

    >>> trials(slot=1, conditions=2, images=4, seed=0)[:2]
    [Showing(block=0, condition=1, image=0), Showing(block=0, condition=0, image=3)]
    """
    rows = williams(conditions)
    cycle, place = divmod(slot, len(rows))
    order: list[Showing] = []
    passes = range(conditions) if crossing == "full" else range(1)
    for turn in passes:
        queues = _queues(slot, turn, conditions, images, seed)
        for number in range(max(map(len, queues))):
            block = number + turn * -(-images // conditions)
            row = rows[(place + cycle + block) % len(rows)]
            order += [
                Showing(block, condition, queues[condition][number])
                for condition in row
                if number < len(queues[condition])
            ]
    return order


def _queues(slot: int, turn: int, conditions: int, images: int, seed: int) -> Sequence[list[int]]:
    """Per condition its images, in the order in which they are shown."""
    queues: list[list[int]] = [[] for _ in range(conditions)]
    for image in shuffled(range(images), seed, "order", slot, turn):
        queues[(image + slot + turn) % conditions].append(image)
    return queues
