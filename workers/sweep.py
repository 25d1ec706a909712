"""Finds turns whose work was lost (Redis wiped, worker dead, embedding failed, spool left behind) and does
it."""

import asyncio
import logging
from contextlib import suppress

import asyncpg

from echoic.memory.errors import MemoryFault, ModelUnavailable
from echoic.memory.graph.erase import finish_erasures
from echoic.memory.graph.ledger import users_due
from echoic.memory.service import Memory
from echoic.memory.store.batches import users_with_open_turns
from echoic.workers.graph.ingest import GraphIngester
from echoic.workers.learn.learner import Learner

log = logging.getLogger("echoic.sweep")
EVERY_S = 15.0
BATCH = 64
GRACE_S = 30.0
"""Past the idle time of a user's last turn: the queue had its chance."""


async def sweep_for_ever(
    memory: Memory, learner: Learner | None, ingester: GraphIngester | None = None
) -> None:
    """Sweep every 15 seconds. Needs no Redis: the rows themselves say what is missing."""
    while True:
        with suppress(MemoryFault):  # counted and logged where it was raised; the next round tries again
            await sweep(memory, learner, idle_s=memory.settings.learn_idle_s + GRACE_S)
            await sweep_graphs(memory, ingester)
        await asyncio.sleep(EVERY_S)


async def sweep(memory: Memory, learner: Learner | None, *, idle_s: float) -> int:
    """Replay orphaned spools, embed turns without a vector, learn users who waited too long; returns how many
    users were learned.

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


async def sweep_graphs(memory: Memory, ingester: GraphIngester | None) -> int:
    """Remove the graphs of people who were erased, and bring graphs up to date that are behind; returns how
    many users' were.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if ingester is None or memory.graph is None:
        return 0
    users = await users_due(memory.db)
    done = 0
    try:
        await finish_erasures(memory.db, memory.graph)
        for user_id in users:
            report = await ingester.ingest(user_id)
            done += not report.busy
    # down for one, down for all: the next round tries again
    except (
        MemoryFault,
        asyncpg.PostgresError,
    ) as exc:
        log.warning("sweep.graphs_not_fed", extra={"error": type(exc).__name__})
    return done


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
