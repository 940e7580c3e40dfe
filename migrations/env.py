"""Alembic's entry: migrations run on the connection that `daemon.store.engine` passes."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import daemon.store.account_rows
import daemon.store.rows  # noqa: F401  (both fill the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
