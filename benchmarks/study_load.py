"""A study under load: 200 participants at once through every page, without and with `kill -9` of the server.

usage: python benchmarks/study_load.py RUN RUN... [--participants 200] [--think 2] [--kills 20] [--out FILE]

Each participant is a connection of its own that reads a page and its pictures, thinks, and sends the answers. In the
second round the server is killed and started again under the same load; a participant whose request failed sends it
again, as a person would. Writes results/study-load.json and results/study-load.md.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from pellucid.study.folder import read_manifest, read_study, write_study
from pellucid.study.sequence import Sequences
from pellucid.study.stimuli import New, new_study
from pellucid.study.store import Store
from pellucid.study.visitor import Page, read_page

RESULTS = Path(__file__).parents[1] / "results"


class Gone(Exception):
    """The server closed the connection."""


@dataclass
class Participant:
    """One browser; a plain HTTP/1.1 client, so that the measurement costs little beside the server."""

    port: int
    think: float
    draws: random.Random
    times: dict[str, list[float]]
    failures: Counter[str]
    cookie: str = ""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    resumed_wrong: int = 0

    async def request(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, str], bytes]:
        """One request on the kept connection."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nCookie: {self.cookie}\r\n"
        if method == "POST":
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        start = time.perf_counter()
        try:
            self.writer.write(f"{head}\r\n{body}".encode())
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(
                line.lower().split(": ", 1) if "cookie" not in line else line.split(": ", 1)
                for line in lines[1:]
                if line
            )
            headers = {name.lower(): value for name, value in headers.items()}
            content = await self.reader.readexactly(int(headers.get("content-length", "0")))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.writer.close()
            self.writer = None
            raise Gone from error
        kind = path.split("?")[0].split("/")[1] or "welcome"
        self.times.setdefault(f"{method} /{kind}", []).append(time.perf_counter() - start)
        status = int(lines[0].split()[1])
        if status >= 400:
            self.failures[f"{status} {method} /{kind}"] += 1
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        return status, headers, content

    async def patiently(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, str], bytes]:
        """The same request until the server answers it."""
        while True:
            try:
                return await self.request(method, path, body)
            except (Gone, OSError):
                self.failures["connection"] += 1
                await asyncio.sleep(0.2)

    async def page(self, path: str) -> Page:
        """A page and what it shows, as a browser fetches it."""
        _, _, content = await self.patiently("GET", path)
        html = content.decode()
        for source in re.findall(r'(?:src|href)="(/(?:static|stimuli)/[^"]+)"', html):
            if source not in self.seen:
                self.seen.add(source)
                await self.patiently("GET", source)
        return read_page(html)

    async def take_part(self) -> None:
        """From the first page to the last."""
        await asyncio.sleep(self.think * self.draws.random())
        await self.page("/")
        await self.pause()
        page = await self.page("/consent?language=en")
        await self.pause()
        await self.patiently("POST", "/consent", urlencode(page.hidden | {"decision": "agree"}))
        page = await self.page("/study")
        while page.action == "/study":
            await self.pause()
            answers = {name: self.draws.choice(values) for name, values in page.options.items()}
            answers |= dict.fromkeys(page.texts, f"comment {self.draws.random()}")
            body = urlencode(page.hidden | answers | {"seconds": "2.0"})
            status, headers, _ = await self.patiently("POST", "/study", body)
            if status == 303:  # acknowledged: from here on it may not be lost, doubled or changed
                self.acknowledged[page.step] = answers
            before, page = page.step, await self.page(headers.get("location", "/study"))
            self.resumed_wrong += page.step in self.acknowledged or page.step == before

    async def pause(self) -> None:
        """Think."""
        await asyncio.sleep(self.think * self.draws.uniform(0.5, 1.5))


class Server:
    """`pellucid study serve` in a process of its own."""

    def __init__(self, study: Path, port: int, database: str | None) -> None:
        self.command = [sys.executable, "-m", "pellucid", "study", "serve", str(study), "--port", str(port)]
        self.command += ["--database", database] if database else []
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Return when it answers."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
                return
            except OSError:
                await asyncio.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()


async def round_of(study: Path, options: argparse.Namespace, kills: int, seed: int) -> dict[str, Any]:
    """All participants through the study once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(study, port, options.database)
    await server.start()
    times: dict[str, list[float]] = {}
    failures: Counter[str] = Counter()
    draws = random.Random(seed)
    people = [
        Participant(port, options.think, random.Random(draws.random()), times, failures)
        for _ in range(options.participants)
    ]
    start, down = time.perf_counter(), 0.0
    everyone = asyncio.gather(*(each.take_part() for each in people))
    done = 0
    while done < kills and not everyone.done():
        await asyncio.sleep(draws.uniform(0.5, 2.5))
        if everyone.done():
            break
        server.kill()
        began = time.perf_counter()
        await server.start()
        down += time.perf_counter() - began
        done += 1
    await everyone
    seconds = time.perf_counter() - start
    server.kill(signal.SIGTERM)
    every = np.array([each for values in times.values() for each in values])
    found = check(study, people, options.database)
    errors = {name: count for name, count in failures.items() if name != "connection"}
    return {
        "participants": options.participants,
        "seconds": round(seconds, 1),
        "requests": len(every),
        "requests_per_second": round(len(every) / seconds, 1),
        "kills": done,
        "seconds_down": round(down, 1),
        "requests_sent_again": failures["connection"],
        "errors": errors,
        "milliseconds": {name: quantiles(np.array(values)) for name, values in sorted(times.items())}
        | {"all": quantiles(every)},
    } | found


def quantiles(seconds: np.ndarray) -> dict[str, float]:
    """Milliseconds."""
    return {
        name: round(1000 * float(np.quantile(seconds, q)), 1)
        for name, q in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1))
    }


def check(study: Path, people: list[Participant], database: str | None) -> dict[str, Any]:
    """Every acknowledged answer against the database, and the balance of the allocation."""
    store = Store.open(study, database)
    sequences = Sequences(read_study(study), read_manifest(study))
    stored: dict[str, list[Any]] = {}
    for step in store.steps():
        stored.setdefault(step["participant"], []).append(step)
    lost = doubled = changed = unfinished = acknowledged = 0
    slots, under = [], Counter[tuple[int, str]]()
    for each in people:
        found = store.participant(each.cookie.partition("=")[2])
        steps = stored.get(found.id, []) if found else []
        by_name: dict[str, Any] = {step["name"]: step["answers"] for step in steps}
        doubled += len(steps) - len(by_name)
        unfinished += found is None or found.finished_at is None
        acknowledged += len(each.acknowledged)
        lost += len(each.acknowledged.keys() - by_name.keys())
        changed += sum(by_name.get(name, answers) != answers for name, answers in each.acknowledged.items())
        if found:
            slots.append(found.slot)
            for step in sequences.steps(found.slot):
                if step.kind == "trial":
                    under[step.stimuli[0].image, step.stimuli[0].condition] += 1
    store.close()
    images = {image for image, _ in under}
    spread = max(
        max(under[image, name] for name in sequences.study.conditions)
        - min(under[image, name] for name in sequences.study.conditions)
        for image in images
    )
    return {
        "pages": len(sequences.steps(0)),
        "acknowledged": acknowledged,
        "lost": lost,
        "doubled": doubled,
        "changed": changed,
        "unfinished": unfinished,
        "resumed_elsewhere": sum(each.resumed_wrong for each in people),
        "slots_are_0_to_n": sorted(slots) == list(range(len(people))),
        "largest_difference_between_conditions_of_an_image": spread,
    }


def markdown(result: dict[str, Any]) -> str:
    """The page of the result."""
    calm, killed = result["calm"], result["killed"]
    rows = [
        ("participants", "participants"),
        ("pages each", "pages"),
        ("requests", "requests"),
        ("requests a second", "requests_per_second"),
        ("`kill -9` of the server", "kills"),
        ("requests sent again", "requests_sent_again"),
        ("errors of the server", "errors"),
        ("acknowledged answers", "acknowledged"),
        ("of these lost", "lost"),
        ("of these stored twice", "doubled"),
        ("of these changed", "changed"),
        ("participants who did not finish", "unfinished"),
        ("resumed at another page", "resumed_elsewhere"),
        ("every slot given once", "slots_are_0_to_n"),
        ("largest difference between conditions of an image", "largest_difference_between_conditions_of_an_image"),
    ]

    def said(value: Any) -> str:
        return "yes" if value is True else "no" if value is False else "none" if value == {} else str(value)

    lines = [
        "# A study under load",
        "",
        f"Made by `{result['command']}` on {result['date']}: {result['cpu']}, {result['cores']} cores that server and "
        f"participants share, {result['database']}, fsync {result['fsync_ms']} ms, Python {result['python']}. Load "
        f"average of the machine before: {result['load_before']}.",
        "",
        "| | calm | with kills |",
        "| --- | ---: | ---: |",
        *(f"| {title} | {said(calm[key])} | {said(killed[key])} |" for title, key in rows),
        "",
        "Milliseconds from sending a request to the end of its answer, calm:",
        "",
        "| request | median | 95 % | 99 % | largest |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, each in calm["milliseconds"].items():
        lines.append(f"| {name} | {each['median']} | {each['p95']} | {each['p99']} | {each['max']} |")
    return "\n".join(lines) + "\n"


def fsync_milliseconds(folder: Path) -> float:
    """What the disk takes."""
    with (folder / "fsync").open("wb") as file:
        start = time.perf_counter()
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return round(1000 * (time.perf_counter() - start) / 50, 1)


def processor() -> str:
    """The processor's name."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--participants", type=int, default=200)
    parser.add_argument("--think", type=float, default=2.0, help="mean seconds on a page")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS / "study-load.json")
    options = parser.parse_args(namespace=argparse.Namespace(database=None))
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        fsync = fsync_milliseconds(Path(folder))
        found = {}
        for name, kills in (("calm", 0), ("killed", options.kills)):
            study = new_study(options.run, Path(folder) / name, New(images=options.images, choose="any"))
            patient = replace(read_study(study), comprehension_tries=1, screen_out=False)  # their answers are random
            write_study(patient, study / "study.yaml")
            found[name] = asyncio.run(round_of(study, options, kills, seed=kills))
            print(json.dumps(found[name], indent=2), flush=True)
    result = {
        "command": "python benchmarks/study_load.py "
        + " ".join(f"runs/{run.parent.name}/{run.name}" for run in options.run),
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "database": "SQLite",
        "fsync_ms": fsync,
        "load_before": load,
        "python": platform.python_version(),
        **found,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    options.out.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
