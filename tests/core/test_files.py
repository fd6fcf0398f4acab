"""Files and folders appear whole or not at all; what a killed process left goes, and what another writes stays."""

import errno
import os
import resource
import signal
import socket
import stat
from pathlib import Path

import pytest

from pellucid.core.errors import InputError
from pellucid.core.files import check_readable, check_writable, remove_left, whole_file, whole_folder


def killed_while(writing) -> None:
    """Do something in a copy of this process that is killed as soon as it asks to be."""
    child = os.fork()
    if child == 0:
        try:
            writing()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("name", ["numbers.txt", "no-suffix", "two.parts.tar"])
def test_what_a_killed_process_left_of_a_file_goes(tmp_path, name) -> None:
    def writing() -> None:
        with whole_file(tmp_path / name) as temporary:
            temporary.write_text("half")
            die()

    (tmp_path / name).write_text("whole")
    killed_while(writing)
    assert len(list(tmp_path.iterdir())) == 2
    remove_left(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "whole"


def test_what_is_being_written_stays(tmp_path) -> None:
    with whole_file(tmp_path / "numbers.txt") as temporary:
        temporary.write_text("1 2 3")
        remove_left(tmp_path)
        check_writable(tmp_path)
    with whole_folder(tmp_path / "folder") as folder:
        remove_left(tmp_path)
        (folder / "numbers.txt").write_text("1 2 3")
    assert (tmp_path / "numbers.txt").read_text() == (tmp_path / "folder" / "numbers.txt").read_text() == "1 2 3"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "numbers.txt"]


def test_files_of_a_person_stay(tmp_path) -> None:
    names = [".report-personal.html", ".rows-abcd1234.parquet", "x-abcd1234.partial.txt", ".x-abcd12345.partial.txt"]
    for name in names:
        (tmp_path / name).touch()
    remove_left(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("moment", ["filling", "moved aside"])
def test_a_folder_that_was_there_comes_back_after_a_kill(tmp_path, monkeypatch, moment) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    rename = Path.rename

    def writing() -> None:
        with whole_folder(out) as folder:
            (folder / "new.txt").write_text("new")
            if moment == "filling":
                die()
            monkeypatch.setattr(Path, "rename", lambda self, to: (rename(self, to), die()))

    killed_while(writing)
    assert out.exists() == (moment == "filling")
    with pytest.raises(ZeroDivisionError), whole_folder(out):
        raise ZeroDivisionError
    assert [file.name for file in tmp_path.iterdir()] == ["out"] and (out / "old.txt").read_text() == "old"
    with whole_folder(out) as folder:
        (folder / "new.txt").write_text("new")
    assert [file.name for file in out.iterdir()] == ["new.txt"] and stat.S_IMODE(out.stat().st_mode) & 0o700 == 0o700


def test_a_full_disk_names_the_file_that_was_asked_for(tmp_path) -> None:
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            with whole_file(tmp_path / "numbers.txt") as temporary:
                temporary.write_bytes(bytes(1000))
        except OSError as error:
            os._exit(error.errno == errno.EFBIG and error.filename == str(tmp_path / "numbers.txt"))
        finally:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_never_ends_is_refused_before_it_is_opened(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, kind in {
            "pipe": "a named pipe",
            "socket": "a socket",
            ".": "a folder",
            "/dev/zero": "a device",
        }.items():
            with pytest.raises(InputError, match=f"is {kind}, which cannot be read; give a file"):
                check_readable(tmp_path / path)
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(InputError, match="link is a named pipe"):
        check_readable(tmp_path / "link")
    reading, writing = os.pipe()
    check_readable(f"/dev/fd/{reading}")  # as a shell gives it for <(command)
    check_readable(tmp_path / "missing")
    os.close(reading), os.close(writing)
