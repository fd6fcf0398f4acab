"""The researcher's side: who gets in, what it shows, what it changes."""

import io
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from pellucid.study.design import Question
from pellucid.study.store import Store
from pellucid.study.tokens import Tokens, password_matches
from pellucid.study.web import application

from .conftest import HASH

Visit = Callable[..., Any]
PASSWORD = "correct horse"


def logged_in(visit: Visit) -> Any:
    return visit().post("/researcher/login", {"password": PASSWORD})


def test_the_password_opens_and_others_do_not(visit: Visit) -> None:
    for wrong in ("", "wrong", PASSWORD + " ", "ü\x00"):
        visitor = visit().post("/researcher/login", {"password": wrong})
        assert visitor.status == 403 and not visitor.client.cookies
    visitor = logged_in(visit)
    assert visitor.status == 200 and "Participants" in visitor.text
    assert visitor.get("/researcher").page.title.startswith("How do")


def test_the_session_is_for_this_side_alone(visit: Visit) -> None:
    visitor = visit()
    response = visitor.client.post("/researcher/login", data={"password": PASSWORD}, follow_redirects=False)
    cookie = response.headers["set-cookie"].lower()
    assert "samesite=strict" in cookie and "httponly" in cookie and "path=/researcher" in cookie


def test_of_guesses_the_share_that_was_right_is_shown(
    make_study: Callable[..., Path], open_store: Callable[..., Store], visitor_at: Callable[..., Any]
) -> None:
    text = {"en": "What did it answer?", "de": "Was hat es geantwortet?"}
    guess = Question(name="guess", kind="guess", text=text)
    folder = make_study("guessed", questions=(guess,), show_prediction=False, tests=())
    app = application(folder, open_store(folder), password=HASH)
    visitor = visitor_at(app).agree().go_to("trial")
    pictures = {shown.stimulus: shown.prediction for shown in app.state.site.manifest.values()}
    visitor.go_on(guess=pictures[visitor.page.pictures[0]])
    page = visitor_at(app).post("/researcher/login", {"password": PASSWORD}).text
    assert re.search(r"guess</th><td[^>]*>1</td><td[^>]*>100 % right</td><td[^>]*>–</td>", page)


def test_guessing_is_slowed_down(visit: Visit) -> None:
    statuses = [visit().post("/researcher/login", {"password": str(number)}).status for number in range(8)]
    assert statuses == [403] * 5 + [429] * 3
    assert logged_in(visit).status == 429


def test_nothing_without_a_session(visit: Visit, app: Starlette) -> None:
    token = Tokens(b"other").sign("researcher", "x")
    for path in ("state", "export", "logout"):
        visitor = visit().post(f"/researcher/{path}", {"token": token, "state": "closed"})
        assert visitor.status == 403
    assert app.state.site.state == "open"
    assert "Password" in visit().get("/researcher").text


@pytest.mark.parametrize("cookie", ["", "x", "99999999999.x", "9" * 400 + "." + "a" * 24, "²." + "a" * 24, "1.x.y"])
def test_made_up_sessions_are_none(visit: Visit, cookie: str) -> None:
    visitor = visit(cookie=f"researcher={cookie}".encode().decode("latin-1") if cookie.isascii() else "researcher=x")
    assert "Password" in visitor.get("/researcher").text


def test_a_session_ends_with_its_hours_and_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(b"secret")
    session, began = tokens.session("hash"), time.time()
    assert tokens.is_session(session, "hash")
    assert not tokens.is_session(session, "hash of another")
    assert not Tokens(b"other").is_session(session, "hash")
    monkeypatch.setattr("time.time", lambda: began + 8 * 3600 - 5)
    assert tokens.is_session(session, "hash")
    monkeypatch.setattr("time.time", lambda: began + 8 * 3600 + 5)
    assert not tokens.is_session(session, "hash")


def test_signatures_are_those_of_the_first_versions() -> None:
    """Private links were handed out, and pages are open, when a server is updated."""
    tokens = Tokens(b"^" * 32)
    assert tokens.sign("form", "x") == "TotVlYH2aRiVqG3b2HUTh-pt"
    assert tokens.is_key("5E94zrWGlSkijFjHUH4bvfzzRSB-ywetoPtEbHV2b0AMcyUT")


def test_a_participants_form_changes_nothing_here(visit: Visit, app: Starlette) -> None:
    visitor = logged_in(visit)
    assert visitor.post("/researcher/state", {"state": "closed"}).status == 403
    assert visitor.post("/researcher/state", {"state": "closed", "token": "x" * 24}).status == 403
    assert app.state.site.state == "open"


def test_pause_close_and_open(visit: Visit, app: Starlette, store: Store) -> None:
    visitor = logged_in(visit)
    for state in ("paused", "closed", "open"):
        token = visitor.get("/researcher").page.hidden["token"]
        assert visitor.post("/researcher/state", {"state": state, "token": token}).status == 200
        assert app.state.site.state == store.setting("state") == state
    assert visitor.post("/researcher/state", {"state": "deleted", "token": token}).status == 403


def test_progress_balance_and_flags(visit: Visit) -> None:
    careless = visit().agree()
    while careless.page.step:
        careless.go_on(choice=0, seconds="0.2")
    visit().agree().go_to("trial-2")
    text = logged_in(visit).text
    assert "2 attention checks failed" in text or "1 attention checks failed" in text
    assert "median 0.2 s" in text
    assert "trial-2" in text


def test_the_export_is_a_zip(visit: Visit) -> None:
    visit().agree().go_to("never")
    visitor = logged_in(visit)
    token = visitor.page.hidden["token"]
    for choice in ("no", "yes"):
        visitor.post("/researcher/export", {"token": token, "deidentified": choice})
        with zipfile.ZipFile(io.BytesIO(visitor.response.content)) as archive:
            assert {"export/answers.csv", "export/participants.parquet"} <= set(archive.namelist())


def test_without_a_password_there_is_no_such_side(visitor_at: Visit, store: Store, folder: Any) -> None:
    assert visitor_at(application(folder, store)).get("/researcher").status == 404


def test_a_generated_password_is_made_once(store: Store) -> None:
    from pellucid.study.researcher import researcher_password

    stored, fresh = researcher_password(store, None)
    assert fresh and password_matches(fresh, stored)
    assert researcher_password(store, None) == (stored, None)
    assert store.setting("password") == stored != fresh
    own, _ = researcher_password(store, "from the environment")
    assert password_matches("from the environment", own) and not password_matches(fresh, own)
