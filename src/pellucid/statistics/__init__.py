"""How sure a number is: intervals over images, comparisons of runs, over seeds. Imports no torch."""

from pellucid.statistics.intervals import (
    EMPTY,
    Interval,
    counts_of,
    interval_of,
    mean_band,
    mean_interval,
    of_share,
    paired_difference,
    paired_ratio_difference,
    ratio_interval,
    weighted_interval,
)

__all__ = [
    "EMPTY",
    "Interval",
    "counts_of",
    "interval_of",
    "mean_band",
    "mean_interval",
    "of_share",
    "paired_difference",
    "paired_ratio_difference",
    "ratio_interval",
    "weighted_interval",
]
