"""Help is read from the source of dataclasses: it says what they accept, and loads no torch."""

import dataclasses
import inspect
import re
import resource
import subprocess
import sys
from typing import get_type_hints

import pytest

from pellucid.cli import COMMANDS, main
from pellucid.cli.commands import GROUPS
from pellucid.cli.study import ACTIONS
from pellucid.config import import_name
from pellucid.config.declared import classes_of, known_classes, options_of

HELP = [[name] for name in COMMANDS] + [["study", action] for action in ACTIONS]
SETTINGS = {
    "demo": "pellucid.demo.Demo",
    "train": "pellucid.Experiment",
    "evaluate": "pellucid.Evaluation",
    "reproduce": "pellucid.papers.plan.Reproduction",
    "select": "pellucid.papers.plan.Selection",
    "study new": "pellucid.study.stimuli.New",
}
ON_THE_WAY = {"method.saliency": ["--method", "SCAAT"]}
POSITIONAL = {"reproduce": {"paper"}, "select": {"search"}}


def told(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    with pytest.raises(SystemExit) as done:
        sys.exit(main(words))
    assert not done.value.code
    text: str = capsys.readouterr().out
    return text


def accepted(kind: type, prefix: str = "") -> set[str]:
    """The names of the settings of a dataclass, and of those within."""
    names, hints = set(), get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = [one for one in classes_of(options_of(hints[field.name])) if not inspect.isabstract(one)]
        names |= accepted(inner[0], f"{prefix}{field.name}.") if inner else {prefix + field.name}
    return names


def flags(text: str) -> set[str]:
    shown = re.findall(r"^  (?:-h, )?--([\w.-]+)", text, re.MULTILINE)
    assert not any("_" in name for name in shown), "flags are spelled with dashes"
    return {name.replace("-", "_") for name in shown}


def test_no_help_loads_torch() -> None:
    program = (
        "import sys\nfrom pellucid.cli import main\n"
        f"for words in {[[], *HELP]!r} + [['train', '--method'], ['train', '--method.saliency']]:\n"
        "    words = [*words[:-1], words[-1] + '.help'] if words and words[-1][0] == '-' else [*words, '--help']\n"
        "    try:\n        main(words)\n    except SystemExit as done:\n        assert not done.code, words\n"
        "    assert 'torch' not in sys.modules, words\n    assert 'numpy' not in sys.modules, words\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.count("usage: ") == len(HELP) + 1


@pytest.mark.parametrize("command", SETTINGS)
def test_help_tells_the_settings_that_are_accepted(capsys: pytest.CaptureFixture[str], command: str) -> None:
    text = told(capsys, [*command.split(), "--help"])
    settings = accepted(import_name(SETTINGS[command])) - POSITIONAL.get(command, set())
    assert settings - flags(text) == set()
    assert not {name for name in flags(text) - settings if "." in name}
    assert not re.search(r"\b(None|INT|FLOAT|True|False|Optional)\b", text), "no words of Python"


@pytest.mark.parametrize("place", ["method", "method.saliency"])
def test_help_of_a_class_tells_its_fields(capsys: pytest.CaptureFixture[str], place: str) -> None:
    declared = {"method": "pellucid.methods.Method", "method.saliency": "pellucid.saliency.SaliencyMethod"}
    known = known_classes([import_name(declared[place])])
    assert len(known) >= 3
    every = told(capsys, ["train", f"--{place}.help"])
    for name, kind in known.items():
        text = told(capsys, ["train", f"--{place}.help", name])
        assert flags(text) == accepted(kind, f"{place}.")
        assert f"--{place} {name}: " in text and f"--{place} {name}: " in every
        chosen = told(capsys, ["train", *ON_THE_WAY.get(place, []), f"--{place}", name, "--help"])
        assert flags(text) <= flags(chosen), "the same, where it is chosen"


def test_defaults_are_those_of_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(told(capsys, ["train", "--method.help", "SCAAT"]).split())
    assert "radius in pixel units; pixels are in [0, 1], so 8/255 is 0.0314 (default: 8/255)" in text
    assert "number of gradient steps; 0 returns the random start (default: 4)" in text


def test_help_of_a_users_own_class(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    (tmp_path / "mine_with_help.py").write_text(
        "from dataclasses import dataclass\nfrom pellucid import SCAAT\n\n@dataclass(frozen=True, kw_only=True)\n"
        'class Mine(SCAAT):\n    """Ours.\n\n    Args:\n        amount: how much.\n    """\n\n    amount: float = 0.1\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    text = told(capsys, ["train", "--method.help=mine_with_help.Mine"])
    assert "--method Mine: Ours" in text and "how much (default: 0.1)" in text
    assert main(["train", "--method.help", "no_such_module.Mine"]) == 2
    assert main(["train", "--optimizer.help", "Adam"]) == 2
    assert "--optimizer takes no class, so it has no help of its own" in capsys.readouterr().err


def test_a_methods_options_are_shown_where_it_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    without, chosen = (told(capsys, ["train", *words, "--help"]) for words in ([], ["--method", "SCAAT"]))
    assert "--method.attack.eps NUMBER" in chosen and "--method.attack.eps NUMBER" not in without
    assert "--method NAME --help shows what can be set of NAME, such as --method.attack.eps" in " ".join(
        without.split()
    )
    assert main(["train", "--method", "scaat", "--help"]) == 2
    assert "got 'scaat', did you mean SCAAT?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], *HELP], ids=" ".join)
def test_help_fits_eighty_columns(capsys, monkeypatch, words: list[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    usage, *lines = told(capsys, [*words, "--help"]).splitlines()
    assert len(usage) <= 100, "one line, however many options there are"
    shown = [line for line in lines if not line.startswith("  pellucid ")]  # a command is not broken
    assert [line for line in shown if len(line) > 80 and len(line.split()) > 2] == []


def test_every_command_stands_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, ["--help"])
    assert all(f"{heading}:\n" in text for heading in GROUPS)
    assert all(f"\n  {name:<13}{summary}\n" in text for name, (_, summary) in COMMANDS.items())
    assert max(map(len, text.splitlines())) <= 80


EXTRA = ("httpx", "itsdangerous", "psycopg", "sqlalchemy", "starlette", "uvicorn")


def test_help_of_the_study_needs_no_extra() -> None:
    program = (
        "import sys\nfrom importlib.abc import MetaPathFinder\n\nclass Gone(MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {EXTRA!r}:\n"
        "            raise ModuleNotFoundError(name=name)\n\nsys.meta_path.insert(0, Gone())\n"
        "from pellucid.cli import main\nfrom pellucid.cli.study import ACTIONS\n"
        "for action in ACTIONS:\n    try:\n        main(['study', action, '--help'])\n"
        "    except SystemExit as done:\n        assert not done.code\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("words", [["train"], ["study", "new"], ["data"]])
def test_the_program_is_named_pellucid(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "pellucid", *words, "--help"], capture_output=True, text=True)
    assert done.stdout.startswith(f"usage: pellucid {' '.join(words)} ")


@pytest.mark.parametrize(
    ("words", "seconds"), [(["-c", "import pellucid"], 0.1), (["--help"], 0.15), (["train", "--help"], 0.6)], ids=str
)
def test_help_is_quick(words: list[str], seconds: float) -> None:
    command = words if words[0] == "-c" else ["-m", "pellucid", *words]

    def cpu() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu() for _ in range(3)) <= seconds, "of processor time, whatever else the machine does"
