"""A caller's graphs brought up to date: in order, one worker at a time for a user, each batch once."""

import logging
from typing import Any

import asyncpg

from echoic.memory.errors import StoreUnavailable
from echoic.memory.graph import ledger
from echoic.memory.graph.backend import GraphBackend
from echoic.memory.graph.erase import finish_erasures, void_of
from echoic.memory.graph.groups import digest_json
from echoic.memory.graph.ledger import GraphRef
from echoic.memory.privacy.locked_connection import GRAPH, locked, within
from echoic.memory.service import Memory
from echoic.memory.store.database import UNAVAILABLE, unreachable
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.workers.graph.feed import FactsFeed, GraphReport
from echoic.workers.graph.graphiti_env import load

log = logging.getLogger("echoic.graph")

DIGEST = 8
"""Relations that a call begins with."""
ROUNDS = 3
"""What is learned or forgotten meanwhile is seen to at once, as often as this; then it is the next job's."""


class GraphIngester:
    """Feeds graphs. The lock lives on the very connection that commits: a lost connection cannot commit."""

    def __init__(self, memory: Memory, backend: GraphBackend, store: Any, feed: FactsFeed) -> None:
        self._memory, self._backend, self._store, self._feed = memory, backend, store, feed
        self._noted = False

    async def ingest(self, user_id: str, *, hurry: bool = False) -> GraphReport:
        """Bring this user's graphs up to date.

        Args:
            hurry: what failed before need not wait before it is tried again.

        Raises:
            StoreUnavailable: nothing is lost or counted; try again later.
            ConfigInvalid: the graph server refuses us, or is too old.
        """
        report = GraphReport()
        try:
            if not self._noted:
                await self._backend.ping()
                await ledger.remember_backend(self._memory.db, self._backend.name)
                self._noted = True
            async with locked(self._memory.db, user_id, GRAPH) as connection:
                if connection is None:
                    return GraphReport(busy=True)
                void = await void_of(self._memory.db, user_id, removed_too=True)
                await finish_erasures(self._memory.db, self._backend, void, for_good=True)
                for _ in range(ROUNDS):
                    due = await within(connection, self._due(connection, user_id))
                    for one in due:
                        await self._catch_up(connection, one, report, hurry)
                    if not due or report.failed:
                        break
        except UNAVAILABLE as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return report

    async def close(self) -> None:
        """Close the connections to the graph server."""
        await self._store.close()

    async def _due(self, connection: asyncpg.Connection, user_id: str) -> list[GraphRef]:
        """Nothing more is entered of a person who wants no more to be kept."""
        if await _is_stopped(connection, user_id):
            return []
        return await ledger.due(connection, user_id)

    async def _catch_up(
        self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport, hurry: bool
    ) -> None:
        await self._settle(connection, one)
        is_behind = True
        while is_behind and not await within(connection, _is_stopped(connection, one.user_id)):
            is_behind = await self._feed.step(connection, one, report, hurry=hurry)
        if is_behind or report.failed:
            return
        await self._refresh(connection, one)
        await within(connection, ledger.done(connection, one))
        log.info("graph.done", extra={"relations": report.relations, "removed": report.removed})

    async def _settle(self, connection: asyncpg.Connection, one: GraphRef) -> None:
        """A graph of which its server has lost something is begun anew."""
        least = await within(connection, ledger.least_relations(connection, one))
        if not least or await self._backend.count(one.group_id) >= least:
            return
        log.warning("graph.begun_anew")
        await self._backend.erase(one.group_id)
        await within(connection, ledger.reset(connection, one))

    async def _refresh(self, connection: asyncpg.Connection, one: GraphRef) -> None:
        """What a call begins with, and a notice to every process that this user's memory changed."""
        if await within(connection, ledger.least_relations(connection, one)) is None:
            return
        await self._backend.refresh(one.group_id)
        digest = digest_json(await self._backend.digest(one.group_id, DIGEST, self._memory.now()))
        await within(connection, _note(connection, one, await self._backend.count(one.group_id), digest))


async def _is_stopped(connection: asyncpg.Connection, user_id: str) -> bool:
    return bool(await connection.fetchval(query("is_stopped"), user_id))


async def _note(connection: asyncpg.Connection, one: GraphRef, edges: int, digest: str) -> None:
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        await ledger.refresh(connection, one, edges, digest)
        await notify(connection, one.user_id)


def open_ingester(memory: Memory) -> GraphIngester | None:
    """What feeds the graphs; None when the graph is off.

    Imports Graphiti, and connects with the first user.
    """
    if memory.graph is None:
        return None
    module = load("echoic.workers.graph.graphiti_store", memory.embedder.dimensions)
    store = module.GraphStore(memory.settings, memory.embedder)
    return GraphIngester(memory, memory.graph, store, FactsFeed(store, memory.embedder, memory.now))
