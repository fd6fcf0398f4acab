"""Who is kept out of a study and who is not: guessing, forwarded addresses, sessions, slow clients, two servers."""

import asyncio
import csv
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.study import limits, serve
from pellucid.study.limits import Bucket, client_of
from pellucid.study.serve import check_url, is_loopback, running
from pellucid.study.store import Store
from pellucid.study.tokens import SESSION_SECONDS, Tokens, password_hash
from pellucid.study.web import application

from .conftest import HASH

Visit = Callable[..., Any]
PASSWORD = "correct horse"
WRONG = {"password": "wrong"}


def client(app: Starlette, address: str = "192.0.2.1", **headers: str) -> TestClient:
    return TestClient(app, client=(address, 4711), headers=headers, follow_redirects=False)


def login(browser: TestClient, password: str = PASSWORD) -> int:
    return browser.post("/researcher/login", data={"password": password}).status_code


# Guessing


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP"])
def test_no_header_makes_a_guesser_somebody_else(app: Starlette, header: str) -> None:
    statuses = [login(client(app, **{header: f"198.51.100.{number}"}), "wrong") for number in range(9)]
    assert statuses == [403] * 5 + [429] * 4


def test_the_server_believes_no_proxy(folder: Path, store: Store) -> None:
    with running(application(folder, store, password=password_hash(PASSWORD))) as address:
        import httpx

        with httpx.Client(base_url=address, trust_env=False) as one:
            statuses = [
                one.post(
                    "/researcher/login", data=WRONG, headers={"X-Forwarded-For": f"198.51.100.{number}"}
                ).status_code
                for number in range(7)
            ]
    assert statuses == [403] * 5 + [429] * 2


def test_many_addresses_cannot_keep_out_a_browser_that_was_in(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.study.researcher.password_matches", lambda given, stored: given == PASSWORD)
    owner = client(app, "203.0.113.5")
    assert login(owner) == 303
    token = next(iter(owner.get("/researcher").text.split('name="token" value="')[1:]), "").partition('"')[0]
    assert owner.post("/researcher/logout", data={"token": token}).status_code == 303
    for number in range(40):
        login(client(app, f"198.51.100.{number}"), "wrong")
    assert login(client(app, "198.51.100.99")) == 429, "the limit for everybody is reached"
    for _ in range(8):
        login(client(app, "203.0.113.5"), "wrong")
    assert login(owner) == 303, "also from the address of the attack, as behind one proxy"


def test_the_link_of_the_server_lets_a_new_browser_try(app: Starlette) -> None:
    for _ in range(8):
        login(client(app), "wrong")
    owner = client(app)
    assert login(owner) == 429
    assert owner.get(f"/researcher/browser/{'x' * 48}").status_code == 404
    answer = owner.get(f"/researcher/browser/{app.state.site.tokens.new_browser()}")
    assert answer.status_code == 303 and "samesite=strict" in answer.headers["set-cookie"].lower()
    assert login(owner, "wrong") == 403 and login(owner) == 303


def test_a_known_browser_guesses_no_faster(app: Starlette) -> None:
    browser = client(app)
    browser.get(f"/researcher/browser/{app.state.site.tokens.new_browser()}")
    assert [login(browser, "wrong") for _ in range(7)] == [403] * 5 + [429] * 2
    made_up = client(app, cookie=f"researcher-browser={secrets.token_urlsafe(36)}")
    statuses = [login(made_up, "wrong") for _ in range(7)]
    assert statuses == [403] * 5 + [429] * 2, "a cookie that this study did not make is none"
    other = Tokens(b"another study").new_browser()
    assert not app.state.site.tokens.is_browser(other) and not app.state.site.tokens.is_browser(None)


def test_what_counts_as_one_client() -> None:
    def of(host: str) -> str:
        return client_of({"client": (host, 1)})

    assert of("2001:db8::1") == of("2001:db8::ffff:1:2") != of("2001:db8:0:1::1")
    assert of("::ffff:192.0.2.1") == of("192.0.2.1") != of("192.0.2.2")
    assert of("fe80::1%eth0") == of("fe80::2%eth1")
    assert client_of({"client": None}) == client_of({}) == "" and of("testclient") == "testclient"


# Sessions


def test_logging_out_ends_the_session_and_its_copies(app: Starlette, folder: Path, store: Store) -> None:
    owner = client(app)
    assert login(owner) == 303
    stolen = client(app, cookie=f"researcher={owner.cookies['researcher']}")
    page = stolen.get("/researcher").text
    assert "Participants" in page
    token = page.split('name="token" value="')[1].partition('"')[0]
    assert owner.post("/researcher/logout", data={"token": token}).status_code == 303
    assert "Password" in stolen.get("/researcher").text
    for path in ("state", "export", "logout"):
        assert stolen.post(f"/researcher/{path}", data={"token": token, "state": "closed"}).status_code == 403
    again = application(folder, store, password=HASH)
    assert "Password" in client(again, cookie=stolen.headers["cookie"]).get("/researcher").text, "and after a restart"


def test_logging_out_leaves_the_other_sessions(app: Starlette) -> None:
    one, other = client(app), client(app)
    assert login(one) == login(other) == 303
    assert one.cookies["researcher"] != other.cookies["researcher"], "also within one second"
    token = one.get("/researcher").text.split('name="token" value="')[1].partition('"')[0]
    assert one.post("/researcher/logout", data={"token": token}).status_code == 303
    assert "Participants" in other.get("/researcher").text


def test_notes_of_ended_sessions_do_not_pile_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    for number in range(5):
        store.end_session(f"session {number}", lasting=SESSION_SECONDS)
    assert store.is_ended("session 3") and not store.is_ended("session 5")
    monkeypatch.setattr("time.time", lambda: began + SESSION_SECONDS + 5)
    store.end_session("later", lasting=SESSION_SECONDS)
    assert store.is_ended("later") and not store.is_ended("session 3")


# Slow clients


def answer_to(address: str, *parts: bytes, pause: float = 0.1, wait: float = 5.0) -> bytes:
    """What the server says to bytes that come with pauses between; empty where it only closes."""
    host, port = address.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=wait)) as connection:
        with suppress(ConnectionError):  # once the server has closed, it takes nothing more
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        said = b""
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                said += chunk
    return said


@pytest.fixture
def named_like_formulas(make_study: Any) -> Path:
    """A study of which every class is named like a formula."""
    folder: Path = make_study("study")
    manifest = (folder / "manifest.csv").read_text()
    design = yaml.safe_load((folder / "study.yaml").read_text())
    old = design["classes"]
    design["classes"] = [f"=cmd|{number}" for number, _ in enumerate(old)]
    (folder / "study.yaml").write_text(yaml.safe_dump(design, sort_keys=False, allow_unicode=True))
    for before, after in zip(old, design["classes"], strict=True):
        manifest = manifest.replace(f",{before},", f",'{after},").replace(f",{before},", f",'{after},")
    (folder / "manifest.csv").write_text(manifest)
    return folder


@pytest.fixture
def hasty(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that waits a fraction of a second where it usually waits for many."""
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.3)
    with running(application(folder, store, password=password_hash(PASSWORD))) as address:
        yield address


POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize("path", [b"consent", b"study", b"withdraw", b"researcher/login", b"researcher/state"])
def test_a_form_that_never_comes_is_not_waited_for(hasty: str, path: bytes) -> None:
    began = time.monotonic()
    said = answer_to(hasty, POST % path, b"a=1", b"&b")
    assert said.startswith(b"HTTP/1.1 408 ") and b"connection: close" in said.lower()
    assert time.monotonic() - began < 4


def test_a_form_that_comes_in_drops_is_not_waited_for(hasty: str) -> None:
    said = answer_to(hasty, POST % b"consent", *[b"x"] * 5)
    assert said.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("begun", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_never_ends_is_not_waited_for(hasty: str, begun: bytes) -> None:
    began = time.monotonic()
    assert answer_to(hasty, begun) == b""
    assert time.monotonic() - began < 4


def test_a_second_head_on_a_connection_is_not_waited_for_either(hasty: str) -> None:
    whole = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    said = answer_to(hasty, whole, b"GET /hea")
    assert said.count(b"HTTP/1.1 200") == 1 and said.endswith(b"ok")


def test_who_is_slow_but_in_time_is_answered(hasty: str) -> None:
    whole = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert answer_to(hasty, whole[:20], whole[20:], pause=0.05).endswith(b"ok")


def test_an_answer_that_takes_long_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    said: list[Any] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["more_body"] is False
        await asyncio.sleep(0.2)
        assert (await receive())["type"] == "http.disconnect"
        said.append("done")

    async def ask() -> None:
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            return next(messages)

        scope = {"type": "http", "headers": [], "raw_path": b"/", "query_string": b"", "client": ("1.2.3.4", 1)}
        await limits.Guard(slow, limits.Rates(), lambda scope, status: slow, secure=False)(scope, receive, None)  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as pool:  # a thread of its own: a browser that is open holds this one's event loop
        pool.submit(asyncio.run, ask()).result()
    assert said == ["done"]


# Addresses


@pytest.mark.parametrize(
    "url",
    ["http://study.example.org", "http://192.0.2.1:8000", "http://localhost.example.org", "http://127.0.0.1.nip.io",
     "http://0.0.0.0:8000", "http://[2001:db8::1]", "HTTP://study.example.org/"],
)  # fmt: skip
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_plain_http_is_for_this_machine_alone(url: str, host: str) -> None:
    with pytest.raises(InputError, match=r"--url must begin with https://.*, got '(http|HTTP)://"):
        check_url(url, host)


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "study.example.org", "https://", "https://a/b", "https://a?b", "https://a#b", "https://me@a", "http://[",
     "https://a:port", "https://a:0", "", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="--url is the address that participants use"):
        check_url(url, "127.0.0.1")


@pytest.mark.parametrize(
    "url", [None, "http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000/", "https://a.org"]
)
def test_addresses_that_are_served(url: str | None) -> None:
    check_url(url, "127.0.0.1")


def test_a_server_open_to_the_network_has_https() -> None:
    check_url("https://study.example.org:8443/", "0.0.0.0")
    for host in ("0.0.0.0", "::", "192.0.2.1", "study.example.org", ""):
        assert not is_loopback(host)
        with pytest.raises(InputError, match="opens the study to the network, where answers must go by https"):
            check_url(None, host)
        with pytest.raises(InputError, match="https"):
            check_url("http://localhost", host)


# One server, and copies


def test_a_study_has_one_server(folder: Path, store: Store, open_store: Callable[[Path], Store]) -> None:
    other = open_store(folder)
    with store.only_server():
        with (
            pytest.raises(InputError, match="are already served by another `pellucid study serve`; stop it first"),
            other.only_server(),
        ):
            pass
        other.enrol(secrets.token_hex(4), language="en", consent_version="1")  # everything else goes on
    with other.only_server():
        pass


def test_a_server_that_was_killed_holds_no_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "pellucid", "study", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(4)]
        assert "/researcher/browser/" in lines[3]
        assert main(["study", "serve", str(folder), "--port", "0"]) == 2
        assert "already served by another" in capsys.readouterr().err
        server.kill()
    with closing(Store.open(folder)) as store, store.only_server():
        pass


def test_a_backup_holds_what_a_plain_copy_loses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Store.open(folder)) as store:
        someone = store.enrol("key", language="en", consent_version="1")
        assert store.record(someone, 0, "expertise", {"ml": "1"}, last=True)
        assert main(["study", "backup", str(folder), "--out", str(tmp_path / "copy.sqlite")]) == 0
        (tmp_path / "plain.sqlite").write_bytes((folder / "answers.sqlite").read_bytes())
    assert capsys.readouterr().out.strip() == str(tmp_path / "copy.sqlite")
    with closing(sqlite3.connect(tmp_path / "plain.sqlite")) as plain, pytest.raises(sqlite3.OperationalError):
        plain.execute("SELECT * FROM steps").fetchall()  # its answers were in the log
    with closing(Store.open(tmp_path, f"sqlite:///{tmp_path}/copy.sqlite")) as copy:
        assert [row["answers"] for row in copy.steps()] == [{"ml": "1"}]
        assert copy.participant("key") is not None
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o077 == 0


def test_a_backup_under_fire_is_whole(folder: Path, tmp_path: Path) -> None:
    """Answers go on being stored while it is made; each that it holds is of somebody whom it holds too."""
    with closing(Store.open(folder)) as store:
        stop = threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                someone = store.enrol(secrets.token_hex(8), language="en", consent_version="1")
                store.record(someone, 0, "expertise", {"ml": "1"})

        writers = [threading.Thread(target=go_on) for _ in range(3)]
        for writer in writers:
            writer.start()
        try:
            time.sleep(0.2)
            before = len(store.steps())
            store.backup(tmp_path / "copy.sqlite")
            after = len(store.steps())
        finally:
            stop.set()
            for writer in writers:
                writer.join()
    with closing(Store.open(tmp_path, f"sqlite:///{tmp_path}/copy.sqlite")) as copy:
        people = {row["id"] for row in copy.participants()}
        steps = copy.steps()
    assert before <= len(steps) <= after + 3 and {row["participant"] for row in steps} <= people


def test_mistakes_of_a_backup(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "copy.sqlite"
    assert main(["study", "backup", str(folder), "--out", str(out)]) == 2
    assert "nobody has taken part yet" in capsys.readouterr().err
    Store.open(folder).close()
    out.write_text("mine")
    assert main(["study", "backup", str(folder), "--out", str(out)]) == 2
    assert "exists already; name a new file" in capsys.readouterr().err and out.read_text() == "mine"
    store = Store.open(folder)
    store.is_sqlite = False
    with pytest.raises(InputError, match=r"PostgreSQL's own program, pg_dump"):
        store.backup(tmp_path / "other.sqlite")
    store.close()


# Cells


def cells(folder: Path) -> list[str]:
    """Every cell of every table below a folder."""
    found = []
    for file in sorted(folder.rglob("*.csv")):
        with file.open(newline="", encoding="utf-8") as opened:
            found += [cell for line in csv.reader(opened) for cell in line]
    return found


def test_no_table_of_an_export_holds_a_formula(named_like_formulas: Path, tmp_path: Path) -> None:
    """Classes, conditions and comments are named by people: whichever of them, none is a formula in any table."""
    assert main(["study", "simulate", str(named_like_formulas), "--participants", "2"]) == 0
    assert main(["study", "export", str(named_like_formulas), "--out", str(tmp_path / "export")]) == 0
    written = cells(tmp_path / "export")
    assert not [cell for cell in written if cell[:1] in {*"=@"}]
    assert sum(cell.startswith("'=cmd") for cell in written) > 4


@pytest.mark.slow
def test_no_table_of_an_analysis_holds_a_formula(named_like_formulas: Path, tmp_path: Path) -> None:
    assert main(["study", "simulate", str(named_like_formulas), "--participants", "2"]) == 0
    assert main(["study", "export", str(named_like_formulas), "--out", str(tmp_path / "export")]) == 0
    assert main(["study", "analyze", str(tmp_path / "export"), "--out", str(tmp_path / "found"), "--synthetic"]) == 0
    assert not [cell for cell in cells(tmp_path / "found") if cell[:1] in {*"=@"}]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    at = [0.0]
    bucket = Bucket(rate=1, burst=2, clock=lambda: at[0])
    assert [bucket.take("a") for _ in range(3)] == [True, True, False]
    at[0] = 1000.0
    assert [bucket.take("a") for _ in range(3)] == [True, True, False]
