"""What a training finds in its directory: nothing, itself, or something that it must not touch."""

from dataclasses import replace
from typing import Any

from pellucid.config import to_config
from pellucid.core.errors import InputError
from pellucid.runs.directory import RunDirectory
from pellucid.runs.settings import Experiment, read_experiment

__all__ = ["first_difference", "is_done"]


def is_done(experiment: Experiment, directory: RunDirectory, resume: bool) -> bool:
    """Whether nothing is left to do; a directory that holds something else is refused."""
    _check_directory(experiment, directory, resume)
    return directory.is_finished


def _check_directory(experiment: Experiment, directory: RunDirectory, resume: bool) -> None:
    run = directory.path
    if run.exists() and not run.is_dir():
        raise InputError(f"the run directory {run} is a file; give a folder")
    if not directory.is_begun:
        # Another process may have written its first checkpoint since; it is found under the lock.
        foreign = [
            name for name in directory.foreign if name not in (directory.checkpoint.name, directory.weights.name)
        ]
        if foreign:
            raise InputError(f"{run} is not a run, as it holds {foreign[0]!r}; give a new or empty folder")
        return
    if not resume:
        raise InputError(f"{run} holds a run already; continue it with --resume or give another folder")
    there, asked = (
        to_config(replace(one, dataset=one.dataset.settled())) for one in (read_experiment(run), experiment)
    )
    difference = first_difference(there, asked)
    if difference is not None:
        name, theirs, ours = difference
        raise InputError(
            f"{run} was begun with another {name}: {theirs} there, {ours} asked for; "
            "resume with the same settings or give another folder"
        )


def first_difference(there: Any, asked: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Dotted name and both values of the first setting in which two configs differ."""
    if there == asked:
        return None
    if not (isinstance(there, dict) and isinstance(asked, dict) and there.keys() == asked.keys()):
        return name, there, asked
    if there.get("class_path") != asked.get("class_path"):
        return name, there["class_path"], asked["class_path"]
    inner = (first_difference(there[key], asked[key], f"{name}.{key}".strip(".")) for key in asked)
    return next(difference for difference in inner if difference is not None)
