"""Run by alembic, on the connection that `pellucid.study.store` gives it."""

from alembic import context

from pellucid.study.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
