"""Measures of maps and networks: functions on batched tensors, one value per image, no reduction.

A file per property: `sparsity` (of the map alone), `faithfulness` (does the map point at what the network uses),
`stability` (does the map change when the image hardly does), `robustness` (does the prediction); `definitions`
says in words what every number means. Names are loaded on first use, so that reading `definitions` imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.metrics.definitions import DERIVED, Column, column_name, columns
    from pellucid.metrics.faithfulness import aopc, default_region, perturbation_curve, perturbation_curves
    from pellucid.metrics.robustness import robust_correct
    from pellucid.metrics.sparsity import compressed_size, entropy, gini, pixel_entropy
    from pellucid.metrics.stability import relative_stability

__all__ = [
    "DERIVED",
    "Column",
    "aopc",
    "column_name",
    "columns",
    "compressed_size",
    "default_region",
    "entropy",
    "gini",
    "perturbation_curve",
    "perturbation_curves",
    "pixel_entropy",
    "relative_stability",
    "robust_correct",
]

_HOME = {
    "definitions": ["DERIVED", "Column", "column_name", "columns"],
    "faithfulness": ["aopc", "default_region", "perturbation_curve", "perturbation_curves"],
    "robustness": ["robust_correct"],
    "sparsity": ["compressed_size", "entropy", "gini", "pixel_entropy"],
    "stability": ["relative_stability"],
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
