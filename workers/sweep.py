"""Finds turns whose work was lost (Redis wiped, worker dead, embedding failed, spool left behind) and does
it."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from echoic.memory.errors import MemoryFault
from echoic.memory.graph.erase import finish_erasures
from echoic.memory.graph.ledger import users_due
from echoic.memory.service import Memory
from echoic.memory.store.batches import users_with_open_turns
from echoic.workers.graph.ingest import GraphIngester
from echoic.workers.learn.learner import Learner

log = logging.getLogger("echoic.sweep")
EVERY_S = 15.0
BATCH = 64
DOWN_FOR_ALL = 3
"""So many users in a row whose work fails: what it needs is down."""
GRACE_S = 30.0
"""Past the idle time of a user's last turn: the queue had its chance."""

PAST_S = 15.0
"""Of each round for what was imported, a batch of each person in turn: then those who speak now come first
again."""


class Order:
    """Who comes first: users whose work failed the last time come last, so that they are in nobody's way."""

    def __init__(self) -> None:
        self._failed: set[str] = set()

    async def each(self, users: Sequence[str], work: Callable[[str], Awaitable[bool]], event: str) -> int:
        """Do the work of one user after the other; returns for how many it was done.

        What fails for one is logged and left for the next round; what fails for three in a row fails for all.
        """
        done = in_a_row = 0
        self._failed.intersection_update(users)
        for user_id in sorted(users, key=self._failed.__contains__):
            try:
                done += await work(user_id)
                self._failed.discard(user_id)
                in_a_row = 0
            except Exception as exc:  # a defect must not stop the work on the others
                self._failed.add(user_id)
                in_a_row += 1
                is_defect = not isinstance(exc, MemoryFault)
                log.warning(event, extra={"error": type(exc).__name__}, exc_info=exc if is_defect else None)
                if in_a_row == DOWN_FOR_ALL:
                    break
        return done


async def sweep_for_ever(
    memory: Memory, learner: Learner | None, ingester: GraphIngester | None = None
) -> None:
    """Sweep every 15 seconds. Needs no Redis: the rows themselves say what is missing."""
    learning, graphs = Order(), Order()
    while True:
        try:
            await sweep(memory, learner, idle_s=memory.settings.learn_idle_s + GRACE_S, order=learning)
            await sweep_graphs(memory, ingester, order=graphs)
        except MemoryFault as exc:  # the next round tries again
            log.info("sweep.waits", extra={"error": type(exc).__name__})
        except Exception as exc:
            log.error("sweep.defect", exc_info=exc)
        await asyncio.sleep(EVERY_S)


async def sweep(memory: Memory, learner: Learner | None, *, idle_s: float, order: Order | None = None) -> int:
    """Replay orphaned spools, embed turns without a vector, learn users who waited too long, and then a bit
    of what was imported; returns how many users were learned.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    memory.recorder.replay_soon()
    await _embed_missing(memory)
    if learner is None:
        return 0

    users = await users_with_open_turns(memory.db, idle_s=idle_s)
    work = _Learning(learner, {one for one, past in users if past})
    return await (order or Order()).each([one for one, _ in users], work.learn, "sweep.not_learned")


class _Learning:
    """One round: who speaks now is learned whole, what was imported for a while and a batch at a time."""

    def __init__(self, learner: Learner, past: set[str]) -> None:
        self._learner, self._past = learner, past
        self._past_until = math.inf

    async def learn(self, user_id: str) -> bool:
        is_past = user_id in self._past
        if is_past:
            self._past_until = min(self._past_until, time.monotonic() + PAST_S)
            if time.monotonic() >= self._past_until:
                return False
        return not (await self._learner.learn(user_id, most_batches=1 if is_past else math.inf)).busy


async def sweep_graphs(memory: Memory, ingester: GraphIngester | None, *, order: Order | None = None) -> int:
    """Remove the graphs of people who were erased, and bring graphs up to date that are behind; returns how
    many users' were.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if ingester is None or memory.graph is None:
        return 0

    async def ingest(user_id: str) -> bool:
        return not (await ingester.ingest(user_id)).busy

    users = await users_due(memory.db)
    try:
        await finish_erasures(memory.db, memory.graph)
    except MemoryFault as exc:
        log.warning("sweep.graphs_not_removed", extra={"error": type(exc).__name__})
    return await (order or Order()).each(users, ingest, "sweep.graphs_not_fed")


async def _embed_missing(memory: Memory) -> None:
    try:
        while await memory.turns.index_missing(BATCH) == BATCH:
            pass
    except Exception as exc:  # found by their words until the next round
        log.warning("sweep.not_embedded", extra={"error": type(exc).__name__})
