"""What a metric gives of a case, held against what it has promised."""

from collections.abc import Mapping

from torch import Tensor

from pellucid.core.errors import InputError
from pellucid.metrics.case import Case
from pellucid.metrics.metric import Metric

__all__ = ["measured"]


def measured(metric: Metric, case: Case) -> dict[str, Tensor]:
    """The metric's numbers of each image, the same whenever the case is the same, whatever draws inside.

    Args:
        metric: one of pellucid's or your own.
        case: n images.

    Returns:
        By column: (n,) or, of a curve, (n, k).

    Raises:
        InputError: no dictionary of tensors, a column that the metric does not name or does not give, another shape.

    >>> import torch
    >>> from pellucid.metrics import Gini
    >>> measured(Gini(), Case(given=torch.eye(4)[None]))
    {'gini': tensor([0.7500])}
    """
    kind, n = type(metric).__name__, len(case)
    with case.pinned(f"{kind} of {case.name}"):
        values = metric(case)
    if not isinstance(values, Mapping):
        raise InputError(f"{kind} must return a dictionary of column name to tensor, got {type(values).__name__}")
    if set(values) != set(metric.columns):
        got = ", ".join(map(str, values)) or "none"
        raise InputError(f"{kind} must return the columns that it names, {', '.join(metric.columns)}, got {got}")
    for name, column in metric.columns.items():
        value = values[name]
        if not isinstance(value, Tensor):
            raise InputError(f"{name!r} of {kind} must be a tensor, got {type(value).__name__}")
        if value.ndim != 1 + column.curve or len(value) != n or value.is_complex():
            wanted = f"({n}, k), a curve for each image" if column.curve else f"({n},), a number for each image"
            raise InputError(f"{name!r} of {kind} must have shape {wanted}, got {tuple(value.shape)}")
    return {name: values[name].detach() for name in metric.columns}
