"""Measures of maps and networks: functions on batched tensors, one value per image, no reduction.

A file per property: `sparsity` (of the map alone), `faithfulness` and `removal` (does the map point at what the
network uses), `stability` (does the map change when the image hardly does), `robustness` and `autoattack` (does the
prediction), `masking` (was the attack too weak to tell), `curvature` (does the gradient), `sanity` (would a random
network have the same map), `scores` (are the predictions right); `definitions` says in words what every number means.
Names are loaded on first use, so that reading `definitions` imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.metrics.autoattack import autoattack_correct, autoattack_names
    from pellucid.metrics.curvature import gradient_variation, hessian_trace, top_hessian_eigenvalue
    from pellucid.metrics.definitions import DERIVED, Column, column_name, columns
    from pellucid.metrics.faithfulness import (
        aopc,
        area_between,
        area_under,
        perturbation_curve,
        perturbation_curves,
    )
    from pellucid.metrics.imputation import blurred, linear_imputation
    from pellucid.metrics.masking import masking_warnings
    from pellucid.metrics.regions import default_region
    from pellucid.metrics.removal import insertion_deletion, road
    from pellucid.metrics.robustness import masking_probe, robust_correct, robustness_curve
    from pellucid.metrics.sanity import (
        baseline_similarity,
        edge_map,
        random_map,
        randomisation_similarity,
        randomise,
    )
    from pellucid.metrics.scores import auc, balanced_accuracy, expected_calibration_error
    from pellucid.metrics.sensitivity import local_lipschitz, max_sensitivity
    from pellucid.metrics.similarity import map_similarity, rank_correlation, ssim
    from pellucid.metrics.sparsity import (
        compressed_size,
        effective_complexity,
        entropy,
        gini,
        hoyer,
        pixel_entropy,
        png_size,
    )
    from pellucid.metrics.stability import relative_stability
    from pellucid.metrics.survival import survives

__all__ = [
    "DERIVED",
    "Column",
    "aopc",
    "area_between",
    "area_under",
    "auc",
    "autoattack_correct",
    "autoattack_names",
    "balanced_accuracy",
    "baseline_similarity",
    "blurred",
    "column_name",
    "columns",
    "compressed_size",
    "default_region",
    "edge_map",
    "effective_complexity",
    "entropy",
    "expected_calibration_error",
    "gini",
    "gradient_variation",
    "hessian_trace",
    "hoyer",
    "insertion_deletion",
    "linear_imputation",
    "local_lipschitz",
    "map_similarity",
    "masking_probe",
    "masking_warnings",
    "max_sensitivity",
    "perturbation_curve",
    "perturbation_curves",
    "pixel_entropy",
    "png_size",
    "random_map",
    "randomisation_similarity",
    "randomise",
    "rank_correlation",
    "relative_stability",
    "road",
    "robust_correct",
    "robustness_curve",
    "ssim",
    "survives",
    "top_hessian_eigenvalue",
]

_HOME = {
    "autoattack": ["autoattack_correct", "autoattack_names"],
    "curvature": ["gradient_variation", "hessian_trace", "top_hessian_eigenvalue"],
    "definitions": ["DERIVED", "Column", "column_name", "columns"],
    "faithfulness": ["aopc", "area_between", "area_under", "perturbation_curve", "perturbation_curves"],
    "imputation": ["blurred", "linear_imputation"],
    "masking": ["masking_warnings"],
    "regions": ["default_region"],
    "removal": ["insertion_deletion", "road"],
    "robustness": ["masking_probe", "robust_correct", "robustness_curve"],
    "sanity": ["baseline_similarity", "edge_map", "random_map", "randomisation_similarity", "randomise"],
    "scores": ["auc", "balanced_accuracy", "expected_calibration_error"],
    "sensitivity": ["local_lipschitz", "max_sensitivity"],
    "similarity": ["map_similarity", "rank_correlation", "ssim"],
    "sparsity": ["compressed_size", "effective_complexity", "entropy", "gini", "hoyer", "pixel_entropy", "png_size"],
    "stability": ["relative_stability"],
    "survival": ["survives"],
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
