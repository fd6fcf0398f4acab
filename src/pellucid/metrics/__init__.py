"""Measures of maps and networks: metrics, and the formulas behind them.

A metric (`Metric`) is a choice with settings that turns a `Case` into named numbers per image; those of pellucid stand
in `families`, a file per question, and `suite` finds them by name. The formulas are functions on batched tensors, one
value per image, no reduction, a file per property: `sparsity`, `faithfulness`, `oracle` and `removal`, `stability`,
`similarity`, `sensitivity`, `robustness` and `autoattack`, `masking`, `curvature`, `sanity`, `truth`,
`interventions`; of predictions `scores`, `ranking`, `confusion` and `calibration`. Names are loaded on first use, so
that the meaning of a number is read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
