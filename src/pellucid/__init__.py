"""Train image classifiers whose saliency maps can be trusted, and measure it.

Public names are loaded on first use, so that ``pellucid --help`` and the report import no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "AdaptiveQ": "adaptive_q",
    "AdversarialSCAAT": "methods",
    "AdversarialTraining": "methods",
    "Batch": "types",
    "Data": "data",
    "Evaluation": "evaluation",
    "Experiment": "experiment",
    "InputError": "errors",
    "IntegratedGradients": "saliency",
    "Method": "methods",
    "Network": "models",
    "Objective": "objective",
    "Optimizer": "experiment",
    "PGD": "attacks",
    "Regular": "methods",
    "SCAAT": "methods",
    "Saliency": "types",
    "SaliencyGuided": "methods",
    "Schedule": "experiment",
    "SmoothGrad": "saliency",
    "Smoothing": "smoothing",
    "VanillaGradient": "saliency",
    "as_saliency": "saliency",
    "evaluate": "evaluation",
    "fgsm": "attacks",
    "fit": "training",
    "gini": "metrics",
    "heatmap": "saliency",
    "insert_smoothing": "smoothing",
    "jensen_shannon": "divergence",
    "kl": "divergence",
    "lowest": "saliency",
    "perturbation_curve": "metrics",
    "relative_stability": "metrics",
    "symmetric_kl": "divergence",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    return getattr(import_module(f"pellucid.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
