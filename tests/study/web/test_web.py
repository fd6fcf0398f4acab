"""A participant's journey, and every way in which it is interrupted, repeated or refused."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from pellucid.core.errors import InputError
from pellucid.study.folder import freeze, read_manifest, read_study
from pellucid.study.limits import BODY_BYTES, Rates
from pellucid.study.store import Store
from pellucid.study.web import application

Visit = Callable[..., Any]


def names(store: Store) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for step in store.steps():
        found.setdefault(step["participant"], []).append(step["name"])
    return list(found.values())


def test_a_whole_journey_stores_every_answer_once(visit: Visit, store: Store, app: Starlette) -> None:
    visitor = visit()
    assert visitor.get("/").status == 200
    visitor.agree()
    seen = []
    while visitor.page.step:
        seen.append(visitor.page.step)
        visitor.go_on(choice=1, seconds="2.5")
    assert visitor.page.title == "Thank you"
    steps = [step.name for step in app.state.site.sequences.steps(0)]
    assert seen == steps
    assert names(store) == [steps]
    [participant] = store.participants()
    assert participant["finished_at"] is not None
    assert {step["seconds"] for step in store.steps()} == {2.5}
    rated = [step["answers"] for step in store.steps() if step["name"].startswith("trial-")]
    assert rated == [{"sufficiency": "2", "trust": "2"}] * 3


def test_german_from_the_browser_or_by_choice(visit: Visit) -> None:
    assert 'lang="de"' in visit(**{"accept-language": "de-CH,de;q=0.9,en;q=0.8"}).get("/").text
    assert 'lang="en"' in visit(**{"accept-language": "fr,xx"}).get("/").text
    visitor = visit().agree(language="de")
    assert visitor.page.title == "Zu Ihnen"


def test_declining_stores_nothing(visit: Visit, store: Store) -> None:
    visitor = visit().get("/consent")
    visitor.post("/consent", visitor.page.hidden | {"decision": "decline"})
    assert visitor.page.title == "You have not taken part"
    assert not visitor.client.cookies
    assert not store.participants()


def test_a_double_click_on_consent_makes_one_participant(visit: Visit, store: Store) -> None:
    visitor = visit().get("/consent")
    form = visitor.page.hidden | {"decision": "agree"}
    threads = [
        threading.Thread(target=visitor.client.post, args=("/consent",), kwargs={"data": form}) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.participants()) == 1


def test_a_double_click_or_the_back_button_keeps_the_first_answer(visit: Visit, store: Store) -> None:
    visitor = visit().agree().go_to("trial-1")
    before = visitor.answers(choice=1)
    visitor.post("/study", before)
    where = visitor.page.step
    for choice in ("1", "7"):
        visitor.post("/study", before | {"trust": choice})
        assert visitor.page.step == where
        assert "your first answer was kept" in visitor.text
    [stored] = [step for step in store.steps() if step["name"] == "trial-1"]
    assert stored["answers"]["trust"] == "2"


def test_eight_tabs_at_once_store_one_answer(visit: Visit, store: Store) -> None:
    visitor = visit().agree().go_to("trial-1")
    form = visitor.answers()
    forms = [form | {"trust": str(1 + number % 7)} for number in range(8)]
    threads = [threading.Thread(target=visitor.client.post, args=("/study",), kwargs={"data": form}) for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [step["name"] for step in store.steps()].count("trial-1") == 1


def test_nobody_skips_a_page(visit: Visit, store: Store) -> None:
    visitor = visit().agree()
    visitor.go_on(step="trial-3")
    assert visitor.status == 403
    assert not store.steps()


def test_a_private_link_resumes_on_another_device(visit: Visit) -> None:
    visitor = visit().agree().go_to("trial-2")
    link = re.search(r"/resume/[\w-]{48}", visitor.text)
    assert link
    other = visit().get(link[0])
    assert other.page.step == "trial-2"
    assert "Go on where you were" in other.get("/").text


def test_a_restarted_server_resumes(
    visit: Visit, visitor_at: Visit, open_store: Callable[..., Store], folder: Path
) -> None:
    visitor = visit().agree().go_to("trial-2")
    again = visitor_at(application(folder, open_store(folder)))
    again.client.cookies.update(visitor.client.cookies)
    again.get("/study")
    assert again.page.step == "trial-2"
    assert again.go_on().status == 200


def test_missing_and_unknown_answers_come_back_with_what_was_chosen(visit: Visit, store: Store) -> None:
    visitor = visit().agree().go_to("trial-1")
    count = len(store.steps())
    form = visitor.page.hidden
    visitor.post("/study", form | {"trust": "3"})
    assert visitor.status == 422 and "Please answer every question" in visitor.text
    assert re.search(r'name="trust" value="3" required checked', visitor.text)
    visitor.post("/study", form | {"trust": "3", "sufficiency": "8"})
    assert visitor.status == 422 and "not among those offered" in visitor.text
    assert len(store.steps()) == count


@pytest.mark.parametrize(
    ("given", "stored"),
    [("1.5", 1.5), ("", None), ("nan", None), ("-1", None), ("1e9", None), ("x", None), ("inf", None), ("0", 0.0)],
)
def test_times_are_what_a_clock_can_say(visit: Visit, store: Store, given: str, stored: float | None) -> None:
    visit().agree().go_on(seconds=given)
    assert [step["seconds"] for step in store.steps()] == [stored]


def test_the_window_is_stored_if_it_is_one(visit: Visit, store: Store) -> None:
    for width, height in (("360", "740"), ("9" * 6, "-1"), ("", "x")):
        visitor = visit().get("/consent")
        visitor.post("/consent", visitor.page.hidden | {"decision": "agree", "width": width, "height": height})
    windows = [(row["viewport_width"], row["viewport_height"]) for row in store.participants()]
    assert sorted(windows, key=str) == [(360, 740), (None, None), (None, None)]


def test_withdrawal_deletes_everything_and_frees_the_slot(visit: Visit, store: Store, folder: Path) -> None:
    visitor, other = visit().agree().go_to("trial-2"), visit().agree()
    deleted = store.participants()[0]["id"]
    visitor.get("/withdraw")
    visitor.post("/withdraw", visitor.page.hidden)
    assert visitor.page.title == "You have withdrawn"
    assert deleted not in {row["id"] for row in store.participants()} | {step["participant"] for step in store.steps()}
    assert store.setting("withdrawn") == "1"
    assert visit().agree().page.step == "expertise"
    assert sorted(row["slot"] for row in store.participants()) == [0, 1]
    assert other.get("/study").page.step == "expertise"
    for path in folder.glob("answers.sqlite*"):
        assert deleted.encode() not in path.read_bytes()


def test_prolific_parameters_travel_and_are_checked(visit: Visit, store: Store) -> None:
    visitor = visit().get("/?PROLIFIC_PID=5f1a&STUDY_ID=<script>&language=en")
    assert visitor.page.hidden["PROLIFIC_PID"] == "5f1a" and "STUDY_ID" not in visitor.page.hidden
    visitor.get("/consent", params=visitor.page.hidden)
    visitor.post("/consent", visitor.page.hidden | {"decision": "agree", "SESSION_ID": "x" * 65})
    [row] = store.participants()
    assert (row["recruit_id"], row["platform"]) == ("5f1a", {})


def test_a_full_study_takes_nobody_more(
    make_study: Callable[..., Path], visitor_at: Visit, open_store: Callable[..., Store]
) -> None:
    folder = make_study("full", participants=1)
    app = application(folder, open_store(folder))
    assert visitor_at(app).agree().page.step == "expertise"
    assert visitor_at(app).agree().page.title == "The study is full"


def test_completion_code_and_address(
    make_study: Callable[..., Path], visitor_at: Visit, open_store: Callable[..., Store]
) -> None:
    url = "https://app.prolific.com/submissions/complete?cc=C1A2&x=1"
    folder = make_study("end", completion_code="C1A2", completion_url=url)
    text = visitor_at(application(folder, open_store(folder))).agree().go_to("never").text
    assert '<code class="code">C1A2</code>' in text
    assert 'href="https://app.prolific.com/submissions/complete?cc=C1A2&amp;x=1"' in text


def test_pages_are_not_kept_and_pictures_are(visit: Visit) -> None:
    visitor = visit().agree().go_to("trial-1")
    assert visitor.response.headers["cache-control"] == "no-store"
    picture = visitor.client.get(f"/stimuli/{visitor.page.pictures[0]}.png")
    assert picture.headers["content-type"] == "image/png" and "immutable" in picture.headers["cache-control"]


def test_the_next_pictures_are_fetched_ahead(visit: Visit) -> None:
    visitor = visit().agree().go_to("trial-1")
    ahead = re.findall(r'rel="preload" as="image" href="(/stimuli/[^"]+)"', visitor.text)
    visitor.go_on().go_to("trial-2")
    assert f"/stimuli/{visitor.page.pictures[0]}.png" in ahead


def test_nothing_tells_the_condition(visit: Visit, folder: Path) -> None:
    visitor = visit().get("/")
    seen = visitor.text + visitor.agree().text
    while visitor.page.step:
        seen += visitor.go_on().text + str(visitor.response.headers)
    for condition in read_study(folder).conditions:
        assert condition not in seen
    for each in read_manifest(folder):
        header = (folder / each.file).read_bytes()
        assert not any(condition.encode() in header for condition in ("regular", "smoothed", "scaat"))
        assert not re.search(rb"tEXt|iTXt|tIME|eXIf", header)


def test_class_names_are_escaped(visit: Visit) -> None:
    visitor = visit().agree()
    seen = visitor.text
    while visitor.page.step:
        seen += visitor.go_on().text
    assert "<b>frog</b>" not in seen


def test_a_paused_study_loses_nothing_and_goes_on(visit: Visit, app: Starlette, store: Store) -> None:
    visitor = visit().agree().go_to("trial-1")
    count = len(store.steps())
    app.state.site.state = "paused"
    assert visitor.go_on().page.title == "The study is paused"
    assert len(store.steps()) == count + 1  # the answer that was under way
    assert visit().get("/consent").page.title == "The study is paused"
    app.state.site.state = "open"
    assert visitor.get("/study").page.step


def test_a_closed_study_lets_those_inside_finish(visit: Visit, app: Starlette) -> None:
    visitor = visit().agree().go_to("trial-1")
    app.state.site.state = "closed"
    assert visit().get("/").page.title == "The study is closed"
    assert visitor.go_to("never").get("/study").page.title == "Thank you"


def test_a_database_that_fails_is_one_sentence_and_loses_nothing(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visit().agree().go_to("trial-1")
    form, count = visitor.answers(), len(store.steps())

    def full(*arguments: Any, **options: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.study.store.now", full)
        visitor.post("/study", form)
    assert visitor.status == 503 and visitor.response.headers["retry-after"]
    assert "could not be stored" in visitor.text and "disk is full" not in visitor.text
    assert len(store.steps()) == count
    assert visitor.post("/study", form).status == 200
    assert len(store.steps()) == count + 1


def test_a_locked_database_is_a_503(visitor_at: Visit, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr("pellucid.study.database.BUSY_SECONDS", 0.1)
    store = Store.open(folder)
    visitor = visitor_at(application(folder, store)).agree()
    with sqlite3.connect(folder / "answers.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert visitor.go_on().status == 503
        other.execute("ROLLBACK")
    other.close()
    assert visitor.get("/study").page.step == "expertise"
    store.close()


def test_a_study_changed_after_freezing_or_after_answers_is_refused(folder: Path, store: Store, visit: Visit) -> None:
    visit().agree()
    design = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(design.replace("title: How", "title: Why"))
    with pytest.raises(InputError, match="changed after 1 participants began"):
        application(folder, store)
    (folder / "study.yaml").write_text(design)
    freeze(folder)
    (folder / "study.yaml").write_text(design.replace("title: How", "title: Why"))
    with pytest.raises(InputError, match="changed after the study was frozen"):
        application(folder, store)


def test_a_language_without_words_is_refused_at_the_start(folder: Path, store: Store) -> None:
    design = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(
        re.sub(r"^( +)de:|^- de$", lambda found: found[0].replace("de", "fr"), design, flags=re.M)
    )
    with pytest.raises(InputError, match="no language 'fr'; there are en, de"):
        application(folder, store)


# Attacks


@pytest.mark.parametrize(
    "path",
    [
        "/stimuli/../study.yaml",
        "/stimuli/..%2fstudy.yaml",
        "/stimuli/%2e%2e/manifest.csv",
        "/stimuli/manifest.csv",
        "/static/../../store.py",
        "/static/base.html",
        "/answers.sqlite",
        "/resume/" + "a" * 48,
        "/resume/' OR 1=1 --",
        "/resume/%00",
        "/researcher/export",
        "/nothing",
    ],
)
def test_only_what_is_meant_can_be_fetched(visit: Visit, path: str) -> None:
    response = visit().client.get(path)
    assert response.status_code in (404, 405)
    assert "conditions:" not in response.text and "scaat" not in response.text


def test_another_participants_form_is_refused(visit: Visit, store: Store) -> None:
    one, two = visit().agree(), visit().agree()
    two.post("/study", one.answers())
    assert two.status == 403
    assert not store.steps()


@pytest.mark.parametrize(
    "change", [{"token": ""}, {"token": "x" * 24}, {"token": "ü"}, {"step": "'; DROP TABLE steps; --"}]
)
def test_tampered_forms_are_refused(visit: Visit, store: Store, change: dict[str, str]) -> None:
    visitor = visit().agree()
    visitor.go_on(**change)
    assert visitor.status == 403
    assert not store.steps()


@pytest.mark.parametrize("cookie", ["", "x", "a" * 48, "a" * 5000, "' OR '1'='1"])
def test_made_up_keys_are_nobody(visit: Visit, store: Store, cookie: str) -> None:
    visitor = visit().agree()
    form = visitor.answers()
    visitor.client.cookies.clear()
    visitor.client.cookies.set("participant", cookie)
    assert visitor.post("/study", form).status == 403
    assert visitor.get("/study").page.title == "About this study"
    assert not store.steps()


def test_a_replay_after_withdrawal_does_not_come_back(visit: Visit, store: Store) -> None:
    visitor = visit().agree()
    form, cookies = visitor.answers(), dict(visitor.client.cookies)
    visitor.get("/withdraw")
    visitor.post("/withdraw", visitor.page.hidden)
    visitor.client.cookies.update(cookies)
    assert visitor.post("/study", form).status == 403
    assert not store.steps() and not store.participants()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
        {"content-type": "application/json"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_forms_of_other_sites_and_types_are_refused(visit: Visit, store: Store, headers: dict[str, str]) -> None:
    visitor = visit().agree()
    visitor.post("/study", visitor.answers(), headers=headers)
    assert visitor.status in (403, 415)
    assert not store.steps()


def test_oversize_is_refused_with_and_without_its_length(visit: Visit, store: Store) -> None:
    visitor = visit().agree()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor._see(visitor.client.post("/study", content=b"a" * (BODY_BYTES + 1), headers=headers)).status == 413
    chunks = (b"a" * 4096 for _ in range(100))
    assert visitor._see(visitor.client.post("/study", content=chunks, headers=headers)).status == 413
    assert visitor.get("/study?" + "a" * 5000).status == 414
    many = "&".join(f"a{number}=1" for number in range(100))
    assert visitor._see(visitor.client.post("/study", content=many, headers=headers)).status == 403
    assert visitor._see(visitor.client.post("/study", content=b"a=%ff\xff", headers=headers)).status == 403
    assert visitor._see(visitor.client.post("/study", content="step=a&step=b", headers=headers)).status == 403
    assert not store.steps()


def test_a_comment_is_stored_as_it_is_and_never_run(visit: Visit, store: Store) -> None:
    text = "<script>alert(1)</script> ' OR 1=1; -- \u0000ß\U0001f600"
    visitor = visit().agree().go_to("comment")
    visitor.go_on(comment="x" * 2001)
    assert visitor.status == 422 and "longer than 2000 characters" in visitor.text
    visitor.go_on(comment=text)
    assert "<script>alert" not in visitor.text
    [stored] = [step["answers"]["comment"] for step in store.steps() if step["name"] == "comment"]
    assert stored == text.replace("\u0000", "")


def test_every_answer_has_the_headers(visit: Visit) -> None:
    for path in ("/", "/nothing", "/static/study.css", "/researcher"):
        headers = visit().get(path).response.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "form-action 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_pages_have_no_inline_script_or_style(visit: Visit) -> None:
    visitor = visit().agree()
    while visitor.page.step:
        assert not re.search(r"<script>|<style|\son\w+=|style=|javascript:", visitor.text)
        visitor.go_on()


def test_cookies_are_closed_to_scripts_and_by_https_alone(
    visit: Visit, visitor_at: Visit, folder: Path, store: Store
) -> None:
    cookie = visit().get("/consent").response.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    visitor = visitor_at(application(folder, store, url="https://study.example.org"))
    headers = visitor.get("/consent").response.headers
    assert headers["set-cookie"].startswith("__Host-participant=") and "secure" in headers["set-cookie"].lower()
    assert headers["strict-transport-security"]


def test_one_participant_cannot_flood(folder: Path, store: Store, visitor_at: Visit) -> None:
    visitor = visitor_at(application(folder, store, rates=Rates(factor=0.2))).agree()
    statuses = [visitor.get("/study").status for _ in range(30)]
    assert statuses[0] == 200 and statuses[-1] == 429


def test_nobody_can_call_themselves_synthetic(visit: Visit, store: Store) -> None:
    visitor = visit(**{"X-Pellucid-Synthetic": "x" * 24}).agree()
    assert visitor.status == 403
    assert not store.participants()
