"""Which images of one set train, which validate and which test, where its source does not say so."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.core.randomness import seed_of
from pellucid.data.config import VALIDATION, Data
from pellucid.data.splits import Split

__all__ = ["Cut", "apart", "cut", "grouped", "order", "stratified"]

SHARE = 0.2
"""Of a set that nothing cuts, what is kept for test, and of the rest for validation."""

TIE = 1e-9
"""Shares that differ by less are the same, whatever the machine rounds them to."""


class Cut(NamedTuple):
    """Rows of one set, rising, each in one of three parts: (n,) int64."""

    train: Tensor
    validation: Tensor
    test: Tensor


def cut(train: Split, data: Data, name: str, *, validates: bool) -> Cut:
    """The rows of the training images that train, validate and test.

    Args:
        train: all training images of a source; all images of one that has no splits.
        data: how many are kept, as shares or as numbers, by which seed.
        name: of the dataset, for messages.
        validates: whether validation images are kept, as where the source has none of its own.

    Raises:
        InputError: nothing is left to train on, or there are fewer groups than parts.
    """
    rows = torch.arange(len(train.images))
    test = data.test if data.test is not None else SHARE if train.whole else 0
    kept, rows = _kept("test", test, train, rows, data.split_seed, name)
    if not validates:
        return Cut(rows, rows[:0], kept)
    validation = data.validation
    if validation is None:
        # Of 25 000 images a fifth is as many.
        validation = VALIDATION if len(rows) * SHARE >= VALIDATION else SHARE
    validating, rows = _kept("validation", validation, train, rows, data.split_seed, name)
    if train.whole:
        tell(
            f"{name} has no split; {len(rows)} of its images are for training, {len(validating)} for validation and "
            f"{len(kept)} for testing (the settings validation and test change this)"
        )
        sizes = torch.bincount(train.labels) if train.labels.ndim == 1 else (train.labels > 0).sum(0)
        if alone := [train.classes[c] for c in (sizes == 1).nonzero().flatten().tolist()]:
            more = f" and {len(alone) - 1} other classes have" if len(alone) > 1 else " has"
            tell(f"class {alone[0]!r} of {name}{more} one image, which can be in only one of these parts")
    return Cut(rows, validating, kept)


def _kept(part: str, asked: int | float, train: Split, rows: Tensor, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """The rows that are kept for a part, and those that are left; both rise."""
    n = len(rows)
    if not asked:
        return rows[:0], rows
    if isinstance(asked, int) and asked >= n:
        raise InputError(
            f"{part} must be less than the {n} training images of {name}, got {asked}; set "
            f"--dataset.{part}, such as {max(1, n // 10)}"
        )
    drawn = order(n, seed, part)
    count = min(asked if isinstance(asked, int) else max(1, round(asked * n)), n - 1)
    if train.groups is not None:
        groups = [train.groups[row] for row in rows.tolist()]
        taken = grouped(train.labels[rows], groups, count, drawn)
        if taken is None:
            raise InputError(
                f"the {len(set(train.groups))} groups of {name} are too few to keep some for {part}; set "
                f"--dataset.{part} 0, or leave the group out"
            )
    elif train.labels.ndim > 1 or (part == "validation" and isinstance(asked, int)):
        taken = drawn[:count]  # of all images alike
    else:
        taken = stratified(train.labels[rows], count, drawn)
    chosen = torch.zeros(n, dtype=torch.bool)
    chosen[taken] = True
    return rows[chosen], rows[~chosen]


def order(n: int, seed: int, purpose: str) -> Tensor:
    """The positions of ``n`` images in a random order that depends on the seed and the purpose alone."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed_of(seed, purpose)))


def stratified(labels: Tensor, count: int, drawn: Tensor) -> Tensor:
    """Positions of about ``count`` images, of every class the same share.

    A class of two images or more gives at least one and keeps at least one; a class of one image gives none.

    Args:
        labels: (n,) int64.
        count: of images, in [1, n).
        drawn: (n,) positions in a random order, the first of which are taken.

    >>> stratified(torch.tensor([0] * 8 + [1] * 4 + [2]), 3, torch.arange(13))
    tensor([0, 1, 8])
    """
    sizes = torch.bincount(labels)
    shared = torch.where(sizes > 1, sizes, 0)
    quotas = shared.double() * count / shared.sum().clamp(min=1)
    counts = quotas.floor().long()
    # What rounding down leaves goes to the classes that it took most from; the first of equals.
    largest = torch.argsort(quotas - counts, descending=True, stable=True)
    counts[largest[: max(0, count - int(counts.sum()))]] += 1
    counts = torch.minimum(torch.maximum(counts, (sizes > 1).long()), (sizes - 1).clamp(min=0))
    return torch.cat([drawn[labels[drawn] == c][:k] for c, k in enumerate(counts.tolist())])


def grouped(labels: Tensor, groups: Sequence[str], count: int, drawn: Tensor) -> Tensor | None:
    """Positions of about ``count`` images, whole groups of them, with the classes as equally shared as groups allow.

    Greedy, as scikit-learn's ``StratifiedGroupKFold``: the groups go, from the one whose classes differ most to the one
    whose classes differ least, each to the side where the shares of the classes then differ least from those asked for.
    Then single groups change sides for as long as that brings the shares nearer.

    Args:
        labels: (n,) int64; or (n, k) labels, of which each is shared as a class is.
        groups: (n,) the group of each image; an image of group "" is a group of its own.
        count: of images, in [1, n).
        drawn: (n,) positions in a random order, which decides between groups that are alike.

    Returns:
        The positions; None where one group holds all images.

    >>> grouped(torch.tensor([0, 0, 1, 1, 0, 1]), ["a", "a", "b", "b", "c", "c"], 2, torch.arange(6)).tolist()
    [4, 5]
    """
    names = [group or i for i, group in enumerate(groups)]
    number: dict[str | int, int] = {}
    for i in drawn.tolist():
        number.setdefault(names[i], len(number))
    if len(number) < 2:
        return None
    group = np.array([number[name] for name in names])
    if labels.ndim == 1:
        present = np.eye(int(labels.max()) + 1)[labels.numpy()]
    else:  # and the images themselves, of which some may have no label
        present = np.concatenate([(labels > 0).numpy(), np.ones((len(labels), 1))], axis=1)
    table = np.zeros((len(number), present.shape[1]))
    np.add.at(table, group, present)
    sizes = table.sum(axis=0)
    table, sizes = table[:, sizes > 0], sizes[sizes > 0]
    share = count / len(labels)
    # For two sides the deviation between them is half their difference, in units of what each should hold.
    if_kept, if_left = table / (sizes * share), -table / (sizes * (1 - share))
    difference = np.zeros(len(sizes))
    kept = np.zeros(len(number), dtype=bool)
    for i in np.argsort(-table.std(axis=1), kind="stable"):
        kept[i] = np.abs(difference + if_kept[i]).mean() < np.abs(difference + if_left[i]).mean() - TIE
        difference += if_kept[i] if kept[i] else if_left[i]
    moved = True
    while moved:
        moved = False
        for i in range(len(kept)):
            changed = difference + (if_left[i] - if_kept[i] if kept[i] else if_kept[i] - if_left[i])
            if np.abs(changed).mean() < np.abs(difference).mean() - TIE:
                kept[i], difference, moved = not kept[i], changed, True
    smallest = table.sum(axis=1).argmin()
    if kept.all() or not kept.any():
        kept[smallest] = not kept[smallest]
    return torch.from_numpy(kept[group]).nonzero().flatten()


def apart(parts: Mapping[str, Split], name: str) -> None:
    """Refuse splits of a source that have a group in common.

    Args:
        parts: the splits by name.
        name: of the dataset, for the message.

    Raises:
        InputError: a group has images in two of them.
    """
    seen: dict[str, str] = {}
    for part, split in parts.items():
        for group in sorted(set(split.groups or ()) - {""}):
            if group in seen:
                raise InputError(
                    f"group {group!r} of {name} has images in {seen[group]} and in {part}; put them into one of both, "
                    "or name another column with --dataset.group"
                )
            seen[group] = part
