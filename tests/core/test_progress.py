"""How long the rest takes is told from the jobs that are done."""

import io
import re
import sys
import time

import pytest
from hypothesis import given, strategies as st
from tqdm import tqdm

from pellucid.core import progress
from pellucid.core.progress import Job, Progress


def clocked(seconds):
    """A clock that the test moves."""
    return lambda: seconds[0]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.5, 50)), min_size=2, max_size=12))
def test_jobs_that_take_as_long_as_their_weights_are_foretold(jobs) -> None:
    now, pace = [0.0], {"a": 2.0, "b": 7.0}
    every = [Job(f"{number}", kind, weight) for number, (kind, weight) in enumerate(jobs)]
    told = Progress("plan", every, shown=False, clock=clocked(now))
    for number, job in enumerate(every):
        now[0] += job.weight * pace[job.kind]
        told.done(job)
        rest = every[number + 1 :]
        if {one.kind for one in rest} <= {one.kind for one in every[: number + 1]}:
            assert told.left() == pytest.approx(sum(one.weight * pace[one.kind] for one in rest))


def test_what_is_there_already_takes_no_time_and_tells_none() -> None:
    now = [0.0]
    jobs = [Job("old", "a", 0), Job("new", "a"), Job("next", "a")]
    told = Progress("plan", jobs, shown=False, clock=clocked(now))
    told.done(jobs[0])
    assert told.left() is None and "1 of 3 networks are done" in told.sentence()
    now[0] = 60.0
    told.done(jobs[1])
    assert told.left() == 60.0
    assert told.sentence() == "plan: 2 of 3 networks are done, 60 s so far, about 60 s left"


def test_networks_that_are_only_foreseen_count_too() -> None:
    now = [0.0]
    first = [Job("a", "a"), Job("b", "b")]
    told = Progress("search", [], shown=False, foreseen=4, clock=clocked(now))
    told.more(first)
    assert told.total == 4
    now[0] = 10.0
    told.done(first[0])
    assert told.left() == 30.0
    told.more([Job("c", "c"), Job("d", "d"), Job("e", "e")])  # one more than was foreseen
    assert told.total == 5 and told.left() == 40.0


def test_on_a_terminal_printed_lines_stand_alone_above_the_bar(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    jobs = [Job("a", "training"), Job("b", "training")]
    with Progress("demo", jobs) as told:
        print("1/2 a: Regular")
        print("a note", file=sys.stderr)
        for _ in tqdm(range(3), desc="steps", mininterval=0):
            print("a step")
        told.done(jobs[0])
        print("a part ", end="")
        print("and its end")
    assert sys.stdout is screen and sys.stderr is screen
    shown = re.sub(r"\x1b\[[A-Z]", "\r", screen.getvalue())
    lines = [line.split("\r")[-1] for line in shown.split("\n")]  # what is left of a line when the next begins
    for line, times in (("1/2 a: Regular", 1), ("a note", 1), ("a step", 3), ("a part and its end", 1)):
        assert lines.count(line) == times, line
    assert "demo: 1 of 2 networks" in shown.rpartition("a part")[2], "the bar comes again"


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)
    jobs = [Job("a", "training"), Job("a", "measuring")]
    with Progress("demo", jobs, of=2) as told:
        told.done(jobs[0])
        deadline = time.monotonic() + 10
        said = ""
        while "left" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().err
    assert re.search(r"^pellucid: demo: 0 of 1 networks are done, \d+ s so far, about \d+ s left$", said, re.MULTILINE)


def test_silence_where_it_is_asked_for(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.001)
    with Progress("demo", [Job("a", "a")], shown=False):
        time.sleep(0.02)
    assert capsys.readouterr() == ("", "")
