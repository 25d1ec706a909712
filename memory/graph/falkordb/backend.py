"""The graph on FalkorDB, read with plain redis-py: one graph per group, each query with its own limit on the
server.

Only `GRAPH.RO_QUERY` is asked: any other query for a group that does not exist would create it (1.5 MB each,
measured).
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import ConfigInvalid, SchemaMismatch, StoreTimeout, StoreUnavailable
from echoic.memory.graph.falkordb import queries as queries
from echoic.memory.graph.ranking import Found, ranked
from echoic.memory.graph.types import (
    Entity,
    Relation,
    chosen,
    entity_of,
    graph_as_json,
    relation_of,
)

CONNECTIONS = 8
"""Of one process; FalkorDB itself works on as many queries at once as it has threads."""
GRACE_S = 0.25
"""What we wait beyond the server's limit: a healthy server's refusal is there by then, past it the connection
is dropped."""
ALL_LIMIT_S = 60.0
"""Reading or removing a whole group, outside any call."""
EMPTY_KEY, TIMED_OUT, OTHER_LENGTH, NO_MODULE = (
    "empty key",
    "timed out",
    "dimension mismatch",
    "unknown command",
)
REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
Row = Sequence[Any]


class FalkorBackend:
    """A bounded pool of connections to one FalkorDB. Connects with the first query."""

    name: Literal["falkordb", "neo4j"] = "falkordb"

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        """Raises ConfigInvalid: the address is not one of Redis."""
        self._timeout_s = timeout_s
        try:
            self._pool = redis.asyncio.BlockingConnectionPool.from_url(
                url, max_connections=CONNECTIONS, timeout=timeout_s, decode_responses=True
            )
        except ValueError as exc:
            raise ConfigInvalid(
                "ECHOIC_FALKORDB_URL is wrong: it begins with redis://, rediss:// or unix://."
            ) from exc
        self._redis = redis.asyncio.Redis(connection_pool=self._pool)

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
        values: dict[str, Any] = {"now": _text(now), "past": past}
        if vector is not None:
            values |= {"vector": vector}
        if words:
            values |= {"words": "|".join(words), "names": f"@name:({'|'.join(words)})"}
        query = queries.search(by_vector=vector is not None, by_words=bool(words), edges=edges)
        rows = await self._read(group, query, values, self._timeout_s) if query else []
        return ranked(map(_found, rows), limit)

    async def relations(
        self, group: str, *, at: datetime | None = None, live_only: bool = True
    ) -> list[Relation]:
        rows = await self._read(group, queries.RELATIONS, {}, ALL_LIMIT_S)
        return chosen(map(_relation, rows), at, live_only)

    async def entities(self, group: str) -> list[Entity]:
        return [_entity(row) for row in await self._read(group, queries.ENTITIES, {}, ALL_LIMIT_S)]

    async def digest(self, group: str, limit: int, now: datetime) -> list[Relation]:
        values = {"now": _text(now), "most": limit}
        return [_relation(row) for row in await self._read(group, queries.DIGEST, values, ALL_LIMIT_S)]

    async def export(self, group: str) -> dict[str, Any]:
        return graph_as_json(await self.entities(group), await self.relations(group, live_only=False))

    async def refresh(self, group: str) -> None:
        """Nothing: FalkorDB compares ten thousand vectors as they are."""

    async def erase(self, group: str) -> None:
        try:
            await self._ask(ALL_LIMIT_S, "GRAPH.DELETE", group)
        except _NoGraph:
            return

    async def count(self, group: str) -> int:
        rows = await self._read(group, queries.COUNT, {}, ALL_LIMIT_S)
        return int(rows[0][0]) if rows else 0

    async def ping(self) -> str:
        modules = await self._ask(self._timeout_s, "MODULE", "LIST")
        for module in modules:
            fields = module if isinstance(module, dict) else dict(zip(module[::2], module[1::2], strict=True))
            if fields["name"] == "graph":
                version = int(fields["ver"])
                return f"FalkorDB {version // 10_000}.{version // 100 % 100}.{version % 100}"
        raise ConfigInvalid(
            "ECHOIC_FALKORDB_URL names a Redis without the FalkorDB module: the graph needs FalkorDB."
        )

    async def close(self) -> None:
        await self._pool.disconnect()

    async def _read(self, group: str, query: str, values: Mapping[str, Any], limit_s: float) -> list[Row]:
        """The rows of a query; none if there is no such graph."""
        text = queries.header(values) + query
        try:
            answer = await self._ask(limit_s, "GRAPH.RO_QUERY", group, text, "TIMEOUT", round(limit_s * 1000))
        except _NoGraph:
            return []
        return answer[1]  # between the header and the statistics

    async def _ask(self, limit_s: float, *command: Any) -> Any:
        """One command; past the limit its connection is dropped, which redis-py does for whoever is
        cancelled."""
        try:
            async with asyncio.timeout(limit_s + GRACE_S):
                return await self._redis.execute_command(*command)
        except TimeoutError as exc:
            raise StoreTimeout(f"FalkorDB did not answer within {limit_s:g} s.") from exc
        except (RedisError, OSError) as exc:
            raise _fault(exc, limit_s) from exc


class _NoGraph(Exception):
    """There is no graph of that name."""


def _fault(exc: Exception, limit_s: float) -> Exception:
    """What an error of the driver means. Its own text may quote the question, and stays out of ours."""
    if isinstance(exc, REFUSED) or isinstance(exc.__cause__, REFUSED):  # while connecting it is wrapped
        return ConfigInvalid("FalkorDB refuses the user or password of ECHOIC_FALKORDB_URL.")
    if not isinstance(exc, ResponseError):
        return StoreUnavailable(
            f"FalkorDB cannot be reached ({type(exc).__name__}): check ECHOIC_FALKORDB_URL, or run `echoic "
            "doctor`."
        )
    message = str(exc)
    if EMPTY_KEY in message:
        return _NoGraph()
    if TIMED_OUT in message:
        return StoreTimeout(f"FalkorDB ended a query after {limit_s:g} s.")
    if OTHER_LENGTH in message:
        return SchemaMismatch(
            "The graph's vectors are of another embedding model: run `echoic reembed`, or set the model back."
        )
    if NO_MODULE in message:
        return ConfigInvalid(
            "ECHOIC_FALKORDB_URL names a Redis without the FalkorDB module: the graph needs FalkorDB."
        )
    return StoreUnavailable("FalkorDB refused a query.")


def _text(when: datetime) -> str:
    """As times are kept: such texts compare like the times they name."""
    return when.astimezone(UTC).isoformat()


def _relation(row: Row) -> Relation:
    return relation_of(row[:8], _ID.findall(row[8] or ""))


def _found(row: Row) -> Found:
    via, likeness, weight = row[9:]
    return Found(_relation(row), via, None if likeness is None else float(likeness), float(weight))


def _entity(row: Row) -> Entity:
    return entity_of(row[:3], re.findall(r"\w+", row[3]))
