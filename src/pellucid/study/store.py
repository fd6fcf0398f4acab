"""Participants and their answers, in SQLite beside the study or in PostgreSQL. An answer is stored whole, once."""

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pellucid.core.errors import InputError
from pellucid.study.database import Database, Unavailable
from pellucid.study.tables import PARTICIPANTS, SETTINGS, STEPS

__all__ = ["Full", "Participant", "Store", "Unavailable", "now"]


ENDED = "ended "
"""Beginning of the names of settings that say which of the researcher's sessions are over."""


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


class Store(Database):
    """Participants, their answers and the settings of one study. Methods may be called from any thread."""

    # Settings

    def setting(self, name: str) -> str | None:
        """A stored setting, or None."""
        with self.reading() as connection:
            return _get(connection, name)

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        with self.writing() as connection:
            _set(connection, name, value)

    def once(self, name: str, value: str) -> str:
        """The stored setting; ``value`` is stored where there was none."""
        with self.writing() as connection:
            self.lock(connection)
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
        with self.writing() as connection:
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

    # Sessions of the researcher

    def end_session(self, session: str, *, lasting: float) -> None:
        """Note that a session is over, so that nobody goes on with a copy of it.

        Args:
            session: what the researcher's browser keeps.
            lasting: seconds after which no session is accepted anyway, and its note is deleted.
        """
        ended_at = time.time()
        with self.writing() as connection:
            noted = sa.select(SETTINGS.c.name, SETTINGS.c.value).where(SETTINGS.c.name.startswith(ENDED))
            for name, value in connection.execute(noted).all():
                if float(value) < ended_at - lasting:
                    connection.execute(sa.delete(SETTINGS).where(SETTINGS.c.name == name))
            _set(connection, _ended(session), str(ended_at))

    def is_ended(self, session: str) -> bool:
        """Whether the researcher has logged out of the session."""
        return self.setting(_ended(session)) is not None

    # Participants

    def participant(self, key: str) -> Participant | None:
        """Whose private key it is."""
        done = sa.select(sa.func.count()).where(STEPS.c.participant == PARTICIPANTS.c.id).label("position")
        columns = (*(PARTICIPANTS.c[name] for name in ("id", "synthetic", "slot", "language")), done)
        with self.reading() as connection:
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
        with self.writing() as connection:
            self.lock(connection)
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
            with self.writing() as connection:
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
        with self.writing() as connection:
            self.lock(connection)
            deleted = connection.execute(sa.delete(PARTICIPANTS).where(PARTICIPANTS.c.id == participant.id)).rowcount
            _set(connection, "withdrawn", str(int(_get(connection, "withdrawn") or 0) + deleted))
        if self.is_sqlite:  # out of the log too, in which the deleted pages still lie
            with self._writers, self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    # For the researcher

    def participants(self) -> Sequence[Mapping[str, Any]]:
        """Every participant's row without the hash of the key, in the order in which they began."""
        columns = [column for column in PARTICIPANTS.c if column.name != "key_hash"]
        with self.reading() as connection:
            query = sa.select(*columns).order_by(PARTICIPANTS.c.started_at, PARTICIPANTS.c.slot, PARTICIPANTS.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def steps(self) -> Sequence[Mapping[str, Any]]:
        """Every stored step, by participant and position."""
        with self.reading() as connection:
            query = sa.select(STEPS).order_by(STEPS.c.participant, STEPS.c.number)
            return [dict(row) for row in connection.execute(query).mappings()]


def _ended(session: str) -> str:
    return f"{ENDED}{hashed(session)[:32]}"


def _get(connection: sa.Connection, name: str) -> str | None:
    value: str | None = connection.scalar(sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name))
    return value


def _set(connection: sa.Connection, name: str, value: str) -> None:
    changed = connection.execute(sa.update(SETTINGS).where(SETTINGS.c.name == name).values(value=value)).rowcount
    if not changed:
        connection.execute(sa.insert(SETTINGS).values(name=name, value=value))
