"""The graph on Neo4j 5.26 or later, read with its bare driver: few connections, and a limit on the server for
every query."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import numpy as np

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.groups import group_of
from echoic.memory.graph.neo4j import queries as queries
from echoic.memory.graph.neo4j.driver import NeoDriver, Row
from echoic.memory.graph.neo4j.pages import NeoPages
from echoic.memory.graph.pages import nearest
from echoic.memory.graph.ranking import Found, ranked
from echoic.memory.graph.types import (
    LONG_AGO,
    Entity,
    Relation,
    chosen,
    entity_of,
    graph_as_json,
    relation_of,
)

ALL_LIMIT_S = 60.0
"""Reading or removing a whole group, outside any call."""
PLANNED_CHARS = 128
"""Neo4j plans the same query anew for texts of below and above 100 characters: shorter ones are filled up
with spaces."""


class NeoBackend:
    """A bounded driver for one Neo4j. Connects with the first query."""

    name: Literal["falkordb", "neo4j"] = "neo4j"

    def __init__(self, settings: MemorySettings) -> None:
        self._timeout_s, self._dimensions = settings.store_timeout_s, settings.embedding_dimensions
        self._driver = NeoDriver(settings)
        self._pages = NeoPages(self._driver)

    async def search(
        self,
        group: str,
        *,
        vector: Vector | None,
        words: Sequence[str],
        past: bool,
        now: datetime,
        limit: int,
        edges: int,
    ) -> list[Relation]:
        start, ids = "all", list[tuple[str, float]]()
        if vector is not None and edges > queries.EXACT_EDGES:
            pages = await self._pages.read(group, self._timeout_s)
            ids = [(str(edge_id), likeness) for edge_id, likeness in nearest(pages, vector, queries.NEAREST)]
            start = "ids" if ids else "all" if edges <= queries.UNPAGED_EDGES else "words"
        query = queries.search(start=start, by_vector=vector is not None, by_words=bool(words))
        if not query:
            return []
        values = _values(group, vector, words, ids, past=past, now=now)
        return ranked(map(_found, await self._ask(group, query, values, self._timeout_s)), limit)

    async def relations(
        self, group: str, *, at: datetime | None = None, live_only: bool = True
    ) -> list[Relation]:
        return chosen(
            map(_relation, await self._ask(group, queries.RELATIONS, {}, ALL_LIMIT_S)), at, live_only
        )

    async def entities(self, group: str) -> list[Entity]:
        return list(map(_entity, await self._ask(group, queries.ENTITIES, {}, ALL_LIMIT_S)))

    async def digest(self, group: str, limit: int, now: datetime) -> list[Relation]:
        return list(
            map(_relation, await self._ask(group, queries.DIGEST, {"most": limit, "now": now}, ALL_LIMIT_S))
        )

    async def export(self, group: str) -> dict[str, Any]:
        return graph_as_json(await self.entities(group), await self.relations(group, live_only=False))

    async def refresh(self, group: str) -> None:
        await self._pages.refresh(group)

    async def erase(self, group: str) -> None:
        for label in queries.LABELS:
            await self._ask(group, queries.ERASE.format(label=label), {}, ALL_LIMIT_S, write=True)
        self._pages.forget(group)

    async def count(self, group: str) -> int:
        ((edges,),) = await self._ask(group, queries.COUNT, {}, ALL_LIMIT_S)
        return int(edges)

    async def ping(self) -> str:
        version = await self._driver.version(self._timeout_s)
        nobody, vector, ids = (
            group_of("", ""),
            np.ones(self._dimensions, np.float32),
            [("", 0.0)] * queries.NEAREST,
        )
        # planning takes it up to a second, once for values of about such lengths: not in a caller's time
        for start in queries.STARTS:
            values = _values(
                nobody, vector, ["nothing"], ids if start == "ids" else [], past=False, now=LONG_AGO
            )
            await self._ask(
                nobody, queries.search(start=start, by_vector=True, by_words=True), values, ALL_LIMIT_S
            )
        return version

    async def close(self) -> None:
        await self._driver.close()

    async def _ask(
        self, group: str, query: str, values: Mapping[str, Any], limit_s: float, *, write: bool = False
    ) -> list[Row]:
        return await self._driver.ask(query, {"group": group, **values}, limit_s, write=write)


def _values(
    group: str,
    vector: Vector | None,
    words: Sequence[str],
    ids: Sequence[tuple[str, float]],
    *,
    past: bool,
    now: datetime,
) -> dict[str, Any]:
    asked = " ".join(words)
    return {
        "vector": None if vector is None else vector.tolist(),
        "ids": ids,
        "past": past,
        "now": now,
        "words": f'+group_id:"{group}" +({asked})'.ljust(PLANNED_CHARS),
        "names": f'+group_id:"{group}" +name:({asked})'.ljust(PLANNED_CHARS),
    }


def _relation(row: Row) -> Relation:
    return relation_of(row[:8], row[8] or ())


def _found(row: Row) -> Found:
    via, likeness, weight = row[9:]
    return Found(_relation(row), via, likeness, weight)


def _entity(row: Row) -> Entity:
    return entity_of(row[:3], row[3])
