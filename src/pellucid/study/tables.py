"""The tables of the answers. Studies under way hold them, so a change here needs a way for databases made before.

Databases of pellucid's first versions have the same tables, and beside them alembic's own ``alembic_version``.
"""

import sqlalchemy as sa

__all__ = ["METADATA", "PARTICIPANTS", "SETTINGS", "STEPS"]

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
