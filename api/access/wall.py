"""The second wall: while a request is about one person, Postgres shows its connections nobody else.

A query that forgets its filter then finds nothing of others (row-level security, migrations 0007 and 0016).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from echoic.memory.store.database import Connection, Database

ONLY: ContextVar[str | None] = ContextVar("only", default=None)
"""The person whom this request is about, by one of their ids; None: nobody in particular, and its route's
guard decides."""
_STEP_BEHIND = (
    "select set_config('echoic.user_ids', person_of($1)::text, true), set_config('role', 'echoic_api', true)"
)


async def open_wall(db: Database) -> bool:
    """Use the wall from now on; False where this database user may not: the filters stand alone then.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    if not await db.transaction(lambda connection: connection.fetchval("select open_wall()")):
        return False
    db.fence = _behind_wall
    return True


@asynccontextmanager
async def _behind_wall(connection: Connection) -> AsyncIterator[None]:
    user_id = ONLY.get()
    if user_id is None:
        yield
        return
    async with connection.transaction():
        await connection.fetchrow(_STEP_BEHIND, user_id)
        yield
