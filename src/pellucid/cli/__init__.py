"""The commands of ``pellucid``, a module for each group of them."""

from pellucid.cli.commands import COMMANDS
from pellucid.cli.main import main

__all__ = ["COMMANDS", "main"]
