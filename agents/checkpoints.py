"""Where the curate graph keeps its runs when the service's database is PostgreSQL.

Owns the checkpoint tables' own schema, their set-up by one worker at a time, and a pool that
outlives a restart of the server. The checkpoint file beside SQLite is `agents.curate`'s. A run's
thread is the key of its change, so any worker can go on with what another one left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

SCHEMA = "curate"
_SETUP_LOCK = 0x43757261
_RETRY_S = 0.1


@asynccontextmanager
async def postgres_checkpoints(
    conninfo: str, *, size: int = 4
) -> AsyncIterator[AsyncPostgresSaver]:
    """A checkpoint store in the schema `curate` of the database at `conninfo` (libpq's form).

    Raises psycopg.Error when the server does not answer.
    """
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    options = _options()
    first: Any = await AsyncConnection.connect(conninfo, **options)
    async with first as connection:
        # CREATE INDEX CONCURRENTLY waits for every running statement, so nobody may wait in one
        # for this lock: ask, and ask again.
        while not await _held(connection):
            await asyncio.sleep(_RETRY_S)
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        await AsyncPostgresSaver(connection).setup()
    pool: Any = AsyncConnectionPool(
        conninfo,
        kwargs=options,
        min_size=1,
        max_size=size,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )
    async with pool:
        yield AsyncPostgresSaver(pool)


@asynccontextmanager
async def postgres_checkpoints_to_read(conninfo: str) -> AsyncIterator[AsyncPostgresSaver]:
    """The same store over one connection, for a look: sets up nothing.

    Raises psycopg.Error when the server does not answer, or nobody has set the store up yet.
    """
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import AsyncConnection

    first: Any = await AsyncConnection.connect(conninfo, **_options())
    async with first as connection:
        yield AsyncPostgresSaver(connection)


def _options() -> dict[str, Any]:
    from psycopg.rows import dict_row

    return {
        "autocommit": True,
        "prepare_threshold": 0,
        "row_factory": dict_row,
        "options": f"-c search_path={SCHEMA}",
        "application_name": "almanac-curate",
    }


async def _held(connection: Any) -> bool:
    cursor = await connection.execute(f"SELECT pg_try_advisory_lock({_SETUP_LOCK}) AS held")
    row = await cursor.fetchone()
    return bool(row["held"])
