"""What happens to a machine: two writers, a full disk, no memory, signals, closed streams, files that never end."""

import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_crashes import Command
from torture_scene import Ended, differences, evaluation_words, forked, started, training_words

__all__ = ["faults", "kills", "races"]

BUSY = "is being worked on by"


def kills(train: Command, root: Path, *, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Stop trainings by a signal at random moments until they are finished, and compare what they end with.

    Args:
        train: the training.
        root: folder for what comes of it.
        seconds: that this may take.
        seed: of moments and signals.
    """
    draws, began = random.Random(f"{seed} kills"), time.perf_counter()
    run, photos, epochs = Path("run"), train.undisturbed.parent / "photos", 30
    words, whole = training_words(run, photos, epochs), root / "kills undisturbed"
    whole.mkdir()
    undisturbed = forked(words, whole)
    found: dict[str, Any] = {"trainings": 0, "signals": 0, "identical": 0, "wrong": []}
    while time.perf_counter() - began < seconds:
        place = root / f"kills {found['trainings']}"
        place.mkdir()
        for _ in range(100):
            running = started(words, place)
            time.sleep(draws.random() * undisturbed.seconds)
            number = draws.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
            os.kill(running.process, number)  # type: ignore[attr-defined]
            ended = running(60)
            found["signals"] += 1
            if ended.code == 0:
                break
            if ended.code not in (-number, 128 + number) or not (ended.code < 0 or ended.in_a_sentence):
                found["wrong"].append(f"{signal.Signals(number).name} ended it with {ended.code}: {ended.err[-200:]}")
        last = forked(words, place)
        wrong = differences(whole, place) if last.code == 0 else [last.err[-200:]]
        found["trainings"] += 1
        found["identical"] += not wrong
        found["wrong"] += wrong
        shutil.rmtree(place)
    return found | {"seconds": round(time.perf_counter() - began, 1)}


def races(commands: dict[str, Command], root: Path, *, seconds: float, seed: int = 0) -> list[dict[str, Any]]:
    """Let two processes work in one run directory at once: one does, the other is told who does.

    Args:
        commands: ``train``, ``evaluate`` and ``evaluate again``.
        root: folder for what comes of it.
        seconds: that this may take.
        seed: of the moments between the two starts.
    """
    train, evaluate = commands["train"], commands["evaluate"]
    pairs = {"train, train": (train, train), "evaluate, evaluate": (evaluate, evaluate)}
    pairs["evaluate, evaluate otherwise"] = (evaluate, commands["evaluate again"])
    draws, found = random.Random(f"{seed} races"), []
    for name, (one, other) in pairs.items():
        began, tried, refused, wrong = time.perf_counter(), 0, 0, []
        while time.perf_counter() - began < seconds / len(pairs):
            place = root / f"{name} {tried}"
            one.given(place)
            first = started(one.words, place)
            time.sleep(draws.random() * 0.3)
            second = started(other.words, place)
            ended = [first(100), second(100)]
            tried += 1
            told = [end for end in ended if end.code == 2 and BUSY in end.err]
            refused += len(told)
            others = [end for end in ended if end not in told]
            if one is other:
                wrong += [f"{name}: ended with {end.code}: {end.err[-200:]}" for end in others if end.code]
                wrong += differences(one.undisturbed, place)
            elif 0 not in (end.code for end in ended) or not all(end.in_a_sentence for end in ended):
                wrong.append(f"{name}: {[(end.code, end.err[-150:]) for end in ended]}")
            shutil.rmtree(place)
        found.append({"pair": name, "tried": tried, "refused": refused, "wrong": wrong,
                      "seconds": round(time.perf_counter() - began, 1)})  # fmt: skip
    return found


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and how the command must end.

    Attributes:
        name: what the table calls it.
        words: of the command.
        code: the exit code.
        said: what stands on the standard error.
        before: what is done in the new process first.
        given: what is done with the folder before.
    """

    name: str
    words: list[str]
    code: int = 2
    said: str = "pellucid: "
    before: Callable[[], None] | None = None
    given: Callable[[Path], None] = field(default=lambda place: None)


def _limit(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def _closed(*numbers: int) -> Callable[[], None]:
    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


def _full() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _pipe(name: str) -> Callable[[Path], None]:
    def give(place: Path) -> None:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).unlink(missing_ok=True)
        os.mkfifo(place / name)

    return give


def _written(name: str, text: str) -> Callable[[Path], None]:
    def give(place: Path) -> None:
        (place / name).write_text(text)

    return give


def _tried(photos: Path) -> list[Fault]:
    run = Path("run")
    train, evaluate = training_words(run, photos), evaluation_words(run)
    anew = training_words(Path("new"), photos)
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    sizes = (1_000, 3_000, 10_000, 100_000)
    found = [
        Fault(f"disk full after {size} bytes, {words[0]}", [*words], said="File too large: ",
              before=_limit(resource.RLIMIT_FSIZE, size))
        for size in sizes for words in (anew, [*evaluate, "--target=true"])
        if size < (100_000 if words is anew else 10_000)
    ]  # fmt: skip
    found += [
        Fault("disk full, report", ["report", "run", "--out=page.html"], said="File too large: page.html",
              before=_limit(resource.RLIMIT_FSIZE, 5_000)),
        Fault("full output", ["compare", "run"], said="No space left on device", before=_full),
        Fault("closed output", ["compare", "run"], code=0, said="", before=_closed(1)),
        Fault("closed streams", ["evaluate", "run", *evaluate[2:]], code=0, said="", before=_closed(0, 1, 2)),
        Fault("learning rate 1e308", [*anew, "--optimizer.lr=1e308"], said="lr must be at most 3.4e+38, got 1e+308"),
        Fault("learning rate 1e38", [*anew, "--optimizer.lr=1e38"], said="lower optimizer.lr"),
        Fault("loss that comes apart", [*anew, "--optimizer.name=sgd", "--optimizer.lr=1e9"], said=" became "),
        Fault("weight decay 1e308", [*anew, "--optimizer.weight_decay=1e308"], said="weight_decay must be at most"),
        Fault("pictures that no memory holds", [*anew, "--dataset.size=1000000"],
              before=_limit(resource.RLIMIT_AS, 6 << 30)),
        Fault("YAML that grows", ["train", "new", "--config=bomb.yaml"], said="holds more than 200000 values",
              given=_written("bomb.yaml", laughs)),
        Fault("YAML that holds itself", ["train", "new", "--config=bomb.yaml"], said="*a holds itself",
              given=_written("bomb.yaml", "a: &a [*a]")),
        Fault("YAML that is deep", ["train", "new", "--config=bomb.yaml"], said="more than 64 deep",
              given=_written("bomb.yaml", "[" * 9000)),
        Fault("pipe as --config", ["train", "new", "--config=pipe.yaml"], said="is a named pipe",
              given=_pipe("pipe.yaml")),
        Fault("pipe as picture", ["explain", "run", "pipe.png", "--out=cards", "--accelerator=cpu"],
              said="is a named pipe", given=_pipe("pipe.png")),
        Fault("pipe as --weights", [*anew, "--network.weights=pipe.pt"], given=_pipe("pipe.pt")),
        Fault("device as --weights", [*anew, "--network.weights=/dev/zero"]),
        Fault("device as picture", ["explain", "run", "/dev/zero", "--out=cards", "--accelerator=cpu"],
              said="is a device"),
    ]  # fmt: skip
    found += [
        Fault(f"pipe as {name}", words, said="is a named pipe", given=_pipe(f"run/{name}"))
        for name, words in {
            "experiment.yaml": evaluate, "model.safetensors": evaluate, "rows.parquet": ["compare", "run"],
            "maps.safetensors": ["report", "run", "--out=page.html"], "train.csv": ["report", "run", "--out=page.html"],
            "digests.json": evaluate, "data.json": evaluate, "environment.json": ["report", "run", "--out=page.html"],
        }.items()
    ]  # fmt: skip
    found.append(Fault("pipe as state.pt", train, said="is a named pipe", given=_unfinished))
    return found


def _unfinished(place: Path) -> None:
    (place / "run" / "model.safetensors").unlink()
    _pipe("run/state.pt")(place)


def faults(measured: Command, root: Path, *, seconds: float) -> list[dict[str, Any]]:
    """Let every fault happen once, within a time and a memory that are bounded.

    Args:
        measured: whose folder holds a measured run.
        root: folder for what comes of it.
        seconds: that this may take.
    """
    began, found = time.perf_counter(), []
    for number, fault in enumerate(_tried(measured.undisturbed.parent / "photos")):
        if time.perf_counter() - began > seconds:
            break
        place = root / f"fault {number}"
        place.mkdir()
        shutil.copytree(measured.undisturbed / "run", place / "run")
        fault.given(place)
        ended = forked(fault.words, place, before=fault.before, timeout=60)
        last = (ended.err.strip().splitlines() or [""])[-1].replace(f"{place}/", "")
        found.append({"fault": fault.name, "code": ended.code, "said": last[:200],
                      "seconds": round(ended.seconds, 1), "wrong": _wrong(fault, ended, place)})  # fmt: skip
        shutil.rmtree(place)
    return found


def _wrong(fault: Fault, ended: Ended, place: Path) -> list[str]:
    wrong = []
    if ended.code != fault.code or fault.said not in ended.err or not ended.in_a_sentence:
        wrong.append(f"{fault.name}: ended with {ended.code}: {ended.err[-300:]}")
    left = [path.name for path in place.rglob("*.partial*")]
    if left:
        wrong.append(f"{fault.name}: {left[0]} was left")
    return wrong
