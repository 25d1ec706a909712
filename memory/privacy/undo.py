"""Take back all that one call, one batch or a night's maintenance did, in every store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from echoic.memory.errors import ConfigInvalid, StoreTimeout, UserUnknown
from echoic.memory.graph.ledger import mark_behind
from echoic.memory.privacy.locked_connection import LEARNING, locked, within
from echoic.memory.privacy.replay import Undone, without
from echoic.memory.service import Memory
from echoic.memory.settings.links import LinkStore
from echoic.memory.store.facts import fact_from, notify, tell_forgotten
from echoic.memory.store.queries import query
from echoic.memory.store.turns import counted
from echoic.memory.text.people import shown

POLL_S = 0.2
WORKER_LIMIT_S = 30.0
EMBED_AT_ONCE = 64
SHOWN = 5  # of the people of a call
STORE_S = 120.0
"""Hard limit of what is taken back of one person at once: a night may have archived 50,000 facts."""
TakeBack = Callable[[asyncpg.Connection], Awaitable[Undone]]


async def undo_call(memory: Memory, call_id: str, user_id: str = "") -> Undone:
    """What the call's turns taught is gone; the turns stay, and are not learned again.

    Args:
        user_id: of whom, under whichever of their ids; empty: of the one person who spoke in it.

    Raises:
        UserUnknown: no such call is known.
        ConfigInvalid: several people spoke in it, and nobody is named.
        StoreUnavailable, StoreTimeout: Postgres cannot be reached, or a worker does not finish: nothing is
            taken back of the person it is learning.
    """
    args = query("users_of_call"), call_id, user_id
    users = [row["user_id"] for row in await memory.db.run(lambda connection: connection.fetch(*args))]
    if not users:
        raise UserUnknown(f"No turn of the call {call_id!r} is stored.")
    if not user_id and set(users) - set(await LinkStore(memory.db).ids(users[0])):
        names = ", ".join(users[:SHOWN] + ["…"] * (len(users) > SHOWN))
        raise ConfigInvalid(f"The call {call_id!r} is of several people, {names}: --user says of whom.")

    def take_back(one: str) -> TakeBack:
        async def work(connection: asyncpg.Connection) -> Undone:
            rows = await connection.fetch(query("batches_of_call"), one, call_id)
            return await _take_back(memory, connection, one, [row["batch_id"] for row in rows], call_id)

        return work

    return await _of_each(memory, {one: take_back(one) for one in users})


async def undo_batch(memory: Memory, batch_id: UUID, user_id: str = "") -> Undone:
    """What one batch taught is gone, or what one run of the maintenance changed is as it was.

    Raises:
        UserUnknown: nothing was changed by such a batch; else as `undo_call`.
    """
    sql = query("users_of_batch")
    rows = await memory.db.run(lambda connection: connection.fetch(sql, batch_id))
    users = [row["user_id"] for row in rows if user_id in ("", row["user_id"])]
    if not users:
        raise UserUnknown(f"Nothing was changed by a batch {batch_id}.")
    return await _of_each(memory, {one: _batches(memory, one, [batch_id]) for one in users})


async def undo_maintenance(memory: Memory, since: datetime, until: datetime, user_id: str = "") -> Undone:
    """What the nightly maintenance did between two times is as it was; turns that it deleted stay gone.

    Raises:
        UserUnknown: it did nothing then that is not taken back; else as `undo_call`.
    """
    args = (user_id or None, since, until)
    rows = await memory.db.run(lambda connection: connection.fetch(query("runs_between"), *args))
    if not rows:
        raise UserUnknown("No maintenance changed anything then that could be taken back.")
    return await _of_each(
        memory, {row["user_id"]: _batches(memory, row["user_id"], row["run_ids"]) for row in rows}
    )


def _batches(memory: Memory, user_id: str, batch_ids: Sequence[UUID]) -> TakeBack:
    async def work(connection: asyncpg.Connection) -> Undone:
        return await _take_back(memory, connection, user_id, batch_ids)

    return work


async def _of_each(memory: Memory, users: dict[str, TakeBack]) -> Undone:
    total = Undone()
    for user_id, take_back in users.items():
        undone = await _undo_one(memory, user_id, take_back)
        total.removed |= undone.removed
        total.restored |= undone.restored
        if memory.graph is not None:
            await memory.jobs.enqueue_graph(user_id)
    return total


async def _undo_one(memory: Memory, user_id: str, take_back: TakeBack) -> Undone:
    """Under the lock that keeps every worker of this person out."""
    deadline = asyncio.get_running_loop().time() + WORKER_LIMIT_S
    while asyncio.get_running_loop().time() < deadline:
        async with locked(memory.db, user_id, LEARNING) as connection:
            if connection is not None:
                undone = await within(connection, take_back(connection), STORE_S)
                memory.forget_items(user_id, undone.removed)
                return undone
        await asyncio.sleep(POLL_S)
    raise StoreTimeout("A worker is learning this person's turns and does not finish: undo again later.")


async def _take_back(
    memory: Memory,
    connection: asyncpg.Connection,
    user_id: str,
    batch_ids: Sequence[UUID],
    call_id: str | None = None,
) -> Undone:
    """A fact that only says what these batches taught comes back: it was learned elsewhere too."""
    rows = await connection.fetch(query("archived_by"), user_id, list(batch_ids))
    vectors = await _embedded(memory, rows)
    back = {row["id"]: (user_id, row["id"], row["ref"], vectors[row["id"]], *_words(row)) for row in rows}
    theirs = {row["id"]: (row["merged_into"], row["run_id"]) for row in rows if row["theirs"]}
    async with connection.transaction():
        await connection.execute(query("lock_user_exclusive"), user_id)
        await connection.executemany(query("reinstate_fact"), [back[one] for one in theirs])
        merged = {one: told for one, told in theirs.items() if told[0] is not None}
        undone = await without(connection, user_id, batch_ids, merged)
        await connection.executemany(query("reinstate_fact"), [back[one] for one in undone.alone])
        await connection.execute(query("runs_undone"), user_id, list(batch_ids))
        await connection.fetch(query("drop_episodes"), user_id, list(batch_ids))
        if call_id is not None:
            await connection.execute(query("note_undone_call"), user_id, call_id)
        if undone.removed or undone.restored:
            await mark_behind(connection, user_id)
            await tell_forgotten(connection, user_id, list(undone.removed))
            await notify(connection, user_id)
    return undone


def _words(row: asyncpg.Record) -> tuple[int, list[str], list[int]]:
    return counted(_shown(row))


def _shown(row: asyncpg.Record) -> str:
    fact = fact_from(row["id"], row["fact"])
    return shown(fact.text, fact.about)


async def _embedded(memory: Memory, rows: Sequence[asyncpg.Record]) -> dict[UUID, object]:
    found: dict[UUID, object] = {}
    for start in range(0, len(rows), EMBED_AT_ONCE):
        part = rows[start : start + EMBED_AT_ONCE]
        texts = [_shown(row) for row in part]
        vectors = await memory.embedder.embed_batch(texts)
        found.update(zip((row["id"] for row in part), vectors, strict=True))
    return found
