"""What a report is made of: evaluated run directories, as `pellucid.runs.evaluated` reads them."""

from pellucid.runs.evaluated import Run, read_run, read_runs

__all__ = ["Run", "read_run", "read_runs"]
