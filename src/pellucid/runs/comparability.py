"""Which runs may stand in one table: those whose networks were measured on the same images in the same way."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pellucid.core.errors import InputError

if TYPE_CHECKING:
    from pellucid.runs.evaluated import Run

__all__ = ["check_comparable"]


def check_comparable(runs: Sequence["Run"]) -> None:
    """Refuse runs that cannot stand in one table.

    Args:
        runs: any number of runs.

    Raises:
        InputError: two runs of one name, or evaluated on different images or in different ways; it names both.
    """
    named: dict[str, "Run"] = {}
    for run in runs:
        if run.name in named:
            raise InputError(
                f"two runs are named {run.name!r} ({named[run.name].path} and {run.path}); rename a directory, "
                "as its name is the run's name in the table"
            )
        named[run.name] = run
        _check_same_images(runs[0], run)
        _check_same_pixels(runs[0], run)
        _check_same_settings(runs[0], run)


def _check_same_images(first: "Run", run: "Run") -> None:
    for key in ("dataset", "split", "classes"):
        ours, theirs = first.info.get(key), run.info.get(key)
        if key == "dataset":  # my_package:make_dataset is my_package.make_dataset
            ours, theirs = (str(name).replace(":", ".") for name in (ours, theirs))
        if ours != theirs:
            raise InputError(
                f"runs {first.name!r} and {run.name!r} were evaluated on different data: {key} "
                f"{first.info.get(key)!r} and {run.info.get(key)!r}; only runs on the same images can be compared"
            )
    for key in ("index", "label"):
        if not np.array_equal(first.rows[key].to_numpy(), run.rows[key].to_numpy()):
            raise InputError(
                f"runs {first.name!r} ({first.rows.num_rows} images) and {run.name!r} ({run.rows.num_rows}) were "
                f"evaluated on different images: column {key} differs; evaluate both with the same images and seed"
            )


def _check_same_pixels(first: "Run", run: "Run") -> None:
    """Refuse images of the same names and places whose pixels changed between two evaluations."""
    ours, theirs = first.info.get("pixels"), run.info.get("pixels")
    if ours is not None and theirs is not None and ours != theirs:
        raise InputError(
            f"runs {first.name!r} and {run.name!r} were evaluated on different images: those of "
            f"{run.info.get('dataset')} have changed in between (digest {ours} and {theirs}); evaluate both again"
        )


def _check_same_settings(first: "Run", run: "Run") -> None:
    for column in first.columns.keys() & run.columns.keys():
        # Which layers a network has is the network's, not a setting.
        ours, theirs = (
            {key: value for key, value in measured.columns[column].get("parameters", {}).items() if key != "layers"}
            for measured in (first, run)
        )
        if ours != theirs:
            raise InputError(
                f"runs {first.name!r} and {run.name!r} measured {column} with different parameters, {ours} and "
                f"{theirs}; evaluate both with the same settings"
            )
