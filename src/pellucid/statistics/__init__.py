"""How sure a number is: intervals over images, comparisons of runs, over seeds. Imports no torch."""

from pellucid.statistics.intervals import *  # noqa: F403  # its names, which stand there
