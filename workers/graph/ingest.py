"""A caller's graphs brought up to date: in order, one worker at a time for a user, each batch once."""

import logging
from typing import Any

import asyncpg

from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from echoic.memory.graph import ledger as ledger
from echoic.memory.graph.backend import GraphBackend
from echoic.memory.graph.erase import finish_erasures, void_of
from echoic.memory.graph.groups import digest_json
from echoic.memory.graph.ledger import GraphRef
from echoic.memory.service import Memory
from echoic.memory.store.database import UNAVAILABLE, unreachable
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.workers.chat_model import ChatModel
from echoic.workers.graph.entity_types import types_of
from echoic.workers.graph.facts_feed import FactsFeed
from echoic.workers.graph.feed import Feed, GraphReport
from echoic.workers.graph.graphiti_env import load
from echoic.workers.graph.turns_feed import TurnsFeed
from echoic.workers.locked_connection import GRAPH, locked, within

log = logging.getLogger("echoic.graph")

DIGEST = 8
"""Relations that a call begins with."""
ROUNDS = 3
"""What is learned or forgotten meanwhile is seen to at once, as often as this; then it is the next job's."""
ANSWER_TOKENS = 4_000
"""Graphiti asks for all relations of a batch in one answer."""


class GraphIngester:
    """Feeds graphs. The lock lives on the very connection that commits: a lost connection cannot commit."""

    def __init__(
        self, memory: Memory, backend: GraphBackend, store: Any, feed: Feed, model: ChatModel | None = None
    ) -> None:
        self._memory, self._backend, self._store, self._feed, self._model = (
            memory,
            backend,
            store,
            feed,
            model,
        )
        self._noted = False

    async def ingest(self, user_id: str) -> GraphReport:
        """Bring this user's graphs up to date.

        Raises:
            StoreUnavailable, ModelUnavailable: nothing is lost or counted; try again later.
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
                        await self._catch_up(connection, one, report)
                    if not due or report.failed:
                        break
        except UNAVAILABLE as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return report

    async def close(self) -> None:
        """Close the connections to the graph server and the model."""
        await self._store.close()
        if self._model is not None:
            await self._model.close()

    async def _due(self, connection: asyncpg.Connection, user_id: str) -> list[GraphRef]:
        """Nothing more is entered of a person who wants no more to be kept."""
        if await connection.fetchval(query("is_stopped"), user_id):
            return []
        return await ledger.due(connection, user_id)

    async def _catch_up(self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport) -> None:
        await self._settle(connection, one)
        while await self._feed.step(connection, one, report):
            continue
        if report.failed:
            return
        await self._refresh(connection, one)
        await within(connection, ledger.done(connection, one))
        fields = {
            "relations": report.relations,
            "removed": report.removed,
            "calls": report.calls,
            "tokens": report.tokens,
        }
        log.info("graph.done", extra=fields)

    async def _settle(self, connection: asyncpg.Connection, one: GraphRef) -> None:
        """A graph that was fed in the other way, or of which its server has lost something, is begun anew."""
        before = await within(connection, ledger.mode_of(connection, one))
        if before is None:
            return
        mode, least = before
        lost = least > 0 and await self._backend.count(one.group_id) < least
        if mode == self._feed.mode and not lost:
            return
        log.warning("graph.begun_anew", extra={"lost": lost, "mode": self._feed.mode})
        await self._backend.erase(one.group_id)
        await within(connection, ledger.reset(connection, one, self._feed.mode))

    async def _refresh(self, connection: asyncpg.Connection, one: GraphRef) -> None:
        """What a call begins with, and a notice to every process that this user's memory changed."""
        if await within(connection, ledger.mode_of(connection, one)) is None:
            return
        await self._backend.refresh(one.group_id)
        digest = digest_json(await self._backend.digest(one.group_id, DIGEST, self._memory.now()))
        await within(connection, _note(connection, one, await self._backend.count(one.group_id), digest))


async def _note(connection: asyncpg.Connection, one: GraphRef, edges: int, digest: str) -> None:
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        await ledger.refresh(connection, one, edges, digest)
        await notify(connection, one.user_id)


def open_ingester(memory: Memory) -> GraphIngester | None:
    """The ingester that the settings name; None when the graph is off.

    Imports Graphiti, and connects with the first user.

    Raises:
        ConfigInvalid: `episodes` without a model, or entity types that cannot be imported.
    """
    settings, backend = memory.settings, memory.graph
    if backend is None:
        return None
    store = load("echoic.workers.graph.graphiti_store", memory.embedder.dimensions).GraphStore(
        settings, memory.embedder
    )
    if settings.graph_ingest == "facts":
        return GraphIngester(memory, backend, store, FactsFeed(store, memory.embedder, memory.now))
    if not settings.llm_url and not settings.llm_api_key.get_secret_value():
        raise ConfigInvalid(
            "ECHOIC_GRAPH_INGEST is `episodes`, which asks a model: "
            "set OPENAI_API_KEY or ECHOIC_LLM_URL, or use `facts`."
        )
    model = ChatModel(settings, answer_tokens=ANSWER_TOKENS)
    feed = TurnsFeed(store, memory.embedder, settings, model, types_of(settings.graph_types))
    return GraphIngester(memory, backend, store, feed, model)
