"""A note is said once, and by one process."""

import pytest
import torch.distributed as dist

from pellucid.core.notes import tell


def test_a_note_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    tell.cache_clear()
    for _ in range(3):
        tell("3 layers are frozen")
    tell("2 layers are frozen")
    assert capsys.readouterr() == ("", "pellucid: 3 layers are frozen\npellucid: 2 layers are frozen\n")


@pytest.mark.parametrize(("rank", "said"), [(0, "pellucid: one of two\n"), (1, "")])
def test_the_first_process_speaks_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: int, said: str
) -> None:
    tell.cache_clear()
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    tell("one of two")
    assert capsys.readouterr().err == said
