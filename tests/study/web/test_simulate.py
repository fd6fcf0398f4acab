"""Synthetic participants go through the real pages, and are never taken for people."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.study.raters import raters
from pellucid.study.simulate import simulate
from pellucid.study.store import Store


def test_raters_arrive_in_the_database_as_they_answered(
    folder: Path, store: Store, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.study.simulate.TOGETHER", 1)  # so that rater i has slot i
    assert simulate(folder, store, participants=3, effect={"scaat": 2.0}, seed=5) == 3
    slots = {row["id"]: row["slot"] for row in store.participants() if row["synthetic"]}
    assert sorted(slots.values()) == [0, 1, 2]
    rated = raters(app.state.site.study, 3, {"scaat": 2.0}, 5)
    for step in store.steps():
        slot = slots[step["participant"]]
        shown = app.state.site.sequences.steps(slot)[step["number"]]
        if shown.kind == "trial":
            [each] = shown.stimuli
            names = ("sufficiency", "trust")
            assert step["answers"] == {name: str(rated[slot](each.condition, each.image, name)) for name in names}


def test_through_a_real_server(folder: Path, store: Store) -> None:
    assert simulate(folder, store, participants=2, through_http=True) == 2
    assert simulate(folder, store, participants=1) == 1
    assert len(store.participants()) == 3


def test_not_among_people(folder: Path, store: Store, visit: Callable[..., Any]) -> None:
    visit().agree()
    with pytest.raises(InputError, match="answers of 1 people"):
        simulate(folder, store, participants=1)


def test_commands_end_to_end(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, export = tmp_path / "study", tmp_path / "export"
    names = [str(run) for run in runs]
    assert (
        main(["study", "new", *names, "--images", "3", "--out", str(study), "--ask", "trust,guess", "--preregister"])
        == 0
    )
    printed = capsys.readouterr().out.split()
    assert main(["study", "preregister", str(study)]) == 0
    assert capsys.readouterr().out.split() == printed[-1:]
    assert "trust" in printed and "minutes," in printed
    assert main(["study", "simulate", str(study), "--participants", "2", "--effect", "scaat=+0.5"]) == 0
    assert main(["study", "export", str(study), "--out", str(export)]) == 0
    assert "2 synthetic participants finished" in capsys.readouterr().out
    assert (export / "study.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "of `pellucid study`; there are new, "),
        (["new", "--images", "3"], "the following arguments are required: RUN, --out"),
        (["new", "a", "b", "--images", "x", "--out", "o"], "invalid int value: 'x'"),
        (["new", "no-a", "no-b", "--images", "3", "--out", "o"], "no run directory"),
        (["serve", "no-study"], "there is no"),
        (["serve", "no-study", "--host", "0.0.0.0"], "answers must go by https"),
        (["simulate", "no-study", "--participants", "2"], "there is no"),
        (["serve", "no-study", "--url", "ftp://x"], "--url is the address"),
        (["simulate", "no-study", "--participants", "2", "--effect", "x"], "--effect is CONDITION=SHIFT"),
        (["export", "no-study", "--out", "o"], "there is no"),
        (["preregister", "no-study"], "there is no"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name != "no-study"]


def test_help_tells_the_actions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--help"]) == 0
    assert "preregister" in capsys.readouterr().out


def test_a_port_in_use_or_out_of_range_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["study", "serve", str(folder), "--port", str(port)]) == 2
    assert f"cannot listen at 127.0.0.1, port {port}" in capsys.readouterr().err
    assert main(["study", "serve", str(folder), "--port", "99999"]) == 2
    assert "--port must be from 0 to 65535" in capsys.readouterr().err


def test_a_server_stops_when_asked_and_says_so(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "study", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline() for _ in range(3)]
            address, password = lines[0].split()[1], lines[2].split()[1]
            with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
                assert client.get("/health").text == "ok"
                assert client.post("/researcher/login", data={"password": password}).status_code == 303
        finally:
            server.terminate()
        _, said = server.communicate(timeout=30)
    assert server.returncode == 0
    assert said.splitlines() == [
        "pellucid: the study is not frozen; `pellucid study preregister` does it",
        "stopped; every acknowledged answer is stored",
    ]
