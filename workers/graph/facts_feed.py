"""Facts into the graph as they are, without a model: entered is the difference to what stands there."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from echoic.memory.embedding.embedder import Embedder
from echoic.memory.graph import ledger as ledger
from echoic.memory.graph.ledger import GraphBatch, GraphRef, Mode
from echoic.memory.store.queries import query
from echoic.memory.types import Fact
from echoic.workers.chat_model import Cost
from echoic.workers.graph.feed import Attempts, GraphReport
from echoic.workers.graph.graphiti_env import load
from echoic.workers.graph.triplets import Change, change, fact_ids, triplets_of
from echoic.workers.locked_connection import within

CHUNK = 250
"""Relations entered together; 0.5 s on FalkorDB, for which an erasure waits."""
SHRINK_BITS_PER_FAILURE = 4
"""After each failure a batch is this many halvings smaller, so that what cannot be entered ends alone."""


class FactsFeed:
    """Learned facts, closed ones too, become relations; one that ends later is entered anew, with its end."""

    mode: Mode = "facts"

    def __init__(self, store: Any, embedder: Embedder, now: Callable[[], datetime]) -> None:
        self._store, self._embedder, self._now = store, f"{embedder.name}:{embedder.dimensions}", now
        self._forms = load("echoic.workers.graph.graphiti_triplets", embedder.dimensions)
        self._attempts = Attempts()

    async def step(self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport) -> bool:
        """See `Feed`."""
        before = await within(connection, ledger.running(connection, one))
        if before is not None and await self._attempts.gave_up(connection, one, before, report):
            return True
        facts = await within(connection, ledger.facts_of(connection, one))
        now = self._now()
        what = await self._plan(connection, one, facts, now, before)
        if not what:
            if before is not None:
                await within(connection, ledger.drop(connection, one, before))
            return False
        batch = await within(connection, _begin(connection, one, before, fact_ids(what.edges)))
        work = partial(
            self._enter, connection, one, batch, what, [fact.fact_id for fact in facts], now, report
        )
        await self._attempts.run(connection, one, batch, work, Cost(), report)
        return not report.failed

    async def _plan(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        facts: Sequence[Fact],
        now: datetime,
        before: GraphBatch | None,
    ) -> Change:
        entered = await within(connection, ledger.entered(connection, one))
        wanted = await asyncio.to_thread(triplets_of, one.group_id, facts)  # 0.3 s for two thousand facts
        most = max(1, CHUNK >> SHRINK_BITS_PER_FAILURE * (before.failures if before else 0))
        return change(wanted, entered["edge"], entered["node"], self._embedder, now, most)

    async def _enter(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        what: Change,
        facts: Sequence[UUID],
        now: datetime,
        report: GraphReport,
    ) -> None:
        if await within(connection, self._commit(connection, one, batch, what, facts, now)):
            report.batches, report.relations = report.batches + 1, report.relations + len(what.edges)
            report.removed += len(what.stale_edges)

    async def _commit(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        what: Change,
        facts: Sequence[UUID],
        now: datetime,
    ) -> bool:
        """Under the lock that keeps an erasure out until the graph holds what the ledger says.

        False: a fact went meanwhile, nothing is.
        """
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), one.user_id)
            if not await _all_there(connection, one, facts):
                await ledger.drop(connection, one, batch)
                return False
            vectors = await ledger.vectors_of(connection, one.user_id, fact_ids(what.edges))
            driver = await self._store.open(one.group_id)
            nodes = [self._forms.node_of(one.group_id, node) for node in what.nodes]
            edges = self._forms.edges_of(one.group_id, what.edges, vectors, now)
            await self._store.save(driver, nodes, edges)
            await self._store.remove(driver, one.group_id, _texts(what.stale_edges), _texts(what.stale_nodes))
            await ledger.enter(
                connection, one, "node", {node.node_id: node.version(self._embedder) for node in what.nodes}
            )
            await ledger.enter(
                connection,
                one,
                "edge",
                {edge.edge_id: edge.version(self._embedder, now) for edge in what.edges},
            )
            await ledger.leave(connection, one, what.stale_edges | what.stale_nodes)
            await ledger.finish(connection, one, batch, len(what.edges))
        return True


async def _begin(
    connection: asyncpg.Connection, one: GraphRef, before: GraphBatch | None, ids: Sequence[UUID]
) -> GraphBatch:
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        await ledger.add_group(connection, one, "facts")
        return await ledger.begin(connection, one, before, ids)


async def _all_there(connection: asyncpg.Connection, one: GraphRef, facts: Sequence[UUID]) -> bool:
    """Whether nobody forgot or erased any of these since, and the person still wants to be remembered."""
    if await connection.fetchval(query("is_stopped"), one.user_id):
        return False
    return int(await connection.fetchval(query("count_facts"), one.user_id, list(facts))) == len(facts)


def _texts(ids: Sequence[UUID] | frozenset[UUID]) -> list[str]:
    return [str(one) for one in ids]
