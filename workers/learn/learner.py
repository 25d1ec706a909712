"""A caller's open turns -> facts: in order, one batch at a time, never two at once, each learned exactly
once."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg

from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.service import Memory
from echoic.memory.store import batches
from echoic.memory.store.batches import Batch
from echoic.memory.store.database import UNAVAILABLE, unreachable
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.memory.types import Fact, Turn
from echoic.workers.extractors.base import Extraction, Extractor, LearnedFact
from echoic.workers.learn.known_facts import informative_turns, known_facts, only_new
from echoic.workers.locked_connection import FINAL_WRITE_S, LEARNING, locked, within

log = logging.getLogger("echoic.learn")

MOST_FAILURES = 3
MOST_STARTS = 6
"""A batch in which so many workers died is given up like one that failed."""


@dataclass(slots=True)
class LearnReport:
    """What came of a user's open turns."""

    batches: int = 0
    turns: int = 0
    facts: int = 0
    closed: int = 0
    dead: int = 0
    failed: bool = False
    """A batch failed, and may be tried again after a while."""
    busy: bool = False
    """Another worker is learning this user; it will take the open turns."""

    def add(self, later: "LearnReport") -> None:
        """Sum up; how the last one ended counts."""
        for name in ("batches", "turns", "facts", "closed", "dead"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.failed, self.busy = later.failed, later.busy


class Learner:
    """Learns one user at a time.

    The lock lives on the very connection that commits: a lost connection cannot commit.
    """

    def __init__(self, memory: Memory, extractor: Extractor) -> None:
        self._memory, self._extractor = memory, extractor
        self._forgiven: Counter[UUID] = Counter()
        """Starts of batches that an outage of the store ended: no worker died in them."""

    async def learn(self, user_id: str) -> LearnReport:
        """Learn the turns that are open now, batch by batch; what is said meanwhile is left for the next
        time.

        Raises:
            StoreUnavailable, ModelUnavailable: the turns stay open, nothing is counted; try again later.
        """
        report = LearnReport()
        try:
            async with locked(self._memory.db, user_id, LEARNING) as connection:
                if connection is None:
                    return LearnReport(busy=True)
                waiting = await batches.open_turns(self._memory.db, user_id)
                taken = 0
                while taken < waiting and not report.failed:
                    batch = await within(connection, self._begin(connection, user_id))
                    if batch is None:
                        break
                    taken += max(len(batch.turns), 1)
                    await self._learn_batch(connection, user_id, batch, report)
        except UNAVAILABLE as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return report

    async def _begin(self, connection: asyncpg.Connection, user_id: str) -> Batch | None:
        settings = self._memory.settings
        return await batches.begin(connection, user_id, settings.learn_turns, settings.learn_tokens)

    async def _learn_batch(
        self, connection: asyncpg.Connection, user_id: str, batch: Batch, report: LearnReport
    ) -> None:
        if batch.starts - self._forgiven[batch.batch_id] - batch.failures > MOST_STARTS:
            error = f"{batch.starts - 1} workers ended in the middle of this batch"
            report.dead += await within(
                connection, batches.fail(connection, user_id, batch.batch_id, error, 0)
            )
            return
        try:
            extraction, vectors = await self._extract(batch)
            await within(connection, self._commit(connection, user_id, batch, extraction, vectors, report))
        except (ModelUnavailable, StoreUnavailable, asyncio.CancelledError, *UNAVAILABLE):
            await self._put_back(connection, user_id, batch)
            raise
        except MemoryFault as exc:
            await self._failed(connection, user_id, batch, str(exc), report)
        except Exception as exc:  # a defect of an extractor must not stop the other users' learning
            log.error("learn.defect", exc_info=exc)
            await self._failed(connection, user_id, batch, type(exc).__name__, report)

    async def _extract(self, batch: Batch) -> tuple[Extraction, Vector]:
        extraction = Extraction()
        if informative_turns(batch.turns):  # small talk never reaches a model
            extraction = await self._extractor.extract(
                batch.turns, await known_facts(self._memory, batch.turns)
            )
        return await only_new(self._memory, batch.turns, extraction)

    async def _commit(
        self,
        connection: asyncpg.Connection,
        user_id: str,
        batch: Batch,
        extraction: Extraction,
        vectors: Vector,
        report: LearnReport,
    ) -> None:
        """Facts, closings, ledger and turn states in one transaction; nothing of it if the person was erased
        meanwhile."""
        turns = {turn.turn_id: turn for turn in batch.turns}
        closed = 0
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), user_id)
            if await batches.is_void(connection, user_id, batch):
                await batches.drop(connection, user_id, batch.batch_id)
                return
            await self._memory.facts.add(connection, [_fact(one, turns) for one in extraction.facts], vectors)
            for closing in extraction.closings:
                closed += await self._memory.facts.close(
                    connection, user_id, closing.fact_id, closing.closed_at
                )
            ended = [closing.fact_id for closing in extraction.closings]
            await graph_ledger.mark_due(connection, user_id, batch.turns[0].agent_id, ended)
            await batches.finish(connection, user_id, batch.batch_id, len(extraction.facts))
            if extraction.facts or closed:
                await notify(connection, user_id)
        report.batches, report.turns = report.batches + 1, report.turns + len(batch.turns)
        report.facts, report.closed = report.facts + len(extraction.facts), report.closed + closed
        fields = {
            "batch_id": str(batch.batch_id),
            "turns": len(batch.turns),
            "facts": len(extraction.facts),
            "closed": closed,
        }
        log.info("learn.done", extra=fields)

    async def _failed(
        self, connection: asyncpg.Connection, user_id: str, batch: Batch, error: str, report: LearnReport
    ) -> None:
        dead = await within(
            connection, batches.fail(connection, user_id, batch.batch_id, error, MOST_FAILURES)
        )
        report.dead, report.failed = report.dead + dead, not dead
        log.warning(
            "learn.failed",
            extra={"batch_id": str(batch.batch_id), "failures": batch.failures + 1, "dead": dead},
        )

    async def _put_back(self, connection: asyncpg.Connection, user_id: str, batch: Batch) -> None:
        """An outage, or this worker stops: the turns are open again, and this start does not count."""
        try:
            await within(connection, batches.put_back(connection, user_id, batch.batch_id), FINAL_WRITE_S)
        except (MemoryFault, asyncpg.PostgresError, *UNAVAILABLE):
            self._forgiven[batch.batch_id] += 1  # Postgres is what is down


def _fact(learned: LearnedFact, turns: dict[UUID, Turn]) -> Fact:
    source = [turns[turn_id] for turn_id in learned.turn_ids if turn_id in turns] or list(turns.values())
    return Fact(
        fact_id=uuid4(),
        user_id=source[0].user_id,
        text=learned.text,
        topic=learned.topic,
        sub_topic=learned.sub_topic,
        importance=learned.importance,
        scope=learned.scope,
        agent_id=source[0].agent_id,
        said_at=min(turn.said_at for turn in source),
        valid_from=learned.valid_from,
        valid_until=learned.valid_until,
        turn_ids=tuple(turn.turn_id for turn in source),
    )
