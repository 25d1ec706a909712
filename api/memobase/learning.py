"""A flush: what was told is learned now, by a worker; and how long an answer waits for it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from echoic.api.access.wall import ONLY
from echoic.api.memobase.asker import About
from echoic.api.memobase.frame import failed
from echoic.memory.errors import StoreUnavailable
from echoic.memory.profile.profile import id_of_slot
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query

SYNC_S = 50.0
"""Longest that a flush waits for a worker: Memobase's clients give up after a minute."""
READS_S = 10.0
"""After a flush, reads of this person wait for it, until so many seconds have passed."""
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Waiting:
    """What nobody has learned from yet."""

    turn_ids: tuple[UUID, ...]
    tokens: int


async def waiting(memory: Memory, user_id: str) -> Waiting:
    """What one person told that is not learned yet."""
    row = await memory.db.run(lambda connection: connection.fetchrow(query("waiting_turns"), user_id))
    return Waiting(tuple(row["ids"]), row["tokens"])


async def flush(about: About) -> Waiting:
    """Have a worker learn what waits, at once; returns what that is."""
    memory, user_id = about.memory, about.user_id
    found = await waiting(memory, user_id)
    if found.turn_ids:
        await about.write("mark_flush")
        await _hurry(about)
    return found


async def flush_full(about: About) -> Waiting | None:
    """The same, once as much waits as is learned together; None: it does not."""
    settings, found = about.memory.settings, await waiting(about.memory, about.user_id)
    if found.tokens < settings.learn_tokens and len(found.turn_ids) < settings.learn_turns:
        return None
    await _hurry(about)
    return found


async def wait_learned(about: About, turn_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """What came of these turns, one answer for each batch of them, once a worker has learned them.

    Raises:
        Problem: 504, no worker did in time; 500, the model's answer could not be used. Nothing is lost.
    """
    ends = time.monotonic() + SYNC_S
    while not await _learned(about, turn_ids):
        if time.monotonic() > ends:
            detail = "No worker has learned it yet; it is stored, and learned as soon as one does."
            raise failed(504, detail)
        about.give_back()
        await asyncio.sleep(POLL_S)
    memory, user_id = about.memory, about.user_id
    return await memory.db.run(lambda connection: _results(connection, memory, user_id, turn_ids))


async def wait_flushed(about: About) -> None:
    """Return when the last flush of this person is done, or has had its time."""
    memory, user_id = about.memory, about.user_id
    while await memory.db.run(lambda connection: connection.fetchval(query("flush_runs"), user_id, READS_S)):
        about.give_back()
        await asyncio.sleep(POLL_S)


async def _learned(about: About, turn_ids: Sequence[UUID]) -> bool:
    try:
        row = await about.memory.db.run(
            lambda connection: connection.fetchrow(query("learning_of_turns"), about.user_id, turn_ids)
        )
    except StoreUnavailable:
        return False  # the flush goes on: it is looked at again
    if row["rests"] or row["dead"]:
        raise failed(500, "The model's answer could not be used: nothing is lost, see `echoic jobs`.")
    return not row["waiting"]


async def _hurry(about: About) -> None:
    before = ONLY.set(None)
    try:
        await about.memory.jobs.enqueue_learn(about.user_id, hurry=True)
    finally:
        ONLY.reset(before)


async def _results(
    connection: Connection, memory: Memory, user_id: str, turn_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    batches = await connection.fetch(query("batches_of_turns"), user_id, turn_ids)
    return [await _result(connection, memory, user_id, row["batch_id"]) for row in batches]


async def _result(connection: Connection, memory: Memory, user_id: str, batch_id: UUID) -> dict[str, Any]:
    """Which slots a batch filled, changed and emptied."""
    found: dict[str, list[UUID]] = {"add_profiles": [], "update_profiles": [], "delete_profiles": []}
    rows = await connection.fetch(query("slots_of_batch"), user_id, batch_id, memory.now())
    for row in rows:
        did = "delete_profiles" if row["deleted"] else "add_profiles" if row["added"] else "update_profiles"
        found[did].append(id_of_slot(user_id, row["topic"], row["sub_topic"]))
    taught = await connection.fetchval(query("has_episode"), user_id, batch_id)
    return {"event_id": batch_id if taught else None, **found}
