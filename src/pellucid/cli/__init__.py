"""The commands of ``pellucid``."""

from pellucid.cli.main import main

__all__ = ["main"]
