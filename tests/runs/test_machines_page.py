"""docs/machines.md says what the code does, and its commands can be given."""

import re
import shlex
from pathlib import Path

from pellucid.cli.main import TOGETHER
from pellucid.cli.options import Parser, add_engine, engine
from pellucid.papers.plan import Reproduction
from pellucid.runs.launcher import MARKERS, NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "machines.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


def commands(name: str) -> list[list[str]]:
    """The words behind a command's name, of every line that gives it."""
    lines = [shlex.split(line, comments=True) for line in BLOCKS.splitlines()]
    return [line[line.index(name) + 1 :] for line in lines if name in line]


def test_every_variable_that_is_read_is_named() -> None:
    told = re.sub(r"`_(\w+)`", r"`OMPI_COMM_WORLD_\1`", TEXT)
    for launcher, names in NAMES.items():
        assert all(f"`{name}`" in told for name in names.values()), launcher
    assert {*NAMES} == {*MARKERS} and all(f"`pellucid {name}`" in TEXT for name in TOGETHER)


def test_its_commands_make_settings() -> None:
    for command, settings in (("train", "pellucid.Experiment"), ("evaluate", "pellucid.Evaluation")):
        assert commands(command)
        for words in commands(command):
            parser = Parser(command, "One.", settings=settings, config=True)
            parser.add_argument("run")
            parser.add_argument("--resume", action="store_true")
            add_engine(parser)
            _, parsed = parser.parse(words)
            assert engine(parsed)["devices"] in (1, 2)


def test_its_cluster_is_a_plan() -> None:
    (words,) = commands("reproduce")
    parser = Parser("reproduce", "One.", settings="pellucid.papers.plan.Reproduction")
    parser.add_argument("paper")
    plan, _ = parser.parse(words)
    assert plan == Reproduction(paper="xu2023", seeds=5, jobs=2, cluster="first:6379", out=Path("/shared/runs"))
