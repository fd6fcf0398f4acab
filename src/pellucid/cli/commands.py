"""The commands by what they are for."""

from importlib import import_module
from typing import Any

__all__ = ["COMMANDS", "GROUPS", "command"]

GROUPS = {
    "Start here": {
        "demo": ("papers", "train and compare six networks, and write a report"),
        "doctor": ("doctor", "say what this machine has, and what is missing"),
        "data": ("data", "get a dataset, or list them"),
    },
    "Train": {
        "train": ("train", "train one network"),
        "tune": ("tune", "fine-tune a pretrained network on your photographs"),
        "presets": ("tune", "list ready-made recipes for training, and the evidence for each"),
    },
    "Measure and compare": {
        "evaluate": ("evaluate", "measure trained networks on test images"),
        "compare": ("show", "print a table of measured networks"),
        "report": ("show", "write one web page about measured networks"),
        "check": ("gate", "hold a network to requirements in continuous integration"),
        "metrics": ("show", "explain what every metric means"),
    },
    "Explain pictures": {
        "explain": ("explain", "write a trust card for each of your pictures"),
        "layers": ("layers", "list the layers that class activation maps can use"),
        "export": ("export", "write a network for use without pellucid"),
    },
    "Research": {
        "study": ("study", "ask people about the maps, and analyse their answers"),
        "reproduce": ("papers", "repeat a paper's tables beside the published numbers"),
        "select": ("papers", "search settings on validation images"),
        "leaderboard": ("papers", "compare every method with its controls"),
    },
    "Your shell": {
        "completion": ("completion", "complete commands and options with the Tab key"),
    },
}
"""For each command its module in `pellucid.cli`, where a function has its name, and what it does."""

COMMANDS = {name: told for commands in GROUPS.values() for name, told in commands.items()}


def command(name: str) -> Any:
    """The function that carries a command out.

    Args:
        name: a key of `COMMANDS`.
    """
    return getattr(import_module(f"pellucid.cli.{COMMANDS[name][0]}"), name)
