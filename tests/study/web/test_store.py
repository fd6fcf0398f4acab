"""What the database promises: an answer whole and once, a slot for one, drop-outs replaced, withdrawal."""

import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from pellucid.core.errors import InputError
from pellucid.study.folder import read_study
from pellucid.study.store import Full, Participant, Store, Taken, Unavailable
from pellucid.study.tables import PARTICIPANTS
from pellucid.study.visitor import read_page
from pellucid.study.web import application


def enrol(store: Store, key: str, **options: Any) -> Participant:
    return store.enrol(key, language="en", consent_version="1", **options)


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda number=number: found.append(work(number))) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


BEFORE = Path(__file__).parent / "answers-before.sql"
"""A database of pellucid 0.1 that alembic made, with one participant who had done one step."""
KEY = "5E94zrWGlSkijFjHUH4bvfzzRSB-ywetoPtEbHV2b0AMcyUT"
"""The private link of that participant."""


def described(file: Path) -> dict[str, str]:
    """How each table of a database was made, but for alembic's own."""
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        return {name: " ".join(sql.split()) for name, sql in tables if name != "alembic_version"}


def test_a_database_made_before_becomes_one_made_now(folder: Path, tmp_path: Path) -> None:
    Store.open(folder).close()
    before = tmp_path / "before.sqlite"
    with closing(sqlite3.connect(before)) as connection:
        connection.executescript(BEFORE.read_text())
    tables = described(before)
    Store.open(folder, f"sqlite:///{before}").close()
    assert described(folder / "answers.sqlite") == described(before)
    assert {name: described(before)[name] for name in tables} == tables


def test_ids_kept_by_an_older_pellucid_take_part_once_and_stay_out_of_the_export(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection:
        connection.executescript(BEFORE.read_text())
        connection.execute("""UPDATE participants SET platform = '{"PROLIFIC_PID": "5f1a"}'""")
        connection.commit()
    with closing(Store.open(folder)) as store:
        with pytest.raises(Taken):
            enrol(store, "key", recruit_id="5f1a")
        assert [row["recruit_id"] for row in store.participants()] == [None]


def test_who_began_before_goes_on(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection:
        connection.executescript(BEFORE.read_text())
    with closing(Store.open(folder)) as store:
        browser = TestClient(application(folder, store))
        page = read_page(browser.get(f"/resume/{KEY}").text)
        answers = {name: values[0] for name, values in page.options.items()}
        assert browser.post("/study", data=page.hidden | answers).status_code == 200
        assert [step["name"] for step in store.steps()] == ["expertise", "instructions"]


def test_a_study_that_moved_goes_on(folder: Path, tmp_path: Path) -> None:
    """The folder is complete: neither its place nor the runs that it was made from matter."""
    with closing(Store.open(folder)) as store:
        browser = TestClient(application(folder, store))
        page = read_page(browser.get("/consent").text)
        browser.post("/consent", data=page.hidden | {"decision": "agree"})
        link = re.search(r"/resume/[\w-]{48}", browser.get("/study").text)
    assert link
    moved = folder.rename(tmp_path / "elsewhere")
    with closing(Store.open(moved)) as store:
        assert read_page(TestClient(application(moved, store)).get(link[0]).text).step == "expertise"
    with pytest.raises(InputError, match=r"there is no .*study.yaml"):
        read_study(folder)


def test_tables_are_made_once_by_whoever_comes_first(store: Store, folder: Path, database: str | None) -> None:
    def open_again(number: int) -> Sequence[Mapping[str, Any]]:
        with closing(Store.open(folder, database)) as other:
            return other.participants()

    enrol(store, "key")
    assert [len(rows) for rows in in_threads(6, open_again)] == [1] * 6


def test_slots_are_given_in_order_and_together(store: Store) -> None:
    people = in_threads(12, lambda number: enrol(store, f"key {number}"))
    assert sorted(each.slot for each in people) == list(range(12))


def test_one_key_is_one_participant(store: Store) -> None:
    people = in_threads(8, lambda number: enrol(store, "key"))
    assert len(people) == 8 and len({each.id for each in people}) == 1


def test_a_step_is_stored_once_and_in_order(store: Store) -> None:
    person = enrol(store, "key")
    assert not store.record(person, 1, "second", {})
    stored = in_threads(8, lambda number: store.record(person, 0, "first", {"trust": str(number)}))
    assert sorted(stored) == [False] * 7 + [True]
    assert [step["name"] for step in store.steps()] == ["first"]
    assert store.record(person, 1, "second", {}, last=True)
    found = store.participant("key")
    assert found is not None and found.position == 2 and found.finished_at


def abandon(store: Store, person: Participant) -> None:
    with store.engine.begin() as connection:
        change = sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == person.id)
        connection.execute(change.values(seen_at="2020-01-01T00:00:00+00:00"))


def test_the_slot_of_a_drop_out_is_given_again(store: Store) -> None:
    people = [enrol(store, str(number)) for number in range(3)]
    abandon(store, people[1])
    assert enrol(store, "new").slot == 1
    assert enrol(store, "newer").slot == 3
    back = store.participant("1")  # who comes back goes on with what they saw
    assert back is not None and back.slot == 1
    assert store.record(back, 0, "first", {})


def test_a_finished_slot_is_kept(store: Store) -> None:
    person = enrol(store, "0")
    store.record(person, 0, "only", {}, last=True)
    abandon(store, person)
    assert enrol(store, "1").slot == 1


def test_planned_numbers_hold_at_once(store: Store) -> None:
    def one(number: int) -> bool:
        try:
            enrol(store, str(number), planned=5)
        except Full:
            return False
        return True

    assert sum(in_threads(12, one)) == 5
    assert enrol(store, "a program", planned=5, synthetic=True).slot == 0


def test_an_id_takes_part_once_also_at_once(store: Store) -> None:
    def one(number: int) -> bool:
        try:
            enrol(store, str(number), recruit_id="5f1a")
        except Taken:
            return False
        return True

    assert sum(in_threads(6, one)) == 1
    [row] = store.participants()
    assert row["recruit_id"] == "5f1a" and store.holder("5f1a") == row["id"]


def test_who_is_set_aside_frees_place_and_id_and_gets_them_back(store: Store) -> None:
    test = enrol(store, "0", recruit_id="5f1a")
    store.set_aside(test.id)
    assert [row["set_aside"] for row in store.participants()] == [True]
    assert enrol(store, "1", recruit_id="5f1a").slot == 0
    store.set_aside(test.id, aside=False)  # the place and the ID are another's by now
    assert [(row["set_aside"], row["claim"]) for row in store.participants() if row["id"] == test.id] == [(False, None)]
    other = enrol(store, "2", recruit_id="77")
    store.set_aside(other.id)
    store.set_aside(other.id, aside=False)
    assert store.holder("77") == other.id and enrol(store, "3").slot == 2


def test_a_quota_holds_at_once(store: Store) -> None:
    people = [enrol(store, str(number)) for number in range(8)]

    def one(number: int) -> bool:
        return store.record(people[number], 0, "expertise", {"age": "1"}, full=lambda others: len(others) >= 3)

    assert all(in_threads(8, one))
    rows = store.participants()
    assert sorted(str(row["outcome"]) for row in rows) == ["None"] * 3 + ["full"] * 5
    assert sum(row["claim"] is not None for row in rows) == 3


def test_attempts_are_stored_once_each(store: Store) -> None:
    person = enrol(store, "key")
    in_threads(6, lambda number: store.attempt(person, "comprehension", 0, {"side": "0"}))
    store.attempt(person, "comprehension", 1, {"side": "2"})
    assert store.attempts(person.id, "comprehension") == [{"side": "0"}, {"side": "2"}]
    assert store.participants()[0]["attempts"] == 2
    store.withdraw(person)
    store.attempt(person, "comprehension", 2, {"side": "0"})
    assert store.attempts(person.id, "comprehension") == []


def test_a_withdrawn_participant_is_gone_with_every_answer(store: Store) -> None:
    person = enrol(store, "key")
    store.record(person, 0, "first", {"comment": "something private"})
    store.withdraw(person)
    assert store.participant("key") is None and not store.steps() and not store.participants()
    assert not store.record(person, 1, "second", {})
    store.withdraw(person)
    assert store.setting("withdrawn") == "1"


def test_keys_are_not_in_the_database(store: Store) -> None:
    enrol(store, "a private key")
    assert "a private key" not in str(store.participants())
    with store.engine.connect() as connection:
        assert "a private key" not in str(connection.execute(sa.select(PARTICIPANTS)).all())


def test_text_is_never_a_statement(store: Store) -> None:
    nasty = "'; DROP TABLE steps; --"
    person = enrol(store, nasty, platform={"PROLIFIC_PID": nasty})
    assert store.record(person, 0, nasty, {nasty: nasty})
    assert store.steps()[0]["answers"] == {nasty: nasty}
    assert store.participant("' OR '1'='1") is None


def test_the_secret_is_made_once(store: Store) -> None:
    assert len(set(in_threads(6, lambda number: store.secret))) == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://localhost/x", "sqlite:///FILE or postgresql"),
        ("nonsense", "sqlite:///FILE or postgresql"),
        ("sqlite://", "has a name"),
        ("sqlite:////nowhere/at/all.sqlite", "cannot be opened: unable to open"),
    ],
)
def test_bad_addresses_are_a_sentence(url: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        Store.open(tmp_path, url)


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_text("no database" * 100)
    with pytest.raises(InputError, match="not a database"):
        Store.open(tmp_path)


def test_no_answers_yet_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody has taken part yet"):
        Store.open(tmp_path, create=False)
    missing = tmp_path / "typo.sqlite"
    with pytest.raises(InputError, match="there is no database .*typo.sqlite; give the one of the study with --data"):
        Store.open(tmp_path, f"sqlite:///{missing}", create=False)
    assert not missing.exists()


def test_a_password_in_an_address_is_not_shown() -> None:
    assert "secret" not in Store("postgresql://me:secret@localhost/x").address


def test_other_users_of_the_machine_read_no_answers(folder: Path) -> None:
    store = Store.open(folder)
    enrol(store, "key")
    files = list(folder.glob("answers.sqlite*"))
    assert len(files) == 3 and {path.stat().st_mode & 0o777 for path in files} == {0o600}
    store.close()


def test_a_full_database_refuses_whole_answers_and_keeps_the_others(folder: Path) -> None:
    store = Store.open(folder)
    person = enrol(store, "key")
    store.engine.dispose()
    sa.event.listen(store.engine, "connect", lambda connection, record: connection.execute("PRAGMA max_page_count=1"))

    def fill() -> None:
        for number in range(100):
            assert store.record(person, number, f"step {number}", {"comment": "x" * 2000})

    with pytest.raises(Unavailable, match="database or disk is full"):
        fill()
    stored = len(store.steps())
    assert stored < 20 and [step["number"] for step in store.steps()] == list(range(stored))
    sa.event.listen(
        store.engine, "connect", lambda connection, record: connection.execute("PRAGMA max_page_count=9999")
    )
    store.engine.dispose()
    assert store.record(person, stored, f"step {stored}", {"comment": "x" * 2000})
    store.close()
