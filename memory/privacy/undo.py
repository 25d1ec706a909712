"""Take back all that one call taught, in every store, and open again what it ended."""

import asyncio

import asyncpg

from echoic.memory.errors import StoreTimeout, UserUnknown
from echoic.memory.graph.ledger import mark_behind
from echoic.memory.privacy import changes
from echoic.memory.privacy.changes import Undone
from echoic.memory.privacy.locked_connection import LEARNING, locked, within
from echoic.memory.service import Memory
from echoic.memory.store.facts import notify, tell_forgotten
from echoic.memory.store.queries import query

POLL_S = 0.2
WORKER_LIMIT_S = 30.0


async def undo_call(memory: Memory, call_id: str, user_id: str = "") -> Undone:
    """What the call's turns taught is gone; the turns stay, and are not learned again.

    Args:
        user_id: of whom; empty: of everybody who spoke in it.

    Raises:
        UserUnknown: no turn of such a call is stored.
        StoreUnavailable, StoreTimeout: Postgres cannot be reached, or a worker does not finish: nothing is
            taken back of the person it is learning.
    """
    rows = await memory.db.run(lambda connection: connection.fetch(query("users_of_call"), call_id))
    users = [row["user_id"] for row in rows if user_id in ("", row["user_id"])]
    if not users:
        raise UserUnknown(f"No turn of the call {call_id!r} is stored.")
    total = Undone()
    for one in users:
        undone = await _undo_one(memory, one, call_id)
        total.removed |= undone.removed
        total.restored |= undone.restored
        if memory.graph is not None:
            await memory.jobs.enqueue_graph(one)
    return total


async def _undo_one(memory: Memory, user_id: str, call_id: str) -> Undone:
    """Under the lock that keeps every worker of this person out."""
    deadline = asyncio.get_running_loop().time() + WORKER_LIMIT_S
    while asyncio.get_running_loop().time() < deadline:
        async with locked(memory.db, user_id, LEARNING) as connection:
            if connection is not None:
                undone = await within(connection, _take_back(connection, user_id, call_id))
                memory.forget_items(user_id, undone.removed)
                return undone
        await asyncio.sleep(POLL_S)
    raise StoreTimeout("A worker is learning this person's turns and does not finish: undo again later.")


async def _take_back(connection: asyncpg.Connection, user_id: str, call_id: str) -> Undone:
    async with connection.transaction():
        await connection.execute(query("lock_user_exclusive"), user_id)
        batches = await connection.fetch(query("batches_of_call"), user_id, call_id)
        undone = await changes.undo(connection, user_id, [row["batch_id"] for row in batches])
        await connection.execute(query("settle_turns_of_call"), user_id, call_id)
        if undone.removed or undone.restored:
            await mark_behind(connection, user_id)
            await tell_forgotten(connection, user_id, list(undone.removed))
            await notify(connection, user_id)
    return undone
