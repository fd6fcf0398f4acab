"""The tables of the answers. Studies under way hold them, so a change here needs a way for databases made before.

Databases of pellucid's first versions have the first three tables, and beside them alembic's own ``alembic_version``.
The other tables are made, and filled from these, when a database is opened; no column of an old table has changed.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

__all__ = ["ATTEMPTS", "ENDED", "METADATA", "PARTICIPANTS", "RECRUITED", "SETTINGS", "SET_ASIDE", "STEPS", "migrate"]

METADATA = sa.MetaData()

SETTINGS = sa.Table(
    "settings",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

PARTICIPANTS = sa.Table(
    "participants",
    METADATA,
    sa.Column("id", sa.String(24), primary_key=True),
    # Of the private link only a hash is kept, so that whoever reads the database cannot answer for anyone.
    sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("synthetic", sa.Boolean, nullable=False),
    # `slot` is what a participant sees; `claim` is the same number as long as they hold the place, then null.
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("claim", sa.Integer),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("consent_version", sa.String(64), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("seen_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32)),
    sa.Column("viewport_width", sa.Integer),
    sa.Column("viewport_height", sa.Integer),
    sa.Column("platform", sa.JSON, nullable=False),
    sa.UniqueConstraint("synthetic", "claim", name="one_participant_a_slot"),
)

STEPS = sa.Table(
    "steps",
    METADATA,
    sa.Column("participant", sa.String(24), sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("answers", sa.JSON, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("answered_at", sa.String(32), nullable=False),
    sa.UniqueConstraint("participant", "name", name="one_answer_a_step"),
)

RECRUITED = sa.Table(
    "recruited",
    METADATA,
    sa.Column("participant", sa.String(24), sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True),
    # `recruit_id` is the ID at the recruiting service; `holds` is the same as long as it may not take part again.
    sa.Column("recruit_id", sa.String(64), nullable=False),
    sa.Column("holds", sa.String(64), unique=True),
    # Whether the consent page said that the ID is stored and exported; those of pellucid's first versions did not.
    sa.Column("told", sa.Boolean, nullable=False),
)

ENDED = sa.Table(
    "ended",
    METADATA,
    sa.Column("participant", sa.String(24), sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("ended_at", sa.String(32), nullable=False),
)

SET_ASIDE = sa.Table(
    "set_aside",
    METADATA,
    sa.Column("participant", sa.String(24), sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("set_aside_at", sa.String(32), nullable=False),
)

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("participant", sa.String(24), sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("answers", sa.JSON, nullable=False),
    sa.Column("attempted_at", sa.String(32), nullable=False),
)


def migrate(connection: sa.Connection) -> None:
    """Make the tables that are missing, and take over the IDs that pellucid's first versions kept in `PARTICIPANTS`.

    Such an ID takes part once from now on. Where it had begun twice before, the first one holds it.
    """
    new = not sa.inspect(connection).has_table(RECRUITED.name)
    METADATA.create_all(connection)
    if not new:
        return
    columns = PARTICIPANTS.c.id, PARTICIPANTS.c.platform
    held: set[str] = set()
    found: Mapping[str, Any]
    for participant, found in connection.execute(sa.select(*columns).order_by(PARTICIPANTS.c.started_at)).all():
        if recruit_id := found.get("PROLIFIC_PID"):
            holds = None if recruit_id in held else recruit_id
            connection.execute(
                sa.insert(RECRUITED).values(participant=participant, recruit_id=recruit_id, holds=holds, told=False)
            )
            held.add(recruit_id)
