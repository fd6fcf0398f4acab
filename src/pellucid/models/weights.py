"""Weights from a file, put into a network by name: all of them or none."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.core.checks import one_of
from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.models.channels import adapted
from pellucid.models.checkpoints import read_checkpoint
from pellucid.models.outputs import bare
from pellucid.models.preprocessing import Preprocessing, numbers

__all__ = ["load_weights", "own_preprocessing", "put_weights"]

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""What DataParallel, torch.compile, FSDP, activation checkpointing and Fabric put into the names of what they wrap."""


def load_weights(model: nn.Module, path: str | Path, *, head: Literal["strict", "new"] = "strict") -> None:
    """Copy a file's weights into ``model``, all of them or none.

    Every file that `pellucid.models.checkpoints.read_checkpoint` reads is accepted. Keys may be those of the whole
    model, as pellucid saves it, or those of its network alone, as published files have them; then the model's
    normalisation stays as it is. What wraps a network in the file is looked through: ``module.`` of DataParallel,
    ``_orig_mod.`` of torch.compile, ``model.``, ``net.`` or any other attribute that a Lightning module keeps it in.
    A first convolution for another number of channels is adapted as `pellucid.models.channels.adapted` says, and every
    such reading that leaves something out is told.

    Args:
        model: what `build` returns, with or without smoothing, or any module.
        path: a .safetensors file, or one of PyTorch, which is read without running code.
        head: ``new`` leaves the model's last layer as it is if the file's is missing or has another number of classes.

    Raises:
        InputError: no such file, a damaged one or one that holds more than tensors, or keys and shapes that differ from
            the model's; the model is as it was.

    >>> import tempfile
    >>> import torch
    >>> from safetensors.torch import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"weight": torch.ones(2, 3)}, f"{folder}/weights.safetensors")
    ...     load_weights(nn.Linear(3, 2), f"{folder}/weights.safetensors")
    Traceback (most recent call last):
    pellucid.InputError: weights in ...weights.safetensors do not fit this Linear: missing bias
    """
    one_of(("strict", "new"), head=head)
    put_weights(model, read_checkpoint(path), head=head, source=path)


def put_weights(
    model: nn.Module, saved: Mapping[str, Tensor], *, head: Literal["strict", "new"], source: str | Path
) -> None:
    """`load_weights` with tensors that were read already.

    Args:
        model: as in `load_weights`.
        saved: the file's tensors by name.
        head: as in `load_weights`.
        source: the file, for sentences.
    """
    target, tensors, left_out = _reading(model, saved, source)
    if left_out and any(name.endswith("normalize.mean") for name in left_out):
        raise InputError(
            f"weights in {source} were trained behind a normalisation of pixels, which this model has no place for; "
            "build it with --network.normalize true"
        )
    tensors, channels = _with_channels(target, tensors)
    fresh, classes = _without_head(target, tensors)
    problems = _problems(target, fresh if head == "new" else tensors)
    if problems:
        there = f"the last layer there has {classes[0]} classes: ask for as many, or " if classes and classes[0] else ""
        hint = "" if _problems(target, fresh) else f"; {there}head: new keeps a fresh last layer"
        kind = type(bare(model)).__name__
        raise InputError(f"weights in {source} do not fit this {kind}: {'; '.join(problems)}{hint}")
    target.load_state_dict({**target.state_dict(), **(fresh if head == "new" else tensors)})
    if channels is not None:
        tell(f"{source}: the first convolution, of {channels[0]} channels there, was adapted to {channels[1]}")
    if head == "new" and classes is not None:
        tell(f"{source}: the last layer, {classes[0] or 'missing'} there, is a new one of {classes[1]} classes")
    if left_out:
        tell(f"{source}: left out {_listed(left_out)}, outside the network")


def own_preprocessing(saved: Mapping[str, Tensor]) -> tuple[Preprocessing | None, dict[str, Tensor]]:
    """The normalisation that weights written by pellucid carry, and the other tensors.

    Args:
        saved: a file's tensors by name.

    Returns:
        None with all tensors where the file has no ``normalize.mean`` and ``normalize.std`` beside ``network.``.
    """
    for name in saved:
        prefix = name.removesuffix("normalize.mean")
        names = (f"{prefix}normalize.mean", f"{prefix}normalize.std")
        within = any(other.startswith(f"{prefix}network.") for other in saved)
        if name == names[0] and names[1] in saved and within:
            mean, std = (numbers(saved[key]) for key in names)
            rest = {key: value for key, value in saved.items() if key not in names}
            return Preprocessing(mean, std, None, "written beside its weights"), rest
    return None, dict(saved)


def _reading(
    model: nn.Module, saved: Mapping[str, Tensor], source: str | Path
) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """Which module a file is of, its tensors by that module's names, and the file's names that are left out.

    It is the reading that explains most of a module's names: of the network alone or the whole model, with whatever
    stands before them in the file.
    """
    readings = []
    for target in dict.fromkeys((bare(model), model)):
        names = target.state_dict().keys()
        plain = _unwrapped(saved, names)
        for prefix in _prefixes(plain, names):
            known = sum(f"{prefix}{name}" in plain for name in names)
            readings.append((known, prefix, target, plain))
    most = max(known for known, *_ in readings)
    best = [reading for reading in readings if reading[0] == most]
    _, prefix, target, plain = best[0]
    same = [other for _, other, module, _ in best if module is target]
    if prefix and len(same) > 1 and not _equal(plain, same):
        averaged = [other for other in same if "ema" in other or "average" in other]
        if len(averaged) != 1:
            raise InputError(
                f"weights file {source} holds several networks that would fit, {_listed(same)}; save only one of them"
            )
        prefix = averaged[0]
        tell(f"took the averaged weights of {source}: {prefix}* and not {next(o for o in same if o != prefix)}*")
    if 2 * most < len(target.state_dict()):
        prefix = ""  # nothing to go by
    tensors = {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}
    read = (prefix, *same) if prefix else ("",)
    left_out = [name for name in plain if not name.startswith(read) and name != "n_averaged"]
    tensors = {name: value for name, value in tensors.items() if name != "n_averaged" or name in target.state_dict()}
    return target, tensors, left_out


def _unwrapped(saved: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    """The file's tensors without wrappers' parts in their names, such as ``features.module.0.weight``."""
    own = {part for name in names for part in name.split(".")}
    wrappers = {part for part in WRAPPERS if part not in own}
    return {".".join(part for part in name.split(".") if part not in wrappers): value for name, value in saved.items()}


def _equal(saved: Mapping[str, Tensor], prefixes: Sequence[str]) -> bool:
    """Whether a file holds one network several times, as one that is also a part of its attacker."""
    first, *others = ({k.removeprefix(p): v for k, v in saved.items() if k.startswith(p)} for p in prefixes)
    shared = [name for name in first if all(name in other for other in others)]
    return bool(shared) and all(torch.equal(first[name], other[name]) for name in shared for other in others)


def _prefixes(saved: Mapping[str, Tensor], names: Collection[str]) -> list[str]:
    """What may stand before a module's names in a file; nothing, first of all."""
    found = {""}
    for name in saved:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            if ".".join(parts[depth:]) in names:
                found.add(".".join(parts[:depth]) + ".")
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix))


def _with_channels(target: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[int, int] | None]:
    """The file with its first convolution for the target's number of channels, and both numbers if they differ."""
    name, weight = next(((key, value) for key, value in target.state_dict().items() if value.ndim == 4), ("", None))
    if weight is None or name not in tensors or tensors[name].shape == weight.shape:
        return tensors, None
    there, here = tensors[name].shape, weight.shape
    if len(there) != 4 or (there[0], *there[2:]) != (here[0], *here[2:]):
        return tensors, None
    return {**tensors, name: adapted(tensors[name], here[1])}, (there[1], here[1])


def _without_head(target: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[int, int] | None]:
    """The file with the target's own last layer where the file's is missing or has another number of classes.

    Other layers that differ in the same two numbers alone are heads too, as a distilled transformer has them.

    Returns:
        The tensors; and the numbers of classes in the file (0 where it has no head) and in the target, None where the
        file's own head is in them.
    """
    state = target.state_dict()
    last = next(reversed(dict(target.named_parameters())), "")
    layer = last.rpartition(".")[0]
    head = {key: value for key, value in state.items() if key.rpartition(".")[0] == layer}
    if not head or any(value.ndim == 0 for value in head.values()):
        return tensors, None
    classes = next(iter(head.values())).shape[0]
    present = [key for key in head if key in tensors]
    if not present:
        return {**tensors, **head}, (0, classes)
    if len(present) < len(head) or any(tensors[key].shape[1:] != head[key].shape[1:] for key in head):
        return tensors, None
    there = tensors[present[0]].shape[0]
    if there == classes:
        return tensors, None
    others = {
        key: value
        for key, value in state.items()
        if key in tensors
        and value.ndim
        and tensors[key].ndim == value.ndim
        and (tensors[key].shape[0], value.shape[0]) == (there, classes)
        and tensors[key].shape[1:] == value.shape[1:]
    }
    return {**tensors, **others, **head}, (there, classes)


def _problems(target: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    state = target.state_dict()
    known = sum(key in tensors for key in state)
    if 4 * known < len(state):
        return [
            f"they are another network's, with {known} of its {len(state)} tensors by name; "
            f"the file holds {_listed(list(tensors))}"
        ]
    # Files from before PyTorch 0.4.1 lack BatchNorm's counter, which plays no part unless momentum is None.
    missing = [key for key in state if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in state]
    shapes = [
        f"{key} of shape {tuple(tensors[key].shape)} where {tuple(value.shape)} is expected"
        for key, value in state.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    return [
        f"{title} {_listed(items)}"
        for title, items in (("missing", missing), ("unexpected", unexpected), ("misshaped", shapes))
        if items
    ]


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
