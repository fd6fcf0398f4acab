"""Commands killed before each of their file operations, and given again."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torture_scene import differences, evaluation_words, forked, photographs, preload, training_words

__all__ = ["COMMANDS", "Command", "commands", "crashes"]


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        name: what the table calls it.
        words: of the command line, whose paths are those of its folder.
        given: puts what the command starts from into a new folder.
        undisturbed: folder in which it was carried out without being killed.
        operations: how many file operations it began there.
        printed: what it printed there.
    """

    name: str
    words: list[str]
    given: Callable[[Path], None]
    undisturbed: Path
    operations: int
    printed: str


COMMANDS = ("train", "evaluate", "evaluate again", "explain", "study new", "select", "reproduce")
PAPER = ["ismail2021", "--dataset=fashion-mnist", "--scale=smoke", "--out=runs", "--results=results"]


def commands(root: Path, names: Sequence[str] = COMMANDS) -> dict[str, Command]:
    """The commands, each carried out once; what one needs of another is made first.

    Args:
        root: an empty folder.
        names: those that are wanted.
    """
    photos = photographs(root / "photos")
    run, made = Path("run"), {}
    trained, measured = root / "trained", root / "measured"
    pictures = [str(photos / "test" / name / "00.png") for name in ("ant", "cat")]
    words = {
        "train": training_words(run, photos),
        "evaluate": evaluation_words(run),
        "evaluate again": [*evaluation_words(run), "--target=true"],
        "explain": ["explain", "run", *pictures, "--out=cards", "--saliency=vanilla_gradient", "--accelerator=cpu"],
        "study new": ["study", "new", "run", "two", "--out=study", "--images=2", "--choose=any", "--practice=0"],
        "select": ["select", *PAPER],
        "reproduce": ["reproduce", *PAPER, "--seeds=1"],
    }

    def from_folder(folder: Path | None, twice: bool = False) -> Callable[[Path], None]:
        def give(place: Path) -> None:
            place.mkdir()
            if folder is not None:
                shutil.copytree(folder / "run", place / "run")
            if twice and folder is not None:
                shutil.copytree(folder / "run", place / "two")

        return give

    of = {"evaluate": trained, "evaluate again": measured, "explain": measured, "study new": measured}
    for name in COMMANDS:
        needed = name == "train" or (name == "evaluate" and set(names) & {"evaluate again", "explain", "study new"})
        if name not in names and not needed:
            continue
        place = {"train": trained, "evaluate": measured}.get(name, root / f"undisturbed {name}")
        give = from_folder(of.get(name), twice=name == "study new")
        give(place)
        ended = preload(words[name], place)
        if ended.code:
            raise SystemExit(f"{name} does not run undisturbed: {ended.err}")
        made[name] = Command(name, words[name], give, place, ended.operations, ended.out)
    return {name: made[name] for name in names}


def crashes(command: Command, root: Path, *, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Kill a command before file operations, all of them where the time allows, and give it again each time.

    Args:
        command: that is killed.
        root: folder for what comes of it.
        seconds: that this may take; then fewer operations are tried, drawn at random.
        seed: of their order.

    Returns:
        How many of how many operations were tried, and what went wrong, a sentence each.
    """
    order = list(range(1, command.operations + 1))
    random.Random(f"{seed} {command.name}").shuffle(order)
    began, tried, wrong = time.perf_counter(), 0, []
    for number in order:
        if time.perf_counter() - began > seconds:
            break
        place = root / f"{command.name} {number}"
        command.given(place)
        wrong += [f"{command.name}, operation {number}: {what}" for what in _crash(command, place, number)]
        tried += 1
        shutil.rmtree(place)
    return {
        "command": command.name,
        "operations": command.operations,
        "tried": tried,
        "wrong": wrong,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _crash(command: Command, place: Path, number: int) -> list[str]:
    killed = forked(command.words, place, kill_before=number)
    if killed.code != -9:
        return [f"it was not killed but ended with {killed.code}: {killed.err[-200:]}"]
    again = forked(command.words, place)
    done = not differences(command.undisturbed, place)
    if again.code == 2 and done and "exists already" in again.err:
        return []  # killed after its last operation that matters: what it was to make is there, and whole
    if again.code or not again.in_a_sentence:
        return [f"given again it ended with {again.code}: {again.err[-300:]}"]
    return differences(command.undisturbed, place)
