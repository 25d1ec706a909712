"""The ledger of learning: which turns were taken together, how often, and how it ended.

No words stand in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.types import Turn


@dataclass(frozen=True, slots=True)
class Batch:
    """Turns of one user and one agent that are learned together."""

    batch_id: UUID
    turns: tuple[Turn, ...]
    starts: int
    """How often a worker began it; more than its failures means that workers died in it."""
    failures: int


@dataclass(frozen=True, slots=True)
class DeadBatch:
    """A batch that was given up, for `echoic jobs`."""

    batch_id: UUID
    kind: str
    """`learn`: turns for facts; `graph`: facts or turns for the graph."""
    user_id: str
    turns: int
    """How many turns, or facts where facts enter the graph."""
    error: str
    created_at: datetime
    finished_at: datetime


async def begin(connection: Connection, user_id: str, most_turns: int, most_tokens: int) -> Batch | None:
    """Take the batch that a dead worker left, or a new one of the user's oldest open turns; committed before
    any model is called.

    The caller holds the user's learning lock. None when nothing is open.
    """
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), user_id)
        row = await connection.fetchrow(query("running_batch"), user_id)
        if row is None:
            row = await _new_batch(connection, user_id, most_turns, most_tokens)
        if row is None:
            return None
        await connection.execute(query("start_batch"), user_id, row["batch_id"])
        turns = [
            Turn(**dict(turn))
            for turn in await connection.fetch(query("batch_turns"), user_id, row["turn_ids"])
        ]
    return Batch(row["batch_id"], tuple(turns), row["starts"] + 1, row["failures"])


async def finish(connection: Connection, user_id: str, batch_id: UUID, facts: int) -> None:
    """Mark the batch done and its turns learned, in the caller's transaction."""
    await connection.execute(query("finish_batch"), user_id, batch_id, facts)


async def is_void(connection: Connection, user_id: str, batch: Batch) -> bool:
    """Whether the batch's person was erased after its words were said, or wants no more to be kept, or some
    of its turns are gone."""
    if await connection.fetchval(query("is_stopped"), user_id):
        return True
    if not batch.turns or await connection.fetchval(
        query("is_void"), user_id, max(turn.said_at for turn in batch.turns)
    ):
        return True
    return int(
        await connection.fetchval(query("count_batch_turns"), user_id, [turn.turn_id for turn in batch.turns])
    ) < len(batch.turns)


async def drop(connection: Connection, user_id: str, batch_id: UUID) -> None:
    """Forget a void batch; turns that are left of it are open again."""
    await connection.execute(query("drop_batch"), user_id, batch_id)


async def fail(connection: Connection, user_id: str, batch_id: UUID, error: str, most: int) -> bool:
    """Count a failure of the batch itself; True when it was the last one allowed, and the batch is dead."""
    async with connection.transaction():
        return bool(await connection.fetchval(query("fail_batch"), user_id, batch_id, error, most))


async def put_back(connection: Connection, user_id: str, batch_id: UUID) -> None:
    """An outage: the turns are open again, and this start does not count."""
    await connection.execute(query("put_batch_back"), user_id, batch_id)


async def users_with_open_turns(db: Database, *, idle_s: float, limit: int = 1_000) -> list[str]:
    """Users with turns that nobody learns although they have waited for `idle_s` seconds; longest waiting
    first."""
    rows = await db.run(lambda connection: connection.fetch(query("users_with_open_turns"), idle_s, limit))
    return [row["user_id"] for row in rows]


async def open_turns(db: Database, user_id: str) -> int:
    """How many of a user's turns are not learned yet."""
    return int(await db.run(lambda connection: connection.fetchval(query("count_open_turns"), user_id)))


async def backlog(db: Database) -> tuple[int, float]:
    """How many turns of all users are not learned yet, and the age of the oldest in seconds.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    row = await db.run(lambda connection: connection.fetchrow(query("backlog")))
    return int(row["turns"]), float(row["oldest_s"])


async def dead(db: Database, user_id: str | None = None) -> list[DeadBatch]:
    """Batches that were given up, oldest first."""
    rows = await db.run(lambda connection: connection.fetch(query("dead_batches"), user_id))
    return [DeadBatch(**dict(row)) for row in rows]


async def rerun(db: Database, batch_id: UUID | None = None) -> list[str]:
    """Open what one dead batch held again, or all of them; returns the users for whom work now waits."""
    rows = await db.transaction(lambda connection: connection.fetch(query("rerun_batches"), batch_id))
    return sorted({row["user_id"] for row in rows})


async def _new_batch(
    connection: Connection, user_id: str, most_turns: int, most_tokens: int
) -> asyncpg.Record | None:
    waiting = await connection.fetch(query("oldest_open_turns"), user_id, most_turns)
    turn_ids = _of_one_agent(waiting, most_tokens)
    if not turn_ids:
        return None
    return await connection.fetchrow(query("insert_batch"), user_id, uuid4(), turn_ids)


def _of_one_agent(waiting: Sequence[asyncpg.Record], most_tokens: int) -> list[UUID]:
    """The first turns that one agent heard, up to the token limit (four letters a token), at least one."""
    taken: list[UUID] = []
    tokens = 0
    for row in waiting:
        tokens += len(row["text"]) // 4 + 1
        if row["agent_id"] != waiting[0]["agent_id"] or (taken and tokens > most_tokens):
            break
        taken.append(row["turn_id"])
    return taken
