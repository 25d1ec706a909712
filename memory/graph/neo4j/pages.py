"""The packed pages of a large group on Neo4j: written after each ingestion, read by whoever searches."""

from uuid import UUID, uuid4

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.neo4j import queries as queries
from echoic.memory.graph.neo4j.driver import NeoDriver
from echoic.memory.graph.pages import PAGE_EDGES, HeldPages, Page

WRITE_LIMIT_S = 60.0
SPOT_CHECKS = 3
"""Edges of each page that are compared with what stands on it: another embedding model may have entered them
anew."""
SAME = 0.98
"""The cosine of a vector and itself at 8 bits is above this."""


class NeoPages:
    """Reads and writes the pages.

    Only one process writes those of one group at a time: the one that ingests it.
    """

    def __init__(self, driver: NeoDriver) -> None:
        self._driver, self._held = driver, HeldPages()

    async def read(self, group: str, limit_s: float) -> list[Page]:
        """The pages as they are now; those that have not changed since the last time are not sent again."""
        rows = await self._driver.ask(
            queries.PAGES, {"group": group, "held": self._held.stamps(group)}, limit_s
        )
        return self._held.update(
            group, {stamp: Page.read(ids, vectors) if ids else None for stamp, ids, vectors in rows}
        )

    async def refresh(self, group: str) -> None:
        """Make the pages hold the vectors of all edges, and of no others; a small group needs none."""
        edges = {
            UUID(edge_id)
            for (edge_id,) in await self._driver.ask(queries.EDGE_IDS, {"group": group}, WRITE_LIMIT_S)
        }
        pages = await self._stored(group)
        if len(edges) <= queries.EXACT_EDGES:
            await self._drop(group, list(pages))
            return
        wanting = bool(edges - {edge_id for page in pages.values() for edge_id in page.edge_ids})
        kept = {
            stamp: page
            for stamp, page in pages.items()
            if edges.issuperset(page.edge_ids)
            and (len(page) == PAGE_EDGES or not wanting)
            and await self._is_true(group, page)
        }
        missing = sorted(edges - {edge_id for page in kept.values() for edge_id in page.edge_ids})
        for at in range(0, len(missing), PAGE_EDGES):
            await self._write(group, missing[at : at + PAGE_EDGES])
        # last: an edge on two pages is better than on none
        await self._drop(group, [stamp for stamp in pages if stamp not in kept])

    def forget(self, group: str) -> None:
        self._held.forget(group)

    async def _stored(self, group: str) -> dict[str, Page]:
        rows = await self._driver.ask(queries.PAGES, {"group": group, "held": []}, WRITE_LIMIT_S)
        return {stamp: Page.read(ids, vectors) for stamp, ids, vectors in rows}

    async def _is_true(self, group: str, page: Page) -> bool:
        """Do some of its edges still have the vectors that stand on it?"""
        ids = page.edge_ids[:: max(1, len(page) // SPOT_CHECKS)]
        vectors = await self._vectors(group, ids)
        rows = dict(zip(page.edge_ids, page.vectors.astype(np.float32), strict=True))
        return all(
            len(rows[edge_id]) == len(vector) and _cosine(rows[edge_id], vector) > SAME
            for edge_id, vector in vectors.items()
        )

    async def _vectors(self, group: str, ids: list[UUID]) -> dict[UUID, Vector]:
        rows = await self._driver.ask(
            queries.EDGE_VECTORS, {"group": group, "ids": list(map(str, ids))}, WRITE_LIMIT_S
        )
        return {UUID(edge_id): np.array(vector, np.float32) for edge_id, vector in rows}

    async def _write(self, group: str, ids: list[UUID]) -> None:
        if not await self._driver.ask(queries.PAGE_INDEX_EXISTS, {}, WRITE_LIMIT_S):
            await self._driver.ask(queries.PAGE_INDEX, {}, WRITE_LIMIT_S, write=True)
        vectors = await self._vectors(group, ids)
        # two while another embedding model takes over
        for length in {len(vector) for vector in vectors.values()}:
            alike = {edge_id: vector for edge_id, vector in vectors.items() if len(vector) == length}
            page = Page.of(list(alike), np.stack(list(alike.values())))
            values = {
                "group": group,
                "stamp": uuid4().hex,
                "ids": page.ids,
                "vectors": page.vectors.tobytes(),
            }
            await self._driver.ask(queries.SAVE_PAGE, values, WRITE_LIMIT_S, write=True)

    async def _drop(self, group: str, stamps: list[str]) -> None:
        if stamps:
            await self._driver.ask(
                queries.DROP_PAGES, {"group": group, "stamps": stamps}, WRITE_LIMIT_S, write=True
            )


def _cosine(one: Vector, other: Vector) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9))
