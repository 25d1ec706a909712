"""Facts into the graph as they are, without a model: entered is the difference to what stands there."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from echoic.memory.embedding.embedder import Embedder
from echoic.memory.graph import ledger
from echoic.memory.graph.ledger import GraphRef
from echoic.memory.privacy.locked_connection import within
from echoic.memory.store import batches
from echoic.memory.store.batches import Batch
from echoic.memory.store.queries import query
from echoic.memory.types import Fact
from echoic.workers.attempts import Attempts
from echoic.workers.graph.graphiti_env import load
from echoic.workers.graph.triplets import Change, change, fact_ids, triplets_of

CHUNK = 250
"""Relations entered together; 0.5 s on FalkorDB, for which an erasure waits."""
SHRINK_BITS_PER_FAILURE = 4
"""After each failure a batch is this many halvings smaller, so that what cannot be entered ends alone."""


@dataclass(slots=True)
class GraphReport:
    """What came of bringing a user's graphs up to date."""

    batches: int = 0
    relations: int = 0
    """Entered, again or anew."""
    removed: int = 0
    dead: int = 0
    failed: bool = False
    """A batch failed, and is tried again after a while."""
    busy: bool = False
    """Another worker is at this user's graphs."""

    def add(self, later: "GraphReport") -> None:
        """Sum up; how the last one ended counts."""
        for name in ("batches", "relations", "removed", "dead"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.failed, self.busy = later.failed, later.busy


class FactsFeed:
    """Learned facts, closed ones too, become relations; one that ends later is entered anew, with its end."""

    def __init__(self, store: Any, embedder: Embedder, now: Callable[[], datetime]) -> None:
        self._store, self._embedder, self._now = store, f"{embedder.name}:{embedder.dimensions}", now
        self._forms = load("echoic.workers.graph.graphiti_triplets", embedder.dimensions)
        self._attempts = Attempts("graph")

    async def step(
        self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport, *, hurry: bool = False
    ) -> bool:
        """Bring the graph one batch further; False when nothing is left to do, or it failed: see the report.

        Raises:
            StoreUnavailable, ConfigInvalid: later; counts for nothing.
        """
        looked_up = batches.running(connection, one.user_id, "graph", agent_id=one.agent_id, hurry=hurry)
        before = await within(connection, looked_up)
        if before is not None and before.waits:
            report.failed = True
            return False
        if before is not None and await self._attempts.gave_up(connection, one.user_id, before, report):
            return True
        facts = await within(connection, ledger.facts_of(connection, one))
        now = self._now()
        what = await self._plan(connection, one, facts, now, before)
        if not what:
            if before is not None:
                await within(connection, batches.drop(connection, one.user_id, before.batch_id))
            return False
        ids = [fact.fact_id for fact in facts]
        batch = await within(connection, _begin(connection, one, before, what, ids))
        if batch is None:
            return True
        work = self._enter(connection, one, batch, what, ids, now, report)
        await self._attempts.run(connection, one.user_id, batch, work, report)
        return not report.failed

    async def _plan(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        facts: Sequence[Fact],
        now: datetime,
        before: Batch | None,
    ) -> Change:
        entered = await within(connection, ledger.entered(connection, one))
        wanted = await asyncio.to_thread(triplets_of, one.group_id, facts)  # 0.3 s for two thousand facts
        most = max(1, CHUNK >> SHRINK_BITS_PER_FAILURE * (before.failures if before else 0))
        return change(wanted, entered["edge"], entered["node"], self._embedder, now, most)

    async def _enter(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: Batch,
        what: Change,
        facts: Sequence[UUID],
        now: datetime,
        report: GraphReport,
    ) -> bool:
        """Whether anything was; see `_commit`."""
        is_entered = await within(connection, self._commit(connection, one, batch, what, facts, now))
        if is_entered:
            report.batches, report.relations = report.batches + 1, report.relations + len(what.edges)
            report.removed += len(what.stale_edges)
        return is_entered

    async def _commit(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: Batch,
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
                await batches.drop(connection, one.user_id, batch.batch_id)
                return False
            vectors = await ledger.vectors_of(connection, one.user_id, fact_ids(what.edges))
            driver = await self._store.open(one.group_id)
            nodes = [self._forms.node_of(one.group_id, node) for node in what.nodes]
            edges = self._forms.edges_of(one.group_id, what.edges, vectors, now)
            await self._store.save(driver, nodes, edges)
            await self._store.remove(driver, one.group_id, _texts(what.stale_edges), _texts(what.stale_nodes))
            await self._note(connection, one, what, now)
            await ledger.count_entered(connection, one, len(what.edges))
            await batches.finish(connection, one.user_id, batch.batch_id, len(what.edges))
        return True

    async def _note(self, connection: asyncpg.Connection, one: GraphRef, what: Change, now: datetime) -> None:
        nodes = {node.node_id: node.version(self._embedder) for node in what.nodes}
        edges = {edge.edge_id: edge.version(self._embedder, now) for edge in what.edges}
        await ledger.enter(connection, one, "node", nodes)
        await ledger.enter(connection, one, "edge", edges)
        await ledger.leave(connection, one, what.stale_edges | what.stale_nodes)


async def _begin(
    connection: asyncpg.Connection, one: GraphRef, before: Batch | None, what: Change, facts: Sequence[UUID]
) -> Batch | None:
    """What is to be entered is noted first: whatever comes of it, what is forgotten is removed again.

    None: a fact went meanwhile, nothing is.
    """
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        if not await _all_there(connection, one, facts):
            return None
        await ledger.add_group(connection, one)
        await ledger.expect(connection, one, "node", [node.node_id for node in what.nodes])
        await ledger.expect(connection, one, "edge", [edge.edge_id for edge in what.edges])
        ids = fact_ids(what.edges)
        return await batches.begin(connection, one.user_id, "graph", ids, before, agent_id=one.agent_id)


async def _all_there(connection: asyncpg.Connection, one: GraphRef, facts: Sequence[UUID]) -> bool:
    """Whether nobody forgot or erased any of these since, and the person still wants to be remembered."""
    if await connection.fetchval(query("is_stopped"), one.user_id):
        return False
    return int(await connection.fetchval(query("count_facts"), one.user_id, list(facts))) == len(facts)


def _texts(ids: Sequence[UUID] | frozenset[UUID]) -> list[str]:
    return [str(one) for one in ids]
