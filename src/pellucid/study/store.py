"""Participants and their answers, in SQLite beside the study or in PostgreSQL. An answer is stored whole, once."""

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from pellucid.core.errors import InputError
from pellucid.study.durable import SharedSync
from pellucid.study.tables import METADATA, PARTICIPANTS, SETTINGS, STEPS

__all__ = ["Full", "Participant", "Store", "Unavailable", "now"]

BUSY_SECONDS = 10
"""How long a statement waits for another process that writes."""
ENROLMENT = 7_061_991
"""Key of PostgreSQL's advisory lock under which slots are given out."""


class Unavailable(Exception):
    """The database did not answer: locked, full or away. Nothing was stored."""


class Full(Exception):
    """As many participants take part as were planned."""


@dataclass(frozen=True)
class Participant:
    """Who takes part.

    Attributes:
        id: opaque, as in the export.
        synthetic: made by ``pellucid study simulate``.
        slot: which sequence they see.
        language: of their pages.
        position: number of steps done.
        finished_at: when the last one was done, or None.
    """

    id: str
    synthetic: bool
    slot: int
    language: str
    position: int
    finished_at: str | None


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def hashed(key: str) -> str:
    """What is stored of a private key."""
    return hashlib.sha256(key.encode()).hexdigest()


class Store:
    """The database of one study. Methods may be called from any thread.

    Args:
        url: SQLAlchemy's, such as ``sqlite:////path/answers.sqlite`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        InputError: a URL of another database, or one that cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
        except sa.exc.ArgumentError:
            raise InputError("a database is given as sqlite:///FILE or postgresql://USER@HOST/NAME") from None
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise InputError(f"a database is sqlite:///FILE or postgresql://..., got {parsed.get_backend_name()}")
        if not parsed.database or parsed.database == ":memory:":
            raise InputError(f"a database has a name, such as sqlite:///answers.sqlite, got {url!r}")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.address = parsed.render_as_string(hide_password=True)
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}} if self.is_sqlite else {"pool_pre_ping": True}
        )
        self.engine = sa.create_engine(parsed, pool_size=16, max_overflow=32, **options)
        # SQLite lets one connection write at a time; those of this process queue here instead of polling the file.
        self._writing: Any = threading.Lock() if self.is_sqlite else nullcontext()
        self._log = SharedSync(Path(f"{parsed.database}-wal")) if self.is_sqlite else None
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare)
            sa.event.listen(self.engine, "begin", _begin)

    @classmethod
    def open(cls, folder: str | Path, url: str | None = None, *, create: bool = True) -> Self:
        """The database of a study folder; its tables are made where there are none.

        Args:
            folder: the study.
            url: another place than ``answers.sqlite`` in the folder.
            create: make it where there is none.

        Raises:
            InputError: it cannot be opened, or there is none.
        """
        file = Path(folder).absolute() / "answers.sqlite"
        if url is None and not create and not file.exists():
            raise InputError(
                f"there is no {file}; nobody has taken part yet, or the answers are elsewhere: --database URL"
            )
        store = cls(url or f"sqlite:///{file}")
        if store.is_sqlite:
            with suppress(OSError):  # who may not create it is told below
                os.close(os.open(str(store.engine.url.database), os.O_CREAT, 0o600))  # other users read no answers
        try:
            with store._write() as connection:
                store._lock(connection)
                METADATA.create_all(connection)
        except Unavailable as error:
            store.close()
            raise InputError(f"the database {store.address} cannot be opened: {error}") from None
        return store

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """One transaction that writes: all of it is on disk when the block ends, or nothing."""
        try:
            with (
                self._writing,
                self.engine.connect().execution_options(immediate=True) as connection,
                connection.begin(),
            ):
                yield connection
            if self._log is not None:
                self._log.wait()
        except IntegrityError:
            raise
        except (DBAPIError, sa.exc.TimeoutError, OSError) as error:
            raise Unavailable(_reason(error)) from error

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection, connection.begin():
                yield connection
        except (DBAPIError, sa.exc.TimeoutError) as error:
            raise Unavailable(_reason(error)) from error

    # Settings

    def setting(self, name: str) -> str | None:
        """A stored setting, or None."""
        with self._read() as connection:
            return _get(connection, name)

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        with self._write() as connection:
            _set(connection, name, value)

    def once(self, name: str, value: str) -> str:
        """The stored setting; ``value`` is stored where there was none."""
        with self._write() as connection:
            self._lock(connection)
            there = _get(connection, name)
            if there is None:
                _set(connection, name, value)
            return there or value

    def bind(self, registration: str) -> None:
        """Tie the answers to a design.

        Args:
            registration: hash of the design and its pictures.

        Raises:
            InputError: people have answered another design.
        """
        with self._write() as connection:
            before = _get(connection, "design")
            count = connection.scalar(sa.select(sa.func.count()).select_from(PARTICIPANTS))
            if before not in (None, registration) and count:
                raise InputError(
                    f"the study was changed after {count} participants began; restore study.yaml and manifest.csv, or "
                    "use a new folder"
                )
            _set(connection, "design", registration)

    @property
    def secret(self) -> bytes:
        """Key of every signature, made once."""
        return bytes.fromhex(self.once("secret", secrets.token_hex(32)))

    # Participants

    def participant(self, key: str) -> Participant | None:
        """Whose private key it is."""
        done = sa.select(sa.func.count()).where(STEPS.c.participant == PARTICIPANTS.c.id).label("position")
        columns = (*(PARTICIPANTS.c[name] for name in ("id", "synthetic", "slot", "language")), done)
        with self._read() as connection:
            row = connection.execute(
                sa.select(*columns, PARTICIPANTS.c.finished_at).where(PARTICIPANTS.c.key_hash == hashed(key))
            ).one_or_none()
        return None if row is None else Participant(**row._mapping)

    def enrol(
        self,
        key: str,
        *,
        language: str,
        consent_version: str,
        synthetic: bool = False,
        viewport: tuple[int | None, int | None] = (None, None),
        platform: Mapping[str, str] | None = None,
        planned: int | None = None,
        abandoned_after_hours: float = 24.0,
    ) -> Participant:
        """Take someone in, at the lowest free slot; called twice with a key, the second call changes nothing.

        Args:
            key: their private key.
            language: of their pages.
            consent_version: of the text they agreed to.
            synthetic: whether a program answers; programs have slots of their own.
            viewport: width and height of the window in CSS pixels.
            platform: identifiers that the recruiting platform gave.
            planned: number of participants after which nobody more is taken.
            abandoned_after_hours: hours without an answer after which a slot is given to someone else.

        Raises:
            Full: as many as planned take part.
            Unavailable: the database did not answer.
        """
        table = PARTICIPANTS
        with self._write() as connection:
            self._lock(connection)
            if connection.scalar(sa.select(table.c.id).where(table.c.key_hash == hashed(key))) is None:
                since = datetime.now(UTC) - timedelta(hours=abandoned_after_hours)
                left = table.c.finished_at.is_(None) & (table.c.seen_at < since.isoformat(timespec="seconds"))
                connection.execute(sa.update(table).where(left).values(claim=None))
                mine = table.c.claim.is_not(None) & (table.c.synthetic == synthetic)
                claims = set(connection.scalars(sa.select(table.c.claim).where(mine)))
                if planned is not None and not synthetic and len(claims) >= planned:
                    raise Full
                slot = next(number for number in range(len(claims) + 1) if number not in claims)
                connection.execute(
                    sa.insert(table).values(
                        id=secrets.token_hex(8),
                        key_hash=hashed(key),
                        synthetic=synthetic,
                        slot=slot,
                        claim=slot,
                        language=language,
                        consent_version=consent_version,
                        started_at=now(),
                        seen_at=now(),
                        viewport_width=viewport[0],
                        viewport_height=viewport[1],
                        platform=dict(platform or {}),
                    )
                )
        participant = self.participant(key)
        if participant is None:
            raise Unavailable("the participant was deleted meanwhile")
        return participant

    def record(
        self,
        participant: Participant,
        number: int,
        name: str,
        answers: Mapping[str, str],
        *,
        seconds: float | None = None,
        last: bool = False,
    ) -> bool:
        """Store one step. When this returns, it is on disk.

        Args:
            participant: whose.
            number: position of the step, from 0; steps are stored in order without a gap.
            name: the step's.
            answers: by question.
            seconds: time on the page.
            last: whether the study ends with it.

        Returns:
            False if that step was stored before, is not the next one, or the participant has withdrawn.

        Raises:
            Unavailable: the database did not answer; nothing was stored.
        """
        try:
            with self._write() as connection:
                held = connection.scalar(
                    sa.select(PARTICIPANTS.c.id).where(PARTICIPANTS.c.id == participant.id).with_for_update()
                )
                done = connection.scalar(
                    sa.select(sa.func.count()).select_from(STEPS).where(STEPS.c.participant == participant.id)
                )
                if held is None or done != number:
                    return False
                connection.execute(
                    sa.insert(STEPS).values(
                        participant=participant.id,
                        number=number,
                        name=name,
                        answers=dict(answers),
                        seconds=seconds,
                        answered_at=now(),
                    )
                )
                values = {"seen_at": now()} | ({"finished_at": now()} if last else {})
                connection.execute(sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == participant.id).values(values))
        except IntegrityError:
            return False
        return True

    def withdraw(self, participant: Participant) -> None:
        """Delete everything about a participant; that someone withdrew is counted."""
        with self._write() as connection:
            self._lock(connection)
            deleted = connection.execute(sa.delete(PARTICIPANTS).where(PARTICIPANTS.c.id == participant.id)).rowcount
            _set(connection, "withdrawn", str(int(_get(connection, "withdrawn") or 0) + deleted))
        if self.is_sqlite:  # out of the log too, in which the deleted pages still lie
            with self._writing, self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    # For the researcher

    def participants(self) -> Sequence[Mapping[str, Any]]:
        """Every participant's row without the hash of the key, in the order in which they began."""
        columns = [column for column in PARTICIPANTS.c if column.name != "key_hash"]
        with self._read() as connection:
            query = sa.select(*columns).order_by(PARTICIPANTS.c.started_at, PARTICIPANTS.c.slot, PARTICIPANTS.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def steps(self) -> Sequence[Mapping[str, Any]]:
        """Every stored step, by participant and position."""
        with self._read() as connection:
            query = sa.select(STEPS).order_by(STEPS.c.participant, STEPS.c.number)
            return [dict(row) for row in connection.execute(query).mappings()]

    def _lock(self, connection: sa.Connection) -> None:
        """One at a time from here to the end of the transaction; SQLite's writers are so from its beginning."""
        if not self.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ENROLMENT})


def _get(connection: sa.Connection, name: str) -> str | None:
    value: str | None = connection.scalar(sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name))
    return value


def _set(connection: sa.Connection, name: str, value: str) -> None:
    changed = connection.execute(sa.update(SETTINGS).where(SETTINGS.c.name == name).values(value=value)).rowcount
    if not changed:
        connection.execute(sa.insert(SETTINGS).values(name=name, value=value))


def _prepare(connection: Any, record: Any) -> None:
    """A new connection to SQLite: its transactions are begun by `_begin`, and brought to disk by `SharedSync`."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
