"""Where a run's numbers come from: its command, its settings, and the machine and software that made it."""

import shlex
from typing import Any

import yaml

from pellucid.runs.evaluated import Run

__all__ = ["details", "told_command"]


def told_command(command: str) -> str:
    """The command that made a run, as it can be typed again; what to know where there is none.

    Args:
        command: as the run's environment.json has it; an older pellucid recorded ``python -m pellucid`` by the name of
            a file inside the package.

    >>> told_command("__main__.py train runs/at")
    'pellucid train runs/at'
    >>> told_command("-c")
    'not recorded: it was trained from Python'
    """
    program, *words = shlex.split(command) or [""]
    if program in ("", "-c", "-"):
        return "not recorded: it was trained from Python"
    if program in ("pellucid", "__main__.py"):
        return shlex.join(["pellucid", *words])
    return f"not a command of pellucid: it was trained from Python, by {shlex.join([program, *words])}"


def details(run: Run, words: str) -> dict[str, Any]:
    """What the page says of the origin of a run.

    Args:
        run: an evaluated run.
        words: how it was trained.
    """
    environment = run.environment
    commit, command = environment.get("commit"), environment.get("command", "")
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items() if version)
    return {
        "name": run.name,
        "words": words,
        "command": told_command(command),
        "settings": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
        "facts": {
            "Commit": (commit + (", with uncommitted changes" if environment.get("dirty") else "")) if commit else "–",
            "Device": f"{environment.get('device_name', '–')} ({environment.get('device', '–')})",
            "Threads": environment.get("threads", "–"),
            "Started": environment.get("started", "–"),
            "Trained for": f"{run.training['seconds'].sum():.0f} s in {len(run.training['seconds'])} epochs",
            "Trained weights": f"{environment['parameters']:,}" if "parameters" in environment else "–",
            "Software": f"pellucid {environment['pellucid']}, Python {environment['python']}, {packages}",
            "Platform": environment.get("platform", "–"),
        },
    }
