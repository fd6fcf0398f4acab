"""Does an evaluated run's robust accuracy only look high? Imports no torch."""

import numpy as np

from pellucid.metrics.families.robustness import CHECKS
from pellucid.metrics.masking import masking_warnings
from pellucid.runs.evaluated import Run

__all__ = ["attack_caveats"]


def attack_caveats(run: Run) -> list[str]:
    """Signs that an attack was too weak to count, a sentence each: from the checks beside robust accuracy and probes.

    Args:
        run: an evaluated run.

    Returns:
        Sentences of `pellucid.metrics.masking_warnings`; none where nothing was checked or nothing is wrong.
    """
    names = run.rows.column_names
    probes = [name for name in names if name.startswith("masking_")]
    attacks = [name for name in ("robust_correct", "autoattack_correct") if name in names]
    radii = {name: run.columns[name]["parameters"].get("eps") for name in attacks}
    # Without robust accuracy AutoAttack has only the probes of its own radius to be held against.
    probes += [name for name, eps in radii.items() if eps == radii.get("robust_correct")]
    probes += [name for name in CHECKS if name in names and "robust_correct" in names]
    attacked = {"masking_many_step", "robust_correct"} & set(probes)
    if not attacked or not set(probes) - {"masking_many_step", "robust_correct"}:
        return []
    _, counts = np.unique(run.rows["label"].to_numpy(), return_counts=True)
    most_frequent = counts.max() / counts.sum()
    guess = 1 / len(run.info["classes"]) if run.task == "multiclass" else 0.5  # of one label, yes or no
    columns = {name: run.values(name) for name in probes}
    return masking_warnings(columns, chance=min(0.99, max(guess, float(most_frequent))))
