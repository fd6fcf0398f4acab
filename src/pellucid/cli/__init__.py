"""The commands of ``pellucid``, a module for each group of them."""

from pellucid.cli.main import COMMANDS, main

__all__ = ["COMMANDS", "main"]
