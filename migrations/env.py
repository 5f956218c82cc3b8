"""Alembic's entry: migrates the connection that `store.migrate` passes, or, from the command line, its own."""

from alembic import context
from sqlalchemy import Connection

import store.models
import store.outward
import store.timelines  # noqa: F401 - all three fill the metadata
from store.base import Base
from store.engine import make_engine
from store.settings import Settings


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # SQLite's too, since our sessions begin for real
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with make_engine(Settings().database_url).begin() as own:
        _run(own)
