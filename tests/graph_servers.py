"""What a test asks of a graph server and does to it, whichever of the two the settings name."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import redis
import redis.asyncio
from neo4j import AsyncGraphDatabase, GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from echoic.memory.config import MemorySettings
from echoic.memory.graph.groups import group_of
from tests.own_redis import writes_paused

RELATIONS = """
MATCH (s {group_id: $group})-[e:RELATES_TO]->(t)
RETURN s.name, e.fact, t.name, left(toString(e.invalid_at), 10) ORDER BY e.fact, t.name
"""
KINDS = ("Entity", "EdgePage")
NODES = (
    f"MATCH (n {{group_id: $group}}) RETURN [one IN labels(n) WHERE one IN {list(KINDS)}][0] AS kind, "
    "count(n) ORDER BY kind"
)
EDGES = "MATCH ({group_id: $group})-[e]->() RETURN type(e) AS kind, count(e) ORDER BY kind"
REMOVE_ONE = "MATCH ({group_id: $group})-[e:RELATES_TO]->() WITH e LIMIT 1 DELETE e"
HOLD = "MATCH (n:Entity {group_id: $group}) SET n.held = true"
BLOCKED = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*)"


def graph(
    settings: MemorySettings, user: str, cypher: str = RELATIONS, agent: str = "echoic"
) -> list[tuple[Any, ...]]:
    """Rows of a query to the caller's graph; none when there is no graph, which asking does not create."""
    group = group_of(user, agent)
    if settings.neo4j_url:
        with GraphDatabase.driver(settings.neo4j_url, auth=_auth(settings)) as driver:
            return [tuple(record.values()) for record in driver.execute_query(cypher, group=group).records]
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value(), decode_responses=True) as client:
        if not client.exists(group):
            return []
        return [
            tuple(row)
            for row in client.execute_command("GRAPH.RO_QUERY", group, f"CYPHER group='{group}' {cypher}")[1]
        ]


async def remove_one(settings: MemorySettings, user: str) -> None:
    """The server loses one relation of the caller's graph."""
    group = group_of(user, "echoic")
    if settings.neo4j_url:
        async with AsyncGraphDatabase.driver(settings.neo4j_url, auth=_auth(settings)) as driver:
            await driver.execute_query(REMOVE_ONE, group=group)
        return
    async with redis.asyncio.Redis.from_url(settings.falkordb_url.get_secret_value()) as client:
        await client.execute_command("GRAPH.QUERY", group, f"CYPHER group='{group}' {REMOVE_ONE}")


def relations(settings: MemorySettings, user: str) -> list[tuple[str, str | None]]:
    """What the caller's graph says, each with the day on which it ended."""
    return [(fact, until) for _, fact, _, until in graph(settings, user)]


def kinds(settings: MemorySettings, user: str) -> dict[str, int]:
    """How many nodes and edges of each kind the caller's graph holds."""
    return dict([*graph(settings, user, NODES), *graph(settings, user, EDGES)])


@asynccontextmanager
async def saves_held(settings: MemorySettings, user: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """No save that touches what the caller's graph holds gets on while the block runs.

    Gives a function: does one wait?

    On FalkorDB nothing is written at all; on Neo4j a save has begun its transaction, and stops at the
    first node. The server may be halted or killed meanwhile.
    """
    if not settings.neo4j_url:
        with writes_paused(settings.falkordb_url.get_secret_value()) as client:
            yield lambda: _is_paused(client)
        return
    async with (
        AsyncGraphDatabase.driver(settings.neo4j_url, auth=_auth(settings)) as driver,
        driver.session() as session,
    ):
        holding = await session.begin_transaction()
        held = await (await holding.run(HOLD, group=group_of(user, "echoic"))).consume()
        assert held.counters.properties_set, "a graph that holds nothing cannot be held"

        async def is_blocked() -> bool:
            return bool((await driver.execute_query(BLOCKED)).records[0][0])

        try:
            yield is_blocked
        finally:
            with suppress(Neo4jError, DriverError, OSError):
                await holding.rollback()


async def _is_paused(client: redis.Redis) -> bool:
    # reading blocks a client too
    return any(one["cmd"].lower() == "graph.query" and "b" in one["flags"] for one in client.client_list())


def _auth(settings: MemorySettings) -> tuple[str, str]:
    return settings.neo4j_user, settings.neo4j_password.get_secret_value()
