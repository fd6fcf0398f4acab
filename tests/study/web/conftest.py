"""A study made of small run directories, its application, and participants that are programs."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import save_file
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pellucid.study.durable import SharedSync
from pellucid.study.folder import read_study, write_study
from pellucid.study.stimuli import New, new_study
from pellucid.study.store import Store
from pellucid.study.tokens import password_hash
from pellucid.study.visitor import Page, read_page
from pellucid.study.web import application

CONDITIONS = ("regular", "smoothed", "scaat")
CLASSES = ["cat", "dog", "ship", "<b>frog</b>"]
PASSWORD = "correct horse"
HASH = password_hash(PASSWORD)

MakeStudy = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of durability sync; the others would only wait."""
    if "durable" not in request.node.path.name:
        monkeypatch.setattr(SharedSync, "_sync", lambda self: None)


def write_run(folder: Path, name: str, *, wrong: int = 6, images: int = 24, channels: int = 1) -> Path:
    """What a study reads of a run directory; the last ``wrong`` images are answered wrongly."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "experiment.yaml").write_text(yaml.safe_dump({"method": {"class_path": "pellucid.methods.Regular"}}))
    label = np.arange(images) % len(CLASSES)
    prediction = np.where(np.arange(images) < images - wrong, label, (label + 1) % len(CLASSES))
    info = {
        "format": 1,
        "dataset": "fashion-mnist",
        "split": "test",
        "images": images,
        "classes": CLASSES,
        "columns": {},
    }
    rows = pa.table({"index": np.arange(images) + 100, "label": label})
    pq.write_table(rows.replace_schema_metadata({"pellucid": json.dumps(info)}), path / "rows.parquet")
    random, own = np.random.default_rng(0), np.random.default_rng([*name.encode()])
    save_file(
        {
            "index": np.arange(images) + 100,
            "label": label,
            "prediction": prediction,
            "score": random.random(images, dtype=np.float32),
            "images": random.integers(0, 256, (images, channels, 8, 8), dtype=np.uint8),
            "heatmap/vanilla_gradient": own.random((images, 8, 8), dtype=np.float32),
        },
        path / "maps.safetensors",
    )
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder, name) for name in CONDITIONS]


@pytest.fixture(scope="session")
def template(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which wrong answers to the comprehension checks do not end anything, as in the first versions."""
    new = New(images=3, ask=("sufficiency", "trust", "preference"), practice=1)
    folder = new_study(runs, tmp_path_factory.mktemp("studies") / "study", new)
    write_study(replace(read_study(folder), comprehension_tries=1, screen_out=False), folder / "study.yaml")
    return folder


@pytest.fixture
def make_study(template: Path, tmp_path: Path) -> MakeStudy:
    """A study folder of three conditions and three images, with changes to its design."""

    def make(name: str = "study", **changes: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(template, folder)
        if changes:
            write_study(replace(read_study(folder), **changes), folder / "study.yaml")
        return folder

    return make


@pytest.fixture
def folder(make_study: MakeStudy) -> Path:
    return make_study()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A PostgreSQL server in a temporary folder, run by a user without privileges; yields its socket's folder."""
    programs = os.environ.get("PELLUCID_POSTGRESQL") or shutil.which("initdb")
    if not programs and "CI" not in os.environ:
        pytest.skip("NO POSTGRESQL: untested with it; set PELLUCID_POSTGRESQL to the folder of initdb")
    assert programs, "PELLUCID_POSTGRESQL names no folder; under CI every database is tested"
    programs = programs.removesuffix("/initdb")
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")  # short, since the path of a socket is
    as_other: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if as_other:
        shutil.chown(folder, "postgres", "postgres")
    data = f"{folder}/data"
    make = [f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "study", "--no-sync", "-E", "UTF8"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **as_other)
    options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(
            [f"{programs}/postgres", "-D", data, *options], cwd=folder, stdout=log, stderr=log, **as_other
        )
    try:
        for _ in range(200):
            try:
                psycopg.connect(f"host={folder} user=study dbname=postgres").close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield folder
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: connections that are open are closed
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str | None:
    """The address of a new database; None for the file in the study folder."""
    if request.param == "sqlite":
        return None
    folder, name = request.getfixturevalue("cluster"), f"study_{secrets.token_hex(6)}"
    with psycopg.connect(f"host={folder} user=study dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://study@/{name}?host={folder}"


OpenStore = Callable[..., Store]


@pytest.fixture
def open_store(database: str | None) -> Iterator[OpenStore]:
    """The store of a study folder, closed at the end."""
    with ExitStack() as stack:

        def open_one(folder: Path) -> Store:
            store = Store.open(folder, database)
            stack.callback(store.close)
            return store

        yield open_one


@pytest.fixture
def store(open_store: OpenStore, folder: Path) -> Store:
    return open_store(folder)


@pytest.fixture
def app(folder: Path, store: Store) -> Starlette:
    return application(folder, store, password=HASH)


class Visitor:
    """One browser: keeps cookies, follows redirects, holds the page it sees."""

    def __init__(self, app: Starlette, **headers: str) -> None:
        self.client = TestClient(app, headers=headers)
        self.response = httpx.Response(200)
        self.page = Page()

    def get(self, path: str, **options: Any) -> "Visitor":
        return self._see(self.client.get(path, **options))

    def post(self, path: str, data: Mapping[str, str], **options: Any) -> "Visitor":
        return self._see(self.client.post(path, data=data, **options))

    def _see(self, response: Any) -> "Visitor":
        self.response, self.page = response, read_page(response.text)
        return self

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        return self.response.text

    def agree(self, language: str = "en", **fields: str) -> "Visitor":
        self.get("/consent", params={"language": language} | fields)
        return self.post("/consent", self.page.hidden | {"decision": "agree"})

    def answers(self, choice: int = 0) -> dict[str, str]:
        """Hidden fields of the page and the ``choice``-th answer to each question."""
        return self.page.hidden | {name: values[choice % len(values)] for name, values in self.page.options.items()}

    def go_on(self, choice: int = 0, **fields: str) -> "Visitor":
        return self.post("/study", self.answers(choice) | fields)

    def go_to(self, kind: str) -> "Visitor":
        """Answer until a step of that kind, or the end."""
        while self.page.step and not self.page.step.startswith(kind):
            self.go_on()
        return self


@pytest.fixture
def visit(app: Starlette) -> Callable[..., Visitor]:
    """A new browser at the study."""
    return lambda **headers: Visitor(app, **headers)


@pytest.fixture
def visitor_at() -> Callable[[Starlette], Visitor]:
    """A new browser at another application."""
    return Visitor
