"""The completion scripts: each shell's own parser takes them, and bash offers what can be typed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pellucid.cli import COMMANDS, main
from pellucid.cli.completion import SHELLS

CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch:
        for shell in SHELLS:
            with (folder / shell).open("w") as file:
                patch.setattr("sys.stdout", file)
                assert main(["completion", shell]) == 0
    return folder


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_a_methods_option_are_there(scripts: Path, shell: str) -> None:
    text = (scripts / shell).read_text()
    assert all(name in text for name in COMMANDS)
    assert "method.attack.eps" in text and "print-config" in text
    if shutil.which(shell):  # bash is everywhere that make is
        assert subprocess.run([*CHECKS[shell], str(scripts / shell)], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pellucid", "tr"], {"train"}),
        (["pellucid", "study", "se"], {"serve"}),
        (["pellucid", "compare", "--form"], {"--format"}),
        (["pellucid", "check", "run", "--undecided", ""], {"fail", "pass"}),
        (["pellucid", "train", "run", "--method", "SC"], {"SCAAT"}),
        (["pellucid", "train", "run", "--method.attack.eps"], {"--method.attack.eps"}),
    ],
)
def test_bash_offers_what_can_be_typed(scripts: Path, words: list[str], offered: set[str]) -> None:
    typed = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_pellucid; echo "${COMPREPLY[@]}"'
    program = f"source {scripts / 'bash'}; {typed}"
    done = subprocess.run(["bash", "-c", program, "bash", *words], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
