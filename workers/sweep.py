"""Finds turns whose work was lost (Redis wiped, worker dead, embedding failed, spool left behind) and does it."""

import asyncio
import logging
from contextlib import suppress

import asyncpg

from memory.batches import users_with_open_turns
from memory.errors import MemoryFault, ModelUnavailable
from memory.service import Memory
from workers.extract import Learner

log = logging.getLogger("echoic.sweep")
EVERY_S = 15.0
BATCH = 64
GRACE_S = 30.0
"""Past the idle time of a user's last turn: the queue had its chance."""


async def sweep_for_ever(memory: Memory, learner: Learner | None) -> None:
    """Sweep every 15 seconds. Needs no Redis: the rows themselves say what is missing."""
    while True:
        with suppress(MemoryFault):  # counted and logged where it was raised; the next round tries again
            await sweep(memory, learner, idle_s=memory.settings.learn_idle_s + GRACE_S)
        await asyncio.sleep(EVERY_S)


async def sweep(memory: Memory, learner: Learner | None, *, idle_s: float) -> int:
    """Replay orphaned spools, embed turns without a vector, learn users who waited too long; returns how many users were learned.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    memory.recorder.replay_soon()
    await _embed_missing(memory)
    if learner is None:
        return 0
    learned = 0
    for user_id in await users_with_open_turns(memory.db, idle_s=idle_s):
        try:
            learned += await _learn(learner, user_id)
        except ModelUnavailable:
            break  # down for one, down for all: the next round tries again
    return learned


async def _embed_missing(memory: Memory) -> None:
    try:
        while await memory.turns.index_missing(BATCH) == BATCH:
            pass
    except MemoryFault as exc:
        log.warning("sweep.not_embedded", extra={"error": type(exc).__name__})


async def _learn(learner: Learner, user_id: str) -> bool:
    try:
        report = await learner.learn(user_id)
    except ModelUnavailable:
        log.warning("sweep.model_unavailable")
        raise
    except (MemoryFault, asyncpg.PostgresError) as exc:
        log.warning("sweep.not_learned", extra={"error": type(exc).__name__})
        return False
    return not report.busy
