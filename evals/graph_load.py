"""Puts the bench's relations into a graph server in Graphiti's own form, a thousand a second."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid5

import redis.asyncio

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.graph.falkordb.queries import literal
from echoic.memory.graph.neo4j.driver import NeoDriver
from echoic.workers.graph.graphiti_env import load
from evals.graph_data import Edge, nodes_of

BATCH = 200
OTHERS, OTHER_EDGES = 200, 50
"""Other users, and what each of them has."""
LIMIT_S = 120.0

_FALKOR_NODES = "UNWIND $rows AS row CREATE (n:Entity) SET n = row"
_FALKOR_EDGES = """UNWIND $rows AS row MATCH (s:Entity {uuid: row.source}) MATCH (t:Entity {uuid: row.target})
    CREATE (s)-[e:RELATES_TO]->(t) SET e = row.edge SET e.fact_embedding = vecf32(row.vector)"""
_NEO_NODES = "UNWIND $rows AS row CREATE (n:Entity) SET n = row RETURN collect(1) AS rows"
_NEO_EDGES = """UNWIND $rows AS row MATCH (s:Entity {uuid: row.source}) MATCH (t:Entity {uuid: row.target})
    CREATE (s)-[e:RELATES_TO]->(t) SET e = row.edge
    SET e.created_at = datetime(e.created_at), e.valid_at = datetime(e.valid_at),
        e.invalid_at = datetime(e.invalid_at)
    WITH e, row CALL db.create.setRelationshipVectorProperty(e, 'fact_embedding', row.vector)
    RETURN collect(1) AS rows"""


class Loader(Protocol):
    """Fills one graph server."""

    async def load(self, group: str, edges: Sequence[Edge], vectors: Vector) -> None: ...

    async def load_others(self, edges: Sequence[Edge], vectors: Vector) -> None:
        """A small graph for each of many other users."""
        ...

    async def close(self) -> None: ...


def loader(settings: MemorySettings, embedder: Embedder) -> Loader:
    """The one for the server that the settings name."""
    return (
        _FalkorLoader(settings, embedder)
        if settings.falkordb_url.get_secret_value()
        else _NeoLoader(settings, embedder)
    )


class _FalkorLoader:
    def __init__(self, settings: MemorySettings, embedder: Embedder) -> None:
        self._redis = redis.asyncio.from_url(settings.falkordb_url.get_secret_value())
        self._store = load("echoic.workers.graph.graphiti_store", embedder.dimensions).GraphStore(
            settings, embedder
        )

    async def load(self, group: str, edges: Sequence[Edge], vectors: Vector) -> None:
        await self._store.open(group)  # builds the indexes
        await self._enter(group, _FALKOR_NODES, _nodes(group, edges))
        await self._enter(group, _FALKOR_EDGES, _rows(group, edges, vectors))

    async def load_others(self, edges: Sequence[Edge], vectors: Vector) -> None:
        await self.load(_other(0), edges, vectors)
        for number in range(1, OTHERS):
            await self._redis.execute_command("GRAPH.COPY", _other(0), _other(number))

    async def close(self) -> None:
        await self._redis.aclose()
        await self._store.close()

    async def _enter(self, group: str, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for at in range(0, len(rows), BATCH):
            text = f"CYPHER rows=[{','.join(map(_map, rows[at : at + BATCH]))}] {query}"
            await self._redis.execute_command("GRAPH.QUERY", group, text)


class _NeoLoader:
    def __init__(self, settings: MemorySettings, embedder: Embedder) -> None:
        self._driver = NeoDriver(settings)
        self._store = load("echoic.workers.graph.graphiti_store", embedder.dimensions).GraphStore(
            settings, embedder
        )

    async def load(self, group: str, edges: Sequence[Edge], vectors: Vector) -> None:
        await self._store.open(group)
        await self._enter(_NEO_NODES, _nodes(group, edges))
        await self._enter(_NEO_EDGES, _rows(group, edges, vectors))

    async def load_others(self, edges: Sequence[Edge], vectors: Vector) -> None:
        for number in range(OTHERS):
            await self.load(_other(number), edges, vectors)

    async def close(self) -> None:
        await self._driver.close()
        await self._store.close()

    async def _enter(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for at in range(0, len(rows), BATCH):
            await self._driver.ask(query, {"rows": rows[at : at + BATCH]}, LIMIT_S, write=True)


def _other(number: int) -> str:
    return f"other{number:03}"


def _nodes(group: str, edges: Sequence[Edge]) -> list[dict[str, Any]]:
    return [{"uuid": _node_id(group, name), "name": name, "group_id": group} for name in nodes_of(edges)]


def _rows(group: str, edges: Sequence[Edge], vectors: Vector) -> list[dict[str, Any]]:
    return [
        {
            "source": _node_id(group, edge.source),
            "target": _node_id(group, edge.target),
            "vector": vector.tolist(),
            "edge": _properties(group, edge),
        }
        for edge, vector in zip(edges, vectors, strict=True)
    ]


def _properties(group: str, edge: Edge) -> dict[str, Any]:
    began, known = (
        edge.valid_at.isoformat(),
        {"invalid_at": edge.invalid_at.isoformat()} if edge.invalid_at else {},
    )
    own = {
        "uuid": str(uuid5(edge.edge_id, group)) if group.startswith("other") else str(edge.edge_id),
        "group_id": group,
    }
    return (
        own
        | {"name": edge.name, "fact": edge.fact, "created_at": began, "valid_at": began, "episodes": []}
        | known
    )


def _node_id(group: str, name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"{group} {name}"))


def _map(row: Mapping[str, Any]) -> str:
    return (
        "{"
        + ",".join(
            f"{key}:{_map(value) if isinstance(value, Mapping) else literal(value)}"
            for key, value in row.items()
        )
        + "}"
    )
