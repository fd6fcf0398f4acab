"""What a report is made of: evaluated run directories, as `pellucid.runs.directory` reads them."""

from pellucid.runs.directory import FORMAT, Run, check_comparable, read_run, read_runs

__all__ = ["FORMAT", "Run", "check_comparable", "read_run", "read_runs"]
