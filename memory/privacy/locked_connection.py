"""One worker at a time for one user: a lock on the very connection that commits, and a hard limit for what is
done on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from echoic.memory.errors import StoreTimeout
from echoic.memory.store.database import Database

T = TypeVar("T")

LEARNING, GRAPH = 1, 2
"""What the lock is for: the two kinds of work on one user do not wait for each other."""
STORE_S = 30.0
"""Hard limit of one step of the ledger; a commit takes milliseconds, past this Postgres hangs."""
FINAL_WRITE_S = 2.0


@asynccontextmanager
async def locked(db: Database, user_id: str, kind: int) -> AsyncIterator[asyncpg.Connection | None]:
    """The user's lock, of the session; None when another worker holds it.

    It ends with the connection: a lost one cannot commit.
    """
    async with db.dedicated() as connection:
        lock = connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, $2))", user_id, kind)
        yield connection if await within(connection, lock) else None


async def within(connection: asyncpg.Connection, work: Awaitable[T], limit_s: float = STORE_S) -> T:
    """`work` on the connection, which is dropped past the limit: a hung Postgres does not answer a cancel
    either.

    Raises:
        StoreTimeout: over the limit.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait({task}, timeout=FINAL_WRITE_S)  # a commit on its way may still arrive
        if not done:
            connection.terminate()
            task.cancel()
        raise
    if done:
        return task.result()
    connection.terminate()
    task.cancel()
    raise StoreTimeout(f"Postgres did not answer within {limit_s:g} s")
