"""Participants and their answers, in SQLite beside the study or in PostgreSQL. An answer is stored whole, once."""

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pellucid.study.database import Unavailable
from pellucid.study.settings import Settings, get_setting, hashed, set_setting
from pellucid.study.tables import ATTEMPTS, ENDED, PARTICIPANTS, RECRUITED, SET_ASIDE, STEPS

__all__ = ["Full", "Participant", "Store", "Taken", "Unavailable", "now", "opened"]


class Full(Exception):
    """As many participants take part as were planned."""


class Taken(Exception):
    """The ID of the recruiting service has taken part already, or is doing so."""


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
        outcome: how taking part ended before the last step (``screened_out`` or ``full``), or None.
        recruit_id: the ID at the recruiting service, or None.
    """

    id: str
    synthetic: bool
    slot: int
    language: str
    position: int
    finished_at: str | None
    outcome: str | None = None
    recruit_id: str | None = None


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store(Settings):
    """Participants, their answers and the settings of one study. Methods may be called from any thread."""

    def participant(self, key: str) -> Participant | None:
        """Whose private key it is."""
        done = sa.select(sa.func.count()).where(STEPS.c.participant == PARTICIPANTS.c.id).label("position")
        columns = (*(PARTICIPANTS.c[name] for name in ("id", "synthetic", "slot", "language")), done)
        later = (PARTICIPANTS.c.finished_at, ENDED.c.outcome, RECRUITED.c.recruit_id)
        query = sa.select(*columns, *later).select_from(_WITH_LATER).where(PARTICIPANTS.c.key_hash == hashed(key))
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
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
        recruit_id: str | None = None,
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
            platform: what else the recruiting service put into the link.
            recruit_id: their ID at the recruiting service.
            planned: number of participants after which nobody more is taken.
            abandoned_after_hours: hours without an answer after which a slot is given to someone else.

        Raises:
            Full: as many as planned take part.
            Taken: the ID has taken part already, or is doing so.
            Unavailable: the database did not answer.
        """
        table = PARTICIPANTS
        with self.writing() as connection:
            self.lock(connection)
            if connection.scalar(sa.select(table.c.id).where(table.c.key_hash == hashed(key))) is None:
                if recruit_id is not None and _holder(connection, recruit_id) is not None:
                    raise Taken
                since = datetime.now(UTC) - timedelta(hours=abandoned_after_hours)
                left = table.c.finished_at.is_(None) & (table.c.seen_at < since.isoformat(timespec="seconds"))
                connection.execute(sa.update(table).where(left).values(claim=None))
                mine = table.c.claim.is_not(None) & (table.c.synthetic == synthetic)
                claims = set(connection.scalars(sa.select(table.c.claim).where(mine)))
                if planned is not None and not synthetic and len(claims) >= planned:
                    raise Full
                slot = next(number for number in range(len(claims) + 1) if number not in claims)
                name = secrets.token_hex(8)
                connection.execute(
                    sa.insert(table).values(
                        id=name,
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
                if recruit_id is not None:
                    held = {"participant": name, "recruit_id": recruit_id, "holds": recruit_id, "told": True}
                    connection.execute(sa.insert(RECRUITED).values(held))
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
        outcome: str | None = None,
        full: Callable[[Sequence[Mapping[str, str]]], bool] | None = None,
    ) -> bool:
        """Store one step. When this returns, it is on disk.

        Args:
            participant: whose.
            number: position of the step, from 0; steps are stored in order without a gap.
            name: the step's.
            answers: by question.
            seconds: time on the page.
            last: whether the study ends with it.
            outcome: how taking part ends here, before the last step; the place is then free for another.
            full: tells from the answers that everybody else who holds a place gave in this step whether there is no
                place left for this participant, who then ends as ``full``. One participant at a time is looked at.

        Returns:
            False if that step was stored before, is not the next one, or the participant has withdrawn.

        Raises:
            Unavailable: the database did not answer; nothing was stored.
        """
        try:
            with self.writing() as connection:
                if full is not None:
                    self.lock(connection)
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
                if full is not None and full(_answers_of_others(connection, participant, name)):
                    outcome = "full"
                values: dict[str, Any] = {"seen_at": now()} | ({"finished_at": now()} if last else {})
                if outcome is not None:
                    values |= {"claim": None}
                    ending = {"participant": participant.id, "outcome": outcome, "ended_at": now()}
                    connection.execute(sa.insert(ENDED).values(ending))
                connection.execute(sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == participant.id).values(values))
        except IntegrityError:
            return False
        return True

    def attempt(self, participant: Participant, name: str, number: int, answers: Mapping[str, str]) -> None:
        """Store wrong answers to checks that may be tried again.

        Args:
            participant: whose.
            name: the step's.
            number: of the attempt, from 0; one that was stored before is kept.
            answers: by question.
        """
        with self.writing() as connection:
            mine = (ATTEMPTS.c.participant == participant.id) & (ATTEMPTS.c.name == name)
            held = connection.scalar(
                sa.select(PARTICIPANTS.c.id).where(PARTICIPANTS.c.id == participant.id).with_for_update()
            )
            if held is None or connection.scalar(sa.select(sa.func.count()).where(mine)) != number:
                return
            values = {"participant": participant.id, "name": name, "number": number, "answers": dict(answers)}
            connection.execute(sa.insert(ATTEMPTS).values(values | {"attempted_at": now()}))

    def holder(self, recruit_id: str) -> str | None:
        """The participant who has taken part with that ID, or is doing so."""
        with self.reading() as connection:
            return _holder(connection, recruit_id)

    def withdraw(self, participant: Participant) -> None:
        """Delete everything about a participant; that someone withdrew is counted."""
        with self.writing() as connection:
            self.lock(connection)
            deleted = connection.execute(sa.delete(PARTICIPANTS).where(PARTICIPANTS.c.id == participant.id)).rowcount
            set_setting(connection, "withdrawn", str(int(get_setting(connection, "withdrawn") or 0) + deleted))
        if self.is_sqlite:  # out of the log too, in which the deleted pages still lie
            with self._writers, self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def set_aside(self, participant: str, *, aside: bool = True) -> None:
        """Mark a participant as a test person, or take the mark away.

        Nothing is deleted. While they are marked, their place and their ID are free for another; afterwards they get
        both back if nobody has taken them.

        Args:
            participant: identifier.
            aside: whether to mark them.
        """
        with self.writing() as connection:
            self.lock(connection)
            row = connection.execute(sa.select(PARTICIPANTS).where(PARTICIPANTS.c.id == participant)).one_or_none()
            connection.execute(sa.delete(SET_ASIDE).where(SET_ASIDE.c.participant == participant))
            if row is None:
                return
            claim: int | None = None
            holds: str | None = None
            recruited = RECRUITED.c.participant == participant
            if aside:
                connection.execute(sa.insert(SET_ASIDE).values(participant=participant, set_aside_at=now()))
            else:
                ended = connection.scalar(sa.select(ENDED.c.outcome).where(ENDED.c.participant == participant))
                mine = (PARTICIPANTS.c.claim == row.slot) & (PARTICIPANTS.c.synthetic == row.synthetic)
                others = connection.scalar(sa.select(PARTICIPANTS.c.id).where(mine & (PARTICIPANTS.c.id != row.id)))
                claim = row.slot if others is None and ended is None else None
                holds = connection.scalar(sa.select(RECRUITED.c.recruit_id).where(recruited))
                holds = None if holds and _holder(connection, holds) not in (None, participant) else holds
            change = sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == participant)
            connection.execute(change.values(claim=claim))
            connection.execute(sa.update(RECRUITED).where(recruited).values(holds=holds))

    def participants(self) -> Sequence[Mapping[str, Any]]:
        """Every participant's row without the hash of the key, in the order in which they began.

        With it come ``outcome`` (None unless they ended before the last step), ``recruit_id`` (None also where the
        consent page did not say that it is stored), ``set_aside`` and ``attempts``, how often a check was tried in
        vain.
        """
        columns = [column for column in PARTICIPANTS.c if column.name != "key_hash"]
        told = sa.case((RECRUITED.c.told, RECRUITED.c.recruit_id)).label("recruit_id")
        aside = sa.exists().where(SET_ASIDE.c.participant == PARTICIPANTS.c.id).label("set_aside")
        tried = (sa.select(sa.func.count()).where(ATTEMPTS.c.participant == PARTICIPANTS.c.id).scalar_subquery()).label(
            "attempts"
        )
        query = sa.select(*columns, ENDED.c.outcome, told, aside, tried).select_from(_WITH_LATER)
        with self.reading() as connection:
            query = query.order_by(PARTICIPANTS.c.started_at, PARTICIPANTS.c.slot, PARTICIPANTS.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def steps(self, participant: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Every stored step, by participant and position; with an identifier, of that participant alone."""
        query = sa.select(STEPS).order_by(STEPS.c.participant, STEPS.c.number)
        if participant is not None:
            query = query.where(STEPS.c.participant == participant)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def attempts(self, participant: str, name: str) -> list[dict[str, str]]:
        """What a participant answered to checks in the attempts that failed, the first one first."""
        mine = (ATTEMPTS.c.participant == participant) & (ATTEMPTS.c.name == name)
        with self.reading() as connection:
            return list(connection.scalars(sa.select(ATTEMPTS.c.answers).where(mine).order_by(ATTEMPTS.c.number)))


@contextmanager
def opened(folder: str | Path, url: str | None = None, *, preview: bool = False) -> Iterator[Store]:
    """The store of a study folder, closed at the end; in a preview an empty one that is deleted at the end.

    Args:
        folder: the study.
        url: as in `Store.open`; a preview leaves that database alone.
        preview: whether what is answered is thrown away.
    """
    with tempfile.TemporaryDirectory() if preview else nullcontext() as scratch:
        store = Store.open(folder, f"sqlite:///{scratch}/preview.sqlite" if scratch else url)
        try:
            yield store
        finally:
            store.close()


_WITH_LATER = PARTICIPANTS.outerjoin(ENDED, ENDED.c.participant == PARTICIPANTS.c.id).outerjoin(
    RECRUITED, RECRUITED.c.participant == PARTICIPANTS.c.id
)
"""Participants with what was stored about them later, where it was."""


def _holder(connection: sa.Connection, recruit_id: str) -> str | None:
    held: str | None = connection.scalar(sa.select(RECRUITED.c.participant).where(RECRUITED.c.holds == recruit_id))
    return held


def _answers_of_others(connection: sa.Connection, participant: Participant, name: str) -> Sequence[Mapping[str, str]]:
    """What everybody else who holds a place answered in one step."""
    hold = PARTICIPANTS.c.claim.is_not(None) & (PARTICIPANTS.c.synthetic == participant.synthetic)
    other = (STEPS.c.name == name) & (PARTICIPANTS.c.id != participant.id)
    query = sa.select(STEPS.c.answers).join(PARTICIPANTS, PARTICIPANTS.c.id == STEPS.c.participant).where(hold & other)
    return connection.scalars(query).all()
