"""What a graph server must be able to do for us, and which one the settings name.

The reading side has a driver of its own, bounded in connections and time and apart from the one that learns:
Graphiti's drivers take no timeout, and to import Graphiti costs a call process 100 MB.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import ConfigInvalid
from echoic.memory.graph.types import Entity, Relation


class GraphBackend(Protocol):
    """One graph server. A group that does not exist is empty, and asking for it creates nothing.

    Every method raises:
        StoreUnavailable: the server cannot be reached, or refused the query.
        StoreTimeout: over the limit; the server was told the same limit and ends the query itself.
        ConfigInvalid: wrong password, or a server that is too old.
    """

    name: Literal["falkordb", "neo4j"]

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
        """The best relations for a question, best first: near it in meaning, sharing its words, of something
        that it names, or of a neighbour of the best.

        Args:
            vector: of the question; None finds by words alone.
            words: content words, lower case, without marks; what is called by one of them counts as named by
                the question.
            past: closed relations too.
            now: relations that have ended by then are closed.
            edges: how many the group has, as far as is known; which form of the query fits depends on it.
        """
        ...

    async def relations(
        self, group: str, *, at: datetime | None = None, live_only: bool = True
    ) -> list[Relation]:
        """All of them, oldest first: those that were true `at` a time; else the live ones, or history too."""
        ...

    async def entities(self, group: str) -> list[Entity]:
        """All of them, by name."""
        ...

    async def digest(self, group: str, limit: int, now: datetime) -> list[Relation]:
        """The most important relations that have not ended by `now`, most important first, then newest."""
        ...

    async def export(self, group: str) -> dict[str, Any]:
        """Everything in the group as JSON-ready values, closed relations with their intervals included."""
        ...

    async def refresh(self, group: str) -> None:
        """Bring up to date what searching needs beside the edges; called after each ingestion.

        Safe to repeat, one at a time a group.
        """
        ...

    async def erase(self, group: str) -> None:
        """Remove the group: nodes, edges and indexes of its own. Safe to repeat."""
        ...

    async def count(self, group: str) -> int:
        """How many relations it has, closed ones included."""
        ...

    async def ping(self) -> str:
        """The server's name and version, once it answers."""
        ...

    async def close(self) -> None:
        """Close the connections; never waits for a hung server."""
        ...


def open_backend(settings: MemorySettings) -> GraphBackend | None:
    """The graph server that the settings name; None when the graph is off. Connects with the first question.

    Raises:
        ConfigInvalid: on without an address, or with two.
    """
    if settings.graph == "off":
        return None
    falkordb, neo4j = settings.falkordb_url.get_secret_value(), settings.neo4j_url
    if falkordb and neo4j:
        raise ConfigInvalid(
            "ECHOIC_FALKORDB_URL and ECHOIC_NEO4J_URL are both set: the graph lives in one place, so unset "
            "one of them."
        )
    if falkordb:
        from echoic.memory.graph.falkordb.backend import FalkorBackend

        return FalkorBackend(falkordb, timeout_s=settings.store_timeout_s)
    if neo4j:
        from echoic.memory.graph.neo4j.backend import (
            NeoBackend,  # the driver is an extra: only who uses it needs it
        )

        return NeoBackend(settings)
    raise ConfigInvalid(
        "ECHOIC_GRAPH is on, but no graph server is named: set ECHOIC_FALKORDB_URL or ECHOIC_NEO4J_URL, or "
        "use `echoic …`, "
        "which starts one."
    )
