"""Settings, participants and their steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "settings",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "participants",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("synthetic", sa.Boolean, nullable=False),
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
    op.create_table(
        "steps",
        sa.Column(
            "participant",
            sa.String(24),
            sa.ForeignKey("participants.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("answered_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("participant", "name", name="one_answer_a_step"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("steps", "participants", "settings"):
        op.drop_table(name)
