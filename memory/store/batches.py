"""The ledger of work: which turns or facts were taken together, how often, and how it ended.

No words stand in it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import asyncpg

from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.types import Turn

Kind = Literal["learn", "graph"]
GivenUp = Literal["learn", "graph", "spool", "embed", "erase"]
"""The queue in which something was given up: see `DeadBatch.kind`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Turns of one call that are learned together, or facts that enter a graph together."""

    batch_id: UUID
    ids: tuple[UUID, ...]
    starts: int
    """How often a worker began it; more than its failures means that workers died in it."""
    failures: int
    waits: bool = False
    """It failed, and is not tried again yet."""


@dataclass(frozen=True, slots=True)
class DeadBatch:
    """A batch, or another element of a queue, that was given up, for `echoic jobs`."""

    batch_id: UUID
    kind: GivenUp
    """`learn`: turns for facts; `graph`: facts for the graph; `spool`: lines on this disk that are damaged,
    or that Postgres refuses; `embed`: turns that the embedder refuses; `erase`: an erased person's graph that
    its server does not remove."""
    user_id: str
    turns: int
    """How many turns, facts or lines."""
    error: str
    created_at: datetime | None
    finished_at: datetime | None


async def running(
    connection: Connection, user_id: str, kind: Kind, *, agent_id: str = "", hurry: bool = False
) -> Batch | None:
    """The batch that a dead worker left, or that failed before.

    Args:
        agent_id: whose; empty: any.
        hurry: it need not wait before it is tried again.
    """
    row = await connection.fetchrow(query("running_batch"), user_id, kind, agent_id, hurry)
    if row is None:
        return None
    return Batch(row["batch_id"], tuple(row["turn_ids"]), row["starts"], row["failures"], row["waits"])


async def begin(
    connection: Connection,
    user_id: str,
    kind: Kind,
    ids: Sequence[UUID],
    before: Batch | None = None,
    *,
    agent_id: str = "",
) -> Batch:
    """Note that a worker takes these ids; committed before a model or graph server is asked.

    The caller holds the user's lock for this kind of work.
    """
    if before is None:
        before = Batch(uuid4(), (), 0, 0)
        await connection.execute(query("insert_batch"), user_id, before.batch_id, kind, agent_id or None)
    await connection.execute(query("start_batch"), user_id, before.batch_id, list(ids))
    return replace(before, ids=tuple(ids), starts=before.starts + 1, waits=False)


async def turns_of(connection: Connection, user_id: str, turn_ids: Collection[UUID]) -> list[Turn]:
    """Those of the turns that still exist, in order."""
    rows = await connection.fetch(query("batch_turns"), user_id, list(turn_ids))
    return [Turn(**dict(row)) for row in rows]


async def oldest_of_one_call(
    connection: Connection, user_id: str, most_turns: int, most_tokens: int
) -> list[UUID]:
    """The user's oldest open turns, as many as make a batch; none when nothing is open."""
    return _of_one_call(await connection.fetch(query("oldest_open_turns"), user_id, most_turns), most_tokens)


async def finish(
    connection: Connection, user_id: str, batch_id: UUID, facts: int, tokens_in: int = 0, tokens_out: int = 0
) -> None:
    """Mark the batch done and its turns learned, in the caller's transaction."""
    await connection.execute(query("finish_batch"), user_id, batch_id, facts, tokens_in, tokens_out)


async def give_up(connection: Connection, user_id: str, turn_ids: Sequence[UUID], error: str) -> None:
    """Turns of a batch of which nothing could be read are a dead one of their own, in the caller's
    transaction: what the others taught stays."""
    await connection.execute(query("give_up_turns"), user_id, uuid4(), list(turn_ids), error)


async def is_void(connection: Connection, user_id: str, turns: Sequence[Turn]) -> bool:
    """Whether the turns' person was erased since, or wants no more to be kept, or some are gone."""
    if not turns or await connection.fetchval(query("is_stopped"), user_id):
        return True
    ids = [turn.turn_id for turn in turns]
    return int(await connection.fetchval(query("count_batch_turns"), user_id, ids)) < len(ids)


async def drop(connection: Connection, user_id: str, batch_id: UUID) -> None:
    """Forget a void batch; turns that are left of it are open again."""
    await connection.execute(query("drop_batch"), user_id, batch_id)


async def fail(
    connection: Connection, user_id: str, batch_id: UUID, error: str, most: int, *, again_after_s: float = 0
) -> bool:
    """Count a failure of the batch itself; True when it was the last one allowed, and the batch is dead."""
    async with connection.transaction():
        args = (user_id, batch_id, error, most, again_after_s)
        return bool(await connection.fetchval(query("fail_batch"), *args))


async def put_back(connection: Connection, user_id: str, batch_id: UUID) -> None:
    """An outage: the turns are open again, and this start does not count."""
    await connection.execute(query("put_batch_back"), user_id, batch_id)


async def users_with_open_turns(db: Database, *, idle_s: float, limit: int = 1_000) -> list[tuple[str, bool]]:
    """Users with turns that nobody learns although they have waited for `idle_s` seconds, longest waiting
    first; and whether all of it is past: said long before it was recorded, as what is imported. Those come
    last."""
    rows = await db.run(lambda connection: connection.fetch(query("users_with_open_turns"), idle_s, limit))
    return [(row["user_id"], row["past"]) for row in rows]


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


def _of_one_call(waiting: Sequence[asyncpg.Record], most_tokens: int) -> list[UUID]:
    """The first turns of one call, up to the token limit (four letters a token), at least one.

    A batch holds one call, so that what a call taught can be taken back.
    """
    taken: list[UUID] = []
    tokens = 0
    for row in waiting:
        tokens += len(row["text"]) // 4 + 1
        if row["call_id"] != waiting[0]["call_id"] or (taken and tokens > most_tokens):
            break
        taken.append(row["turn_id"])
    return taken
